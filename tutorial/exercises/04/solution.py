"""Exercise 04: an empty line is no question, done."""

import os

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

PORT = 1079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))


class FingerProtocol(LineReceiver):
    delimiter = b"\n"  # the standard ends a line with CRLF, nc with LF: take both
    MAX_LENGTH = 512  # bytes; whoever sends a longer line is cut off

    def lineReceived(self, line: bytes) -> None:
        if line.strip():
            self.transport.loseConnection()


class FingerFactory(Factory):
    protocol = FingerProtocol


reactor.listenTCP(PORT, FingerFactory(), interface="127.0.0.1")
reactor.run()
