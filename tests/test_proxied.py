"""The PROXY protocol: who may speak it."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.logger import LogEvent, Logger
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase

from finger.errors import ConfigError
from finger.proxied import parseTrusted, trustingProxyEndpoint
from finger.querylog import QueryLog


class TrustTests(SynchronousTestCase):
    """An endpoint that lets some connect."""

    def setUp(self) -> None:
        """A port, and a log of those who are turned away."""
        self.events: list[LogEvent] = []
        queries = QueryLog()
        queries.log = Logger(observer=self.events.append)
        reactor = MemoryReactor()
        trusted = parseTrusted(["192.0.2.0/24", "2001:db8::1"])
        endpoint = trustingProxyEndpoint(TCP4ServerEndpoint(reactor, 79), trusted, queries)
        self.successResultOf(endpoint.listen(Factory.forProtocol(Echo)))
        self.factory: Any = reactor.tcpServers[0][1]

    def test_trusted(self) -> None:
        """Who is trusted says for whom it connects; so does who came by a UNIX socket."""
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
            self.assertEqual(protocol.getPeer().host, "198.51.100.1")
        self.assertEqual(self.events, [])

    def test_notTrusted(self) -> None:
        """Nobody else is heard."""
        for address in (IPv4Address("TCP", "198.51.100.7", 5), IPv6Address("TCP", "2001:db8::2", 5)):
            self.assertIsNone(self.factory.buildProtocol(address))
        self.assertEqual([event["peer"] for event in self.events], ["198.51.100.7", "2001:db8::2"])
        self.assertEqual({event["outcome"] for event in self.events}, {"UntrustedProxy"})

    def test_wrong(self) -> None:
        """What is neither an address nor a network is told, with what would be right."""
        for value in ("", "localhost", "192.0.2.1/24", "1.2.3"):
            error = self.assertRaises(ConfigError, parseTrusted, ["192.0.2.1", value])
            self.assertTrue(str(error).startswith(f"--trust-proxy={value}: "))
            self.assertTrue(str(error).endswith("give an address, or a network such as 192.0.2.0/24"))
