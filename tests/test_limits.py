"""How many connections."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from finger.limits import LimitedFactory, origin


class OriginTests(SynchronousTestCase):
    """Whom an address belongs to."""

    def test_origin(self) -> None:
        """IPv4 addresses one by one, IPv6 by the /64, this machine and whatever else by itself."""
        for host, place in {
            "192.0.2.1": "192.0.2.1",
            "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
            "2001:db8:1:2::7": "2001:db8:1:2::/64",
            "fe80::1%eth0": "fe80::/64",
            "::1": "::1",
            "local": "local",
        }.items():
            self.assertEqual(origin(host), place)


@implementer(IHalfCloseableProtocol)
class Half(Protocol):
    """A protocol that hears of half-closed connections."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def readConnectionLost(self) -> None:
        """Heard."""
        self.heard.append("read")

    def writeConnectionLost(self) -> None:
        """Heard."""
        self.heard.append("write")


class LimitedFactoryTests(SynchronousTestCase):
    """Places taken and given back."""

    def connect(self, factory: LimitedFactory, host: str = "192.0.2.1") -> tuple[Protocol | None, StringTransport]:
        """Connect from an address."""
        address = IPv4Address("TCP", host, 5)
        protocol, transport = factory.buildProtocol(address), StringTransport(peerAddress=address)
        if protocol is not None:
            protocol.makeConnection(transport)
        return protocol, transport

    def make(self, most: int = 100, mostPerAddress: int = 100, refusal: bytes = b"") -> LimitedFactory:
        """A factory with limits."""
        return LimitedFactory(Factory.forProtocol(Half), "fingerport", most, mostPerAddress, refusal)

    def test_perAddress(self) -> None:
        """One address has its share, all others theirs; a place given back is free."""
        factory = self.make(mostPerAddress=2)
        first, _ = self.connect(factory)
        self.connect(factory)
        self.assertIsNone(self.connect(factory)[0])
        self.assertIsNotNone(self.connect(factory, "192.0.2.2")[0])
        first.connectionLost(None)
        self.assertIsNotNone(self.connect(factory)[0])
        self.assertIsNone(self.connect(factory)[0])

    def test_subnet(self) -> None:
        """A subscriber's IPv6 addresses share."""
        factory = self.make(mostPerAddress=1)
        self.connect(factory, "2001:db8::1")
        self.assertIsNone(self.connect(factory, "2001:db8::2")[0])
        self.assertIsNotNone(self.connect(factory, "2001:db8:0:1::1")[0])

    def test_inAll(self) -> None:
        """There is a limit for all; this machine is under no other."""
        factory = self.make(most=3, mostPerAddress=1)
        protocols = [self.connect(factory, "127.0.0.1")[0] for _ in range(3)]
        self.assertIsNone(self.connect(factory, "127.0.0.1")[0])
        self.assertIsNone(self.connect(factory, "192.0.2.1")[0])
        for protocol in protocols:
            protocol.connectionLost(None)
        self.assertEqual(factory._takenBy, {})
        self.assertIsNotNone(self.connect(factory, "192.0.2.1")[0])

    def test_refusal(self) -> None:
        """Who is refused hears why, where the protocol has words."""
        factory = self.make(most=2, refusal=b"too many\r\n")
        self.connect(factory)
        self.connect(factory)
        refusal, transport = self.connect(factory)
        self.assertEqual(transport.value(), b"too many\r\n")
        self.assertTrue(transport.disconnecting)
        self.assertIsNone(self.connect(factory)[0])
        refusal.connectionLost()
        self.assertIsNotNone(self.connect(factory)[0])

    def test_halfClose(self) -> None:
        """Half-closed connections are heard of, by those who want to."""
        protocol, _ = self.connect(self.make())
        self.assertTrue(IHalfCloseableProtocol.providedBy(protocol))
        protocol.readConnectionLost()
        protocol.writeConnectionLost()
        self.assertEqual(protocol.wrappedProtocol.heard, ["read", "write"])
        plain, _ = self.connect(LimitedFactory(Factory.forProtocol(Protocol), "webport"))
        self.assertFalse(IHalfCloseableProtocol.providedBy(plain))

    def test_broken(self) -> None:
        """A connection that cannot be served is closed, and the failure logged."""

        class Broken(Factory):
            def buildProtocol(self, addr: object) -> Protocol:
                raise ZeroDivisionError

        factory = LimitedFactory(Broken(), "webport")
        self.assertIsNone(self.connect(factory)[0])
        factory.needsProtocol = True
        protocol, transport = self.connect(factory)
        self.assertTrue(transport.disconnecting)
        protocol.connectionLost()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_unix(self) -> None:
        """Peers on a UNIX socket are this machine."""
        factory = self.make(mostPerAddress=1)
        address = UNIXAddress(None)
        factory.buildProtocol(address).makeConnection(StringTransport(peerAddress=address))
        self.assertIsNotNone(factory.buildProtocol(address))
