"""Exercise 12: forget me."""

import os
import pwd

from twisted.application import service, strports
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import LimitTotalConnectionsFactory, TimeoutMixin
from twisted.python.failure import Failure

log = Logger("finger")
PORT = 1079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
SETTER_PORT = PORT + 1
TIMEOUT = float(os.environ.get("FINGER_TIMEOUT", "30"))  # seconds for a whole connection
USERS = {
    "moshez": "Happy and well",
    "guest": "Two lines, a <b>tag</b>\nand a bell: \a",
}


def clean(text: str) -> list[str]:
    """The lines of a text, with "?" for what a terminal would obey instead of show."""
    lines = text.expandtabs().splitlines()
    return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]


def lookupFailed(failure: Failure) -> str:
    log.failure("a lookup failed", failure)  # we want to know why; the caller need not
    return "Internal error in server"


class LimitedLineReceiver(LineReceiver, TimeoutMixin):
    delimiter = b"\n"  # the standard ends a line with CRLF, nc with LF: take both
    MAX_LENGTH = 512  # bytes; whoever sends a longer line is cut off

    def connectionMade(self) -> None:
        self.setTimeout(TIMEOUT)

    def connectionLost(self, reason: Failure) -> None:
        self.setTimeout(None)

    def timeoutConnection(self) -> None:
        self.transport.abortConnection()  # do not wait for a caller who reads nothing


class FingerProtocol(LimitedLineReceiver):
    def lineReceived(self, line: bytes) -> None:
        user = line.decode("utf-8", "replace").strip()
        self.setRawMode()  # one question a connection: further lines start no lookups
        lookup = maybeDeferred(self.factory.getUser, user)
        lookup.addErrback(lookupFailed)
        lookup.addCallback(self.answer)

    def rawDataReceived(self, data: bytes) -> None:
        pass

    def answer(self, status: str) -> None:
        self.transport.write("\r\n".join(clean(status)).encode() + b"\r\n")
        self.transport.loseConnection()


class FingerSetterProtocol(LimitedLineReceiver):
    def connectionMade(self) -> None:
        super().connectionMade()
        self.lines: list[str] = []

    def lineReceived(self, line: bytes) -> None:
        if len(self.lines) < 2:
            self.lines.append(line.decode("utf-8", "replace").strip())

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if reason.check(ConnectionDone) and len(self.lines) == 2:  # a whole message, or none
            self.factory.setUser(*self.lines)


class FingerFactory(LimitTotalConnectionsFactory):
    protocol = FingerProtocol
    connectionLimit = 50  # at once; the next caller is hung up on

    def __init__(self, users: dict[str, str]) -> None:
        self.users = users

    def getUser(self, user: str) -> Deferred[str]:
        return succeed(self.users.get(user, "No such user"))


class FingerSetterFactory(Factory):
    protocol = FingerSetterProtocol

    def __init__(self, fingerFactory: FingerFactory) -> None:
        self.fingerFactory = fingerFactory

    def setUser(self, user: str, status: str) -> None:
        self.fingerFactory.users[user] = status


nobody = pwd.getpwnam("nobody")
uid, gid = (nobody.pw_uid, nobody.pw_gid) if os.getuid() == 0 else (None, None)
application = service.Application("finger", uid=uid, gid=gid)  # the ports are opened before


def listen(port: int, factory: Factory) -> None:
    strports.service(f"tcp:{port}:interface=127.0.0.1", factory).setServiceParent(application)


fingerFactory = FingerFactory(USERS)
listen(PORT, fingerFactory)
listen(SETTER_PORT, FingerSetterFactory(fingerFactory))
