"""The version, by itself: the build reads this file as text."""

__version__ = "1.0.0"
