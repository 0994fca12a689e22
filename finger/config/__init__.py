"""Options: what there are, what they may be, and what is in force."""
