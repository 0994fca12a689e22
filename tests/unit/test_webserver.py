"""HTTP's limits: bytes as they come, and a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from finger.interfaces import IDrainable
from finger.net.http import MAX_BODY, MAX_REQUESTS, TOO_LARGE, BoundedChannel, BoundedSite
from finger.timing import DRAIN_GRACE
from tests.support.typed import asType

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def announced(size: int, *headers: bytes) -> bytes:
    """The head of a request with so long a body."""
    more = b"".join(header + b"\r\n" for header in headers)
    return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%b\r\n" % (size, more)


def chunk(size: int) -> bytes:
    """A piece of a body of unknown length."""
    return b"%x\r\n%b\r\n" % (size, b"x" * size)


class Echo(Resource):
    """
    Answers with the length of what it is sent, at once or when it is told to.

    @ivar asked: what answers, in order, if it does not do so itself.
    @ivar bodies: what it was sent.
    """

    isLeaf = True

    def __init__(self, waits: bool = False) -> None:
        super().__init__()
        self._waits = waits
        self.asked: list[Callable[[], None]] = []
        self.bodies: list[bytes] = []

    def render(self, request: Request) -> Any:
        """Answer."""
        assert request.content is not None
        self.bodies.append(request.content.read())
        answer = b"%d bytes" % len(self.bodies[-1])
        if not self._waits:
            return answer

        def finish() -> None:
            request.write(answer)
            request.finish()

        self.asked.append(finish)
        return NOT_DONE_YET


class _Transport(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


class WebServerTestCase(SynchronousTestCase):
    """A connection to a site that allows 10 seconds for headers, 30 for a body and 45 for the answer."""

    def connect(self, waits: bool = False, secure: bool = False) -> None:
        """Connect."""
        self.clock = Clock()
        self.echo = Echo(waits)
        self.site = BoundedSite(self.echo, self.clock)
        self.channel = self.site.buildProtocol(None)
        self.transport: Any = _Transport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5), lenient=True)
        if secure:
            alsoProvides(self.transport, ISSLTransport)
        self.channel.makeConnection(self.transport)

    def send(self, *data: bytes) -> bytes:
        """Send, in pieces; what has been answered so far."""
        for piece in data:
            self.channel.dataReceived(piece)
        return asType(bytes, self.transport.value())

    def leave(self) -> None:
        """The connection is lost; nothing is left of it."""
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SizeTests(WebServerTestCase):
    """Bodies."""

    def assertRefused(self, *data: bytes) -> None:
        """What is sent is refused, once, and then there is an end; nobody is asked to answer it."""
        self.connect()
        with capturedLogs() as logs:
            self.assertEqual(self.send(*data), TOO_LARGE)
            self.assertEqual(self.send(b"x" * MAX_BODY, GET), TOO_LARGE)
            self.clock.advance(self.channel.discardTimeout - 0.1)
            self.assertFalse(self.transport.disconnecting)
            self.clock.advance(0.1)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual((self.echo.bodies, logs), ([], []))
        self.leave()

    def test_refusal(self) -> None:
        """What a refusal says is a whole answer, which says that the connection ends."""
        head, _, body = TOO_LARGE.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 413 "))
        self.assertIn(b"Connection: close", head)
        self.assertIn(b"Content-Length: %d" % len(body), head)

    def test_announced(self) -> None:
        """A body that is announced too long is refused before it comes, and so is one that came with its head."""
        for size in (MAX_BODY + 1, 512 * 1024**2, 10**18):
            self.assertRefused(announced(size))
            self.assertRefused(announced(size) + b"x" * 1024)
            self.assertRefused(announced(size) + b"x" * (MAX_BODY + 1))

    def test_manyDigits(self) -> None:
        """A length of more digits than Python would read is too long, and what is no number is a bad request."""
        for name in (b"Content-Length", b"content-length"):
            self.assertRefused(b"POST / HTTP/1.1\r\nHost: h\r\n%b: %b\r\n\r\n" % (name, b"9" * 5000))
        self.connect()
        bad = self.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %b\r\n\r\n" % (b"x" * 5000))
        self.assertTrue(bad.startswith(b"HTTP/1.1 400 "), bad)
        self.leave()

    def test_expected(self) -> None:
        """A client that asks whether to send it is not told to."""
        self.assertRefused(announced(MAX_BODY + 1, b"Expect: 100-continue"))
        self.connect()
        self.assertEqual(self.send(announced(5, b"Expect: 100-continue")), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.leave()

    def test_chunked(self) -> None:
        """A body that is not announced is refused when it gets too long, in however many pieces."""
        self.assertRefused(CHUNKED, *[chunk(1024)] * (MAX_BODY // 1024), chunk(1))
        self.assertRefused(CHUNKED, b"100000\r\n", *[b"x" * 1024] * (MAX_BODY // 1024), b"x")

    def test_chunkedAtOnce(self) -> None:
        """Even if its end is there already, and another request behind it."""
        self.assertRefused(CHUNKED + chunk(MAX_BODY + 1) + b"0\r\n\r\n" + GET)

    def test_longEnough(self) -> None:
        """What is just not too long is taken, and never written to a file."""
        for data in (
            announced(MAX_BODY) + b"x" * MAX_BODY,
            CHUNKED + chunk(MAX_BODY - 1) + chunk(1) + b"0\r\n\r\n",
        ):
            self.connect()
            self.assertIn(b"\r\n\r\n%d bytes" % MAX_BODY, self.send(data))
            self.leave()

    def test_none(self) -> None:
        """No body is none."""
        self.connect()
        self.assertIn(b"\r\n\r\n0 bytes", self.send(announced(0)))
        self.leave()

    def test_neverReads(self) -> None:
        """Who does not take the refusal, or does not go, is cut off."""
        self.connect()
        self.send(announced(MAX_BODY + 1))
        self.clock.advance(self.channel.discardTimeout)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(self.channel.discardTimeout)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_earlierAnswer(self) -> None:
        """A refusal does not overtake the answer to the request before."""
        self.connect(waits=True)
        self.assertEqual(self.send(GET + announced(MAX_BODY + 1)), b"")
        self.echo.asked[0]()
        self.assertRegex(self.transport.value(), rb"^HTTP/1.1 200 (?s:.*)HTTP/1.1 413 ")
        self.leave()


class TimeTests(WebServerTestCase):
    """Deadlines."""

    def assertDrips(self, seconds: float, drop: bytes = b"x") -> None:
        """A drop each second buys no time."""
        for _ in range(int(seconds)):
            self.assertFalse(self.transport.disconnected)
            self.send(drop)
            self.clock.advance(1)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_silent(self) -> None:
        """Who says nothing has as long as for headers."""
        self.connect()
        self.clock.advance(self.channel.headersTimeout - 0.1)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_headers(self) -> None:
        """Headers have their time, which no byte extends."""
        for beginning in (b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: "):
            self.connect()
            self.send(beginning)
            self.assertDrips(self.channel.headersTimeout)

    def test_body(self) -> None:
        """So has a body."""
        for head in (announced(1000), CHUNKED + b"fff\r\n"):
            self.connect()
            self.send(head)
            self.assertDrips(self.channel.requestTimeout)

    def test_answer(self) -> None:
        """And the answer, from the end of the body on."""
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
        """After an answer, which may take its time to leave, the next request has its own time."""
        self.connect(waits=True)
        for number in range(3):
            self.send(GET)
            self.clock.advance(self.channel.answerTimeout - 1)
            self.echo.asked[number]()
            self.clock.advance(self.channel.requestTimeout - 1)
            self.assertFalse(self.transport.disconnected)
        self.assertDrips(1)

    def test_pipelined(self) -> None:
        """A request that waited for the one before has its own time, too."""
        self.connect(waits=True)
        self.send(GET + GET)
        self.clock.advance(self.channel.answerTimeout - 1)
        self.echo.asked[0]()
        self.clock.advance(self.channel.answerTimeout - 1)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_closing(self) -> None:
        """Who does not take the last answer is cut off."""
        for request in (b"GET / HTTP/1.0\r\n\r\n", GET[:-2] + b"Connection: close\r\n\r\n", b"nonsense\r\n\r\n"):
            self.connect()
            self.send(request)
            self.assertTrue(self.transport.disconnecting)
            self.clock.advance(self.channel.requestTimeout)
            self.assertTrue(self.transport.disconnected)
            self.leave()

    def test_settings(self) -> None:
        """The times are the site's."""
        self.connect()
        self.site.headersTimeout, self.site.requestTimeout, self.site.answerTimeout = 1.0, 2.0, 3.0
        channel = self.site.buildProtocol(None)
        self.assertEqual((channel.headersTimeout, channel.requestTimeout, channel.answerTimeout), (1.0, 2.0, 3.0))
        self.leave()

    def test_noClock(self) -> None:
        """Without a clock there are no limits of time."""
        self.connect()
        self.leave()
        self.channel = self.site.buildProtocol(None)
        self.channel.clock = None
        self.transport = StringTransport()
        self.channel.makeConnection(self.transport)
        self.assertIn(b"0 bytes", self.send(GET))
        self.leave()


class RequestTests(WebServerTestCase):
    """Requests and answers."""

    def test_many(self) -> None:
        """A connection carries so many requests; the last answer says that it is the last."""
        self.connect()
        self.send(*[GET] * (MAX_REQUESTS - 1))
        self.assertFalse(self.transport.disconnecting)
        self.assertNotIn(b"Connection: close", self.transport.value())
        self.transport.clear()
        self.assertIn(b"Connection: close\r\n", self.send(GET))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(len(self.echo.bodies), MAX_REQUESTS)
        self.leave()

    def test_headers(self) -> None:
        """The server does not say what it is made of; HTTPS is for good, plain HTTP says nothing of it."""
        for secure in (False, True):
            self.connect(secure=secure)
            answer = self.send(GET)
            self.assertIn(b"\r\nServer: finger\r\n", answer)
            self.assertEqual(b"\r\nStrict-Transport-Security: max-age=31536000\r\n" in answer, secure)
            self.leave()

    def test_closing(self) -> None:
        """What still comes when the connection is being closed is no request any more."""
        self.connect()
        self.send(b"GET / HTTP/1.0\r\n\r\n", GET)
        self.assertEqual(len(self.echo.bodies), 1)
        self.leave()

    def test_log(self) -> None:
        """Requests are logged by the resources, with what they know of them, and nowhere else."""
        self.connect()
        with capturedLogs() as logs:
            self.send(GET)
        self.assertEqual(logs, [])
        self.leave()

    def test_gone(self) -> None:
        """Who leaves while an answer is made is told of to whoever makes it."""
        self.connect(waits=True)
        self.send(GET)
        (request,) = self.channel.requests
        finished: Deferred[None] = request.notifyFinish()
        self.leave()
        self.failureResultOf(finished, ConnectionDone)


class DrainTests(WebServerTestCase):
    """A good end."""

    def test_idle(self) -> None:
        """A connection nobody asks on any more ends at once."""
        self.connect()
        verifyObject(IDrainable, self.channel)
        self.send(GET)
        self.channel.drain()
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_notAsked(self) -> None:
        """One nobody has asked on yet ends after a moment."""
        self.connect()
        self.channel.drain()
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(DRAIN_GRACE)
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_onItsWay(self) -> None:
        """A request that comes in that moment is answered."""
        self.connect()
        self.channel.drain()
        self.assertIn(b" bytes", self.send(GET))
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_busy(self) -> None:
        """One that is being answered ends with the answer; what was asked behind it is not answered any more."""
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
        """One whose request is still coming ends with its answer, which says so."""
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
        """One that is refused has its moment to notice."""
        self.connect()
        self.send(announced(MAX_BODY + 1))
        self.channel.drain()
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(BoundedChannel.discardTimeout)
        self.assertTrue(self.transport.disconnecting)
        self.leave()
