"""Running as a service: starting, stopping, reloading, and being watched."""
