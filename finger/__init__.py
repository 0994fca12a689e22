"""A finger service (RFC 1288): one small interface, many back ends, and many ways to ask."""

__version__ = "1.0.0"
