"""Responses for repeated requests, tested with bytes and a clock."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from finger.adapters.web.repeats import MAX_REQUEST, MAX_RESPONSE, RepeatingSite
from finger.adapters.web.resource import FingerResource
from finger.adapters.xmlrpc import FingerXMLRPC
from finger.interfaces import IFingerService
from finger.net.http import MAX_REQUESTS
from finger.net.limits import LimitedFactory
from finger.profile import Profile
from finger.protocol.hosts import parseNetwork
from finger.testing import ProfilesDouble, SilentDouble
from finger.timing import Buckets
from tests.support.doubles import CountingDouble
from tests.support.turns import TurningClock

GET = b"GET /ada HTTP/1.1\r\nHost: h\r\n\r\n"
CALL = (
    b"<?xml version='1.0'?><methodCall><methodName>%b</methodName><params><param><value><string>%b</string></value>"
    b"</param></params></methodCall>"
)


def post(method: bytes, argument: bytes) -> bytes:
    """Return an XML-RPC request."""
    body = CALL % (method, argument)
    return b"POST /RPC2 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Transport(StringTransport):
    """A transport of the tests."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""


class RepeatsTestCase(SynchronousTestCase):
    """A site with one user, and its peers."""

    def setUp(self) -> None:
        """Make the site."""
        self.clock = TurningClock()
        self.double = CountingDouble(Profile("ada", "Ada L", "Weaving"))
        self.site = self.makeSite(self.double)

    def makeSite(self, service: IFingerService, trusted: tuple[str, ...] = ()) -> RepeatingSite:
        """Make a site with the users of a service, and limits."""
        self.resource = FingerResource(service)
        self.resource.putChild(b"RPC2", FingerXMLRPC(service))
        site = RepeatingSite(self.resource, self.clock, trusted=map(parseNetwork, trusted))
        site.version = self.resource.version
        self.limited = LimitedFactory(site, "webport", buckets=Buckets(self.clock, 1000, 1.0))
        self.limited.clock = self.clock
        return site

    def connect(self, host: str = "192.0.2.1", isSecure: bool = False) -> tuple[Any, Any]:
        """Connect, and return the protocol and its transport."""
        address = IPv4Address("TCP", host, 5)
        transport: Any = Transport(peerAddress=address, lenient=True)
        if isSecure:
            alsoProvides(transport, ISSLTransport)
        protocol = self.limited.buildProtocol(address)
        protocol.makeConnection(transport)
        return protocol, transport

    def send(self, peer: tuple[Any, Any], *data: bytes) -> bytes:
        """Send data in pieces, and return what is received, without the date."""
        protocol, transport = peer
        for piece in data:
            protocol.dataReceived(piece)
            self.clock.advance(0)
        received: bytes = re.sub(rb"\r\nDate: [^\r]+", b"", transport.value(), flags=re.I)
        transport.clear()
        return received

    def kept(self, isSecure: bool = False) -> int:
        """Return the number of kept responses."""
        return len(self.site.repeatsBy(isSecure))


class RepeatTests(RepeatsTestCase):
    """Requests that are repeated."""

    def assertRepeats(self, request: bytes, queries: list[str]) -> None:
        """Check that a response is kept, is the same each time, and is logged each time."""
        peer, responses = self.connect(), list[bytes]()
        with capturedLogs() as logs:
            responses += [self.send(peer, request) for _ in range(5)]
            with patch("finger.net.http.BoundedChannel.dataReceived", side_effect=AssertionError):
                responses.append(self.send(self.connect("192.0.2.2"), request))
        self.assertEqual(len(set(responses)), 1, responses)
        self.assertEqual(self.kept(), 1)
        events = [(event["query"], event["outcome"], event["peer"]) for event in logs]
        self.assertEqual(events, [(*queries, "ok", "192.0.2.1")] * 5 + [(*queries, "ok", "192.0.2.2")])

    def test_page(self) -> None:
        """A page."""
        self.assertRepeats(GET, ["ada"])
        self.assertEqual(self.double.asked, 1)

    def test_list(self) -> None:
        """The list."""
        self.assertRepeats(GET.replace(b"ada", b""), [""])

    def test_head(self) -> None:
        """A head."""
        self.assertRepeats(GET.replace(b"GET", b"HEAD"), ["ada"])

    def test_notModified(self) -> None:
        """A page that the client has."""
        tag = re.search(rb"(?i)etag: ([^\r]+)", self.send(self.connect(), GET))
        assert tag is not None
        request = GET.replace(b"\r\n\r\n", b"\r\nIf-None-Match: %b\r\n\r\n" % tag[1])
        self.assertRepeats(request, ["ada"])
        self.assertIn(b" 304 ", self.send(self.connect(), request))

    def test_call(self) -> None:
        """An XML-RPC call."""
        self.assertRepeats(post(b"getUser", b"ada"), ["ada"])

    def test_old(self) -> None:
        """A client of HTTP/1.0 that keeps its connection open."""
        self.assertRepeats(
            GET.replace(b"1.1", b"1.0").replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), ["ada"]
        )

    def test_date(self) -> None:
        """Each response has its own date (RFC 9110 section 6.6.1)."""
        protocol, transport = self.connect()
        dates = []
        for now in (0, 0, 0, 1, 86400):
            with (
                patch("time.time", return_value=now),
                patch("twisted.web.server.datetimeToString", return_value=b"Thu, 01 Jan 1970 00:00:00 GMT"),
            ):
                protocol.dataReceived(GET)
                self.clock.advance(0)
            dates += re.findall(rb"\r\nDate: ([^\r]+)", transport.value())
            transport.clear()
        self.assertEqual(
            [date[5:25] for date in dates[2:]],
            [b"01 Jan 1970 00:00:00", b"01 Jan 1970 00:00:01", b"02 Jan 1970 00:00:00"],
        )

    def test_change(self) -> None:
        """A change of the data is seen at once."""
        peer = self.connect()
        for plan in ("Weaving", "Busy", "Away"):
            self.double.change(Profile("ada", plan=plan))
            for _ in range(3):
                self.assertIn(plan.encode(), self.send(peer, GET))
        self.assertEqual(self.kept(), 1)

    def test_secure(self) -> None:
        """Responses by HTTPS and HTTP are kept separately."""
        self.site._hsts = 9
        for isSecure in (True, False):
            peer = self.connect(isSecure=isSecure)
            for _ in range(3):
                self.assertEqual(b"strict-transport-security" in self.send(peer, GET).lower(), isSecure)
            self.assertEqual(self.kept(isSecure), 1)


class LimitTests(RepeatsTestCase):
    """Limits on repeated requests."""

    def setUp(self) -> None:
        """Keep the response."""
        super().setUp()
        for _ in range(2):
            self.send(self.connect(), GET)
        self.assertEqual(self.kept(), 1)

    def test_most(self) -> None:
        """A connection ends after as many requests as ever, and the last response says so."""
        peer = self.connect()
        for _ in range(MAX_REQUESTS - 1):
            self.assertNotIn(b"Connection: close", self.send(peer, GET))
        self.assertIn(b"connection: close", self.send(peer, GET).lower())
        self.assertTrue(peer[1].disconnecting)

    def test_rate(self) -> None:
        """Repeated requests count towards the rate limit."""
        self.limited._buckets = Buckets(self.clock, 3, 1.0)
        peer = self.connect()
        for _ in range(3):
            self.assertIn(b" 200 ", self.send(peer, GET))
        self.assertRegex(self.send(peer, GET), rb"^HTTP/1.1 429 (?s:.*)\r\n\r\nToo Many Requests\n$")
        self.assertEqual(self.send(peer, GET), b"")

    def test_rateOfHeads(self) -> None:
        """The refusal of C{HEAD} has no content, whether the request is the first of its kind or repeated."""
        self.limited._buckets = Buckets(self.clock, 3, 1.0)
        for head in (b"HEAD" + GET.removeprefix(b"GET"), b"\r\nHEAD" + GET.removeprefix(b"GET")):
            peer = self.connect(f"192.0.2.{len(head)}")
            for _ in range(3):
                self.assertIn(b" 200 ", self.send(peer, head))
            self.assertRegex(self.send(peer, head), rb"^HTTP/1.1 429 (?s:.*)\r\n\r\n$")

    def test_emptyLine(self) -> None:
        """One empty line before each request is ignored, whether it arrives with the request or before."""
        for pieces in ((b"\r\n", GET), (b"\r\n" + GET,), (GET,)):
            peer = self.connect()
            self.assertEqual(self.send(peer, *pieces * 3, b"\r\n").count(b"HTTP/1.1 200 "), 3)
            self.assertFalse(peer[1].disconnecting)

    def test_pieces(self) -> None:
        """A request in pieces, or with another one, is answered as ever."""
        peer = self.connect()
        self.assertEqual(self.send(peer, GET[:20], GET[20:]).count(b" 200 "), 1)
        self.assertEqual(self.send(peer, GET + GET).count(b" 200 "), 2)
        self.assertEqual(self.send(peer, GET[:20], GET[20:] + GET[:5], GET[5:]).count(b" 200 "), 2)
        self.assertEqual(self.kept(), 1)

    def test_refused(self) -> None:
        """After a refusal, further requests are discarded."""
        peer = self.connect()
        self.assertIn(b" 400 ", self.send(peer, b"nonsense\r\n"))
        self.assertEqual(self.send(peer, GET), b"")

    def test_slowReader(self) -> None:
        """A peer that does not read its responses gets no more."""
        peer = self.connect()
        channel = peer[0].wrappedProtocol
        channel.pauseProducing()
        self.assertIn(b" 200 ", self.send(peer, GET))
        self.assertEqual(self.send(peer, GET), b"")
        channel.resumeProducing()
        self.clock.advance(0)
        self.assertIn(b" 200 ", self.send(peer))

    def test_drain(self) -> None:
        """A draining connection closes after the next response."""
        peer = self.connect()
        peer[0].drain()
        self.assertIn(b"connection: close", self.send(peer, GET).lower())

    def test_timeLimit(self) -> None:
        """An idle connection closes in time, and leaves no timers."""
        protocol, transport = self.connect()
        for _ in range(2):
            self.send((protocol, transport), GET)
        self.clock.advance(self.site.requestTimeout)
        self.assertTrue(transport.disconnected)
        protocol.connectionLost(connectionDone)


class NotRepeatedTests(RepeatsTestCase):
    """Requests whose responses are not kept."""

    def assertNotKept(self, request: bytes, pattern: bytes) -> None:
        """Check that no response is kept."""
        for _ in range(3):
            peer = self.connect()
            self.assertRegex(self.send(peer, request), pattern)
            peer[0].connectionLost(connectionDone)
        self.assertEqual((self.kept(), self.kept(True)), (0, 0))

    def test_errors(self) -> None:
        """Errors, other resources, and responses after which the connection closes."""
        for request, pattern in (
            (GET.replace(b"ada", b"nobody"), b" 404 "),
            (GET.replace(b"ada", b"ada/x"), b" 404 "),
            (GET.replace(b"ada", b"robots.txt"), b" 200 "),
            (GET.replace(b"GET", b"POST"), b" 405 "),
            (GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b" 200 "),
            (post(b"getUser", b"nobody"), b"No such user"),
            (post(b"getNothing", b"ada"), b"not found"),
            (post(b"system.methodHelp", b"getUser"), b" 200 "),
        ):
            self.assertNotKept(request, pattern)

    def test_multicall(self) -> None:
        """Several calls in one request, each of which counts towards the rate limit."""
        call = b"<struct><member><name>methodName</name><value>getUser</value></member><member><name>params</name>"
        call += b"<value><array><data><value>ada</value></data></array></value></member></struct>"
        calls = post(b"system.multicall", b"x")
        body = CALL % (b"system.multicall", b"")
        body = body.replace(b"<string></string>", b"<array><data><value>%b</value></data></array>" % call)
        calls = b"POST /RPC2 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        self.assertNotKept(calls, b"Weaving")

    def test_noVersion(self) -> None:
        """Those of a back end that does not know when its answers change."""
        self.site = self.makeSite(ProfilesDouble(Profile("ada", plan="Weaving")))
        self.assertNotKept(GET, b"Weaving")
        self.assertNotKept(post(b"getUser", b"ada"), b"Weaving")

    def test_gone(self) -> None:
        """Those of a client that left before the answer."""
        service = SilentDouble()
        self.site = self.makeSite(service)
        peer = self.connect()
        self.send(peer, post(b"getUser", b"ada"))
        peer[0].connectionLost(connectionDone)
        service.asked[0].callback("Weaving")
        self.assertEqual(self.kept(), 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_forwarded(self) -> None:
        """Those of other servers."""
        self.assertNotKept(post(b"getUser", b"ada@host"), b" 200 ")

    def test_proxy(self) -> None:
        """Those to a trusted proxy, whose requests come from many clients."""
        self.site = self.makeSite(self.double, ("192.0.2.1/32",))
        self.assertNotKept(GET, b"Weaving")

    def test_long(self) -> None:
        """Long ones."""
        long = GET.replace(b"\r\n\r\n", b"\r\nX: %b\r\n\r\n" % (b"x" * MAX_REQUEST))
        self.assertNotKept(long, b"Weaving")
        self.double.change(Profile("ada", plan="x" * MAX_RESPONSE))
        self.assertNotKept(GET, b" 200 ")

    def test_bySite(self) -> None:
        """Those of a site that has no version."""
        site = RepeatingSite(self.resource, self.clock)
        self.assertIsNone(site.version())
