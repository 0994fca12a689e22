"""Access control: the disclosure of profiles, and the permission to set statuses."""
