"""Exercise XR: several at once."""

import os
import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.xmlrpc import Proxy

PORT = 8000 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
TIMEOUT = 10  # seconds


def ask(reactor: object, user: str = "moshez") -> Deferred[None]:
    proxy = Proxy(f"http://127.0.0.1:{PORT}/RPC2".encode(), connectTimeout=TIMEOUT)
    status = proxy.callRemote("getUser", user).addTimeout(TIMEOUT, reactor)
    return status.addCallbacks(print, lambda why: sys.exit(f"no status: {why.getErrorMessage()}"))


react(ask, sys.argv[1:2])
