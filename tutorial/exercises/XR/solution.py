"""Exercise XR: several at once, done."""

import os
import sys

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.task import react
from twisted.python.failure import Failure
from twisted.web.xmlrpc import Proxy

PORT = 8000 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
TIMEOUT = 10  # seconds


def ask(reactor: object, *users: str) -> Deferred[None]:
    proxy = Proxy(f"http://127.0.0.1:{PORT}/RPC2".encode(), connectTimeout=TIMEOUT)
    lookups = [proxy.callRemote("getUser", user) for user in users]
    statuses = gatherResults(lookups, consumeErrors=True).addTimeout(TIMEOUT, reactor)
    return statuses.addCallbacks(printAll, failed, [users])


def printAll(statuses: list[str], users: list[str]) -> None:
    for user, status in zip(users, statuses, strict=True):
        print(f"{user}: {status}")


def failed(why: Failure) -> None:
    reason = why.value.subFailure if why.check(FirstError) else why
    sys.exit(f"no status: {reason.getErrorMessage()}")


react(ask, sys.argv[1:] or ["moshez"])
