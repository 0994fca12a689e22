"""Half-closed connections."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.adapters.web.tls import ReloadingCertificate, developmentCertificate
from finger.net.halfclose import GONE_INTERVAL, HalfCloseWrapper, hasLeft
from finger.net.limits import LimitedFactory
from finger.net.tls import HalfCloseableTLS, HalfCloseableTLSFactory

PEM = developmentCertificate()


@implementer(IHalfCloseableProtocol)
class Half(Protocol):
    """
    A protocol that answers when it is told to.

    @ivar heard: the data and the half-closes, in order.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard: list[bytes | str] = []

    def dataReceived(self, data: bytes) -> None:
        """Record data."""
        self.heard.append(data)

    def readConnectionLost(self) -> None:
        """Record that the peer has closed its side."""
        self.heard.append("read")

    def writeConnectionLost(self) -> None:
        """Record that our side is closed."""
        self.heard.append("write")

    def answer(self, text: bytes) -> None:
        """Answer, and close the connection."""
        self.transport.write(text)
        self.transport.loseConnection()


class WrapperTests(SynchronousTestCase):
    """L{HalfCloseWrapper}."""

    def wrap(self, protocol: type[Protocol]) -> Any:
        """Return a connected wrapper."""
        factory: WrappingFactory[HalfCloseWrapper] = WrappingFactory(Factory.forProtocol(protocol))
        factory.protocol = HalfCloseWrapper
        wrapper = factory.buildProtocol(None)
        wrapper.makeConnection(StringTransport())
        return wrapper

    def test_half(self) -> None:
        """Half-closes are passed on to a protocol that supports them."""
        wrapper = self.wrap(Half)
        verifyObject(IHalfCloseableProtocol, wrapper)
        wrapper.readConnectionLost()
        wrapper.writeConnectionLost()
        self.assertEqual(wrapper.wrappedProtocol.heard, ["read", "write"])

    def test_whole(self) -> None:
        """If the protocol does not support them, the connection is closed by its transport, as without a wrapper."""
        self.assertFalse(IHalfCloseableProtocol.providedBy(self.wrap(Protocol)))

    def test_wrapperInside(self) -> None:
        """A wrapper inside that passes nothing on has the interfaces of its transport, but not this one."""
        factory: WrappingFactory[Any] = WrappingFactory(WrappingFactory(Factory.forProtocol(Half)))
        factory.protocol = HalfCloseWrapper
        wrapper = factory.buildProtocol(None)
        wrapper.makeConnection(StringTransport())
        self.assertIsInstance(wrapper.wrappedProtocol, ProtocolWrapper)
        for protocol in (wrapper, wrapper.wrappedProtocol):
            self.assertFalse(IHalfCloseableProtocol.providedBy(protocol))


class _Transport(StringTransport):
    """A transport with a socket."""

    def __init__(self, handle: socket.socket) -> None:
        super().__init__()
        self._handle = handle

    def getHandle(self) -> socket.socket:
        """Return the socket."""
        return self._handle


class LeftTests(SynchronousTestCase):
    """Peers that leave after a half-close."""

    def pair(self, family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
        """Return a socket of ours and one of a peer, connected."""
        if family == socket.AF_UNIX:
            ours, theirs = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                theirs = socket.create_connection(listening.getsockname())
                ours, _ = listening.accept()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        return ours, theirs

    def test_stays(self) -> None:
        """A peer that has only closed its sending side has not left."""
        for family in (socket.AF_UNIX, socket.AF_INET):
            ours, theirs = self.pair(family)
            self.assertFalse(hasLeft(_Transport(ours)))
            theirs.shutdown(socket.SHUT_WR)
            self.assertFalse(hasLeft(_Transport(ours)))

    def test_reset(self) -> None:
        """A peer that resets the connection has left."""
        ours, theirs = self.pair(socket.AF_INET)
        theirs.shutdown(socket.SHUT_WR)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        self.assertTrue(hasLeft(_Transport(ours)))

    def test_unix(self) -> None:
        """A peer that closes a UNIX socket has left."""
        ours, theirs = self.pair(socket.AF_UNIX)
        theirs.close()
        self.assertTrue(hasLeft(_Transport(ours)))

    def test_noSocket(self) -> None:
        """A peer of a transport without a socket has not left."""
        self.assertFalse(hasLeft(StringTransport()))

    def test_watched(self) -> None:
        """A half-closed connection ends soon after its peer has left, and no timer remains."""
        ours, theirs = self.pair(socket.AF_UNIX)
        factory = LimitedFactory(Factory.forProtocol(Half), "fingerport")
        factory.clock = clock = Clock()
        transport = _Transport(ours)
        limited = factory.buildProtocol(None)
        limited.makeConnection(transport)
        self.assertEqual(clock.getDelayedCalls(), [])
        limited.readConnectionLost()
        clock.pump([GONE_INTERVAL] * 9)
        self.assertFalse(transport.disconnecting)
        theirs.close()
        clock.advance(GONE_INTERVAL)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(clock.getDelayedCalls(), [])
        limited.connectionLost(connectionDone)

    def test_ended(self) -> None:
        """The end of the connection ends the watch."""
        factory = LimitedFactory(Factory.forProtocol(Half), "fingerport")
        factory.clock = clock = Clock()
        limited = factory.buildProtocol(None)
        limited.makeConnection(StringTransport())
        limited.readConnectionLost()
        limited.connectionLost(connectionDone)
        self.assertEqual(clock.getDelayedCalls(), [])


class TLSTests(SynchronousTestCase):
    """TLS, with Python's C{ssl} as the client."""

    def connect(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, protocol: type[Protocol] = Half) -> None:
        """Connect, and complete the handshake."""
        self.clock = Clock()
        certificate = ReloadingCertificate(lambda: PEM, "test", self.clock)
        factory = HalfCloseableTLSFactory(certificate, False, Factory.forProtocol(protocol), clock=self.clock)
        self.server: Any = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.server.makeConnection(self.transport)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = version
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self.incoming, self.outgoing)
        for _ in range(4):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.pump()
        self.half: Any = self.server.wrappedProtocol

    def pump(self) -> None:
        """Deliver what both sides have written."""
        if self.outgoing.pending:
            self.server.dataReceived(self.outgoing.read())
        self.clock.advance(0)
        self.incoming.write(self.transport.value())
        self.transport.clear()

    def closeNotify(self) -> None:
        """Send a C{close_notify}."""
        with self.assertRaises(ssl.SSLWantReadError):
            self.client.unwrap()
        self.pump()

    def test_closeNotify(self) -> None:
        """After a C{close_notify} of TLS 1.3, and after the FIN that may follow, the peer is answered."""
        for hasFIN in (False, True):
            self.connect()
            self.client.write(b"moshez")
            self.closeNotify()
            self.assertEqual(self.half.heard, [b"moshez", "read"])
            if hasFIN:
                self.server.readConnectionLost()
            self.assertFalse(self.transport.disconnecting)
            self.half.answer(b"Happy and well")
            self.pump()
            self.assertEqual(self.client.read(), b"Happy and well")
            self.assertTrue(self.transport.disconnecting)

    def test_fin(self) -> None:
        """After a FIN without a C{close_notify}, the peer is answered, and no reply to ours is awaited."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.connect(version)
            self.client.write(b"moshez")
            self.pump()
            self.server.readConnectionLost()
            self.assertEqual(self.half.heard, [b"moshez", "read"])
            self.assertFalse(self.transport.disconnecting)
            self.half.answer(b"Happy and well")
            self.pump()
            self.assertEqual(self.client.read(), b"Happy and well")
            self.assertTrue(self.transport.disconnecting)

    def test_finAfterAnswer(self) -> None:
        """A FIN in place of a C{close_notify}, after the answer, closes the connection."""
        self.connect()
        self.half.answer(b"Happy and well")
        self.assertFalse(self.transport.disconnecting)
        self.server.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.half.heard, [])

    def test_oldVersion(self) -> None:
        """A C{close_notify} of TLS 1.2 closes both directions."""
        self.connect(ssl.TLSVersion.TLSv1_2)
        self.client.write(b"moshez")
        self.closeNotify()
        self.assertEqual(self.half.heard, [b"moshez"])
        self.assertTrue(self.transport.disconnecting)

    def test_whole(self) -> None:
        """If the protocol inside does not support half-closes, they close the connection."""
        for end in (self.closeNotify, lambda: self.server.readConnectionLost()):
            self.connect(protocol=Protocol)
            end()
            self.assertTrue(self.transport.disconnecting)

    def test_handshake(self) -> None:
        """A FIN during the handshake closes the connection."""
        certificate = ReloadingCertificate(lambda: PEM, "test", Clock())
        factory = HalfCloseableTLSFactory(certificate, False, Factory.forProtocol(Protocol), clock=Clock())
        server: Any = factory.buildProtocol(None)
        transport = StringTransport()
        server.makeConnection(transport)
        server.readConnectionLost()
        self.assertTrue(transport.disconnected)

    def test_interface(self) -> None:
        """The connection provides the interface, and can be lost."""
        self.connect()
        self.assertIsInstance(self.server, HalfCloseableTLS)
        verifyObject(IHalfCloseableProtocol, self.server)
        self.server.writeConnectionLost()
        self.server.connectionLost(Failure(ConnectionDone()))

    def test_otherFactory(self) -> None:
        """With Twisted's own factory, a C{close_notify} closes both directions."""
        self.connect()
        certificate = ReloadingCertificate(lambda: PEM, "test", self.clock)
        factory = TLSMemoryBIOFactory(certificate, False, Factory.forProtocol(Half), clock=self.clock)
        self.assertNotIsInstance(factory.buildProtocol(None), HalfCloseableTLS)
        twisted: Any = TLSMemoryBIOProtocol(factory, Half())
        self.assertIsNone(certificate.serverConnectionForTLS(twisted)._protocol)
