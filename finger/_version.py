"""The version, by itself, so that everybody can know it."""

__version__ = "1.0.0"
