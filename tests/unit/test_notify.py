"""Notifications to the service manager, tested without one."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from unittest.mock import patch

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.backends.memory import MemoryFingerService
from finger.interfaces import IReloadable, IServerObserver
from finger.net.ports import PortService
from finger.ops.notify import INTERVAL, Notifier, formatStatus
from finger.ops.server import FingerServer

FACTORY = Factory.forProtocol(Protocol)


class ServerTestCase(SynchronousTestCase):
    """A server, and the notifications that it sends to systemd."""

    def setUp(self) -> None:
        """Make a server with two users, and restore the signal handlers afterwards."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.sent: list[tuple[str, ...]] = []
        self.error: OSError | None = None
        self.clock = MemoryReactorClock()
        self.server = FingerServer(self.clock, drainSeconds=10.0)
        self.users = self.server.counted = MemoryFingerService({"a": "", "b": ""})

    def send(self, assignments: Iterable[str]) -> None:
        """Receive a notification in place of systemd."""
        if self.error is not None:
            raise self.error
        self.sent.append(tuple(assignments))

    def observe(self, watchdog: float | None = None) -> None:
        """Add a notifier to the server."""
        notifier = Notifier(self.server, self.send, self.clock, watchdog, lambda: 5_000_999)
        verifyObject(IServerObserver, notifier)
        self.server.observers.append(notifier)

    def addPort(self, port: Deferred[IListeningPort]) -> None:
        """Add a port to the server."""

        @implementer(IStreamServerEndpoint)
        class Endpoint:
            def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
                return port

        service = PortService(Endpoint(), FACTORY, "--fingerport=x")
        service.setName("--fingerport=x")
        service.setServiceParent(self.server)


class NotifierTests(ServerTestCase):
    """The states of the server."""

    def test_life(self) -> None:
        """A server sends its states from start to stop."""
        self.observe()
        self.server.startService()
        self.successResultOf(self.server.reload())
        self.successResultOf(self.server.stopService())
        self.assertEqual(
            self.sent,
            [
                ("READY=1", "STATUS=2 users"),
                ("RELOADING=1", "MONOTONIC_USEC=5000"),
                ("READY=1",),
                ("STOPPING=1",),
            ],
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """A server that starts again sends its states again."""
        self.observe()
        for _ in range(2):
            self.server.startService()
            self.successResultOf(self.server.stopService())
        self.assertEqual(self.sent, [("READY=1", "STATUS=2 users"), ("STOPPING=1",)] * 2)

    def test_late(self) -> None:
        """The server is ready once its last port is open."""
        late: Deferred[IListeningPort] = Deferred()
        self.addPort(late)
        self.observe()
        self.server.startService()
        self.successResultOf(self.server.reload())
        self.assertEqual(self.sent, [])
        late.callback(self.clock.listenTCP(79, FACTORY))
        self.assertEqual(self.sent, [("READY=1", "STATUS=2 users; finger on 0.0.0.0:79")])

    def test_never(self) -> None:
        """The server is not ready if a port could not be opened, or after a stop."""
        for fails in (True, False):
            late: Deferred[IListeningPort] = Deferred()
            self.server = FingerServer(self.clock)
            self.sent.clear()
            self.addPort(late)
            self.observe()
            self.server.startService()
            if fails:
                late.errback(ValueError("x"))
            self.successResultOf(self.server.stopService())
            self.assertEqual(self.sent, [("STOPPING=1",)])

    def test_overlapping(self) -> None:
        """After simultaneous reloads, the server is ready when the last ends."""
        reading: list[Deferred[None]] = []

        @implementer(IReloadable)
        class Slow:
            def reload(self) -> Deferred[None]:
                reading.append(Deferred())
                return reading[-1]

        self.server.adopt(Slow())
        self.observe()
        self.server.startService()
        self.server.reload()
        self.server.reload()
        self.sent.clear()
        reading[0].callback(None)
        self.assertEqual(self.sent, [])
        self.successResultOf(self.users.setUser("c", ""))
        reading[1].callback(None)
        self.assertEqual(self.sent, [("READY=1", "STATUS=3 users")])

    def test_reloadAtTheEnd(self) -> None:
        """A server that is stopping does not become ready when a reload ends."""
        self.observe()
        self.server.startService()
        self.server.observers[0].stopping()
        self.sent.clear()
        self.successResultOf(self.server.reload())
        self.assertEqual(self.sent, [])

    def test_watchdog(self) -> None:
        """Keep-alives are sent twice as often as required, by the reactor, until the last connection has ended."""
        self.observe(watchdog=20.0)
        self.server.startService()
        self.sent.clear()
        self.clock.advance(9.9)
        self.assertEqual(self.sent, [])
        self.clock.advance(0.2)
        self.clock.pump([10.0, 10.0])
        self.assertEqual(self.sent, [("WATCHDOG=1",)] * 3)
        closing: Deferred[None] = Deferred()
        port = Service()
        port.stopService = lambda: closing  # type: ignore[method-assign]
        self.server.adopt(port)
        stopped = self.server.stopService()
        self.clock.advance(10.0)
        self.assertEqual(self.sent[3:], [("STOPPING=1",), ("WATCHDOG=1",)])
        closing.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_status(self) -> None:
        """The status is sent when it changes."""
        for watchdog, feed in ((None, ()), (1000.0, ("WATCHDOG=1",))):
            users = self.server.counted = MemoryFingerService()
            self.server.observers.clear()
            self.observe(watchdog)
            self.server.startService()
            self.sent.clear()
            self.clock.advance(INTERVAL)
            self.assertEqual(self.sent, [feed] if feed else [])
            self.sent.clear()
            self.successResultOf(users.setUser("a", ""))
            self.clock.advance(INTERVAL)
            self.assertEqual(self.sent, [(*feed, "STATUS=1 user")])
            self.successResultOf(self.server.stopService())

    def test_uncountable(self) -> None:
        """If a back end fails to count users, the failure is logged once, and keep-alives continue."""
        self.server.counted = MemoryFingerService()
        with patch.object(MemoryFingerService, "countUsers", side_effect=ZeroDivisionError):
            self.observe(watchdog=20.0)
            self.server.startService()
            self.clock.pump([10.0, 10.0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.sent[-1], ("WATCHDOG=1",))

    def test_deaf(self) -> None:
        """A notification that cannot be sent is logged once, has no other effect, and is sent later if possible."""
        self.observe(watchdog=20.0)
        self.error = OSError(2, "No such file or directory")
        with capturedLogs() as logs:
            self.server.startService()
            self.clock.pump([10.0, 10.0])
        self.assertEqual(
            [formatEvent(event) for event in logs if "notification" in event],
            ["could not send READY=1 STATUS=2 users to systemd: No such file or directory"],
        )
        self.error = None
        self.clock.advance(10.0)
        self.assertEqual(self.sent, [("WATCHDOG=1", "STATUS=2 users")])
        self.error = OSError("odd")
        with capturedLogs() as logs:
            self.clock.advance(10.0)
        self.assertEqual(formatEvent(logs[0]), "could not send WATCHDOG=1 to systemd: odd")


class StatusTests(SynchronousTestCase):
    """The status line for C{systemctl status}."""

    def test_format(self) -> None:
        """The line has the number of users, if they can be counted, and the addresses of each adapter."""
        ports: dict[str, list[IAddress]] = {
            "--fingerport=systemd:finger": [IPv4Address("TCP", "0.0.0.0", 79), IPv6Address("TCP", "::", 79)],
            "--fingerport=1079": [IPv6Address("TCP", "::1", 1079)],
            "--webport=unix:/run/w": [UNIXAddress("/run/w")],
            "--pbport=8889": [],
        }
        where = "finger on 0.0.0.0:79, [::]:79, [::1]:1079; web on unix:/run/w"
        self.assertEqual(formatStatus(ports, 7), f"7 users; {where}")
        self.assertEqual(formatStatus(ports, None), where)
        self.assertEqual(formatStatus({}, 1), "1 user")
        self.assertEqual(formatStatus({}, None), "")
