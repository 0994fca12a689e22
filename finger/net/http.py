"""HTTP with limits on request size, time and number of requests, for untrusted peers."""

from __future__ import annotations

from math import ceil
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from finger.interfaces import IDrainable, ILimitedTransport
from finger.timing import CLOSE_GRACE, DRAIN_GRACE, Timer

MAX_BODY = 64 * 1024
"""The longest request body, in bytes, with or without chunks.  Legitimate bodies are about one line long."""

MAX_DIGITS = 20
"""The most digits in a C{Content-Length}."""

MAX_REQUESTS = 100
"""The most requests on one connection."""

MAX_WAITING = 16 * 1024
"""The data of further requests, in bytes, that is received during an answer before receiving pauses."""

TOO_LARGE = (
    b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 18\r\n\r\nContent Too Large\n"
)


def tooManyRequests(wait: float, hasBody: bool) -> bytes:
    """
    Return the answer to a request above the rate limit (RFC 6585, section 4).

    @param wait: the time until another request may be sent, in seconds.
    @param hasBody: whether the answer has a body, as any but that to C{HEAD} has.
    """
    return (
        b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: %d\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 18\r\n\r\n%b"
    ) % (ceil(wait), b"Too Many Requests\n" if hasBody else b"")


class BoundedRequest(Request):
    """A request whose body has at most L{MAX_BODY} bytes."""

    channel: BoundedChannel
    _bodySize = 0

    def gotLength(self, length: int | None) -> None:
        """Refuse a body whose announced length is too long."""
        if length is not None and length > MAX_BODY:
            self.channel.refuse(TOO_LARGE)
            self.requestHeaders.removeHeader(b"expect")  # Otherwise Twisted would reply 100 Continue.
        super().gotLength(min(length or MAX_BODY, MAX_BODY))  # Keeps the body in memory, not in a temporary file.

    def handleContentChunk(self, data: bytes) -> None:
        """Take a chunk of the body, or refuse the body once it is too long."""
        self._bodySize += len(data)
        if self._bodySize > MAX_BODY:
            self.channel.refuse(TOO_LARGE)
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Answer the complete request, unless it has been refused, or is above the rate limit."""
        if self.channel.isRefused:
            return
        wait = self.channel.admitRequest()
        if wait:
            self.channel.refuse(tooManyRequests(wait, hasBody=command != b"HEAD"))
        else:
            self.channel.beginAnswer()
            super().requestReceived(command, path, version)

    def render(self, resrc: IResource) -> None:
        """Set the headers common to all answers, and render the resource."""
        self.setHeader(b"server", b"finger")
        if self.isSecure():
            # Browsers then use HTTPS alone for a year (RFC 6797).
            self.setHeader(b"strict-transport-security", b"max-age=31536000")
        super().render(resrc)


@implementer(IDrainable, IHalfCloseableProtocol)
class BoundedChannel(HTTPChannel):
    """
    A connection with a time limit for each phase of a request, which no activity of the peer extends.

    After each answer, the next request waits for another turn of the reactor, even if it has already arrived.  So a
    peer that sends many requests at once takes turns with all others, and cannot delay a signal.  It also waits until
    the peer has read enough of the answers before it, which bounds their memory.

    @ivar clock: the clock for the time limits; L{None} for no limits.
    @ivar headersTimeout: seconds for the headers of the first request to arrive.
    @ivar requestTimeout: seconds for the body to arrive, after the headers.
    @ivar answerTimeout: seconds for the answer to be written, after the body.
    @ivar discardTimeout: seconds to discard what arrives after a refusal before the connection is closed, and the
        same again before it is aborted.
    @ivar isRefused: whether further data is discarded.
    """

    transport: Any  # An ITCPTransport with the attribute C{disconnecting}, as all of Twisted's have.
    site: BoundedSite
    requestFactory = BoundedRequest
    clock: IReactorTime | None = None
    headersTimeout = 10.0
    requestTimeout = 30.0
    answerTimeout = 45.0
    discardTimeout = 2.0

    _count = 0
    _isBusy = False  # From the end of a request to the turn after its answer.
    _isDraining = False
    _isHalfClosed = False
    _isUnread = False
    _answered: Request | None = None
    isRefused = False

    def connectionMade(self) -> None:
        """Start the time limit for the first request's headers."""
        self._deadline = Timer(self.clock)
        self._rest = Timer(self.clock)
        self._waiting = bytearray()
        super().connectionMade()
        self._deadline.start(self.headersTimeout, self.transport.abortConnection)

    def headerReceived(self, line: bytes) -> bool:
        """
        See L{HTTPChannel.headerReceived}.  A C{Content-Length} with too many digits is replaced by one that is too
        long, because Python refuses to parse very long numbers.
        """
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and len(value) > MAX_DIGITS and value.strip(b" \t").isdigit():
            line = b"%b: %d" % (name, MAX_BODY + 1)
        return bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        """Count the request and start the time limit for its body."""
        self._deadline.start(self.requestTimeout, self.transport.abortConnection)
        self._count += 1
        super().allHeadersReceived()

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """See L{HTTPChannel.checkPersistence}.  A connection also ends after L{MAX_REQUESTS}, or in a drain."""
        if self._isDraining or self._count >= MAX_REQUESTS:
            request.setHeader(b"connection", b"close")
            return False
        return bool(super().checkPersistence(request, version))

    def dataReceived(self, data: bytes) -> None:
        """
        Take data, unless the request has been refused or the connection is closing, when TLS still delivers data.
        During an answer, the data waits here: Twisted would keep it in pieces, and count them all for each new one.
        """
        if self.isRefused or self.transport.disconnecting:
            return
        if self._isBusy:
            self._waiting += data
            self._pauseIfFull()
        else:
            super().dataReceived(data)

    def _pauseIfFull(self) -> None:
        if len(self._waiting) > MAX_WAITING:
            self.transport.pauseProducing()

    def beginAnswer(self) -> None:
        """Start the time limit for the answer."""
        self._isBusy = True
        self._deadline.start(self.answerTimeout, self.transport.abortConnection)

    def requestDone(self, request: Request) -> None:
        """Start the time limit for sending the answer and receiving the next request, which has a later turn."""
        self._deadline.start(self.requestTimeout, self.transport.abortConnection)
        self._answered = request
        if self.persistent and self.clock is not None:
            self._restIfRead()
        else:
            self._continue()

    def pauseProducing(self) -> None:
        """See L{HTTPChannel.pauseProducing}.  The peer reads too slowly."""
        self._isUnread = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """See L{HTTPChannel.resumeProducing}.  The peer has read all answers so far."""
        self._isUnread = False
        super().resumeProducing()
        self._restIfRead()

    def _restIfRead(self) -> None:
        if self._answered is not None and not self._isUnread:
            self._rest.start(0, self._continue)

    def _continue(self) -> None:
        """Go on with the next request, if it has arrived."""
        answered, self._answered, self._isBusy = self._answered, None, False
        super().requestDone(answered)
        if not self._isBusy and self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            self.dataReceived(data)
        self._pauseIfFull()
        if self._isHalfClosed:
            self.readConnectionLost()

    def readConnectionLost(self) -> None:
        """See L{IHalfCloseableProtocol.readConnectionLost}.  Answer the requests that have arrived, and close."""
        self._isHalfClosed = True
        if not self._isBusy and not self.transport.disconnecting:
            self.loseConnection()

    def writeConnectionLost(self) -> None:
        """See L{IHalfCloseableProtocol.writeConnectionLost}.  This never happens."""

    def admitRequest(self) -> float:
        """
        Count a complete request towards the rate limit of the peer's address, if the transport has one.

        @return: 0 if it may be answered, or else the time until the next one may be, in seconds.
        """
        limit = ILimitedTransport(self.transport, None)
        return 0.0 if limit is None or self._count == 1 else limit.admitRequest()

    def refuse(self, answer: bytes) -> None:
        """
        Send a last answer, and close after a delay.  Closing at once, with bytes unread, would reset the connection,
        and the peer would lose the answer.
        """
        if not self.isRefused:
            self.isRefused = True
            self.transport.write(answer)
            self._deadline.start(self.discardTimeout, self._end)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Cancel the time limit, and the next request."""
        self._deadline.cancel()
        self._rest.cancel()
        super().connectionLost(reason)

    @property
    def owesAnswer(self) -> bool:
        """See L{IDrainable}."""
        return self._isBusy or self._isUnread or self.isRefused

    def drain(self) -> None:
        """See L{IDrainable.drain}.  A first request has L{DRAIN_GRACE} seconds to arrive, as it may be in transit."""
        self._isDraining = True
        if not self._count and not self.requests:
            self._deadline.start(DRAIN_GRACE, self.loseConnection)
            return
        self.persistent = False
        if not self.requests or self._answered is not None:
            self._rest.cancel()
            self.loseConnection()

    def _end(self) -> None:
        self._deadline.start(self.discardTimeout, self.transport.abortConnection)
        self.loseConnection()


class BoundedSite(Site):
    """
    A L{Site} of L{BoundedChannel}s.  It logs nothing, because the resources log their own queries.

    @param resource: the root resource.
    @param reactor: the clock for the time limits.
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
        """Make an HTTP/1 channel; HTTP/2 is not supported."""
        channel = BoundedChannel()
        channel.factory = self
        channel.site = self
        channel.clock = self._clock
        channel.timeOut = None  # Every byte would extend Twisted's timeout.
        channel.headersTimeout = self.headersTimeout
        channel.requestTimeout = self.requestTimeout
        channel.answerTimeout = self.answerTimeout
        return channel

    def log(self, request: Any) -> None:
        """Log nothing; see L{Site.log}."""
