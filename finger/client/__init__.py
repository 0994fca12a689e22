"""Asking other finger servers, and setting a status."""
