"""The adapters that come with the package, in the order of their options and ports."""

from finger.adapters.finger import FingerAdapter
from finger.adapters.irc.service import IRCAdapter
from finger.adapters.pb.root import PBAdapter
from finger.adapters.setter import SetterAdapter
from finger.adapters.web.adapter import WebAdapter
from finger.adapters.xmlrpc import XMLRPCAdapter
from finger.ops.health import HealthAdapter

finger = FingerAdapter()
web = WebAdapter()
xmlrpc = XMLRPCAdapter()
pb = PBAdapter()
setter = SetterAdapter()
irc = IRCAdapter()
status = HealthAdapter()
