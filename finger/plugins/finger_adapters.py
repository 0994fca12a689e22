"""The adapters that come with the package."""

from finger.adapters.health import HealthAdapter
from finger.adapters.setter import SetterAdapter

setter = SetterAdapter()
status = HealthAdapter()
