"""The adapters that come with the package."""
