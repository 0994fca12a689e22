"""The limits of HTTP connections, tested with bytes and a clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from finger.interfaces import IDrainable, ILimitedTransport
from finger.net.http import MAX_REQUESTS, MAX_WAITING, BoundedChannel, BoundedSite
from finger.net.httprequest import MAX_BODY
from finger.net.limits import LimitedFactory
from finger.timing import DRAIN_GRACE, Buckets
from tests.support.turns import TurningClock
from tests.support.typed import asType

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def refusal(code: int, text: bytes, *fields: bytes) -> bytes:
    """Return the pattern of a refusal: a complete response, after which the connection closes."""
    lines = (
        *(
            b"HTTP/1[.]1 %d %b" % (code, text),
            b"Date: [A-Z][^\r]+",
            b"Connection: close",
            b"Content-Type: text/plain",
        ),
        *(b"Content-Length: %d" % (len(text) + 1), *fields, b"", text + b"\n$"),
    )
    return b"\r\n".join(lines)


TOO_LARGE = b"^" + refusal(413, b"Content Too Large")


def announced(size: int, *headers: bytes) -> bytes:
    """Return the head of a request that announces a body of this size."""
    more = b"".join(header + b"\r\n" for header in headers)
    return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%b\r\n" % (size, more)


def chunk(size: int) -> bytes:
    """Return a chunk of a body with chunked transfer encoding."""
    return b"%x\r\n%b\r\n" % (size, b"x" * size)


class Echo(Resource):
    """
    Answers with the length of the request body, at once or when the test calls for it.

    @ivar asked: functions that finish the pending answers, in order.
    @ivar bodies: the request bodies.
    """

    isLeaf = True
    setsLength = True

    def __init__(self, waits: bool = False) -> None:
        super().__init__()
        self._waits = waits
        self.asked: list[Callable[[], None]] = []
        self.bodies: list[bytes] = []

    def render(self, request: Request) -> Any:
        """Answer with the length of the body."""
        assert request.content is not None
        self.bodies.append(request.content.read())
        answer = b"%d bytes" % len(self.bodies[-1])
        if not self._waits:
            return answer

        def finish() -> None:
            if self.setsLength:
                request.setHeader(b"content-length", b"%d" % len(answer))
            request.write(answer)
            request.finish()

        self.asked.append(finish)
        return NOT_DONE_YET


class _Transport(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


class WebServerTestCase(SynchronousTestCase):
    """A connection to a site that allows 10 seconds for headers, 30 for a body and 45 for the answer."""

    def connect(self, waits: bool = False, secure: bool = False, hsts: int | None = None) -> None:
        """Connect to the site."""
        self.clock = TurningClock()
        self.echo = Echo(waits)
        self.site = BoundedSite(self.echo, self.clock, hsts=hsts)
        self.channel = self.site.buildProtocol(None)
        self.transport: Any = _Transport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5), lenient=True)
        if secure:
            alsoProvides(self.transport, ISSLTransport)
        self.channel.makeConnection(self.transport)

    def send(self, *data: bytes) -> bytes:
        """Send data in pieces, wait for the turns of all requests, and return all answers so far."""
        for piece in data:
            self.channel.dataReceived(piece)
            self.clock.advance(0)
        return asType(bytes, self.transport.value())

    def leave(self) -> None:
        """Lose the connection, and check that no timer is left."""
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SizeTests(WebServerTestCase):
    """Limits on request bodies."""

    def assertRefused(self, *data: bytes) -> None:
        """Check that the data is refused once, the connection then closes, and the resource is not called."""
        self.connect()
        with capturedLogs() as logs:
            self.assertRegex(self.send(*data), TOO_LARGE)
            self.assertRegex(self.send(b"x" * MAX_BODY, GET), TOO_LARGE)
            self.clock.advance(self.channel.discardTimeout - 0.1)
            self.assertFalse(self.transport.disconnecting)
            self.clock.advance(0.1)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual((self.echo.bodies, logs), ([], []))
        self.leave()

    def test_announced(self) -> None:
        """A body announced as too long is refused before it arrives, and also if it arrives with the head."""
        for size in (MAX_BODY + 1, 512 * 1024**2, 10**18):
            self.assertRefused(announced(size))
            self.assertRefused(announced(size) + b"x" * 1024)
            self.assertRefused(announced(size) + b"x" * (MAX_BODY + 1))

    def test_manyDigits(self) -> None:
        """A length with more digits than Python parses is too long; one that is not a number is a bad request."""
        for name in (b"Content-Length", b"content-length"):
            self.assertRefused(b"POST / HTTP/1.1\r\nHost: h\r\n%b: %b\r\n\r\n" % (name, b"9" * 5000))
        self.connect()
        bad = self.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %b\r\n\r\n" % (b"x" * 5000))
        self.assertTrue(bad.startswith(b"HTTP/1.1 400 "), bad)
        self.leave()

    def test_expected(self) -> None:
        """A client that expects 100 Continue before a body that is too long does not get it."""
        self.assertRefused(announced(MAX_BODY + 1, b"Expect: 100-continue"))
        self.connect()
        self.assertEqual(self.send(announced(5, b"Expect: 100-continue")), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.leave()

    def test_chunked(self) -> None:
        """A chunked body is refused once it is too long, in any number of pieces."""
        self.assertRefused(CHUNKED, *[chunk(1024)] * (MAX_BODY // 1024), chunk(1))
        self.assertRefused(CHUNKED, b"100000\r\n", *[b"x" * 1024] * (MAX_BODY // 1024), b"x")

    def test_chunkedAtOnce(self) -> None:
        """A chunked body that is too long is refused even if its end and another request have arrived with it."""
        self.assertRefused(CHUNKED + chunk(MAX_BODY + 1) + b"0\r\n\r\n" + GET)

    def test_longEnough(self) -> None:
        """A body of the maximum size is accepted, and not written to a file."""
        for data in (
            announced(MAX_BODY) + b"x" * MAX_BODY,
            CHUNKED + chunk(MAX_BODY - 1) + chunk(1) + b"0\r\n\r\n",
        ):
            self.connect()
            self.assertIn(b"\r\n\r\n%d bytes" % MAX_BODY, self.send(data))
            self.leave()

    def test_none(self) -> None:
        """A request without a body has an empty body."""
        self.connect()
        self.assertIn(b"\r\n\r\n0 bytes", self.send(announced(0)))
        self.leave()

    def test_neverReads(self) -> None:
        """A client that does not read the refusal, or does not close, is aborted."""
        self.connect()
        self.send(announced(MAX_BODY + 1))
        self.clock.advance(self.channel.discardTimeout)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(self.channel.discardTimeout)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_earlierAnswer(self) -> None:
        """A refusal is sent after the answer to the previous request."""
        self.connect(waits=True)
        self.assertEqual(self.send(GET + announced(MAX_BODY + 1)), b"")
        self.echo.asked[0]()
        self.clock.advance(0)
        self.assertRegex(self.transport.value(), rb"^HTTP/1.1 200 (?s:.*)HTTP/1.1 413 ")
        self.leave()


class TimeTests(WebServerTestCase):
    """Time limits."""

    def assertDrips(self, seconds: float, drop: bytes = b"x") -> None:
        """Check that data sent byte by byte does not extend a time limit."""
        for _ in range(int(seconds)):
            self.assertFalse(self.transport.disconnected)
            self.send(drop)
            self.clock.advance(1)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_silent(self) -> None:
        """A silent client has the time limit of headers."""
        self.connect()
        self.clock.advance(self.channel.headersTimeout - 0.1)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_headers(self) -> None:
        """Headers have a time limit, which no byte extends."""
        for beginning in (b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: "):
            self.connect()
            self.send(beginning)
            self.assertDrips(self.channel.headersTimeout)

    def test_body(self) -> None:
        """A body has a time limit, too."""
        for head in (announced(1000), CHUNKED + b"fff\r\n"):
            self.connect()
            self.send(head)
            self.assertDrips(self.channel.requestTimeout)

    def test_answer(self) -> None:
        """An answer has a time limit, from the end of the body."""
        self.connect(waits=True)
        self.send(announced(1))
        self.clock.advance(self.channel.requestTimeout - 1)
        self.send(b"x")
        self.assertEqual(len(self.echo.asked), 1)
        self.clock.advance(self.channel.answerTimeout - 1)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_keepAlive(self) -> None:
        """After an answer, the next request has a time limit of its own."""
        self.connect(waits=True)
        for number in range(3):
            self.send(GET)
            self.clock.advance(self.channel.answerTimeout - 1)
            self.echo.asked[number]()
            self.clock.advance(self.channel.requestTimeout - 1)
            self.assertFalse(self.transport.disconnected)
        self.assertDrips(1)

    def test_pipelined(self) -> None:
        """A pipelined request has a time limit of its own."""
        self.connect(waits=True)
        self.send(GET + GET)
        self.clock.advance(self.channel.answerTimeout - 1)
        self.echo.asked[0]()
        self.clock.advance(0)
        self.clock.advance(self.channel.answerTimeout - 1)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_closing(self) -> None:
        """A client that does not read the last answer is aborted."""
        for request in (b"GET / HTTP/1.0\r\n\r\n", GET[:-2] + b"Connection: close\r\n\r\n"):
            self.connect()
            self.send(request)
            self.assertTrue(self.transport.disconnecting)
            self.clock.advance(self.channel.requestTimeout)
            self.assertTrue(self.transport.disconnected)
            self.leave()

    def test_settings(self) -> None:
        """The time limits are those of the site."""
        self.connect()
        self.site.headersTimeout, self.site.requestTimeout, self.site.answerTimeout = 1.0, 2.0, 3.0
        channel = self.site.buildProtocol(None)
        self.assertEqual((channel.headersTimeout, channel.requestTimeout, channel.answerTimeout), (1.0, 2.0, 3.0))
        self.leave()

    def test_noClock(self) -> None:
        """Without a clock, time is unlimited."""
        self.connect()
        self.leave()
        self.channel = self.site.buildProtocol(None)
        self.channel.clock = None
        self.transport = StringTransport()
        self.channel.makeConnection(self.transport)
        self.assertIn(b"0 bytes", self.send(GET))
        self.leave()


class RequestTests(WebServerTestCase):
    """Requests and responses."""

    def test_many(self) -> None:
        """The number of requests on one connection is limited; the last response says so."""
        self.connect()
        self.send(*[GET] * (MAX_REQUESTS - 1))
        self.assertFalse(self.transport.disconnecting)
        self.assertNotIn(b"Connection: close", self.transport.value())
        self.transport.clear()
        self.assertIn(b"Connection: close\r\n", self.send(GET))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(len(self.echo.bodies), MAX_REQUESTS)
        self.leave()

    def test_server(self) -> None:
        """The C{Server} header has no version, whatever the answer."""
        for request in (GET, b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", GET.replace(b"GET", b"BREW")):
            self.connect()
            self.assertIn(b"\r\nServer: finger\r\n", self.send(request))
            self.leave()

    def test_hsts(self) -> None:
        """Only HTTPS responses promise HTTPS, if that is asked for, whatever the answer."""
        for secure, hsts in ((False, None), (False, 5), (True, None), (True, 5), (True, 0)):
            for request in (GET, b"x\r\n", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"):
                self.connect(secure=secure, hsts=hsts)
                found = re.findall(rb"\r\nStrict-Transport-Security: max-age=(\d+)\r\n", self.send(request))
                self.assertEqual(found, [b"%d" % hsts] if secure and hsts is not None else [])
                self.leave()

    def test_unknownLength(self) -> None:
        """An answer without a length ends with the connection in HTTP/1.0, and is chunked in HTTP/1.1."""
        self.patch(Echo, "setsLength", False)
        head = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        for request, closes in ((head, True), (GET, False)):
            self.connect(waits=True)
            self.send(request)
            self.echo.asked[0]()
            answer = self.transport.value()
            self.assertEqual((b"Connection: close\r\n" in answer, b"chunked" in answer), (closes, not closes))
            self.assertEqual(self.transport.disconnecting, closes)
            self.leave()

    def test_method(self) -> None:
        """A resource of another package may know a method that the server does not know."""
        self.connect()
        self.assertIn(b"HTTP/1.1 501 Not Implemented\r\n", self.send(GET.replace(b"GET", b"BREW")))
        self.echo.render_BREW = self.echo.render  # type: ignore[attr-defined]
        self.assertIn(b"HTTP/1.1 200 OK\r\n", self.send(GET.replace(b"GET", b"BREW")))
        self.leave()

    def test_closing(self) -> None:
        """Data that arrives while the connection is closing is not a request."""
        self.connect()
        self.send(b"GET / HTTP/1.0\r\n\r\n", GET)
        self.assertEqual(len(self.echo.bodies), 1)
        self.leave()

    def test_log(self) -> None:
        """The site logs no requests; the resources do."""
        self.connect()
        with capturedLogs() as logs:
            self.send(GET)
        self.assertEqual(logs, [])
        self.leave()

    def test_gone(self) -> None:
        """If a client leaves during an answer, the resource is notified."""
        self.connect(waits=True)
        self.send(GET)
        (request,) = self.channel.requests
        finished: Deferred[None] = request.notifyFinish()
        self.leave()
        self.failureResultOf(finished, ConnectionDone)


def posts(count: int) -> list[bytes]:
    """Return requests whose answers tell them apart."""
    return [announced(size) + b"x" * size for size in range(count)]


class PipelineTestCase(WebServerTestCase):
    """A test case that sends several requests at once."""

    def answered(self) -> list[int]:
        """Return the requests that have been answered, in order."""
        return [int(size) for size in re.findall(rb"\r\n\r\n(\d+) bytes", self.transport.value())]


class PipelineTests(PipelineTestCase):
    """Requests that arrive before the answers to those before them."""

    def test_turns(self) -> None:
        """Each request has a turn of the reactor of its own, however the requests arrive."""
        sent = b"".join(posts(10))
        for pieces in ([sent], posts(10), [sent[:700], sent[700:]], [bytes([byte]) for byte in sent]):
            self.connect()
            for piece in pieces:
                self.channel.dataReceived(piece)
            for count in range(1, 11):
                self.assertEqual(self.answered(), list(range(count)))
                self.clock.turn()
            self.assertEqual(self.answered(), list(range(10)))
            self.assertFalse(self.transport.disconnecting)
            self.leave()

    def test_later(self) -> None:
        """A request that arrives in a turn in which none has been answered is answered at once."""
        self.connect()
        for count, post in enumerate(posts(10), 1):
            self.channel.dataReceived(post)
            self.assertEqual(self.answered(), list(range(count)))
            self.clock.turn()
        self.leave()

    def test_most(self) -> None:
        """The last request that a connection may have is the last that is answered."""
        self.connect()
        self.send(b"".join(posts(MAX_REQUESTS + 10)))
        self.assertEqual(self.answered(), list(range(MAX_REQUESTS)))
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_waiting(self) -> None:
        """The data that waits is bounded: after that, no more is received until its turn."""
        self.connect(waits=True)
        sent = b"".join(posts(300))
        self.channel.dataReceived(sent[:10])
        self.channel.dataReceived(sent[10:100])
        position = 100
        while self.transport.producerState == "producing":
            self.channel.dataReceived(sent[position : position + 1000])
            position += 1000
        self.assertLess(position, MAX_WAITING + 2000)
        done = 0
        while not self.transport.disconnecting:
            if self.transport.producerState == "producing":
                self.channel.dataReceived(sent[position : position + 1000])
                position += 1000
            self.assertLess(len(self.channel._waiting), MAX_WAITING + 2000)
            if done < len(self.echo.asked):
                self.echo.asked[done]()
                done += 1
            self.clock.turn()
        self.assertEqual(self.answered(), list(range(MAX_REQUESTS)))
        self.leave()

    def test_unread(self) -> None:
        """While the peer does not read the answers, no further request is answered, and none is lost."""
        self.connect()
        self.channel.pauseProducing()
        self.send(b"".join(posts(3)))
        self.assertEqual(self.answered(), [0])
        self.channel.resumeProducing()
        self.clock.turn()
        self.assertEqual(self.answered(), [0, 1])
        self.channel.pauseProducing()
        self.channel.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.answered(), [0, 1, 2])
        self.leave()

    def test_neverRead(self) -> None:
        """A peer that never reads is aborted."""
        self.connect()
        self.channel.pauseProducing()
        self.send(b"".join(posts(3)))
        self.clock.advance(self.channel.requestTimeout)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_lost(self) -> None:
        """A peer that leaves before its next turn has none."""
        self.connect()
        self.channel.dataReceived(b"".join(posts(3)))
        self.leave()
        self.assertEqual(len(self.echo.bodies), 1)

    def test_drain(self) -> None:
        """In a drain, a connection ends after the answer to the current request, and does not wait for a turn."""
        self.connect()
        self.channel.dataReceived(b"".join(posts(3)))
        self.channel.drain()
        self.assertTrue(self.transport.disconnecting)
        self.clock.advance(0)
        self.assertEqual(self.answered(), [0])
        self.leave()


class HalfCloseTests(PipelineTestCase):
    """A peer that closes its sending side, which says only that no more is coming (RFC 9293, section 3.6)."""

    def test_answered(self) -> None:
        """All its requests are answered, and then the connection closes."""
        self.connect()
        verifyObject(IHalfCloseableProtocol, self.channel)
        self.channel.dataReceived(b"".join(posts(5)))
        self.channel.readConnectionLost()
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(0)
        self.assertEqual(self.answered(), list(range(5)))
        self.assertTrue(self.transport.disconnecting)
        self.channel.writeConnectionLost()
        self.leave()

    def test_slow(self) -> None:
        """An answer that is not ready yet is awaited."""
        self.connect(waits=True)
        self.send(GET)
        self.channel.readConnectionLost()
        self.assertFalse(self.transport.disconnecting)
        self.echo.asked[0]()
        self.assertEqual(self.answered(), [0])
        self.clock.advance(0)
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_ended(self) -> None:
        """If no request is left, the connection closes at once."""
        for sent in (b"", GET[:-2], announced(5) + b"x", GET, b"GET / HTTP/1.0\r\n\r\n"):
            self.connect()
            self.send(sent)
            self.channel.readConnectionLost()
            self.assertTrue(self.transport.disconnecting)
            self.channel.readConnectionLost()
            self.leave()

    def test_incomplete(self) -> None:
        """The requests before an incomplete one are answered, whether at once or later."""
        for rest in (b"", b"GET / HTTP/1.1\r\nHo", announced(2) + b"x"):
            for waits in (True, False):
                self.connect(waits)
                self.channel.dataReceived(GET * 3 + rest)
                self.channel.readConnectionLost()
                self.assertFalse(self.transport.disconnecting)
                for _ in range(3):
                    if waits:
                        self.echo.asked.pop(0)()
                    self.clock.advance(0)
                self.assertEqual(self.answered(), [0] * 3)
                self.assertTrue(self.transport.disconnecting)
                self.leave()

    def test_refused(self) -> None:
        """A client that is refused need not be waited for."""
        self.connect()
        self.assertRegex(self.send(announced(MAX_BODY + 1)), TOO_LARGE)
        self.channel.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_limits(self) -> None:
        """The time limits are those of other clients."""
        self.connect(waits=True)
        self.send(GET)
        self.channel.readConnectionLost()
        self.clock.advance(self.channel.answerTimeout)
        self.assertTrue(self.transport.disconnected)
        self.leave()


class RateTests(PipelineTestCase):
    """The rate of requests."""

    def connect(
        self, waits: bool = False, secure: bool = False, hsts: int | None = None, host: str = "192.0.2.1"
    ) -> None:
        """Connect to a site that accepts three requests at once, and then one each second."""
        self.clock = TurningClock()
        self.echo = Echo(waits)
        self.limited = LimitedFactory(
            BoundedSite(self.echo, self.clock), "webport", buckets=Buckets(self.clock, 3, 1)
        )
        address = IPv4Address("TCP", host, 5)
        self.transport = _Transport(peerAddress=address, lenient=True)
        self.channel = self.limited.buildProtocol(address)
        self.channel.makeConnection(self.transport)

    def test_refused(self) -> None:
        """A request above the rate is refused, once, after the answers before it; then the connection closes."""
        for pieces in (posts(9), [b"".join(posts(9))]):
            self.connect()
            with capturedLogs() as logs:
                answers = self.send(*pieces)
            self.assertEqual(self.answered(), [0, 1, 2])
            self.assertEqual(answers.count(b"HTTP/1.1 "), 4)
            self.assertRegex(answers, refusal(429, b"Too Many Requests", b"Retry-After: 1"))
            self.assertEqual([event["outcome"] for event in logs if "outcome" in event], ["TooManyRequests"])
            self.assertFalse(self.transport.disconnecting)
            self.clock.advance(BoundedChannel.discardTimeout)
            self.assertTrue(self.transport.disconnecting)
            self.leave()

    def test_wait(self) -> None:
        """The time to wait is in whole seconds, rounded up."""
        for passed, seconds in ((0.0, 1), (0.5, 1)):
            self.connect()
            self.send(*posts(3))
            self.clock.advance(passed)
            self.assertIn(b"Retry-After: %d\r\n" % seconds, self.send(*posts(1)))
            self.leave()

    def test_head(self) -> None:
        """The refusal of C{HEAD} has no body."""
        self.connect()
        self.send(*posts(3), b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertRegex(self.transport.value(), rb"HTTP/1.1 429 (?s:.*)Retry-After: 1\r\n\r\n$")
        self.leave()

    def test_calls(self) -> None:
        """The further calls of a request count like requests; those of a client that has left are refused."""
        self.connect(waits=True)
        self.send(GET)
        channel: Any = self.channel
        (request,) = channel.wrappedProtocol.requests
        verifyObject(ILimitedTransport, request)
        self.assertEqual([request.admitRequest() for _ in range(3)], [0, 0, 1])
        self.leave()
        self.clock.advance(10)
        self.assertGreater(request.admitRequest(), 0)

    def test_unlimited(self) -> None:
        """Without a limit, all calls are admitted."""
        super().connect(waits=True)
        self.send(GET)
        (request,) = self.channel.requests
        self.assertEqual([request.admitRequest() for _ in range(9)], [0] * 9)
        self.leave()

    def test_slower(self) -> None:
        """Requests within the rate are answered."""
        self.connect()
        for post in posts(20):
            self.send(post)
            self.clock.advance(1)
        self.assertEqual(self.answered(), list(range(20)))
        self.leave()

    def test_local(self) -> None:
        """Local connections have no limit."""
        self.connect(host="127.0.0.1")
        self.send(*posts(20))
        self.assertEqual(self.answered(), list(range(20)))
        self.leave()

    def test_drained(self) -> None:
        """In a drain, a refused connection still closes with a delay, and is counted until then."""
        self.connect()
        self.send(*posts(4))
        drained = self.limited.drain(self.clock, 10)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(BoundedChannel.discardTimeout)
        self.assertTrue(self.transport.disconnecting)
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(drained)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DrainTests(WebServerTestCase):
    """Draining connections."""

    def test_idle(self) -> None:
        """An idle connection is closed at once."""
        self.connect()
        verifyObject(IDrainable, self.channel)
        self.send(GET)
        self.channel.drain()
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_notAsked(self) -> None:
        """A connection without a request so far is closed after a moment."""
        self.connect()
        self.channel.drain()
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(DRAIN_GRACE)
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_onItsWay(self) -> None:
        """A request that arrives in that moment is answered."""
        self.connect()
        self.channel.drain()
        self.assertIn(b" bytes", self.send(GET))
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_busy(self) -> None:
        """A connection with a pending answer is closed after it; pipelined requests are not answered."""
        self.connect(waits=True)
        self.send(GET + GET)
        self.channel.drain()
        self.assertFalse(self.transport.disconnecting)
        self.echo.asked[0]()
        self.assertIn(b"0 bytes", self.transport.value())
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(len(self.echo.asked), 1)
        self.leave()

    def test_halfAsked(self) -> None:
        """A connection with an incomplete request is closed after its answer, which says so."""
        for sent in (GET[:20], announced(5)):
            self.connect()
            self.send(sent)
            self.channel.drain()
            self.assertFalse(self.transport.disconnecting)
            rest = GET[20:] if sent == GET[:20] else b"xxxxx"
            self.assertIn(b" bytes", self.send(rest))
            self.assertTrue(self.transport.disconnecting)
            self.leave()
        self.connect()
        self.send(GET[:20])
        self.channel.drain()
        self.assertIn(b"\r\nConnection: close\r\n", self.send(GET[20:]))
        self.leave()

    def test_refused(self) -> None:
        """A connection with a refused request is still closed with a delay."""
        for sent in (announced(MAX_BODY + 1), b"x\r\n", GET + b"x\r\n"):
            self.connect()
            self.send(sent)
            self.channel.drain()
            self.clock.advance(DRAIN_GRACE)
            self.assertFalse(self.transport.disconnecting)
            self.clock.advance(BoundedChannel.discardTimeout - DRAIN_GRACE)
            self.assertTrue(self.transport.disconnecting)
            self.clock.advance(BoundedChannel.discardTimeout)
            self.assertTrue(self.transport.disconnected)
            self.leave()
