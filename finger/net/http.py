"""HTTP with limits on request size, time and number of requests, for untrusted peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from finger.interfaces import IDrainable, ILimitedClients, IProxiedFactory
from finger.net.forwarded import BadForwarded
from finger.net.httphead import (
    HTTP_1_0,
    HTTP_1_1,
    MAX_FIELDS,
    MAX_FIELDS_SIZE,
    MAX_REQUEST_LINE,
    HTTPRefusal,
    RequestLine,
    checkField,
    checkHead,
    elements,
    parseRequestLine,
    requestLineTooLong,
)
from finger.net.httprequest import BoundedRequest
from finger.protocol.hosts import IPNetwork
from finger.timing import CLOSE_GRACE, DRAIN_GRACE, Timer

MAX_REQUESTS = 100
"""The most requests on one connection."""

MAX_WAITING = 16 * 1024
"""The data of further requests, in bytes, that is received during an answer before receiving pauses."""


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
    @ivar hsts: see L{BoundedSite}.
    @ivar isRefused: whether further data is discarded.
    """

    delimiter = b"\n"  # A line without CR is refused, instead of being awaited.
    totalHeadersSize = MAX_REQUEST_LINE + MAX_FIELDS_SIZE

    transport: Any  # An ITCPTransport with the attribute C{disconnecting}, as all of Twisted's have.
    site: BoundedSite
    requestFactory = BoundedRequest
    clock: IReactorTime | None = None
    headersTimeout = 10.0
    requestTimeout = 30.0
    answerTimeout = 45.0
    discardTimeout = 2.0
    hsts: int | None = None

    _count = 0
    _isBusy = False  # From the end of a request to the turn after its answer.
    _isDraining = False
    _isHalfClosed = False
    _isUnread = False
    _answered: Request | None = None
    _head: RequestLine | None = None
    _isAfterEmptyLine = False  # One is ignored before a request (RFC 9112 section 2.2).
    _fields = 0
    _fieldsSize = 0
    isRefused = False

    def connectionMade(self) -> None:
        """Start the time limit for the first request's headers."""
        self._deadline = Timer(self.clock)
        self._rest = Timer(self.clock)
        self._waiting = bytearray()
        super().connectionMade()
        self._deadline.start(self.headersTimeout, self.transport.abortConnection)

    def lineReceived(self, line: bytes) -> None:
        """See L{HTTPChannel.lineReceived}.  Twisted sees checked lines only."""
        self._receive(self._takeLine, line)

    def rawDataReceived(self, data: bytes) -> None:
        """See L{HTTPChannel.rawDataReceived}."""
        self._receive(self._takeRaw, data)

    def _receive(self, take: Callable[[bytes], object], data: bytes) -> None:
        try:
            take(data)
        except HTTPRefusal as refusal:
            self.refuse(refusal)

    def _takeLine(self, line: bytes) -> None:
        if not line.endswith(b"\r"):
            raise HTTPRefusal(400, "a line of the head should end in CR LF")
        line = line[:-1]
        if self._head is None:
            self._isAfterEmptyLine = not line
            if line:
                self._head = parseRequestLine(line)
                self._fieldsSize = self._fields = 0
                line = self._head.format()
        elif line:
            line = self._takeField(self._head, line)
        super().lineReceived(line)

    def _takeField(self, head: RequestLine, line: bytes) -> bytes:
        self._fieldsSize += len(line)
        self._fields += 1
        if self._fieldsSize > MAX_FIELDS_SIZE or self._fields > MAX_FIELDS:
            raise HTTPRefusal(431, f"at most {MAX_FIELDS} fields of {MAX_FIELDS_SIZE} bytes in all are accepted")
        return checkField(line, head.version)

    def _takeRaw(self, data: bytes) -> None:
        """Take a part of the body.  Twisted's decoder waits for a CR LF when a chunk's line has another end."""
        super().rawDataReceived(data)
        decoder = self._transferDecoder
        if b"\n" in getattr(decoder, "_buffer", b""):
            self._respondToBadRequestAndDisconnect()
        if decoder is not None:
            self.requests[-1].expectChunk(getattr(decoder, "length", 0))

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a line that is too long for Twisted's buffer."""
        self.refuse(requestLineTooLong(line) if self._head is None else HTTPRefusal(431, "a line is too long"))

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Refuse what Twisted does not accept: two lengths, or invalid chunks."""
        raise HTTPRefusal(400, "the head, or the length of the content, is not valid")

    def allHeadersReceived(self) -> None:
        """Check the head, count the request and start the time limit for its body."""
        head, request = self._head, self.requests[-1]
        assert head is not None
        fields = request.requestHeaders
        checkHead(head, fields.getRawHeaders(b"host", ()), fields.getRawHeaders(b"expect", ()))
        client = self._clientOf(request)
        if head.scheme == b"https" and not request.isSecure():
            raise HTTPRefusal(421, "this port has no https")
        if head.authority:
            fields.setRawHeaders(b"host", [head.authority])
        if self.length == 0:
            fields.removeHeader(b"expect")  # There is no content to continue with.
        self._deadline.start(self.requestTimeout, self.transport.abortConnection)
        self._count += 1
        self._admit(client)
        super().allHeadersReceived()

    def _clientOf(self, request: BoundedRequest) -> str:
        """Return the host of a request's client, as a trusted proxy says, or refuse the request."""
        try:
            return request.findClient(self.site.trusted)
        except BadForwarded as error:
            limit = ILimitedClients(self.transport, None)
            if limit is not None:
                limit.refused(BadForwarded.__name__)
            raise HTTPRefusal(400, str(error)) from None

    def _admit(self, client: str) -> None:
        """Count a request towards the limits of its client's address, if the transport has limits, or refuse it."""
        limit = ILimitedClients(self.transport, None)
        wait = 0.0 if limit is None else limit.beginRequest(client, isFirst=self._count == 1)
        if wait:
            raise HTTPRefusal(429, "", b"Retry-After: %d" % ceil(wait))  # RFC 6585, section 4.

    def allContentReceived(self) -> None:
        """Check the trailer, which is otherwise ignored (RFC 9112 section 7.1.2), and answer the request."""
        for line in getattr(self._transferDecoder, "_trailerHeaders", ()):
            checkField(bytes(line), HTTP_1_1)
        super().allContentReceived()

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """
        Return whether the connection stays open after a request (RFC 9112 section 9.3).  It also ends after
        L{MAX_REQUESTS}, or in a drain.
        """
        if self._isDraining or self._count >= MAX_REQUESTS:
            return False
        options = elements(request.requestHeaders.getRawHeaders(b"connection", ()))
        return b"close" not in options and (version == HTTP_1_1 or b"keep-alive" in options)

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """
        Write the head of a response, with the fields that all have.  The version is the server's, whatever the
        request's is (RFC 9110 section 2.5).
        """
        if version == HTTP_1_0 and not headers.hasHeader(b"content-length"):
            self.persistent = False  # The end of the connection is that of the content.
        if version == HTTP_1_0 or not self.persistent:
            headers.setRawHeaders(b"connection", [b"keep-alive" if self.persistent else b"close"])
        headers.setRawHeaders(b"server", [b"finger"])
        if self._promise:
            headers.setRawHeaders(b"strict-transport-security", [self._promise])
        super().writeHeaders(HTTP_1_1, code, reason, headers)

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
        self._endLimit()
        if self.persistent and self.clock is not None:
            self._restIfRead()
        else:
            self._continue()

    def _endLimit(self) -> None:
        limit = ILimitedClients(self.transport, None)
        if limit is not None:
            limit.endRequest()

    def allowRepeats(self, record: Callable[[str], object]) -> None:
        """See L{IRepeatableRequest.allowRepeats}.  Nothing is kept here."""

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
        answered, self._answered, self._isBusy, self._head = self._answered, None, False, None
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

    def admitCall(self) -> float:
        """
        Count something else that costs as much as a request, towards the rate limit of the client's address.

        @return: 0 if it may be answered, or else the time until the next one may be, in seconds.
        """
        limit = ILimitedClients(self.transport, None)
        return 0.0 if limit is None else limit.admitRequest()

    @property
    def _promise(self) -> bytes:
        """The value of C{Strict-Transport-Security} (RFC 6797 section 7.2): by HTTPS only, and only if asked for."""
        return b"max-age=%d" % self.hsts if self.hsts is not None and self.isSecure() else b""

    def refuse(self, refusal: HTTPRefusal, isHead: bool = False) -> None:
        """
        Send a last answer, and close after a delay.  Closing at once, with bytes unread, would reset the connection,
        and the peer would lose the answer.

        @param isHead: whether the method is C{HEAD}, of a request whose head has not been parsed.
        """
        self.isRefused = True
        self.clearLineBuffer()
        fields = [b"Date: " + datetimeToString()]
        if self._promise:
            fields.append(b"Strict-Transport-Security: " + self._promise)
        isHead = isHead or (self._head is not None and self._head.method == b"HEAD")
        self.transport.write(refusal.format(*fields, hasBody=not isHead))
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
        if self.isRefused:
            return
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


@implementer(IProxiedFactory)
class BoundedSite(Site):
    """
    A L{Site} of L{BoundedChannel}s.  It logs nothing, because the resources log their own queries.

    @param resource: the root resource.
    @param reactor: the clock for the time limits.
    @param querySeconds: seconds for a request's headers to arrive.
    @param answerSeconds: seconds for its body to arrive, and again for a back end to answer.
    @param hsts: seconds for which browsers use HTTPS alone for the whole host (RFC 6797), as HTTPS responses say; 0
        ends that; L{None} for no such promise.
    @param trusted: the networks of proxies that are believed about their clients.
    @ivar headersTimeout: see L{BoundedChannel}.
    @ivar requestTimeout: see L{BoundedChannel}.
    @ivar answerTimeout: see L{BoundedChannel}.
    @ivar trusted: see L{IProxiedFactory}.
    """

    noisy = False

    def __init__(
        self,
        resource: IResource,
        reactor: Any,
        querySeconds: float = 10.0,
        answerSeconds: float = 30.0,
        hsts: int | None = None,
        trusted: Iterable[IPNetwork] = (),
    ) -> None:
        super().__init__(resource, requestFactory=BoundedRequest, reactor=reactor, parsePOSTFormSubmission=False)
        self.headersTimeout = querySeconds
        self.requestTimeout = answerSeconds
        self.answerTimeout = answerSeconds + CLOSE_GRACE
        self._hsts = hsts
        self.trusted = tuple(trusted)
        self._clock = reactor

    def buildProtocol(self, addr: Any) -> BoundedChannel:  # type: ignore[override]
        """Make an HTTP/1 channel; HTTP/2 is not supported."""
        channel = self.makeChannel()
        channel.factory = self
        channel.site = self
        channel.clock = self._clock
        channel.timeOut = None  # Every byte would extend Twisted's timeout.
        channel.headersTimeout = self.headersTimeout
        channel.requestTimeout = self.requestTimeout
        channel.answerTimeout = self.answerTimeout
        channel.hsts = self._hsts
        return channel

    def makeChannel(self) -> BoundedChannel:
        """Make a channel, before it knows its site."""
        return BoundedChannel()

    def log(self, request: Any) -> None:
        """Log nothing; see L{Site.log}."""
