"""The adapters that come with the package."""

from finger.adapters.finger import FingerAdapter
from finger.adapters.health import HealthAdapter
from finger.adapters.irc.service import IRCAdapter
from finger.adapters.pb.root import PBAdapter
from finger.adapters.setter import SetterAdapter

finger = FingerAdapter()
pb = PBAdapter()
setter = SetterAdapter()
irc = IRCAdapter()
status = HealthAdapter()
