"""The adapters that come with the package."""

from finger.adapters.health import HealthAdapter

status = HealthAdapter()
