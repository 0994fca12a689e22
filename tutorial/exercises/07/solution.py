"""Exercise 07: capitals do not matter, done."""

import os

from twisted.internet import reactor
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import LimitTotalConnectionsFactory, TimeoutMixin
from twisted.python.failure import Failure

PORT = 1079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
TIMEOUT = float(os.environ.get("FINGER_TIMEOUT", "30"))  # seconds for a whole connection
USERS = {"moshez": "Happy and well"}


class FingerProtocol(LineReceiver, TimeoutMixin):
    delimiter = b"\n"  # the standard ends a line with CRLF, nc with LF: take both
    MAX_LENGTH = 512  # bytes; whoever sends a longer line is cut off

    def connectionMade(self) -> None:
        self.setTimeout(TIMEOUT)

    def connectionLost(self, reason: Failure) -> None:
        self.setTimeout(None)

    def timeoutConnection(self) -> None:
        self.transport.abortConnection()  # do not wait for a caller who reads nothing

    def lineReceived(self, line: bytes) -> None:
        user = line.decode("utf-8", "replace").strip()
        self.transport.write(self.factory.getUser(user).encode() + b"\r\n")
        self.transport.loseConnection()


class FingerFactory(LimitTotalConnectionsFactory):
    protocol = FingerProtocol
    connectionLimit = 50  # at once; the next caller is hung up on

    def __init__(self, users: dict[str, str]) -> None:
        self.users = users

    def getUser(self, user: str) -> str:
        return self.users.get(user.lower(), "No such user")


reactor.listenTCP(PORT, FingerFactory(USERS), interface="127.0.0.1")
reactor.run()
