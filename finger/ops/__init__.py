"""Running as a service: start, stop, reload, and monitoring."""
