"""A finger server on Twisted's LineReceiver that always gives the same answer."""

from __future__ import annotations

from twisted.internet import protocol
from twisted.protocols import basic

from bench.peers.listening import serve

ANSWER = b"Login: alice  Name: Alice Liddell  Status: Happy and well.\r\n"


class FingerProtocol(basic.LineReceiver):
    def lineReceived(self, line: bytes) -> None:
        assert self.transport is not None
        self.transport.write(ANSWER)
        self.transport.loseConnection()


class FingerFactory(protocol.ServerFactory):
    protocol = FingerProtocol


serve(FingerFactory())
