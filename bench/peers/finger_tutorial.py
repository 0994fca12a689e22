"""The finger server of the tutorial's early stages: a LineReceiver, a dictionary, a Deferred."""

from __future__ import annotations

from twisted.internet import defer, protocol, reactor
from twisted.protocols import basic

USERS = {b"user0": b"Login: alice  Name: Alice Liddell  Status: Happy and well."}


class FingerProtocol(basic.LineReceiver):
    factory: FingerFactory

    def lineReceived(self, user: bytes) -> None:
        answer = self.factory.getUser(user)
        answer.addErrback(lambda failure: b"Internal error in server")
        answer.addCallback(self._send)

    def _send(self, message: bytes) -> None:
        self.transport.write(message + b"\r\n")
        self.transport.loseConnection()


class FingerFactory(protocol.ServerFactory):
    protocol = FingerProtocol
    noisy = False

    def getUser(self, user: bytes) -> defer.Deferred[bytes]:
        return defer.succeed(USERS.get(user, b"No such user"))


port = reactor.listenTCP(0, FingerFactory(), backlog=4096)
print(port.getHost().port, flush=True)
reactor.run()
