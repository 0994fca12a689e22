"""Options: their table, their types, and the effective settings."""
