"""The adapters that come with the package."""

from finger.adapters.health import HealthAdapter
from finger.adapters.pb.root import PBAdapter
from finger.adapters.setter import SetterAdapter

pb = PBAdapter()
setter = SetterAdapter()
status = HealthAdapter()
