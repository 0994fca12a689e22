"""The setter, without a network."""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.adapters.setter import MAX_MESSAGE, TOO_LONG, USAGE
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable
from finger.interfaces import IFingerSetterFactory, IFingerSetterService
from finger.testing import BrokenDouble


class SetterTests(SynchronousTestCase):
    """Messages, and what becomes of them."""

    def send(self, *pieces: bytes, service: IFingerSetterService | None = None) -> str:
        """Send a message, end it, and take what is said."""
        self.service = MemoryFingerService({"moshez": "old"})
        self.clock = Clock()
        factory = IFingerSetterFactory(service or self.service)
        verifyObject(IFingerSetterFactory, factory)
        factory.clock = self.clock
        protocol = factory.buildProtocol(None)
        verifyObject(IHalfCloseableProtocol, protocol)
        self.transport = StringTransport()
        protocol.makeConnection(self.transport)
        for piece in pieces:
            protocol.dataReceived(piece)
        self.assertEqual(self.transport.value(), b"")
        protocol.readConnectionLost()
        protocol.writeConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        protocol.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        answer = self.transport.value().decode()
        self.assertEqual(answer.count("\r\n"), 1)
        return answer.removesuffix("\r\n")

    def status(self, user: str = "moshez") -> str:
        """What the user now says."""
        return self.successResultOf(self.service.getUser(user))

    def test_set(self) -> None:
        """Line 1 is the user, the rest the status, in whatever pieces, with whatever line ends."""
        for message in ((b"moshez\r\nnew\r\n",), (b"mos", b"hez\nne", b"w"), (b" moshez \n\nnew\n\n",)):
            self.assertEqual(self.send(*message), "Status of moshez is set")
            self.assertEqual(self.status(), "new")

    def test_lines(self) -> None:
        """A status may have several lines, and any letters."""
        self.send("zoë\n  a\n\nb ☕\n".encode())
        self.assertEqual(self.status("zoë"), "  a\n\nb ☕")

    def test_short(self) -> None:
        """A message that lacks a part changes nothing, and is told what was expected."""
        for message in (b"", b"\n", b"moshez", b"moshez\n", b"moshez\n \n", b"\nstatus\n"):
            self.assertEqual(self.send(message), USAGE)
            self.assertEqual(self.status(), "old")

    def test_bad(self) -> None:
        """Nor does one that cannot be kept."""
        self.assertIn("not UTF-8", self.send(b"moshez\n\xff"))
        self.assertIn("a user name is", self.send(b"a@b\nstatus"))
        self.assertIn("a status has at most", self.send(b"moshez\n" + b"x" * (64 * 1024 + 1)))
        self.assertEqual(self.status(), "old")

    def test_long(self) -> None:
        """A message is not kept beyond its limit."""
        self.send(b"moshez\n" + b"\n" * (MAX_MESSAGE - 8) + b"y")
        self.assertEqual(self.status(), "y")
        factory = IFingerSetterFactory(MemoryFingerService())
        factory.clock = clock = Clock()
        for end in ("silent", "done"):
            protocol, transport = factory.buildProtocol(None), StringTransport()
            protocol.makeConnection(transport)
            for piece in [b"moshez\n"] + [b"x" * 65536] * 10:
                protocol.dataReceived(piece)
            self.assertEqual(transport.value(), f"{TOO_LONG}\r\n".encode())
            self.assertFalse(transport.disconnecting)
            if end == "done":
                protocol.readConnectionLost()
            else:
                clock.advance(factory.discardTimeout)
            self.assertTrue(transport.disconnecting)
            protocol.connectionLost()

    def test_broken(self) -> None:
        """A back end that cannot keep it: our failure, logged, without details."""
        self.assertEqual(self.send(b"moshez\nnew", service=BrokenDouble()), "Internal error in server")
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)

    def test_slow(self) -> None:
        """A message has its time."""
        clock = Clock()
        factory = IFingerSetterFactory(MemoryFingerService())
        factory.clock = clock
        protocol, transport = factory.buildProtocol(None), StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"moshez\n")
        clock.advance(factory.timeout)
        self.assertTrue(transport.disconnected)
        protocol.connectionLost()

    def test_noClock(self) -> None:
        """Without a clock, as long as it takes."""
        protocol = IFingerSetterFactory(MemoryFingerService()).buildProtocol(None)
        protocol.makeConnection(StringTransport())
        protocol.connectionLost()
