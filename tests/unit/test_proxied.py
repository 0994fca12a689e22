"""Requests behind a reverse proxy: their client's address, its limits, and whether it uses TLS."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from unittest.mock import Mock

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.access.attempts import ATTEMPTS
from finger.access.authority import Authority
from finger.adapters.web.resource import FingerResource
from finger.adapters.web.tls import ReloadingCertificate, developmentCertificate
from finger.backends.memory import MemoryFingerService
from finger.interfaces import IProxiedFactory
from finger.net.forwarded import BadForwarded
from finger.net.http import BoundedSite
from finger.net.limits import BUSY_WAIT, LimitedFactory
from finger.net.proxied import ProxiedRequest
from finger.protocol.hosts import parseNetwork
from finger.timing import Buckets
from tests.support.turns import TurningClock
from tests.support.typed import asType

PROXY = IPv4Address("TCP", "10.0.0.1", 5)
LOOPBACK = IPv4Address("TCP", "127.0.0.1", 5)
TRUSTED = tuple(map(parseNetwork, ("10.0.0.0/8", "127.0.0.1", "2001:db8:ff::/48")))


def request(client: str = "", *headers: str, method: str = "GET", path: str = "/ada", body: str = "") -> bytes:
    """Return a request that a proxy sends for a client."""
    lines = [f"{method} {path} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", *headers]
    if client:
        lines.append(f"X-Forwarded-For: {client}")
    return "\r\n".join([*lines, "", body]).encode()


POSTED = request("192.0.2.7", method="POST")[:-4].replace(b"Length: 0", b"Length: 1") + b"\r\n\r\n"
"""A request whose body does not arrive."""


class Transport(StringTransport):
    """A transport that may be aborted."""

    def abortConnection(self) -> None:
        """Close the connection."""
        self.loseConnection()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""


class ProxiedTestCase(SynchronousTestCase):
    """A site with three requests at once from one address, then one each second; two may be in progress."""

    def setUp(self) -> None:
        """Make the site."""
        self.clock = TurningClock()
        self.service = MemoryFingerService({"ada": "old"})
        self.resource = FingerResource(self.service)
        self.site = BoundedSite(self.resource, self.clock)
        self.site.trusted = TRUSTED
        self.limited = LimitedFactory(self.site, "webport", 500, 2, buckets=Buckets(self.clock, 3, 1.0))

    def connect(self, address: IAddress = PROXY) -> tuple[Any, Transport]:
        """Connect from an address."""
        protocol, transport = self.limited.buildProtocol(address), Transport(peerAddress=address)
        protocol.makeConnection(transport)
        return protocol, transport

    def send(self, data: bytes, address: IAddress = PROXY) -> bytes:
        """Send data on a new connection, wait for the turns of all requests, close it, and return the answers."""
        protocol, transport = self.connect(address)
        protocol.dataReceived(data)
        self.clock.advance(0)
        protocol.connectionLost(Failure(ConnectionDone()))
        return asType(bytes, transport.value())

    def peers(self, data: bytes, address: IAddress = PROXY) -> list[str]:
        """Send data, and return the peers and outcomes in the log."""
        with capturedLogs() as logs:
            self.send(data, address)
        return [f"{event['peer']} {event['outcome']}" for event in logs if "outcome" in event]


class ClientTests(ProxiedTestCase):
    """The client's address."""

    def test_log(self) -> None:
        """The log has the client that each request of a connection has."""
        data = request("6.6.6.6, 192.0.2.7") + request("2001:db8::7, 10.0.0.2") + request()
        self.assertEqual(self.peers(data), ["192.0.2.7 ok", "2001:db8::7 ok", "10.0.0.1 ok"])
        self.assertEqual(self.peers(request("", "Forwarded: for=192.0.2.7;proto=https")), ["192.0.2.7 ok"])

    def test_untrusted(self) -> None:
        """The fields of other peers are ignored."""
        data = request("198.51.100.1", "Forwarded: nonsense", "X-Forwarded-Proto: https")
        self.assertEqual(self.peers(data, IPv4Address("TCP", "192.0.2.7", 5)), ["192.0.2.7 ok"])
        self.site.trusted = ()
        self.assertEqual(self.peers(data), ["10.0.0.1 ok"])

    def test_unix(self) -> None:
        """A proxy at a UNIX socket is trusted."""
        self.assertEqual(self.peers(request("192.0.2.7"), UNIXAddress(None)), ["192.0.2.7 ok"])
        self.assertEqual(self.peers(request(), UNIXAddress(None)), ["local ok"])

    def test_undisclosed(self) -> None:
        """A client that is not disclosed counts as its proxy."""
        self.assertEqual(self.peers(request("unknown, 10.0.0.2")), ["10.0.0.2 ok"])
        self.assertEqual(self.peers(request("unknown")), ["10.0.0.1 ok"])

    def test_bad(self) -> None:
        """A field that is not valid is a bad request, once, without an interim response; the log names the proxy."""
        data = request("nonsense", "Expect: 100-continue", method="PUT", body="x") + request("192.0.2.7")
        with capturedLogs() as logs:
            answer = self.send(data)
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 400 Bad Request\r\n"), head)
        self.assertIn(b"\r\nContent-Length: %d" % len(body), head)
        (event,) = logs
        self.assertEqual(
            (event["adapter"], event["peer"], event["outcome"]), ("webport", "10.0.0.1", BadForwarded.__name__)
        )

    def test_badWithMore(self) -> None:
        """What arrives together with a bad request is discarded, whether it is a body or another request."""
        chunked = request("x", method="POST").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        for data in (chunked + b"nonsense\r\n", chunked + b"1\r\nx\r\n0\r\n\r\n", request("x") + b"nonsense\r\n\r\n"):
            self.assertEqual(self.send(data).count(b"HTTP/1.1 "), 1)

    def test_noLimits(self) -> None:
        """Without limits, the client is found all the same."""
        for data, code in ((request("192.0.2.7"), 200), (request("nonsense"), 400)):
            channel, transport = self.site.buildProtocol(None), Transport(peerAddress=PROXY)
            channel.makeConnection(transport)
            channel.dataReceived(data)
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 %d " % code))

    def test_address(self) -> None:
        """The address of a request is the client's, without a port; that of an incomplete request is the peer's."""
        channel = Mock(getPeer=lambda: PROXY)
        for host, address in (
            ("192.0.2.7", IPv4Address("TCP", "192.0.2.7", 0)),
            ("2001:db8::7", IPv6Address("TCP", "2001:db8::7", 0)),
            ("unknown", PROXY),
        ):
            made = ProxiedRequest(channel)
            self.assertEqual(made.getClientAddress(), PROXY)
            made.requestHeaders.addRawHeader(b"X-Forwarded-For", host.encode())
            made.findClient(TRUSTED)
            self.assertEqual(made.getClientAddress(), address)


class LimitTests(ProxiedTestCase):
    """The limits of a client."""

    def test_rate(self) -> None:
        """Each client has the rate of its own address, whatever connections its requests are on."""
        with capturedLogs() as logs:
            for client, codes in (("192.0.2.7", [200, 200, 200, 429]), ("192.0.2.8", [200]), ("2001:db8::1", [200])):
                for code in codes:
                    self.assertTrue(self.send(request(client)).startswith(b"HTTP/1.1 %d " % code), client)
            answers = self.send(b"".join(request(f"198.51.100.{number}") for number in range(50)))
        self.assertEqual(answers.count(b"HTTP/1.1 200 "), 50)
        refused = [event["peer"] for event in logs if event["outcome"] != "ok"]
        self.assertEqual(refused, ["192.0.2.7"])
        self.clock.advance(1)
        self.assertIn(b"200 OK", self.send(request("192.0.2.7")))

    def test_subnet(self) -> None:
        """All clients of an IPv6 /64 count as one."""
        for number, code in enumerate([200, 200, 200, 429]):
            self.assertTrue(self.send(request(f"[2001:db8::{number}]:5")).startswith(b"HTTP/1.1 %d " % code))

    def test_direct(self) -> None:
        """A client counts the same with and without the proxy."""
        direct = IPv4Address("TCP", "192.0.2.7", 5)
        self.send(request(), direct)
        self.send(request("192.0.2.7"))
        self.assertEqual(self.send(request() * 2, direct).count(b"HTTP/1.1 200 "), 1)

    def test_proxyItself(self) -> None:
        """Requests without a client count as the proxy's, also a connection's first; on loopback they are free."""
        self.assertEqual(sum(b"HTTP/1.1 200 " in self.send(request()) for _ in range(5)), 3)
        self.assertEqual(sum(b"HTTP/1.1 200 " in self.send(request(), LOOPBACK) for _ in range(5)), 5)
        self.assertEqual(sum(b"HTTP/1.1 200 " in self.send(request("127.0.0.1")) for _ in range(5)), 5)

    def test_connections(self) -> None:
        """A proxy has as many connections as it needs, up to the limit of all."""
        for _ in range(30):
            self.connect()
        self.assertEqual(self.limited.taken, 30)

    def test_inProgress(self) -> None:
        """A client has as many requests in progress as it may have connections."""
        first, second, third = (self.connect() for _ in range(3))
        with capturedLogs() as logs:
            for protocol, _ in (first, second, third):
                protocol.dataReceived(POSTED)
        self.assertEqual([transport.value()[:12] for _, transport in (first, second)], [b"", b""])
        self.assertTrue(third[1].value().startswith(b"HTTP/1.1 429 "))
        self.assertIn(b"\r\nRetry-After: %d\r\n" % BUSY_WAIT, third[1].value())
        (event,) = logs
        self.assertEqual((event["peer"], event["outcome"]), ("192.0.2.7", "TooManyConnections"))
        self.assertIn(b"200 OK", self.send(request("192.0.2.8")))
        first[0].dataReceived(b"x")  # The end of the body, and of the request.
        self.assertTrue(first[1].value().startswith(b"HTTP/1.1 405 "))
        self.assertIn(b"200 OK", self.send(request("192.0.2.7")))

    def test_lost(self) -> None:
        """A request ends with its connection."""
        self.clock.advance(0)
        for _ in range(9):
            self.assertEqual(self.send(POSTED), b"")
            self.clock.advance(1)
        self.assertEqual(self.limited.taken, 0)

    def test_further(self) -> None:
        """Further calls within a request count as the client's, and after it as the peer's."""
        protocol, _ = self.connect()
        self.assertEqual(protocol.beginRequest("192.0.2.7", True), 0)
        self.assertEqual([protocol.admitRequest() for _ in range(3)], [0, 0, 1])
        protocol.endRequest()
        self.assertEqual([protocol.admitRequest() for _ in range(4)], [0, 0, 0, 1])

    def test_factories(self) -> None:
        """A factory inside TLS is found; others trust no proxies."""
        verifyObject(IProxiedFactory, self.site)
        certificate = ReloadingCertificate(developmentCertificate, "test", self.clock)
        secure = TLSMemoryBIOFactory(certificate, False, self.site, clock=self.clock)
        other: IProtocolFactory = Factory.forProtocol(Protocol)
        for factory, isProxy in ((self.site, True), (secure, True), (other, False)):
            self.assertEqual(LimitedFactory(factory, "x").isProxy("10.0.0.1"), isProxy)


class PutTests(ProxiedTestCase):
    """A status with a password."""

    def setUp(self) -> None:
        """Let Ada log in, and limit only attempts to do so."""
        super().setUp()
        self.limited = LimitedFactory(self.site, "webport")
        checker = InMemoryUsernamePasswordDatabaseDontUse(ada=b"secret")
        self.resource.authority = Authority(self.service, self.clock, [checker])

    def put(self, *headers: str, client: str = "192.0.2.7", password: str = "secret", peer: IAddress = PROXY) -> int:
        """Set the status, and return the status code."""
        basic = f"Authorization: Basic {b64encode(f'ada:{password}'.encode()).decode()}"
        return int(self.send(request(client, basic, *headers, method="PUT", body="new"), peer).split()[1])

    def test_secure(self) -> None:
        """The client's own connection must be encrypted, as the proxy says."""
        for headers, code in (
            ([], 403),
            (["X-Forwarded-Proto: http"], 403),
            (["X-Forwarded-Proto: https"], 200),
            (["Forwarded: for=192.0.2.7;proto=https"], 200),
            (["Forwarded: for=192.0.2.7;proto=http"], 403),
            (["Forwarded: proto=https", "X-Forwarded-Proto: http"], 400),
        ):
            self.assertEqual(self.put(*headers), code, headers)
        self.assertEqual(self.put("X-Forwarded-Proto: https", client=""), 200)
        self.assertEqual(self.put("X-Forwarded-Proto: https", peer=IPv4Address("TCP", "192.0.2.7", 5)), 403)

    def test_attempts(self) -> None:
        """Attempts to log in count as the client's: another client's are not refused."""
        self.assertEqual(self.put("X-Forwarded-Proto: https", client="192.0.2.8"), 200)
        codes = [self.put("X-Forwarded-Proto: https", password="wrong") for _ in range(ATTEMPTS + 1)]
        self.assertEqual(codes, [401] * ATTEMPTS + [429])
        self.assertEqual(self.put("X-Forwarded-Proto: https", client="192.0.2.8"), 200)
