"""The version, in a file of its own: the build reads it as text."""

__version__ = "1.0.0"
