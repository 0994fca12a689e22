"""A finger server on Twisted's LineReceiver that always gives the same answer."""

from __future__ import annotations

from twisted.internet import protocol, reactor
from twisted.protocols import basic

ANSWER = b"Login: alice  Name: Alice Liddell  Status: Happy and well.\r\n"


class FingerProtocol(basic.LineReceiver):
    def lineReceived(self, line: bytes) -> None:
        self.transport.write(ANSWER)
        self.transport.loseConnection()


class FingerFactory(protocol.ServerFactory):
    protocol = FingerProtocol
    noisy = False


port = reactor.listenTCP(0, FingerFactory(), backlog=4096)
print(port.getHost().port, flush=True)
reactor.run()
