"""Who may be told what, and who may set what."""
