"""Tests of the setter, without a network."""

from __future__ import annotations

import os
import pwd
import socket
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.access.authority import Authority
from finger.adapters.setter import FingerSetterFactory, peerUser
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, BadQuery, SetRefused
from finger.interfaces import IDrainable, IFingerSetterFactory, IFingerSetterService
from finger.protocol.setting import INCOMPLETE, MAX_MESSAGE, TOO_LONG, USAGE, formatMessage
from finger.testing import BrokenDouble
from tests.support.typed import asType, notNone


class SetterTests(SynchronousTestCase):
    """Messages and their effects."""

    def send(self, *pieces: bytes, service: IFingerSetterService | None = None) -> str:
        """Send a message, close the sending half, and return the reply."""
        self.service = MemoryFingerService({"moshez": "old"})
        self.clock = Clock()
        factory = asType(FingerSetterFactory, IFingerSetterFactory(service or self.service))
        verifyObject(IFingerSetterFactory, factory)
        factory.clock = self.clock
        protocol = notNone(factory.buildProtocol(None))
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
        answer = asType(bytes, self.transport.value()).decode()
        self.assertEqual(answer.count("\r\n"), 1)
        return answer.removesuffix("\r\n")

    def status(self, user: str = "moshez") -> str:
        """Return the user's current status."""
        return self.successResultOf(self.service.getUser(user))

    def test_set(self) -> None:
        """Line 1 is the user and the rest the status, however the message is split and whatever its line ends."""
        for message in ((b"moshez\r\nnew\r\n",), (b"mos", b"hez\nne", b"w"), (b" moshez \n\nnew\n\n",)):
            self.assertEqual(self.send(*message), "Status of moshez is set")
            self.assertEqual(self.status(), "new")

    def test_lines(self) -> None:
        """A status may have several lines and any characters."""
        self.send("zoë\n  a\n\nb ☕\n".encode())
        self.assertEqual(self.status("zoë"), "  a\n\nb ☕")

    def test_short(self) -> None:
        """An incomplete message changes nothing, and the reply explains the format."""
        for message in (b"", b"\n", b"moshez", b"moshez\n", b"moshez\n \n", b"\nstatus\n"):
            self.assertEqual(self.send(message), USAGE)
            self.assertEqual(self.status(), "old")

    def test_bad(self) -> None:
        """An invalid message changes nothing."""
        self.assertIn("not UTF-8", self.send(b"moshez\n\xff"))
        self.assertIn("a user name is", self.send(b"a@b\nstatus"))
        self.assertIn("a status has at most", self.send(b"moshez\n" + b"x" * (64 * 1024 + 1)))
        self.assertEqual(self.status(), "old")

    def test_long(self) -> None:
        """An overlong message is refused, and not kept in memory."""
        self.send(b"moshez\n" + b"\n" * (MAX_MESSAGE - 8) + b"y")
        self.assertEqual(self.status(), "y")
        factory = asType(FingerSetterFactory, IFingerSetterFactory(MemoryFingerService()))
        factory.clock = clock = Clock()
        for end in ("silent", "done"):
            protocol, transport = notNone(factory.buildProtocol(None)), StringTransport()
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

    def test_marks(self) -> None:
        """The reply to a sealed message is marked, so no reason of a back end reads as success."""

        class Liar(MemoryFingerService):
            def setUser(self, user: str, status: str) -> Deferred[None]:
                return fail(SetRefused("Status of moshez is set\r\nat noon"))

        sealed = formatMessage("moshez", "new")
        self.assertEqual(self.send(sealed), "Status of moshez is set\tset")
        self.assertEqual(self.status(), "new")
        self.assertEqual(self.send(sealed, service=Liar()), "Status of moshez is set at noon\trefused")
        self.assertEqual(self.send(sealed[:-1]), f"{INCOMPLETE}\trefused")
        self.assertEqual(self.send(sealed, service=BrokenDouble()), "Internal error in server\trefused")
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)

    def test_longSealed(self) -> None:
        """The refusal of an overlong message is marked as well."""
        factory = asType(FingerSetterFactory, IFingerSetterFactory(MemoryFingerService()))
        protocol, transport = notNone(factory.buildProtocol(None)), StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(formatMessage("moshez", "x" * MAX_MESSAGE))
        self.assertEqual(transport.value(), f"{TOO_LONG}\trefused\r\n".encode())
        protocol.connectionLost()

    def test_broken(self) -> None:
        """A failure of the back end is logged, and reported to the peer without details."""
        self.assertEqual(self.send(b"moshez\nnew", service=BrokenDouble()), "Internal error in server")
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)

    def test_slow(self) -> None:
        """A message has a time limit."""
        clock = Clock()
        factory = asType(FingerSetterFactory, IFingerSetterFactory(MemoryFingerService()))
        factory.clock = clock
        protocol, transport = notNone(factory.buildProtocol(None)), StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"moshez\n")
        clock.advance(factory.timeout)
        self.assertTrue(transport.disconnected)
        protocol.connectionLost()

    def test_noClock(self) -> None:
        """Without a clock there is no time limit."""
        factory = asType(FingerSetterFactory, IFingerSetterFactory(MemoryFingerService()))
        protocol, transport = notNone(factory.buildProtocol(None)), StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"moshez\nnew")
        self.assertFalse(transport.disconnected)
        protocol.readConnectionLost()
        self.assertEqual(transport.value(), b"Status of moshez is set\r\n")
        protocol.connectionLost()


class SocketTransport(StringTransport):
    """A transport on a real socket."""

    def __init__(self, handle: socket.socket) -> None:
        super().__init__()
        self._handle = handle

    def getHandle(self) -> socket.socket:
        """Return the socket."""
        return self._handle


class NoUsers:
    """A password database without entries."""

    def getpwuid(self, uid: int) -> Any:
        """Fail."""
        raise KeyError(uid)


class PeerUserTests(SynchronousTestCase):
    """The user at the other end, as identified by the kernel."""

    def unix(self) -> SocketTransport:
        """Return one end of a UNIX socket pair whose other end is in this process."""
        here, there = socket.socketpair(socket.AF_UNIX)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        return SocketTransport(here)

    def send(self, message: bytes) -> bytes:
        """Send a message through a UNIX socket, and return the reply."""
        self.service = MemoryFingerService({"moshez": "old"})
        factory = asType(FingerSetterFactory, IFingerSetterFactory(self.service))
        factory.authority = Authority(self.service, administrators=self.administrators)
        protocol, transport = notNone(factory.buildProtocol(None)), self.unix()
        protocol.makeConnection(transport)
        protocol.dataReceived(message)
        protocol.readConnectionLost()
        protocol.connectionLost()
        return asType(bytes, transport.value())

    administrators: tuple[str, ...] = ()

    def test_unix(self) -> None:
        """On a UNIX socket the peer is the user that opened it."""
        self.assertEqual(peerUser(self.unix()), pwd.getpwuid(os.geteuid()).pw_name)

    def test_noName(self) -> None:
        """A user without a login gets a name that is never valid."""
        name = f"@{os.geteuid()}"
        self.assertEqual(peerUser(self.unix(), NoUsers()), name)
        self.failureResultOf(MemoryFingerService().setUser(name, "x"), BadQuery)

    def test_others(self) -> None:
        """On TCP, or without a socket, the user is unknown."""
        with socket.socket() as tcp:
            self.assertIsNone(peerUser(SocketTransport(tcp)))
        self.assertIsNone(peerUser(StringTransport()))

    def test_own(self) -> None:
        """A user can set only their own status; an administrator can set any."""
        me = pwd.getpwuid(os.geteuid()).pw_name
        self.assertEqual(self.send(f"{me}\nhere".encode()), f"Status of {me} is set\r\n".encode())
        self.assertEqual(self.successResultOf(self.service.getUser(me)), "here")
        self.assertEqual(self.send(b"moshez\nnew"), b"Permission denied\r\n")
        self.assertEqual(self.successResultOf(self.service.getUser("moshez")), "old")
        self.administrators = (me,)
        self.assertEqual(self.send(b"moshez\nnew"), b"Status of moshez is set\r\n")


class DrainTests(SynchronousTestCase):
    """Draining connections."""

    def test_idle(self) -> None:
        """A connection without data is closed at once."""
        factory = asType(FingerSetterFactory, IFingerSetterFactory(MemoryFingerService()))
        protocol, transport = notNone(factory.buildProtocol(None)), StringTransport()
        verifyObject(IDrainable, protocol)
        protocol.makeConnection(transport)
        protocol.drain()
        self.assertTrue(transport.disconnecting)

    def test_busy(self) -> None:
        """A message that has begun may be completed, and gets its reply."""
        setting: Deferred[None] = Deferred()
        service = MemoryFingerService()
        service.setUser = lambda user, status: setting  # type: ignore[method-assign]
        factory = asType(FingerSetterFactory, IFingerSetterFactory(service))
        protocol, transport = notNone(factory.buildProtocol(None)), StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"moshez\n")
        protocol.drain()
        self.assertFalse(transport.disconnecting)
        protocol.dataReceived(b"new\n")
        protocol.readConnectionLost()
        self.assertFalse(transport.disconnecting)
        setting.callback(None)
        self.assertEqual(transport.value(), b"Status of moshez is set\r\n")
        self.assertTrue(transport.disconnecting)
