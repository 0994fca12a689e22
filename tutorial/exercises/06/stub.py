"""Exercise 06: how often was that asked?."""

import os

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

PORT = 1079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
TIMEOUT = float(os.environ.get("FINGER_TIMEOUT", "30"))  # seconds for a whole connection


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


class FingerFactory(Factory):
    protocol = FingerProtocol

    def getUser(self, user: str) -> str:
        return "No such user"


reactor.listenTCP(PORT, FingerFactory(), interface="127.0.0.1")
reactor.run()
