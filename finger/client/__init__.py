"""Clients: queries to other finger servers, and status updates."""
