"""Connection limits."""

from __future__ import annotations

import resource
import socket
from typing import Any
from unittest.mock import Mock, patch

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.adapters.web.tls import ReloadingCertificate, developmentCertificate
from finger.interfaces import IDrainable, IImmediateFactory, ILimitedTransport, IRoomyFactory
from finger.net.descriptors import LEAST_DESCRIPTORS, RESERVED_DESCRIPTORS, fitDescriptors
from finger.net.limits import (
    MAX_REFUSING,
    SILENCE,
    LimitedFactory,
    LimitedProtocol,
)
from finger.protocol.hosts import rateLimitKey
from finger.timing import Buckets
from tests.support.typed import asType, notNone


class RateLimitKeyTests(SynchronousTestCase):
    """The keys of rate limits."""

    def test_rateLimitKey(self) -> None:
        """IPv4 addresses, loopback and other names are their own keys; IPv6 addresses share one for a /64."""
        for host, place in {
            "192.0.2.1": "192.0.2.1",
            "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
            "2001:db8:1:2::7": "2001:db8:1:2::/64",
            "fe80::1%eth0": "fe80::/64",
            "::ffff:192.0.2.1": "192.0.2.1",
            "::1": "::1",
            "local": "local",
        }.items():
            self.assertEqual(rateLimitKey(host), place)


@implementer(IHalfCloseableProtocol)
class Half(Protocol):
    """A protocol that records half-closes."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def readConnectionLost(self) -> None:
        """Record that the peer has closed its side."""
        self.heard.append("read")

    def writeConnectionLost(self) -> None:
        """Record that our side is closed."""
        self.heard.append("write")


@implementer(IDrainable)
class Drainable(Protocol):
    """
    A protocol that ends when it chooses to.

    @ivar drained: the number of calls of C{drain}.
    """

    drained = 0
    owesAnswer = False

    def drain(self) -> None:
        """Count the call."""
        self.drained += 1


class DescriptorsTests(SynchronousTestCase):
    """The limit of file descriptors."""

    def fit(self, soft: int, hard: int, most: int = 500, adapters: int = 2) -> tuple[int, int]:
        """Return how many connections fit with these limits, and the soft limit afterwards."""
        limits = (soft, hard)

        def setrlimit(which: int, given: tuple[int, int]) -> None:
            nonlocal limits
            self.assertEqual((which, given[1]), (resource.RLIMIT_NOFILE, hard))
            limits = given

        with patch.multiple(resource, getrlimit=lambda which: limits, setrlimit=setrlimit):
            fits = fitDescriptors(most, adapters)
        return fits, limits[0]

    def test_enough(self) -> None:
        """If the descriptors suffice, the limit stays as it is."""
        wanted = (500 + MAX_REFUSING) * 2 + RESERVED_DESCRIPTORS
        for soft, hard in ((wanted, wanted), (10**6, 10**6), (-1, -1)):
            self.assertEqual(self.fit(soft, hard), (500, soft))

    def test_raised(self) -> None:
        """The soft limit is raised as far as needed, up to the hard limit."""
        wanted = (500 + MAX_REFUSING) * 2 + RESERVED_DESCRIPTORS
        for soft, hard in ((wanted - 1, wanted), (40, 10**6), (40, resource.RLIM_INFINITY)):
            self.assertEqual(self.fit(soft, hard), (500, wanted))

    def test_scarce(self) -> None:
        """With too few descriptors, the connections and refusals of all adapters together fit."""
        for descriptors in (40, 64, 256, 1024):
            for adapters in (1, 2, 5):
                fits, soft = self.fit(30, descriptors, 5000, adapters)
                self.assertEqual(soft, descriptors)
                refused = min(MAX_REFUSING, fits // 2)
                self.assertLessEqual((fits + refused) * adapters + LEAST_DESCRIPTORS, descriptors)
                self.assertGreaterEqual(fits, 1)

    def test_none(self) -> None:
        """At least one connection fits, even with no adapters."""
        self.assertEqual(self.fit(5, 5), (1, 5))
        self.assertEqual(self.fit(5, 5, adapters=0)[0], 1)

    def test_here(self) -> None:
        """One adapter fits into the limits of the machine that runs the tests."""
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
        self.assertEqual(fitDescriptors(1, 1), 1)


class LimitedTestCase(SynchronousTestCase):
    """Connections to a factory with limits."""

    def connect(self, factory: LimitedFactory, host: str = "192.0.2.1") -> tuple[Protocol | None, StringTransport]:
        """Connect from an address."""
        address = IPv4Address("TCP", host, 5)
        protocol, transport = factory.buildProtocol(address), StringTransport(peerAddress=address)
        if protocol is not None:
            protocol.makeConnection(transport)
        return protocol, transport

    def admit(self, factory: LimitedFactory, host: str = "192.0.2.1") -> tuple[LimitedProtocol, StringTransport]:
        """Connect from an address, and check that the connection is accepted."""
        protocol, transport = self.connect(factory, host)
        return asType(LimitedProtocol, protocol), transport


@implementer(IImmediateFactory)
class Immediate(Factory):
    """Answers everything at once, except C{slow}."""

    protocol = Half

    def answerNow(self, received: bytes, host: str) -> bytes | None:
        """Return the question and the host."""
        return None if received == b"slow" else received + host.encode()


class ImmediateFactoryTests(LimitedTestCase):
    """Limits on connections that are answered at once."""

    def setUp(self) -> None:
        """Make a factory with a rate of 2 requests, one more each second."""
        self.clock = Clock()
        self.factory = LimitedFactory(Immediate(), "fingerport", 3, 2, buckets=Buckets(self.clock, 2, 1.0))

    def test_interface(self) -> None:
        """The factory can answer at once if the wrapped one can."""
        verifyObject(IImmediateFactory, self.factory)
        self.assertFalse(IImmediateFactory.providedBy(LimitedFactory(Factory.forProtocol(Half), "fingerport")))

    def test_rate(self) -> None:
        """Such connections count towards the rate limit, but local ones, and those that need a protocol, do not."""
        for _ in range(2):
            self.assertIsNone(self.factory.answerNow(b"slow", "192.0.2.1"))
            self.assertEqual(self.factory.answerNow(b"x", "192.0.2.1"), b"x192.0.2.1")
        self.assertIsNone(self.factory.answerNow(b"x", "192.0.2.1"))
        self.assertIsNone(self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 5)))
        self.assertEqual(self.factory.answerNow(b"x", "192.0.2.2"), b"x192.0.2.2")
        self.clock.advance(1)
        self.assertEqual(self.factory.answerNow(b"x", "192.0.2.1"), b"x192.0.2.1")
        for _ in range(5):
            self.assertEqual(self.factory.answerNow(b"x", "127.0.0.1"), b"x127.0.0.1")

    def test_noRate(self) -> None:
        """Without a rate limit, all are answered."""
        factory = LimitedFactory(Immediate(), "fingerport", 3, 2)
        for _ in range(5):
            self.assertEqual(factory.answerNow(b"x", "192.0.2.1"), b"x192.0.2.1")

    def test_connections(self) -> None:
        """With too many connections with the address, none is answered at once; those with others do not matter."""
        for _ in range(2):
            self.admit(self.factory, "192.0.2.1")
        self.admit(self.factory, "192.0.2.2")
        self.clock.advance(5)
        self.assertIsNone(self.factory.answerNow(b"x", "192.0.2.1"))
        for host in ("192.0.2.2", "192.0.2.3", "127.0.0.1"):
            self.assertEqual(self.factory.answerNow(b"x", host), b"x" + host.encode())


class RoomTests(LimitedTestCase):
    """Room for another connection, in the place of a silent one."""

    def setUp(self) -> None:
        """Make a factory for four connections."""
        self.clock = Clock()
        self.factory = self.make()
        self.opened: list[tuple[LimitedProtocol, StringTransport]] = []

    def make(self, protocol: type[Protocol] = Drainable) -> LimitedFactory:
        """Make a factory."""
        factory = LimitedFactory(Factory.forProtocol(protocol), "fingerport", 4, 4)
        factory.clock = self.clock
        return factory

    def fill(self, *owing: int) -> None:
        """Open four connections, a second each, and let some of them owe an answer."""
        for number in range(4):
            self.opened.append(self.admit(self.factory, f"192.0.2.{number}"))
            protocol: Any = self.opened[-1][0].wrappedProtocol
            protocol.owesAnswer = number in owing
            self.clock.advance(SILENCE)

    def aborted(self) -> list[int]:
        """Return which connections are aborted."""
        return [number for number, (_, transport) in enumerate(self.opened) if transport.disconnected]

    def test_longest(self) -> None:
        """The connection that has been silent for the longest time makes room, and is logged."""
        self.fill()
        self.opened[0][0].dataReceived(b"x")
        with capturedLogs() as logs:
            self.admit(self.factory, "192.0.2.9")
        self.assertEqual(self.aborted(), [1])
        self.assertEqual([(event["peer"], event["outcome"]) for event in logs], [("192.0.2.1", "Silent")])

    def test_owing(self) -> None:
        """A connection that is owed an answer stays, and so does one that has not been silent for long."""
        self.fill(0, 1)
        self.opened[3][0].dataReceived(b"x")
        self.admit(self.factory, "192.0.2.9")
        self.assertEqual(self.aborted(), [2])
        protocol, _ = self.connect(self.factory, "192.0.2.10")
        self.assertIsNone(protocol)
        self.assertEqual(self.aborted(), [2])

    def test_slow(self) -> None:
        """A connection whose peer has not received all that was sent stays, until it has."""
        self.fill()
        ours, peers = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(peers.close)
        ours.send(b"answer")
        with patch.object(self.opened[0][1], "getHandle", lambda: ours, create=True):
            self.admit(self.factory, "192.0.2.9")
            self.assertEqual(self.aborted(), [1])
            peers.recv(10)
            self.admit(self.factory, "192.0.2.10")
        self.assertEqual(self.aborted(), [0, 1])

    def test_few(self) -> None:
        """Connections that are closing still count, so there are never many more than the limit."""
        self.fill()
        for number in range(2):
            self.admit(self.factory, f"192.0.2.{10 + number}")
        self.assertIsNone(self.connect(self.factory, "192.0.2.20")[0])
        self.assertEqual((self.aborted(), self.factory.taken), ([0, 1], 6))
        for number in (0, 1):
            self.opened[number][0].connectionLost(connectionDone)
        self.assertEqual(self.factory.taken, 4)

    def test_others(self) -> None:
        """Protocols that cannot tell whether they owe an answer stay."""
        self.factory = self.make(Half)
        self.fill()
        self.assertIsNone(self.connect(self.factory, "192.0.2.9")[0])
        self.assertEqual(self.aborted(), [])

    def test_descriptors(self) -> None:
        """If descriptors run out, a connection of another factory may make room, too."""
        verifyObject(IRoomyFactory, self.factory)
        other = self.make()
        other.neighbours = [other, self.factory]
        self.assertFalse(other.makeDescriptor())
        self.fill()
        self.assertTrue(other.makeDescriptor())
        self.assertEqual(self.aborted(), [0])
        self.assertTrue(self.factory.makeDescriptor())
        self.assertEqual(self.aborted(), [0, 1])


class LimitedFactoryTests(LimitedTestCase):
    """Limits on connections at once."""

    def make(self, most: int = 100, mostPerAddress: int = 100, refusal: bytes = b"") -> LimitedFactory:
        """Make a factory with limits."""
        return LimitedFactory(Factory.forProtocol(Half), "fingerport", most, mostPerAddress, refusal)

    def test_perAddress(self) -> None:
        """Each address has its own limit; a closed connection makes room for another."""
        factory = self.make(mostPerAddress=2)
        first, _ = self.admit(factory)
        self.connect(factory)
        self.assertIsNone(self.connect(factory)[0])
        self.assertIsNotNone(self.connect(factory, "192.0.2.2")[0])
        first.connectionLost(connectionDone)
        self.assertIsNotNone(self.connect(factory)[0])
        self.assertIsNone(self.connect(factory)[0])

    def test_subnet(self) -> None:
        """The IPv6 addresses of a /64 share one limit."""
        factory = self.make(mostPerAddress=1)
        self.connect(factory, "2001:db8::1")
        self.assertIsNone(self.connect(factory, "2001:db8::2")[0])
        self.assertIsNotNone(self.connect(factory, "2001:db8:0:1::1")[0])

    def test_inAll(self) -> None:
        """Local connections count only towards the total limit."""
        factory = self.make(most=3, mostPerAddress=1)
        protocols = [self.admit(factory, "127.0.0.1")[0] for _ in range(3)]
        self.assertIsNone(self.connect(factory, "127.0.0.1")[0])
        self.assertIsNone(self.connect(factory, "192.0.2.1")[0])
        for protocol in protocols:
            protocol.connectionLost(connectionDone)
        self.assertEqual(factory._takenBy, {})
        self.assertIsNotNone(self.connect(factory, "192.0.2.1")[0])

    def test_refusal(self) -> None:
        """A refused connection gets the refusal text, if the protocol has one."""
        factory = self.make(most=2, refusal=b"too many\r\n")
        self.connect(factory)
        self.connect(factory)
        refusal, transport = self.connect(factory)
        self.assertEqual(transport.value(), b"too many\r\n")
        self.assertTrue(transport.disconnecting)
        self.assertIsNone(self.connect(factory)[0])
        notNone(refusal).connectionLost()
        self.assertIsNotNone(self.connect(factory)[0])

    def test_halfClose(self) -> None:
        """Half-closes are passed on to protocols that support them."""
        protocol, _ = self.admit(self.make())
        self.assertTrue(IHalfCloseableProtocol.providedBy(protocol))
        protocol.readConnectionLost()
        protocol.writeConnectionLost()
        self.assertEqual(asType(Half, protocol.wrappedProtocol).heard, ["read", "write"])
        plain, _ = self.connect(LimitedFactory(Factory.forProtocol(Protocol), "webport"))
        self.assertFalse(IHalfCloseableProtocol.providedBy(plain))

    def test_broken(self) -> None:
        """A connection that cannot be served is closed, and the failure is logged."""

        class Broken(Factory):
            def buildProtocol(self, addr: object) -> Protocol:
                raise ZeroDivisionError

        factory = LimitedFactory(Broken(), "webport")
        self.assertIsNone(self.connect(factory)[0])
        factory.needsProtocol = True
        protocol, transport = self.connect(factory)
        self.assertTrue(transport.disconnecting)
        notNone(protocol).connectionLost()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_unix(self) -> None:
        """Peers on a UNIX socket are local."""
        factory = self.make(mostPerAddress=1)
        address = UNIXAddress(None)
        factory.buildProtocol(address).makeConnection(StringTransport(peerAddress=address))
        self.assertIsNotNone(factory.buildProtocol(address))

    def test_log(self) -> None:
        """A refusal is logged with adapter and address."""
        factory = self.make(most=0)
        with capturedLogs() as logs:
            self.connect(factory)
        self.assertEqual(
            [(event["adapter"], event["peer"], event["outcome"]) for event in logs],
            [("fingerport", "192.0.2.1", "TooManyConnections")],
        )

    def test_logMapped(self) -> None:
        """A mapped IPv4 address is logged as IPv4."""
        with capturedLogs() as logs:
            self.connect(self.make(most=0), "::ffff:192.0.2.1")
        self.assertEqual(logs[0]["peer"], "192.0.2.1")


class UserTests(SynchronousTestCase):
    """Limits on connections at UNIX sockets from one user of this machine."""

    def make(self, most: int = 100, mostPerUID: int = 2, refusal: bytes = b"") -> LimitedFactory:
        """Make a factory with limits."""
        return LimitedFactory(Factory.forProtocol(Half), "setport", most, 1, refusal, mostPerUID=mostPerUID)

    def connect(self, factory: LimitedFactory, uid: int | None = None) -> tuple[Any, StringTransport]:
        """Connect as a user; by default as the one who runs the tests, through a UNIX socket."""
        here, there = socket.socketpair(socket.AF_UNIX)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        transport = StringTransport(peerAddress=UNIXAddress(None))
        transport.getHandle = lambda: here  # type: ignore[attr-defined]
        protocol = factory.buildProtocol(UNIXAddress(None))
        if uid is None:
            protocol.makeConnection(transport)
        else:
            with patch("finger.net.limits.peerUID", return_value=uid):
                protocol.makeConnection(transport)
        return protocol, transport

    def test_perUID(self) -> None:
        """Each user has their own limit, also root; a closed connection makes room for another."""
        for uid in (None, 0, 1000):
            factory = self.make()
            first, _ = self.connect(factory, uid)
            self.assertFalse(self.connect(factory, uid)[1].disconnecting)
            self.assertTrue(self.connect(factory, uid)[1].disconnecting)
            self.assertFalse(self.connect(factory, 1001)[1].disconnecting)
            first.connectionLost(connectionDone)
            self.assertFalse(self.connect(factory, uid)[1].disconnecting)
            self.assertTrue(self.connect(factory, uid)[1].disconnecting)

    def test_half(self) -> None:
        """A user has at most half of all connections, but always one."""
        for most, share in ((10, 5), (3, 1), (1, 1)):
            factory = self.make(most=most, mostPerUID=100)
            heard = [self.connect(factory)[1].disconnecting for _ in range(share)]
            self.assertEqual(heard, [False] * share)
            if most > 1:
                self.assertTrue(self.connect(factory)[1].disconnecting)

    def test_notCounted(self) -> None:
        """Refused connections take no place from others, and are not counted when they end."""
        factory = self.make(most=4)
        protocols = [self.connect(factory, 1000)[0] for _ in range(20)]
        self.assertEqual(factory.taken, 2)
        self.assertFalse(self.connect(factory, 1001)[1].disconnecting)
        for protocol in protocols:
            protocol.connectionLost(connectionDone)
        self.assertEqual((factory.taken, factory._takenBy), (1, {"uid 1001": 1}))

    def test_refusal(self) -> None:
        """A refused connection gets the refusal text, and nothing that it sends is read."""
        factory = self.make(refusal=b"too many\r\n")
        for _ in range(2):
            self.connect(factory)
        for _ in range(3):
            protocol, transport = self.connect(factory)
            protocol.dataReceived(b"moshez\nbusy")
            self.assertEqual((transport.value(), transport.disconnecting), (b"too many\r\n", True))
            protocol.connectionLost(connectionDone)
        self.assertEqual(factory._refusing, 0)

    def test_log(self) -> None:
        """A refusal is logged with the user."""
        factory = self.make(mostPerUID=1)
        with capturedLogs() as logs:
            for _ in range(2):
                self.connect(factory, 1000)
        logged = [(event["peer"], event["query"], event["outcome"]) for event in logs]
        self.assertEqual(logged, [("local", "uid 1000", "TooManyConnections")])

    def test_behindProxy(self) -> None:
        """Behind the PROXY protocol, all clients have the proxy's user, and there is no such limit."""
        outer: Any = WrappingFactory(self.make())
        for _ in range(3):
            self.assertFalse(self.connect(outer)[1].disconnecting)

    def test_drain(self) -> None:
        """A drain does not wait for refused connections."""
        clock, factory = Clock(), self.make(mostPerUID=1)
        served, _ = self.connect(factory)
        self.connect(factory)
        drained = factory.drain(clock, 10)
        self.assertNoResult(drained)
        served.connectionLost(connectionDone)
        self.successResultOf(drained)
        self.assertEqual(clock.getDelayedCalls(), [])


class RateTests(LimitedTestCase):
    """The rate of new connections."""

    def setUp(self) -> None:
        """Make a factory that accepts three connections at once, and then one each second."""
        self.clock = Clock()
        self.factory = LimitedFactory(
            Factory.forProtocol(Protocol), "fingerport", refusal=b"later\r\n", buckets=Buckets(self.clock, 3, 1.0)
        )

    def answered(self, host: str) -> bool:
        """Connect once from an address; return whether the connection is accepted."""
        protocol, transport = self.connect(self.factory, host)
        notNone(protocol).connectionLost(connectionDone)
        return asType(bytes, transport.value()) == b""

    def test_flood(self) -> None:
        """An address over its rate is refused, and other addresses are not affected."""
        self.assertEqual([self.answered("192.0.2.1") for _ in range(5)], [True] * 3 + [False] * 2)
        self.assertTrue(all(self.answered(f"192.0.2.{number}") for number in range(2, 100)))
        self.assertFalse(self.answered("192.0.2.1"))

    def test_refilled(self) -> None:
        """After some time, a burst is accepted again; refused connections do not count."""
        for _ in range(100):
            self.answered("192.0.2.1")
        self.clock.advance(1)
        self.assertEqual([self.answered("192.0.2.1") for _ in range(2)], [True, False])
        self.clock.advance(1000)
        self.assertEqual([self.answered("192.0.2.1") for _ in range(4)], [True] * 3 + [False])

    def test_subnet(self) -> None:
        """The IPv6 addresses of a /64 share one rate limit."""
        self.assertEqual([self.answered(f"2001:db8::{number}") for number in range(4)], [True] * 3 + [False])
        self.assertTrue(self.answered("2001:db8:0:1::1"))

    def test_loopback(self) -> None:
        """Local connections have no rate limit."""
        for host in ("127.0.0.1", "127.1.2.3", "::1"):
            self.assertTrue(all(self.answered(host) for _ in range(10)))

    def test_mapped(self) -> None:
        """A mapped IPv4 address shares the limit of that IPv4 address, and of no other."""
        for host in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"):
            self.assertTrue(self.answered(host))
        self.assertFalse(self.answered("::ffff:192.0.2.1"))
        self.assertTrue(all(self.answered("::ffff:127.0.0.1") for _ in range(10)))


class RequestTests(LimitedTestCase):
    """The rate of further requests on a connection."""

    def setUp(self) -> None:
        """Make a factory that accepts three requests at once, and then one every two seconds."""
        self.clock = Clock()
        self.factory = LimitedFactory(Factory.forProtocol(Half), "webport", buckets=Buckets(self.clock, 3, 2.0))

    def test_admitted(self) -> None:
        """The requests of a connection count as new connections do, and have the same limit."""
        protocol, _ = self.admit(self.factory)
        verifyObject(ILimitedTransport, protocol)
        with capturedLogs() as logs:
            self.assertEqual([protocol.admitRequest() for _ in range(4)], [0, 0, 2, 2])
            self.clock.advance(1.5)
            self.assertEqual(protocol.admitRequest(), 0.5)
        self.assertEqual(
            [(event["adapter"], event["peer"], event["outcome"]) for event in logs],
            [("webport", "192.0.2.1", "TooManyRequests")] * 3,
        )
        self.assertIsNone(self.connect(self.factory)[0])
        self.clock.advance(0.5)
        self.assertEqual([protocol.admitRequest() for _ in range(2)], [0, 2])

    def test_shared(self) -> None:
        """All connections of an address, or of an IPv6 /64, share the limit; others have limits of their own."""
        first, second, other = (self.admit(self.factory, f"2001:db8::{host}")[0] for host in ("1", "2", "1:0:0:0:1"))
        self.assertEqual(first.admitRequest(), 0)
        self.assertEqual((first.admitRequest(), second.admitRequest()), (2, 2))
        self.assertEqual(other.admitRequest(), 0)

    def test_exempt(self) -> None:
        """Local connections have no limit, and neither has a factory without one."""
        unlimited = LimitedFactory(Factory.forProtocol(Half), "webport")
        for factory, host in ((self.factory, "127.0.0.1"), (self.factory, "::1"), (unlimited, "192.0.2.1")):
            protocol, _ = self.admit(factory, host)
            self.assertEqual([protocol.admitRequest() for _ in range(9)], [0] * 9)

    def test_transport(self) -> None:
        """The protocol inside finds the limit at its transport, through TLS as well."""
        certificate = ReloadingCertificate(developmentCertificate, "test", self.clock)
        secure = TLSMemoryBIOFactory(certificate, False, Factory.forProtocol(Half), clock=self.clock)
        protocol, _ = self.admit(LimitedFactory(secure, "httpsport", buckets=Buckets(self.clock, 2, 2.0)))
        inner = asType(Protocol, asType(TLSMemoryBIOProtocol, protocol.wrappedProtocol).wrappedProtocol)
        limit = ILimitedTransport(inner.transport)
        self.assertEqual([limit.admitRequest() for _ in range(2)], [0, 2])


class DrainTests(LimitedTestCase):
    """Draining all connections."""

    def setUp(self) -> None:
        """Make a clock."""
        self.clock = Clock()

    def make(self, protocol: type[Protocol]) -> LimitedFactory:
        """Make a factory."""
        return LimitedFactory(Factory.forProtocol(protocol), "fingerport")

    def test_none(self) -> None:
        """Without connections, a drain ends at once."""
        self.successResultOf(self.make(Protocol).drain(self.clock, 10))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_asked(self) -> None:
        """L{IDrainable} protocols are drained and awaited, and no timer is left."""
        factory = self.make(Drainable)
        protocols = [self.admit(factory) for _ in range(2)]
        drained = factory.drain(self.clock, 10)
        for protocol, transport in protocols:
            self.assertNoResult(drained)
            self.assertEqual(asType(Drainable, protocol.wrappedProtocol).drained, 1)
            self.assertFalse(transport.disconnecting)
            protocol.connectionLost(connectionDone)
        self.successResultOf(drained)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failing(self) -> None:
        """A connection whose drain fails is aborted, and the others are drained all the same."""
        factory = self.make(Drainable)
        protocols = [self.admit(factory) for _ in range(3)]
        self.patch(protocols[0][0].wrappedProtocol, "drain", Mock(side_effect=ZeroDivisionError))
        factory.drain(self.clock, 10)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(protocols[0][1].disconnected)
        drains = [asType(Drainable, protocol.wrappedProtocol).drained for protocol, _ in protocols[1:]]
        self.assertEqual(drains, [1, 1])
        for protocol, _ in protocols:
            protocol.connectionLost(connectionDone)

    def test_others(self) -> None:
        """Other protocols are closed."""
        factory = self.make(Protocol)
        protocol, transport = self.admit(factory)
        drained = factory.drain(self.clock, 10)
        self.assertTrue(transport.disconnecting)
        self.assertFalse(transport.disconnected)
        protocol.connectionLost(connectionDone)
        self.successResultOf(drained)

    def test_wrapped(self) -> None:
        """An L{IDrainable} protocol inside wrappers is found."""
        inner: Any = WrappingFactory(WrappingFactory(Factory.forProtocol(Drainable)))
        factory = LimitedFactory(inner, "httpsport")
        protocol, transport = self.admit(factory)
        factory.drain(self.clock, 10)
        outer = asType(ProtocolWrapper, protocol.wrappedProtocol)
        wrapped = asType(ProtocolWrapper, outer.wrappedProtocol)
        self.assertEqual(asType(Drainable, wrapped.wrappedProtocol).drained, 1)
        self.assertFalse(transport.disconnecting)

    def test_tls(self) -> None:
        """A protocol inside TLS is found, too."""
        certificate = ReloadingCertificate(developmentCertificate, "test", self.clock)
        inner = TLSMemoryBIOFactory(certificate, False, Factory.forProtocol(Drainable), clock=self.clock)
        factory = LimitedFactory(inner, "httpsport")
        protocol, _ = self.admit(factory)
        factory.drain(self.clock, 10)
        tls = asType(TLSMemoryBIOProtocol, protocol.wrappedProtocol)
        self.assertEqual(asType(Drainable, tls.wrappedProtocol).drained, 1)

    def test_cutOff(self) -> None:
        """Connections left after the timeout are aborted."""
        factory = self.make(Drainable)
        (first, _), (second, transport) = self.admit(factory), self.admit(factory)
        drained = factory.drain(self.clock, 10)
        self.clock.advance(9)
        first.connectionLost(connectionDone)
        self.assertFalse(transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(transport.disconnected)
        self.assertNoResult(drained)
        second.connectionLost(connectionDone)
        self.successResultOf(drained)
        self.assertEqual(self.clock.getDelayedCalls(), [])
