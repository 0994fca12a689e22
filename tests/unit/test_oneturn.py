"""The port that answers in one turn, with real sockets; the tests are its reactor."""

from __future__ import annotations

import errno
import os
import socket
from asyncio import CancelledError
from typing import Any
from unittest.mock import patch

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.interfaces import IImmediateFactory, IRoomyFactory
from finger.net.oneturn import FULL_TURNS, MOST_ACCEPTS, MOST_RECEIVED, PAUSE, OneTurnPort, _send
from tests.support.typed import addressOf, notNone


@implementer(IHalfCloseableProtocol)
class Recorder(Protocol):
    """Records what happens to a connection that continues in the ordinary way."""

    ends = 0
    isLost = False

    def __init__(self, addr: IAddress | None) -> None:
        self.peer = addr
        self.received: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """Record data, or fail."""
        if data == b"fail\n":
            raise ZeroDivisionError
        self.received.append(data)

    def readConnectionLost(self) -> None:
        """Count the ends of the input."""
        self.ends += 1

    def writeConnectionLost(self) -> None:
        """Do nothing."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Record the end."""
        self.isLost = True


@implementer(IImmediateFactory)
class Answers(Factory):
    """Answers at once what begins with C{now}."""

    noisy = False
    refuses = False

    def __init__(self, answer: bytes = b"answer\r\n") -> None:
        self.answer = answer
        self.asked: list[tuple[bytes, str]] = []
        self.continued: list[Recorder] = []

    def answerNow(self, received: bytes, host: str) -> bytes | None:
        """Record the question, and answer it."""
        self.asked.append((received, host))
        if received == b"broken\n":
            raise ZeroDivisionError
        return self.answer if received.startswith(b"now") else None

    def buildProtocol(self, addr: IAddress | None) -> Recorder | None:
        """Record the protocol."""
        if self.refuses:
            return None
        self.continued.append(Recorder(addr))
        return self.continued[-1]


@implementer(IRoomyFactory)
class Roomy(Answers):
    """A factory that the test tells whether it can make room."""

    def makeDescriptor(self) -> bool:
        """See L{IRoomyFactory}."""
        raise NotImplementedError


class OneTurnTests(SynchronousTestCase):
    """One port, and its peers."""

    def setUp(self) -> None:
        """Listen."""
        self.reactor = MemoryReactorClock()
        self.factory = Answers()
        self.port = self.listen(self.factory)

    def listen(self, factory: Any, interface: str = "127.0.0.1") -> OneTurnPort:
        """Listen with a factory."""
        port = OneTurnPort(0, factory, 100, interface, self.reactor)
        port.startListening()
        self.addCleanup(port.connectionLost, Failure(ZeroDivisionError()))
        return port

    def connect(self, data: bytes = b"", port: OneTurnPort | None = None) -> socket.socket:
        """Connect, and send data."""
        address = addressOf(port or self.port)
        peer = socket.create_connection((address.host, address.port), 5)
        self.addCleanup(peer.close)
        peer.sendall(data)
        return peer

    def read(self, peer: socket.socket) -> bytes:
        """Read until the connection is closed."""
        return b"".join(iter(lambda: peer.recv(65536), b""))

    def turn(self) -> None:
        """Let the port accept connections, and let it serve those that are late."""
        self.port.doRead()
        self.reactor.advance(0)

    def continued(self) -> Recorder:
        """Return the only connection that continues in the ordinary way, and close it at the end."""
        (protocol,) = self.factory.continued
        self.addCleanup(self.transport(protocol).connectionLost, Failure(ZeroDivisionError()))
        return protocol

    def transport(self, protocol: Recorder) -> Any:
        """Return the transport of a connection."""
        return notNone(protocol.transport)

    def test_interfaces(self) -> None:
        """The port and the factory provide their interfaces."""
        verifyObject(IListeningPort, self.port)
        verifyObject(IImmediateFactory, self.factory)

    def test_answered(self) -> None:
        """A query that has arrived is answered in the turn that accepts the connection, without a protocol."""
        peer = self.connect(b"now\n")
        self.port.doRead()
        self.assertEqual(self.read(peer), b"answer\r\n")
        self.assertEqual(self.factory.asked, [(b"now\n", "127.0.0.1")])
        self.assertEqual(self.factory.continued, [])

    def test_IPv6(self) -> None:
        """The same over IPv6; the port leaves its number on IPv4 free."""
        port = self.listen(self.factory, "::1")
        peer = self.connect(b"now\n", port)
        port.doRead()
        self.assertEqual(self.read(peer), b"answer\r\n")
        self.assertEqual(self.factory.asked, [(b"now\n", "::1")])
        self.assertTrue(port.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))

    def test_scope(self) -> None:
        """The address of a peer on a link includes the link (RFC 4007)."""
        index, name = socket.if_nameindex()[0]
        address = "fe80::1", 5, 0, index
        port = self.listen(self.factory, "::1")
        self.connect(b"now\n", port)
        with patch("finger.net.oneturn._accept", lambda listening: (listening._accept()[0], address)):
            port._expect(1)
            port.doRead()
        self.assertEqual(self.factory.asked, [(b"now\n", f"fe80::1%{name}")])

    def test_silent(self) -> None:
        """A connection without data continues in the ordinary way."""
        peer = self.connect()
        self.turn()
        protocol = self.continued()
        self.assertEqual(protocol.peer, IPv4Address("TCP", *peer.getsockname()))
        peer.sendall(b"later\n")
        self.transport(protocol).doRead()
        self.assertEqual(protocol.received, [b"later\n"])
        self.assertEqual(self.factory.asked, [])

    def test_late(self) -> None:
        """A query that arrives just after its connection is answered in the next turn."""
        peers = [self.connect(), self.connect()]
        self.port.doRead()
        for peer in peers:
            peer.sendall(b"now\n")
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.reactor.advance(0)
        for peer in peers:
            self.assertEqual(self.read(peer), b"answer\r\n")
        self.assertEqual(self.factory.continued, [])

    def test_closed(self) -> None:
        """So is one whose port is closed in the meantime."""
        port = OneTurnPort(0, self.factory, 100, "127.0.0.1", self.reactor)
        port.startListening()
        peer = self.connect(b"", port)
        port.doRead()
        peer.sendall(b"now\n")
        port.connectionLost(Failure(ZeroDivisionError()))
        self.assertEqual(self.read(peer), b"answer\r\n")

    def test_closedBefore(self) -> None:
        """So are those that have not been accepted, unless another process may accept them."""
        port = OneTurnPort(0, self.factory, 100, "127.0.0.1", self.reactor)
        port.startListening()
        peers = [self.connect(b"now\n", port) for _ in range(MOST_ACCEPTS + 1)]
        port._expected = 1
        port.connectionLost(Failure(ZeroDivisionError()))
        for peer in peers:
            self.assertEqual(self.read(peer), b"answer\r\n")

    def test_slow(self) -> None:
        """So does one without an answer at hand, or whose query is incomplete; the protocol gets the data."""
        for data in (b"slow\n", b"part"):
            self.factory.continued.clear()
            peer = self.connect(data)
            self.port.doRead()
            protocol = self.continued()
            peer.sendall(b"more\n")
            self.transport(protocol).doRead()
            self.assertEqual(protocol.received, [data, b"more\n"])

    def test_long(self) -> None:
        """Of a query that is longer than what is received at once, the protocol gets the rest as it arrives."""
        peer = self.connect(b"s" * (MOST_RECEIVED + 1))
        self.port.doRead()
        protocol = self.continued()
        self.transport(protocol).doRead()
        self.assertEqual(protocol.received, [b"s" * MOST_RECEIVED, b"s"])
        peer.close()

    def test_halfClosed(self) -> None:
        """A peer may have closed its sending side."""
        peers = [self.connect(data) for data in (b"now\n", b"slow", b"")]
        for peer in peers:
            peer.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual(self.read(peers[0]), b"answer\r\n")
        for protocol, received in zip(self.factory.continued, [[b"slow"], []], strict=True):
            self.addCleanup(self.transport(protocol).connectionLost, Failure(ZeroDivisionError()))
            transport = self.transport(protocol)
            transport.readConnectionLost(Failure(transport.doRead()))
            self.assertEqual((protocol.received, protocol.ends, protocol.isLost), (received, 1, False))

    def test_gone(self) -> None:
        """A peer that has reset the connection ends neither the turn nor the port."""
        gone = self.connect(b"now\n")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.close()
        here = self.connect(b"now\n")
        self.turn()
        self.assertEqual(self.read(here), b"answer\r\n")
        for protocol in self.factory.continued:
            self.transport(protocol).connectionLost(Failure(ZeroDivisionError()))

    def test_leftBeforeAnswer(self) -> None:
        """The answer to a peer that has left in the meantime is dropped."""
        peer = self.connect(b"now\n")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        received = self.factory.answerNow

        def leave(data: bytes, host: str) -> bytes | None:
            peer.close()
            return received(data, host)

        with patch.object(self.factory, "answerNow", leave):
            self.port.doRead()
        self.assertEqual(self.factory.continued, [])

    def test_fullBuffer(self) -> None:
        """The rest of an answer for which the socket has no room is sent in the ordinary way."""
        self.factory.answer = b"0123456789" * 1_000_000
        peer = self.connect(b"now\n")
        self.port.doRead()
        (protocol,) = self.factory.continued
        transport, received = self.transport(protocol), b""
        while not protocol.isLost:
            received += peer.recv(1 << 20)
            reason = transport.doWrite()
            if reason is not None:
                transport.connectionLost(Failure(reason))
        self.assertEqual(received + self.read(peer), self.factory.answer)
        self.assertEqual(protocol.received, [])

    def test_noRoom(self) -> None:
        """The same if there is no room at all."""
        peer = self.connect(b"now\n")
        with patch("finger.net.oneturn._send", lambda sock, data: 0):
            self.port.doRead()
        (protocol,) = self.factory.continued
        self.transport(protocol).doWrite()
        self.transport(protocol).connectionLost(Failure(ZeroDivisionError()))
        self.assertEqual(self.read(peer), b"answer\r\n")

    def test_full(self) -> None:
        """Sending does not wait for room."""
        here, there = socket.socketpair()
        self.addCleanup(there.close)
        with here:
            here.setblocking(False)
            self.assertRaises(BlockingIOError, lambda: [here.send(bytes(1 << 20)) for _ in range(1000)])
            here.setblocking(True)
            self.assertEqual(_send(here, b"x"), 0)

    def test_refused(self) -> None:
        """The factory may refuse a connection."""
        self.factory.refuses = True
        peer = self.connect()
        self.turn()
        self.assertEqual(self.read(peer), b"")

    def test_broken(self) -> None:
        """A factory that fails costs one connection, and is reported."""
        broken, next = self.connect(b"broken\n"), self.connect(b"now\n")
        with capturedLogs() as logs:
            self.port.doRead()
        self.assertEqual([event["log_format"] for event in logs], ["a connection could not be served{more}"])
        self.assertEqual(self.read(broken), b"")
        self.assertEqual(self.read(next), b"answer\r\n")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_brokenAltogether(self) -> None:
        """Whatever it raises, also what ends most programs, the port stays open."""
        for error in (SystemExit, CancelledError, GeneratorExit):
            broken = self.connect(b"x\n")
            with patch.object(self.factory, "answerNow", side_effect=error):
                self.port.doRead()
            self.assertEqual(self.read(broken), b"")
            self.connect(b"x\n")
            with patch.object(Recorder, "dataReceived", side_effect=error):
                self.port.doRead()
            self.reactor.advance(0)
            self.assertTrue(self.factory.continued[-1].isLost)
            self.assertEqual(len(self.flushLoggedErrors(error)), 2)

    def test_brokenProtocol(self) -> None:
        """So does a protocol that fails."""
        self.connect(b"fail\n")
        self.port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.reactor.advance(0)
        self.assertTrue(self.factory.continued[0].isLost)

    def test_ordinary(self) -> None:
        """With any other factory, this is an ordinary port."""
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        port = self.listen(factory)
        built: list[Any] = []
        with patch.object(factory, "buildProtocol", lambda addr: built.append(addr)):
            self.connect(b"now\n", port)
            port.doRead()
        self.assertEqual(len(built), 1)

    def test_errors(self) -> None:
        """An error of one connection ends the turn, and nothing else."""
        for number in (errno.EPERM, errno.ECONNABORTED):
            with capturedLogs() as logs:
                self.refuse(number)
            self.assertEqual(logs, [])
            self.assertIn(self.port, self.reactor.getReaders())

    def test_noDescriptor(self) -> None:
        """If the process is out of descriptors, the port waits, which is logged once a second."""
        with capturedLogs() as logs:
            for _ in range(3):
                self.refuse(errno.EMFILE)
        self.assertEqual(
            [formatEvent(event) for event in logs], ["connections wait to be accepted: Too many open files"]
        )
        self.assertNotIn(self.port, self.reactor.getReaders())
        self.reactor.advance(PAUSE)
        self.assertIn(self.port, self.reactor.getReaders())

    def test_closedMeanwhile(self) -> None:
        """A port that is closing in the meantime does not read again."""
        self.refuse(errno.ENFILE)
        self.port.disconnecting = True
        self.reactor.advance(PAUSE)
        self.assertNotIn(self.port, self.reactor.getReaders())

    def test_roomy(self) -> None:
        """The port does not wait if its factory can make room."""
        port = self.listen(Roomy())
        for hasRoom in (True, False):
            with patch.object(port.factory, "makeDescriptor", return_value=hasRoom):
                self.refuse(errno.EMFILE, port)
            self.assertEqual(port in self.reactor.getReaders(), hasRoom)

    def refuse(self, number: int, port: OneTurnPort | None = None) -> None:
        """Let a port accept connections, with an error of the system."""
        with patch("finger.net.oneturn._accept", side_effect=OSError(number, os.strerror(number))):
            (port or self.port).doRead()

    def test_mostAtOnce(self) -> None:
        """One turn accepts a limited number of connections."""
        for _ in range(MOST_ACCEPTS + 1):
            self.connect(b"now\n")
        self.port.doRead()
        self.assertEqual(len(self.factory.asked), MOST_ACCEPTS)
        self.port.doRead()
        self.assertEqual(len(self.factory.asked), MOST_ACCEPTS + 1)

    def test_expected(self) -> None:
        """The port attempts to accept as many connections as there were, and more after some turns."""
        attempts: list[Any] = []

        def accept(listening: Any) -> tuple[int, Any]:
            attempts.append(listening)
            accepted: tuple[int, Any] = listening._accept()
            return accepted

        self.port._expect(1)
        with patch("finger.net.oneturn._accept", accept):
            for turn in range(FULL_TURNS):
                self.connect(b"now\n")
                self.port.doRead()
                self.assertEqual(len(attempts), turn + 1)
            self.connect(b"now\n")
            self.port.doRead()
            self.assertEqual(len(attempts), FULL_TURNS + 2)
            self.connect(b"now\n")
            self.port.doRead()
            self.assertEqual(len(attempts), FULL_TURNS + 3)
