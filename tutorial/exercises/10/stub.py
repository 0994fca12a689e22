"""Exercise 10: do not ask twice."""

import os
from urllib.parse import quote

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import LimitTotalConnectionsFactory, TimeoutMixin
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse

log = Logger("finger")
PORT = 1079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
TIMEOUT = float(os.environ.get("FINGER_TIMEOUT", "30"))  # seconds for a whole connection
PREFIX = os.environ.get("FINGER_PREFIX", f"http://127.0.0.1:{PORT + 7000}/")  # finger10_site.py
PAGE_TIMEOUT = float(os.environ.get("FINGER_PAGE_TIMEOUT", "10"))  # seconds
MAX_PAGE = 4096  # bytes of a page that are read


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


class PageReader(Protocol):
    """Collects the body of a response, or as much of it as we want to hold."""

    def __init__(self) -> None:
        self.body = b""
        self.done: Deferred[bytes] = Deferred(lambda done: self.transport.loseConnection())

    def dataReceived(self, data: bytes) -> None:
        self.body += data[: MAX_PAGE - len(self.body)]
        if len(self.body) == MAX_PAGE:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        if self.done.called:
            return  # given up before
        if reason.check(ResponseDone, PotentialDataLoss) or len(self.body) == MAX_PAGE:
            self.done.callback(self.body)
        else:
            self.done.errback(reason)


class FingerFactory(LimitTotalConnectionsFactory):
    protocol = FingerProtocol
    connectionLimit = 50  # at once; the next caller is hung up on

    def getUser(self, user: str) -> Deferred[str]:
        url = PREFIX + quote(user, safe="")
        page = Agent(reactor).request(b"GET", url.encode()).addCallback(self.readPage)
        return page.addTimeout(PAGE_TIMEOUT, reactor)

    def readPage(self, response: IResponse) -> Deferred[str]:
        reader = PageReader()
        response.deliverBody(reader)
        return reader.done.addCallback(self.readBody, response.code)

    def readBody(self, body: bytes, code: int) -> str:
        if code == 404:
            return "No such user"
        if code != 200:
            raise RuntimeError(f"the site answered {code}")
        return body.decode("utf-8", "replace")


reactor.listenTCP(PORT, FingerFactory(), interface="127.0.0.1")
reactor.run()
