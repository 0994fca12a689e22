"""Forwarding queries to other servers."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from finger.access.policy import PolicyFingerService
from finger.adapters.finger import FingerFactory
from finger.client.client import (
    MAX_QUERIES,
    MAX_QUERIES_PER_PEER,
    MAX_QUERIES_PER_PEER_AND_HOST,
    TIMEOUT,
    Answer,
    FingerClient,
)
from finger.client.forward import ANY, Forwarder, parseForward
from finger.errors import ConfigError, ForwardingRefused, NoSuchUser, RemoteUnreachable
from finger.interfaces import IFingerForwarder
from finger.profile import Profile
from finger.protocol.hosts import isGlobal
from finger.testing import ProfilesDouble
from tests.support.othernet import UNREACHABLE, ClientDouble, Network, ScriptedServer
from tests.support.typed import addressOf, listenOn
from tests.unit.test_hosts import NO_HOSTS

LOCAL_HOSTS = (
    *(
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST.",
        "::1",
        "::",
        "10.0.0.1",
    ),
    *("192.168.1.1", "172.16.0.1", "169.254.169.254", "::ffff:127.0.0.1", "::ffff:7f00:1", "fe80::1%lo", "fd00::1"),
    *("64:ff9b::7f00:1", "2002:7f00:1::1", "inner.example", "mapped.example"),
)


class ParseForwardTests(SynchronousTestCase):
    """L{parseForward}."""

    def test_good(self) -> None:
        """Hosts, addresses and networks are read into canonical form."""
        for value, rule in {
            "any": ANY,
            "ANY": ANY,
            "Finger.Example.org.": "finger.example.org",
            "::ffff:192.0.2.1": "192.0.2.1",
            "[::1]": "::1",
            "10.0.0.0/8": ip_network("10.0.0.0/8"),
            "2001:db8::/32": ip_network("2001:db8::/32"),
        }.items():
            self.assertEqual(parseForward(value), rule)

    def test_bad(self) -> None:
        """An invalid value is an error of one line, with the option, the value, and the valid forms."""
        for value in (*(host for host in NO_HOSTS if host.isprintable()), "10.0.0.1/8", "10.0.0.0/33", "a/b", "-h"):
            if value == "[::1]":
                continue
            error = str(self.assertRaises(ConfigError, parseForward, value))
            self.assertTrue(error.startswith(f"--forward={value}: "), error)
            self.assertTrue(error.endswith("; give a host, an address, a network such as 192.0.2.0/24, or 'any'"))
            self.assertNotIn("\n", error)

    def test_forwarder(self) -> None:
        """The forwarder refuses invalid values."""
        self.assertRaises(ConfigError, Forwarder, ClientDouble({}), ["good.example", "b a d"])


class ForwarderTests(SynchronousTestCase):
    """L{Forwarder}, with a client double."""

    def setUp(self) -> None:
        self.client = ClientDouble({b"moshez\r\n": b"Happy and \x1b[1mwell\r\n"}, otherwise=b"something\r\n")

    def forward(self, host: str, *hosts: str, query: str = "moshez", verbose: bool = False, **options: Any) -> Any:
        return Forwarder(self.client, hosts, **options).forward(query, host, verbose)

    def asked(self, host: str, *hosts: str, **options: Any) -> str:
        """Return the single host that is queried."""
        self.client.asked.clear()
        self.successResultOf(self.forward(host, *hosts, **options))
        ((name, port, _),) = self.client.asked
        self.assertEqual(port, 79)
        return name

    def assertRefused(self, host: str, *hosts: str, **options: Any) -> None:
        self.client.asked.clear()
        self.failureResultOf(self.forward(host, *hosts, **options), ForwardingRefused)
        self.assertEqual(self.client.asked, [])

    def test_interface(self) -> None:
        """The forwarder provides its interface."""
        verifyObject(IFingerForwarder, Forwarder(self.client))

    def test_relayed(self) -> None:
        """The answer is passed on completely, without control characters."""
        self.assertEqual(self.successResultOf(self.forward("host", "host")), "Happy and ?[1mwell")

    def test_cut(self) -> None:
        """A truncated answer says so."""
        self.client = ClientDouble({b"moshez\r\n": Answer(b"Hap", "connection lost")})
        self.assertEqual(self.successResultOf(self.forward("h", "h")), "Hap\n[answer cut: connection lost]")

    def test_unreachable(self) -> None:
        """A server that does not answer is unreachable."""
        self.client = ClientDouble({b"moshez\r\n": UNREACHABLE})
        self.failureResultOf(self.forward("host", "host"), RemoteUnreachable)

    def test_offByDefault(self) -> None:
        """Without a value, all hosts are refused."""
        for host in (*LOCAL_HOSTS, "finger.example.org", "8.8.8.8"):
            self.assertRefused(host)

    def test_named(self) -> None:
        """A listed host is queried, in any spelling; others are refused."""
        hosts = ("Finger.Example.ORG.", "::ffff:192.0.2.1", "2001:DB8:0::1")
        for name in ("finger.example.org", "FINGER.example.org."):
            self.assertEqual(self.asked(name, *hosts), "finger.example.org")
        for name in ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201"):
            self.assertEqual(self.asked(name, *hosts), "192.0.2.1")
        for name in ("2001:db8::1", "2001:db8:0:0::0001"):
            self.assertEqual(self.asked(name, *hosts), "2001:db8::1")
        for name in ("example.org", "a.finger.example.org", "finger.example.org.evil", "192.0.2.2", "2001:db8::2"):
            self.assertRefused(name, *hosts)

    def test_namedIsTrusted(self) -> None:
        """A listed host may have any address, with and without C{any}."""
        for host in ("localhost", "127.0.0.1", "::1", "inner.example"):
            self.assertEqual(self.asked(host, "any", host), host)
            self.assertIsNone(self.client.allowed)

    def test_network(self) -> None:
        """A network allows the literal addresses in it, but no names, whose addresses may change."""
        for host in ("10.0.0.0", "10.255.1.2", "::ffff:10.1.2.3", "2001:db8::9"):
            self.asked(host, "10.0.0.0/8", "2001:db8::/32")
            self.assertIsNone(self.client.allowed)
        for host in ("11.0.0.1", "10.1", "2001:db9::9", "inner.example", "::10.1.2.3", "127.0.0.1"):
            self.assertRefused(host, "10.0.0.0/8", "2001:db8::/32")

    def test_any(self) -> None:
        """C{any} allows all names at public addresses; a host called C{any} is no exception."""
        for host in ("finger.example.org", "localhost", "127.0.0.1", "any"):
            self.assertEqual(self.asked(host, "any"), host)
            self.assertIs(self.client.allowed, isGlobal)

    def test_grammar(self) -> None:
        """An invalid host is refused, even with C{any}."""
        for host in (*NO_HOSTS, "-h", "--help", "h\r\nother"):
            self.assertRefused(host, "any", "0.0.0.0/0", "::/0")

    def test_queries(self) -> None:
        """The rest of the query is passed on, with C{/W}."""
        for query, verbose, line in (
            ("", False, b"\r\n"),
            ("", True, b"/W \r\n"),
            ("moshez", True, b"/W moshez\r\n"),
            ("b\N{LATIN SMALL LETTER O WITH DIAERESIS}b", False, b"b\xc3\xb6b\r\n"),
        ):
            self.asked("host", "host", query=query, verbose=verbose)
            self.assertEqual(self.client.asked[-1][2], line)

    def test_smuggling(self) -> None:
        """A name that a server could read as another query is refused."""
        for query in ("/W", "/w", "-l", "a b", "a\r\nb", "a\nb", "a\0b", "\x1b", "x" * 2000):
            self.failureResultOf(self.forward("host", "host", query=query), NoSuchUser)
        self.assertEqual(self.client.asked, [])

    def test_hops(self) -> None:
        """By default, one host is allowed; a query with a thousand hosts is refused with one reply."""
        for query in ("u@h1", "@h1", "u@h1@h2", "u" + "@self" * 1000, "@" * 1000):
            self.assertRefused("host", "host", query=query)
        self.asked("host", "host", query="u@h1", maxHops=2)
        self.assertEqual(self.client.asked[-1][2], b"u@h1\r\n")
        self.assertRefused("host", "host", query="u@h1@h2", maxHops=2)


class BounceTests(SynchronousTestCase):
    """L{Forwarder} with a real client, and a network double."""

    def setUp(self) -> None:
        self.network = Network(
            {
                "0x7f000001": ("127.0.0.1",),
                "inner.example": ("10.0.0.1", "fd00::1", "169.254.169.254"),
                "mapped.example": ("::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1"),
                "both.example": ("10.0.0.1", "198.51.99.1", "::1"),
                **{f"host{number}.example": ("8.8.8.8",) for number in range(MAX_QUERIES + 1)},
            }
        )
        self.client = FingerClient(self.network)

    def test_off(self) -> None:
        """Without a value, there are no connections and no lookups."""
        for host in (*LOCAL_HOSTS, "both.example"):
            self.failureResultOf(Forwarder(self.client).forward("u", host, False), ForwardingRefused)
        self.assertEqual((self.network.attempts, self.network.resolver.asked), ([], []))

    def test_any(self) -> None:
        """With C{any}, hosts at loopback or private addresses are refused, without a connection."""
        for host in LOCAL_HOSTS:
            self.failureResultOf(Forwarder(self.client, ["any"]).forward("u", host, False), ForwardingRefused)
        self.assertEqual(self.network.attempts, [])

    def test_mixed(self) -> None:
        """If a host has public and other addresses, only the public ones are used, at port 79."""
        answer = Forwarder(self.client, ["any"]).forward("u", "both.example", False)
        self.network.pump([0.3] * 3)
        self.assertEqual([client[:2] for client in self.network.tcpClients], [("198.51.99.1", 79)])
        self.network.accept().answer(b"here\r\n")
        self.assertEqual(self.successResultOf(answer), "here")

    def test_port(self) -> None:
        """The port can be set for tests; a query cannot set it."""
        forwarder = Forwarder(self.client, ["127.0.0.1"], port=1079)
        self.failureResultOf(forwarder.forward("u", "127.0.0.1:22", False), ForwardingRefused)
        forwarder.forward("u", "127.0.0.1", False)
        self.assertEqual([client[:2] for client in self.network.tcpClients], [("127.0.0.1", 1079)])

    def test_flood(self) -> None:
        """The number of queries at once is limited, and identical ones are sent once."""
        forwarder = Forwarder(self.client, ["any"])
        asked = [(f"host{number}.example", f"192.0.2.{number}") for number in range(MAX_QUERIES + 1)]
        answers = [forwarder.forward("u", host, False, peer) for _ in range(3) for host, peer in asked]
        self.assertEqual(len(self.network.attempts), MAX_QUERIES)
        for answer in reversed(answers):
            answer.cancel()
            answer.addErrback(lambda failure: None)
        self.assertTrue(all(connector.stoppedConnecting for connector in self.network.connectors))
        self.assertEqual(self.network.getDelayedCalls(), [])


class FairnessTests(SynchronousTestCase):
    """A L{Forwarder} that one peer asks for as much as it can."""

    def setUp(self) -> None:
        self.network = Network()
        self.forwarder = Forwarder(FingerClient(self.network), ["any"])

    def ask(self, peer: str, hosts: list[str], users: int = 16) -> None:
        """Ask silent hosts for several users each."""
        for host in hosts:
            for number in range(users):
                self.forwarder.forward(f"u{peer}-{number}", host, False, peer).addErrback(lambda failure: None)

    def assertForwarded(self, host: str, peer: str) -> None:
        """Check that a query is sent at once."""
        before = len(self.network.attempts)
        self.forwarder.forward(f"moshez-{before}", host, False, peer).addErrback(lambda failure: None)
        self.assertEqual(len(self.network.attempts), before + 1)
        self.assertEqual(self.network.attempts[-1], host)

    def test_silentHost(self) -> None:
        """Sixteen names on each of twenty connections to one silent host delay no other peer, and no other host."""
        self.ask("198.51.100.1", ["8.8.8.8"] * 20)
        self.assertForwarded("9.9.9.9", "198.51.100.2")
        self.assertForwarded("8.8.8.8", "198.51.100.2")
        self.assertForwarded("9.9.9.9", "198.51.100.1")

    def test_silentHosts(self) -> None:
        """Many silent hosts delay no other peer."""
        self.ask("198.51.100.1", [f"8.8.8.{number}" for number in range(100)])
        self.assertForwarded("9.9.9.9", "198.51.100.2")

    def test_subnet(self) -> None:
        """The IPv6 addresses of a /64 are one peer."""
        for number in range(100):
            self.ask(f"2001:db8::{number}", ["8.8.8.8", "8.8.4.4", "1.1.1.1"], 1)
        self.assertEqual(len(self.network.attempts), MAX_QUERIES_PER_PEER)
        self.assertForwarded("9.9.9.9", "2001:db8:0:1::")

    def test_unknown(self) -> None:
        """Peers that an adapter does not name are one peer."""
        self.ask("", [f"8.8.8.{number}" for number in range(100)])
        self.assertEqual(len(self.network.attempts), MAX_QUERIES_PER_PEER)
        self.assertForwarded("9.9.9.9", "198.51.100.2")

    def test_ends(self) -> None:
        """Each query has its time limit, also if it has to wait, and its turn comes when others end."""
        answers = [self.forwarder.forward(f"u{n}", "8.8.8.8", False, "198.51.100.1") for n in range(16)]
        for attempt in range(16):
            self.network.accept(attempt).answer(b"here\r\n")
        self.assertEqual([self.successResultOf(answer) for answer in answers], ["here"] * 16)
        answers = [self.forwarder.forward(f"v{n}", "8.8.8.8", False, "198.51.100.1") for n in range(16)]
        self.network.pump([1] * int(TIMEOUT))
        for answer in answers:
            self.failureResultOf(answer, RemoteUnreachable)
        self.assertEqual(self.network.getDelayedCalls(), [])


class RealTests(TestCase):
    """Two of our servers on loopback."""

    async def test_forwarded(self) -> None:
        """One server forwards C{moshez@host}, C{@host} and C{/W} to the other, over IPv4 and IPv6."""
        for host in ("127.0.0.1", "::1"):
            there = self.listen(FingerFactory(ProfilesDouble(Profile("moshez", plan="Happy and well"))), host)
            forwarder = Forwarder(FingerClient(reactor), [host], port=there)
            here = self.listen(
                FingerFactory(PolicyFingerService(ProfilesDouble(), reactor, forwarder=forwarder)), host
            )
            for query, answer in {
                f"moshez@{host}": "Happy and well",
                f"moshez@[{host}]": "Happy and well",
                f"@{host}": "moshez",
                f"nobody@{host}": "No such user",
                f"/W moshez@{host}": "Login: moshez         \t\t\tName:\nPlan:\nHappy and well",
                "moshez@other.example": "Finger forwarding service denied",
                f"moshez@{host}@{host}": "Finger forwarding service denied",
            }.items():
                answered = await self.ask(host, here, query)
                self.assertEqual(answered.text, answer, query)

    async def test_itself(self) -> None:
        """A server that forwards to itself answers once."""
        forwarder = Forwarder(FingerClient(reactor), ["127.0.0.1"], maxHops=9)
        service = PolicyFingerService(
            ProfilesDouble(Profile("moshez", plan="Happy and well")), reactor, forwarder=forwarder
        )
        forwarder._port = port = self.listen(FingerFactory(service), "127.0.0.1")
        for query in ("moshez@127.0.0.1", "moshez@127.0.0.1@127.0.0.1"):
            self.assertEqual((await self.ask("127.0.0.1", port, query)).text, "Happy and well")

    async def test_silent(self) -> None:
        """
        A client that asks a silent host for sixteen users on each of twenty connections delays neither another client
        nor its own query to another host.
        """
        silent = ScriptedServer(lambda connection, data: None)
        port = self.listen(silent, "127.0.0.1")
        self.listen(FingerFactory(ProfilesDouble(Profile("moshez", plan="Happy and well"))), "127.0.0.2", port)
        forwarder = Forwarder(FingerClient(reactor), ["127.0.0.0/8"], port=port)
        here = self.listen(
            FingerFactory(PolicyFingerService(ProfilesDouble(), reactor, forwarder=forwarder)), "127.0.0.1"
        )
        greedy = [await self.connect(here, "127.0.0.5") for _ in range(20)]
        for number, connection in enumerate(greedy):
            names = [f"u{number}-{name}@127.0.0.1" for name in range(16)]
            connection.transport.write(" ".join(names).encode() + b"\r\n")
        while len(silent.connections) < MAX_QUERIES_PER_PEER_AND_HOST:
            await deferLater(reactor, 0.01)
        for source in ("127.0.0.6", "127.0.0.5"):
            other = await self.connect(here, source)
            other.transport.write(b"moshez@127.0.0.2\r\n")
            self.assertEqual(await other.answer, b"Happy and well\r\n")
        self.assertEqual(len(silent.connections), MAX_QUERIES_PER_PEER_AND_HOST)
        self.assertEqual([connection.answer.called for connection in greedy], [False] * 5 + [True] * 15)
        for connection in greedy:
            connection.transport.abortConnection()
        await gatherResults([connection.answer for connection in greedy])
        await silent.allEnded()

    async def connect(self, port: int, source: str) -> Any:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, bindAddress=(source, 0))
        return await connectProtocol(endpoint, _Receiver())

    def listen(self, factory: IProtocolFactory, interface: str, port: int = 0) -> int:
        listening = listenOn(interface, factory, port)
        self.addCleanup(listening.stopListening)
        return addressOf(listening).port

    def ask(self, host: str, port: int, query: str) -> Deferred[Answer]:
        return FingerClient(reactor).ask(host, port, query.encode() + b"\r\n")


class _Receiver(Protocol):
    """Receives until the connection ends."""

    def __init__(self) -> None:
        self.answer: Deferred[bytes] = Deferred()
        self._received = b""

    def dataReceived(self, data: bytes) -> None:
        self._received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.answer.callback(self._received)
