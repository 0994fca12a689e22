"""Exercise PB: who is there?."""

import os
import sys

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import react
from twisted.spread import pb

PORT = 8889 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
TIMEOUT = 10  # seconds


def ask(reactor: object, user: str = "moshez") -> Deferred[None]:
    factory = pb.PBClientFactory()
    connected = HostnameEndpoint(reactor, "127.0.0.1", PORT).connect(factory)
    status = connected.addCallback(lambda connection: factory.getRootObject())
    status.addCallback(lambda finger: finger.callRemote("getUser", user))
    status.addTimeout(TIMEOUT, reactor)
    return status.addCallbacks(print, lambda why: sys.exit(f"no status: {why.getErrorMessage()}"))


react(ask, sys.argv[1:2])
