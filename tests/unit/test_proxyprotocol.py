"""The PROXY protocol."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from finger.errors import ConfigError
from finger.log.querylog import QueryLog
from finger.net.proxyprotocol import completeHeader, parseTrusted, trustingProxyEndpoint
from tests.support.typed import Observer

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
IPV4 = SIGNATURE + bytes([0x21, 0x11, 0, 12, 198, 51, 100, 1, 192, 0, 2, 1, 0, 5, 0, 79])


class HeaderTests(SynchronousTestCase):
    """Headers at the start of a connection."""

    def test_good(self) -> None:
        """Both versions are accepted, also without addresses; the data after the header is passed on."""
        for header in (
            b"PROXY TCP4 198.51.100.1 192.0.2.1 5 79\r\n",
            b"PROXY TCP6 2001:db8::1 ::1 65535 79\r\n",
            IPV4,
            SIGNATURE + b"\x20\0\0\0",
            SIGNATURE + b"\x21\x11\x0f\xf0" + bytes(4080),
        ):
            for number in range(1, len(header)):
                self.assertIsNone(completeHeader(header[:number]))
            for rest in (b"", b"ada\r\n", b"x" * 10_000):
                self.assertEqual(completeHeader(header + rest), header + rest)
        for said in (b"", b" ::1 ::1 5 79", b" \xff"):
            self.assertEqual(completeHeader(b"PROXY UNKNOWN" + said + b"\r\nada\r\n"), b"PROXY UNKNOWN \r\nada\r\n")

    def test_bad(self) -> None:
        """Errors: no header, no addresses, the wrong family, no ports, a header that is too long."""
        for received in (
            b"ada\r\n",
            b"\r\nada\r\n",
            b"PROXY\r\n",
            b"PROXY \r\n",
            b"PROXY TCP4\r\n",
            b"PROXY TCP5 198.51.100.1 192.0.2.1 5 79\r\n",
            b"PROXY TCP4 <0>here 192.0.2.1 5 79\r\n",
            b"PROXY TCP4 \x1b[2J\n 192.0.2.1 5 79\r\n",
            b"PROXY TCP4 \xff 192.0.2.1 5 79\r\n",
            b"PROXY TCP4 ::1 ::1 5 79\r\n",
            b"PROXY TCP6 fe80::1%\x1b ::1 5 79\r\n",
            b"PROXY TCP4 198.51.100.1 192.0.2.1 5\r\n",
            b"PROXY TCP4 198.51.100.1 192.0.2.1 x 79\r\n",
            b"PROXY TCP4 198.51.100.1 192.0.2.1 -5 79\r\n",
            b"PROXY TCP4 198.51.100.1 192.0.2.1 5 65536\r\n",
            b"PROXY TCP4 198.51.100.1 192.0.2.1 5 79 \r\n",
            b"PROXY UNKNOWN" + b"x" * 100 + b"\r\n",
            b"PROXY " + b"x" * 102,
            SIGNATURE + b"\x21\x11\x0f\xf1",
        ):
            self.assertRaises(ValueError, completeHeader, received)


class TrustTests(SynchronousTestCase):
    """An endpoint that accepts trusted proxies only."""

    def setUp(self) -> None:
        """Listen on a port, with a log of refused connections."""
        self.events: list[LogEvent] = []
        queries = QueryLog()
        queries.log = Logger(observer=Observer(self.events.append))
        reactor = MemoryReactor()
        trusted = parseTrusted(["192.0.2.0/24", "2001:db8::1"])
        endpoint = trustingProxyEndpoint(TCP4ServerEndpoint(reactor, 79), trusted, queries)
        self.successResultOf(endpoint.listen(Factory.forProtocol(Echo)))
        self.factory: Any = reactor.tcpServers[0][1]

    def test_trusted(self) -> None:
        """A trusted proxy, or a peer on a UNIX socket, announces the client's address."""
        for address in (
            IPv4Address("TCP", "192.0.2.7", 5),
            IPv6Address("TCP", "::ffff:192.0.2.7", 5),
            IPv6Address("TCP", "2001:db8::1", 5),
            UNIXAddress("/run/finger"),
        ):
            protocol, transport = self.factory.buildProtocol(address), StringTransport()
            protocol.makeConnection(transport)
            protocol.dataReceived(b"PROXY TCP4 198.51.100.1 192.0.2.1 5555 79\r\nhello")
            self.assertEqual(transport.value(), b"hello")
            self.assertEqual(protocol.wrappedProtocol.getPeer().host, "198.51.100.1")
        self.assertEqual(self.events, [])

    def test_notTrusted(self) -> None:
        """Other peers are refused."""
        for address in (IPv4Address("TCP", "198.51.100.7", 5), IPv6Address("TCP", "2001:db8::2", 5)):
            self.assertIsNone(self.factory.buildProtocol(address))
        self.assertEqual([event["peer"] for event in self.events], ["198.51.100.7", "2001:db8::2"])
        self.assertEqual({event["outcome"] for event in self.events}, {"UntrustedProxy"})

    def test_pieces(self) -> None:
        """A header may arrive byte by byte."""
        for header, peer in (
            (b"PROXY TCP4 198.51.100.1 192.0.2.1 5555 79\r\n", "198.51.100.1"),
            (IPV4, "198.51.100.1"),
            (b"PROXY UNKNOWN\r\n", "192.0.2.7"),
        ):
            protocol = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 5))
            transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 5))
            protocol.makeConnection(transport)
            for number in header + b"hello":
                protocol.dataReceived(bytes([number]))
            self.assertEqual(transport.value(), b"hello")
            self.assertEqual(protocol.wrappedProtocol.getPeer().host, peer)
        self.assertEqual(self.events, [])

    def test_halfClose(self) -> None:
        """The end of the client's data is passed on, but ends a connection without a whole header."""
        heard: list[str] = []

        @implementer(IHalfCloseableProtocol)
        class Half(Protocol):
            def readConnectionLost(self) -> None:
                heard.append("read")

            def writeConnectionLost(self) -> None:
                heard.append("write")

        self.factory.wrappedFactory.wrappedFactory = Factory.forProtocol(Half)
        for header, ends in ((b"PROXY UNKNOWN\r\n", False), (b"PROXY", True), (b"", True)):
            protocol, transport = self.factory.buildProtocol(UNIXAddress("/run/finger")), StringTransport()
            protocol.makeConnection(transport)
            self.assertTrue(IHalfCloseableProtocol.providedBy(protocol))
            protocol.dataReceived(header)
            protocol.readConnectionLost()
            self.assertEqual(transport.disconnecting, ends)
        self.assertEqual(heard, ["read"])

    def test_noHeader(self) -> None:
        """A connection without a header is closed, and logged with its data escaped."""
        protocol = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 5))
        transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 5))
        protocol.makeConnection(transport)
        for said in (b"PROXY TCP4 \x1b\xff 1", b" 2 3\r\nada\r\n", b"PROXY UNKNOWN\r\n"):
            protocol.dataReceived(said)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(transport.value(), b"")
        (line,) = map(formatEvent, self.events)
        self.assertIn(r"haproxy 192.0.2.7 'PROXY TCP4 \x1b\\xff 1 2 3\r\nada\r\n' BadProxyHeader", line)

    def test_wrong(self) -> None:
        """A value that is neither an address nor a network is an error that gives the valid forms."""
        for value in ("", "localhost", "192.0.2.1/24", "1.2.3"):
            error = self.assertRaises(ConfigError, parseTrusted, ["192.0.2.1", value])
            self.assertTrue(str(error).startswith(f"--trust-proxy={value}: "))
            self.assertTrue(str(error).endswith("give an address, or a network such as 192.0.2.0/24"))
