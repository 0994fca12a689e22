"""Exercise 09: names with a dot."""

import os
import re

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import LimitTotalConnectionsFactory, TimeoutMixin
from twisted.python.failure import Failure

log = Logger("finger")
PORT = 1079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
TIMEOUT = float(os.environ.get("FINGER_TIMEOUT", "30"))  # seconds for a whole connection
PROGRAM = os.environ.get("FINGER_PROGRAM", "/usr/bin/finger")
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)  # no option, host, path or pattern


def clean(text: str) -> list[str]:
    """The lines of a text, with "?" for what a terminal would obey instead of show."""
    lines = text.expandtabs().splitlines()
    return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]


def lookupFailed(failure: Failure) -> str:
    log.failure("a lookup failed", failure)  # we want to know why; the caller need not
    return "Internal error in server"


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
        self.setRawMode()  # one question a connection: further lines start no lookups
        lookup = maybeDeferred(self.factory.getUser, user)
        lookup.addErrback(lookupFailed)
        lookup.addCallback(self.answer)

    def rawDataReceived(self, data: bytes) -> None:
        pass

    def answer(self, status: str) -> None:
        self.transport.write("\r\n".join(clean(status)).encode() + b"\r\n")
        self.transport.loseConnection()


class FingerFactory(LimitTotalConnectionsFactory):
    protocol = FingerProtocol
    connectionLimit = 50  # at once; the next caller is hung up on

    def getUser(self, user: str) -> Deferred[str]:
        if not PLAIN_NAME.fullmatch(user):
            return succeed("No such user")
        return getProcessOutputAndValue(PROGRAM, [user]).addCallback(self.readOutput)

    def readOutput(self, result: tuple[bytes, bytes, int]) -> str:
        out, err, code = result
        if out:
            return out.decode("utf-8", "replace")
        if b"no such user" in err:
            return "No such user"
        raise RuntimeError(f"{PROGRAM} gave no answer and exit code {code}")


reactor.listenTCP(PORT, FingerFactory(), interface="127.0.0.1")
reactor.run()
