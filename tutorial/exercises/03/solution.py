"""Exercise 03: who was that?, done."""

import os

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

PORT = 1079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))


class FingerProtocol(Protocol):
    def connectionMade(self) -> None:
        print("a call from", self.transport.getPeer().host)
        self.transport.loseConnection()


class FingerFactory(Factory):
    protocol = FingerProtocol


reactor.listenTCP(PORT, FingerFactory(), interface="127.0.0.1")
reactor.run()
