"""Stage 02: a protocol is what one connection does; a factory makes one for each caller."""

import os

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

PORT = 1079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))


class FingerProtocol(Protocol):
    pass


class FingerFactory(Factory):
    protocol = FingerProtocol


reactor.listenTCP(PORT, FingerFactory(), interface="127.0.0.1")
reactor.run()
