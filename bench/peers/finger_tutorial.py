"""The finger server of the tutorial's early stages: a LineReceiver, a dictionary, a Deferred."""

from __future__ import annotations

from twisted.internet import defer, protocol
from twisted.protocols import basic

from bench.peers.listening import serve

USERS = {b"user0": b"Login: alice  Name: Alice Liddell  Status: Happy and well."}


class FingerProtocol(basic.LineReceiver):
    factory: FingerFactory

    def lineReceived(self, user: bytes) -> None:
        answer = self.factory.getUser(user)
        answer.addErrback(lambda failure: b"Internal error in server")
        answer.addCallback(self._send)

    def _send(self, message: bytes) -> None:
        assert self.transport is not None
        self.transport.write(message + b"\r\n")
        self.transport.loseConnection()


class FingerFactory(protocol.ServerFactory):
    protocol = FingerProtocol  # type: ignore[assignment]

    def getUser(self, user: bytes) -> defer.Deferred[bytes]:
        return defer.succeed(USERS.get(user, b"No such user"))


serve(FingerFactory())
