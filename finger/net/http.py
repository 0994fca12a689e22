"""HTTP for peers nobody knows: what they may send, and how long they may take."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from finger.interfaces import IDrainable
from finger.timing import CLOSE_GRACE, DRAIN_GRACE, Timer

MAX_BODY = 64 * 1024
"""The longest request body, in bytes, however it is sent.  Nobody has a reason to send us more than a line."""

MAX_DIGITS = 20
"""How many digits the length of a body may have."""

MAX_REQUESTS = 100
"""How many requests one connection may carry."""

TOO_LARGE = (
    b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 18\r\n\r\nContent Too Large\n"
)


class BoundedRequest(Request):
    """A request whose body may have so many bytes."""

    channel: BoundedChannel
    _bodySize = 0

    def gotLength(self, length: int | None) -> None:
        """The length of the body is known, or known to be unknown."""
        if length is not None and length > MAX_BODY:
            self.channel.refuseBody()
            self.requestHeaders.removeHeader(b"expect")  # Or it would be asked for, after all.
        super().gotLength(min(length or MAX_BODY, MAX_BODY))  # In memory then, never in a temporary file.

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body has come."""
        self._bodySize += len(data)
        if self._bodySize > MAX_BODY:
            self.channel.refuseBody()
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The request is complete, and to be answered if it has not been refused."""
        if not self.channel.isRefused:
            self.channel.beginAnswer()
            super().requestReceived(command, path, version)

    def render(self, resrc: IResource) -> None:
        """Answer."""
        self.setHeader(b"server", b"finger")
        if self.isSecure():
            # Whoever has come by HTTPS once comes so for a year (RFC 6797).
            self.setHeader(b"strict-transport-security", b"max-age=31536000")
        super().render(resrc)


@implementer(IDrainable)
class BoundedChannel(HTTPChannel):
    """
    A connection on which a request has so much time, whatever its peer does meanwhile.

    @ivar clock: for the limits of time; without one there are none.
    @ivar headersTimeout: seconds for the first request's headers to arrive.
    @ivar requestTimeout: seconds from there for its body to arrive.
    @ivar answerTimeout: seconds from there for the answer to be written.
    @ivar discardTimeout: seconds a peer whose body is too long has to notice, and again to go.
    @ivar isRefused: is what comes not wanted any more?
    """

    transport: Any  # An ITCPTransport that says whether it is C{disconnecting}, as all of Twisted's do.
    site: BoundedSite
    requestFactory = BoundedRequest
    clock: IReactorTime | None = None
    headersTimeout = 10.0
    requestTimeout = 30.0
    answerTimeout = 45.0
    discardTimeout = 2.0

    _count = 0
    _isDraining = False
    isRefused = False

    def connectionMade(self) -> None:
        """Wait for the first request."""
        self._deadline = Timer(self.clock)
        super().connectionMade()
        self._deadline.start(self.headersTimeout, self.transport.abortConnection)

    def headerReceived(self, line: bytes) -> bool:
        """See L{HTTPChannel.headerReceived}.  Of a length of too many digits Python makes no number."""
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and len(value) > MAX_DIGITS and value.strip(b" \t").isdigit():
            line = b"%b: %d" % (name, MAX_BODY + 1)
        return bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        """A request has begun; its time has, too."""
        self._deadline.start(self.requestTimeout, self.transport.abortConnection)
        self._count += 1
        super().allHeadersReceived()

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """See L{HTTPChannel.checkPersistence}.  There is an end to how many requests a connection carries."""
        if self._isDraining or self._count >= MAX_REQUESTS:
            request.setHeader(b"connection", b"close")
            return False
        return bool(super().checkPersistence(request, version))

    def dataReceived(self, data: bytes) -> None:
        """
        Take a piece of a request, or throw away what is left of one that is too long, and what still comes when the
        connection is being closed: TLS delivers that, too.
        """
        if not self.isRefused and not self.transport.disconnecting:
            super().dataReceived(data)

    def beginAnswer(self) -> None:
        """A request is complete."""
        self._deadline.start(self.answerTimeout, self.transport.abortConnection)

    def requestDone(self, request: Request) -> None:
        """The answer is written, and may take its time to leave; the next request may come as long."""
        self._deadline.start(self.requestTimeout, self.transport.abortConnection)
        super().requestDone(request)

    def refuseBody(self) -> None:
        """Say that a body is too long, and end soon: if we closed at once, unread bytes would cost the peer that."""
        if not self.isRefused:
            self.isRefused = True
            self.transport.write(TOO_LARGE)
            self._deadline.start(self.discardTimeout, self._end)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Over."""
        self._deadline.cancel()
        super().connectionLost(reason)

    def drain(self) -> None:
        """See L{IDrainable.drain}.  Who has not asked yet has a moment: the request may be on its way."""
        self._isDraining = True
        if not self._count and not self.requests:
            self._deadline.start(DRAIN_GRACE, self.loseConnection)
            return
        self.persistent = False
        if not self.requests:
            self.loseConnection()

    def _end(self) -> None:
        self._deadline.start(self.discardTimeout, self.transport.abortConnection)
        self.loseConnection()


class BoundedSite(Site):
    """
    A L{Site} of L{BoundedChannel}s, whose log is the resources' own.

    @param resource: what it serves.
    @param reactor: for its time limits.
    @param querySeconds: seconds for a request's headers to arrive.
    @param answerSeconds: seconds for its body to arrive, and again for a back end to answer.
    @ivar headersTimeout: see L{BoundedChannel}.
    @ivar requestTimeout: see L{BoundedChannel}.
    @ivar answerTimeout: see L{BoundedChannel}.
    """

    noisy = False

    def __init__(
        self, resource: IResource, reactor: Any, querySeconds: float = 10.0, answerSeconds: float = 30.0
    ) -> None:
        super().__init__(resource, requestFactory=BoundedRequest, reactor=reactor, parsePOSTFormSubmission=False)
        self.headersTimeout = querySeconds
        self.requestTimeout = answerSeconds
        self.answerTimeout = answerSeconds + CLOSE_GRACE
        self._clock = reactor

    def buildProtocol(self, addr: Any) -> BoundedChannel:  # type: ignore[override]
        """Make a channel for HTTP/1; nothing here would gain by HTTP/2."""
        channel = BoundedChannel()
        channel.factory = self
        channel.site = self
        channel.clock = self._clock
        channel.timeOut = None  # Instead of one that every byte extends.
        channel.headersTimeout = self.headersTimeout
        channel.requestTimeout = self.requestTimeout
        channel.answerTimeout = self.answerTimeout
        return channel

    def log(self, request: Any) -> None:
        """See L{Site.log}."""
