"""Lookups on behalf of a peer, by each adapter."""

from __future__ import annotations

from typing import Any
from xmlrpc.client import dumps

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.spread.pb import Broker
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource
from twisted.web.server import Site
from zope.interface import implementer

import finger.adapters.xmlrpc.resource  # noqa: F401  (registers the adapter)
from finger.access.onbehalf import getProfileFor, getUserFor
from finger.access.policy import PolicyFingerService
from finger.adapters.irc.bot import IRCBotFactory
from finger.adapters.pb.root import PerspectiveFinger
from finger.adapters.web.resource import FingerResource
from finger.errors import NoSuchUser
from finger.interfaces import IFingerFactory, IFingerForwarder, IXMLRPCResource
from finger.profile import Profile
from finger.testing import ProfilesDouble

PEER = IPv4Address("TCP", "192.0.2.7", 5)


@implementer(IFingerForwarder)
class ForwarderDouble:
    """
    A forwarder that answers every query.

    @ivar peers: the peers of the queries.
    """

    def __init__(self) -> None:
        self.peers: list[str] = []

    def forward(self, query: str, host: str, verbose: bool, peer: str = "") -> Deferred[str]:
        """See L{IFingerForwarder.forward}."""
        self.peers.append(peer)
        return succeed(f"{query} at {host}")


class OnBehalfTests(SynchronousTestCase):
    """C{getUserFor} and C{getProfileFor}."""

    def test_forwarded(self) -> None:
        """A name with a host is forwarded with the peer's address."""
        forwarder = ForwarderDouble()
        policy = PolicyFingerService(ProfilesDouble(), Clock(), forwarder=forwarder)
        self.assertEqual(self.successResultOf(getUserFor(policy, "u@h", "192.0.2.7")), "u at h")
        profile = self.successResultOf(getProfileFor(policy, "u@h", "192.0.2.7"))
        self.assertEqual(profile, Profile("u@h", plan="u at h"))
        self.assertEqual(forwarder.peers, ["192.0.2.7"] * 2)

    def test_others(self) -> None:
        """Another name is looked up as usual, and so is any name at a back end that forwards nothing."""
        plain = ProfilesDouble(Profile("ada", plan="Weaving"))
        for service in (plain, PolicyFingerService(plain, Clock())):
            self.assertEqual(self.successResultOf(getUserFor(service, "ada", "192.0.2.7")), "Weaving")
            self.assertEqual(self.successResultOf(getProfileFor(service, "ada", "192.0.2.7")).login, "ada")
        self.failureResultOf(getUserFor(plain, "u@h", "192.0.2.7"), NoSuchUser)


class _Transport(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


class AdapterTests(SynchronousTestCase):
    """Every adapter names the peer."""

    def setUp(self) -> None:
        """Make a policy that forwards."""
        self.forwarder = ForwarderDouble()
        self.policy = PolicyFingerService(ProfilesDouble(), Clock(), forwarder=self.forwarder)

    def send(self, factory: IProtocolFactory, data: bytes) -> bytes:
        """Send data, and return the answer."""
        transport = _Transport(peerAddress=PEER)
        protocol: Any = factory.buildProtocol(PEER)
        protocol.makeConnection(transport)
        protocol.dataReceived(data)
        value: bytes = transport.value()
        return value

    def assertPeer(self, peer: str) -> None:
        """Check that one query was forwarded, for this peer."""
        self.assertEqual(self.forwarder.peers, [peer])

    def test_finger(self) -> None:
        """Finger names the peer's address."""
        self.assertEqual(self.send(IFingerFactory(self.policy), b"u@h\r\n"), b"u at h\r\n")
        self.assertPeer("192.0.2.7")

    def test_web(self) -> None:
        """The web names the client's address, for both forms of a user's URL."""
        for path in (b"/u@h", b"/?user=u@h"):
            self.forwarder.peers.clear()
            site = Site(IResource(self.policy), reactor=Clock())
            self.assertIn(b"u at h", self.send(site, b"GET %b HTTP/1.0\r\n\r\n" % path))
            self.assertPeer("192.0.2.7")
        self.assertIsInstance(IResource(self.policy), FingerResource)

    def test_xmlrpc(self) -> None:
        """XML-RPC names the client's address."""
        site = Site(IXMLRPCResource(self.policy), reactor=Clock())
        call = dumps(("u@h",), "getUser").encode()
        head = b"POST /RPC2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(call)
        self.assertIn(b"u at h", self.send(site, head + call))
        self.assertPeer("192.0.2.7")

    def test_pb(self) -> None:
        """Perspective Broker names the client's address."""
        broker: Any = Broker()
        broker.transport = StringTransport(peerAddress=PEER)
        root: Any = PerspectiveFinger(self.policy).rootObject(broker)
        self.assertEqual(self.successResultOf(root.remote_getUser("u@h")), "u at h")
        self.assertPeer("192.0.2.7")

    def test_irc(self) -> None:
        """The bot names the sender's host, since a sender may change nickname and user name."""
        answer = IRCBotFactory(self.policy).answer("u@h", "joe!~joe@host.example", "fingerbot")
        self.assertEqual(self.successResultOf(answer), "Status of u@h: u at h")
        self.assertPeer("host.example")
