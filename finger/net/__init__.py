"""Ports, sockets, and servers with limits."""
