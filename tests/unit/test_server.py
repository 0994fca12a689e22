"""The whole server: reload, stop, and drain."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.errors import ConfigError
from finger.interfaces import IOpenable, IReloadable, ISelfReloading
from finger.net.limits import LimitedFactory
from finger.net.ports import DualPortService, PortService
from finger.ops.server import FingerServer
from finger.timing import DRAIN_GRACE

FACTORY = Factory.forProtocol(Protocol)


@implementer(IReloadable)
class Reloadable:
    """Counts its reloads."""

    count = 0

    def reload(self) -> Deferred[None]:
        """Count a reload."""
        self.count += 1
        return succeed(None)


@implementer(IReloadable)
class ReloadableService(Service, Reloadable):
    """A service that can also be reloaded."""


@implementer(ISelfReloading)
class SelfReloading(Reloadable):
    """A part that also reloads by itself."""

    def __init__(self) -> None:
        self.reloader = self.reload


@implementer(IOpenable)
class Openable:
    """A part that records what happens to it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.events: list[str] = []
        self._error = error

    def open(self) -> None:
        """Record the call, and fail if there is an error."""
        self.events.append("open")
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Record the call."""
        self.events.append("close")


class Oops(Exception):
    """An unexpected error."""


class _Reactor(MemoryReactorClock):
    def callFromThread(self, work: Callable[..., object], *arguments: object) -> None:
        self.callLater(0, work, *arguments)


class ServerTestCase(SynchronousTestCase):
    """A server, with the signal handlers restored afterwards."""

    def setUp(self) -> None:
        """Make the server, and restore the signal handlers afterwards."""
        self.reactor = _Reactor()
        self.server = FingerServer(self.reactor, drainSeconds=5.0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
            signal.signal(number, self.before)

    def before(self, number: int, frame: FrameType | None) -> None:
        """A signal handler from before the server's start."""

    def handlers(self) -> list[Any]:
        """Return the handlers of SIGTERM, SIGINT and SIGHUP."""
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]

    def connect(self) -> StringTransport:
        """Connect a client."""
        factory = LimitedFactory(FACTORY, "fingerport")
        self.server.factories.append(factory)
        self.protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 5))
        transport = StringTransport()
        self.protocol.makeConnection(transport)
        return transport


class AdoptTests(ServerTestCase):
    """Parts of the server."""

    def test_service(self) -> None:
        """A part is started if it is a service, and reloaded if it is reloadable."""
        service, reloadable, both = Service(), Reloadable(), ReloadableService()
        for part in (service, reloadable, both, object()):
            self.server.adopt(part)
        self.assertEqual(list(self.server), [service, both])
        self.assertEqual(self.server.reloadables, {"Reloadable": reloadable, "ReloadableService": both})

    def test_ports(self) -> None:
        """The ports can be opened before the start, and are listed by their options."""
        self.server.adopt(Service())
        port = PortService(TCP4ServerEndpoint(self.reactor, 79), FACTORY)
        port.setName("--fingerport=79")
        port.setServiceParent(self.server)
        self.assertEqual(self.server.openPorts(), {"--fingerport=79": []})
        self.server.open()
        ((address,),) = self.server.openPorts().values()
        self.assertEqual(address.port, 79)
        self.server.startService()
        self.assertEqual(len(self.reactor.tcpServers), 1)
        self.successResultOf(self.server.stopService())
        self.assertEqual(self.server.openPorts(), {"--fingerport=79": []})


class OpenTests(ServerTestCase):
    """Parts that only one server may have at a time."""

    def setUp(self) -> None:
        """Make a part."""
        super().setUp()
        self.part = Openable()
        verifyObject(IOpenable, self.part)
        self.server.adopt(self.part)

    def test_open(self) -> None:
        """They are opened before the ports, once, and closed after the connections."""
        self.assertEqual(self.part.events, [])
        port = PortService(TCP4ServerEndpoint(self.reactor, 1), FACTORY, "--port=1")
        port.open = lambda: self.part.events.append("port")  # type: ignore[method-assign]
        port.setServiceParent(self.server)
        self.server.open()
        self.assertEqual(self.part.events, ["open", "port"])
        port.disownServiceParent()
        self.server.startService()
        self.connect()
        stopped = self.server.stopService()
        self.assertEqual(self.part.events, ["open", "port"])
        self.protocol.connectionLost(None)
        self.successResultOf(stopped)
        self.assertEqual(self.part.events, ["open", "port", "close"])

    def test_start(self) -> None:
        """A server that is started without being opened first opens them, too, at each start."""
        for _ in range(2):
            self.server.startService()
            self.successResultOf(self.server.stopService())
        self.assertEqual(self.part.events, ["open", "close"] * 2)

    def test_failure(self) -> None:
        """If a part or a port cannot be opened, all parts are closed."""
        self.server.adopt(Openable(ConfigError("is in use")))
        self.assertEqual(str(self.assertRaises(ConfigError, self.server.open)), "is in use")
        self.assertEqual(self.part.events, ["open", "close"])


class ProblemTests(ServerTestCase):
    """What keeps the server from answering."""

    def test_running(self) -> None:
        """A server that has not started, or has stopped, has a problem."""
        self.assertEqual(self.server.problems(), ["the server is not running"])
        self.server.startService()
        self.assertEqual(self.server.problems(), [])
        self.successResultOf(self.server.stopService())
        self.assertEqual(self.server.problems(), ["the server is not running"])

    def test_ports(self) -> None:
        """While the server runs, each port that is not open is a problem, with its reason if that is known."""
        self.server.startService()
        port = PortService(TCP4ServerEndpoint(self.reactor, 79), FACTORY, "--fingerport=tcp:79")
        port.setServiceParent(self.server)
        self.assertEqual(self.server.problems(), [])
        port.stopService()
        self.assertEqual(self.server.problems(), ["--fingerport=tcp:79: is not open"])
        port.problem = ConfigError("--fingerport=tcp:79: is not open for a reason")
        self.assertEqual(self.server.problems(), ["--fingerport=tcp:79: is not open for a reason"])

    def test_families(self) -> None:
        """Both families of a port number must be open."""
        dual = DualPortService(self.reactor, 79, FACTORY, "--fingerport=79")
        for port in dual:
            port.endpoint = TCP4ServerEndpoint(self.reactor, 79)
        dual.setServiceParent(self.server)
        self.server.startService()
        self.assertEqual(self.server.problems(), [])
        dual.getServiceNamed("IPv6").stopService()
        self.assertEqual(self.server.problems(), ["--fingerport=79: is not open on IPv6"])


class ReloadTests(ServerTestCase):
    """Reloads."""

    def test_reload(self) -> None:
        """A reload reloads all parts that can be reloaded."""
        parts = [Reloadable(), Reloadable()]
        for part in parts:
            self.server.adopt(part)
        self.assertIs(self.successResultOf(self.server.reload()), True)
        self.assertEqual([part.count for part in parts], [1, 1])

    def test_log(self) -> None:
        """The log says that a reload is done, and which parts failed."""
        slow: Deferred[bool] = Deferred()
        for name, outcome in (("good", succeed(True)), ("bad", succeed(False)), ("slow", slow)):
            part = Reloadable()
            part.reload = lambda outcome=outcome: outcome  # type: ignore[method-assign, misc]
            self.server.adopt(part, name)
        with capturedLogs() as logs:
            reloaded = self.server.reload()
            self.assertEqual(logs, [])
            slow.callback(False)
            self.successResultOf(reloaded)
            for name in ("bad", "slow"):
                del self.server.reloadables[name]
            self.successResultOf(self.server.reload())
        logged = [(event["log_level"], formatEvent(event)) for event in logs]
        self.assertEqual(
            logged,
            [
                (LogLevel.warn, "finger has reloaded all but: bad, slow"),
                (LogLevel.info, "finger has reloaded"),
            ],
        )

    def test_names(self) -> None:
        """Each part is reported by its name, and a second one with the same name gets a number."""
        parts = [Reloadable(), Reloadable(), ReloadableService(), Reloadable()]
        for part, name in zip(parts, ("users", "users", "", "users"), strict=True):
            self.server.adopt(part, name)
        self.assertEqual(list(self.server.reloadables), ["users", "users-2", "ReloadableService", "users-3"])
        self.assertEqual(list(self.server.reloadables.values()), parts)

    def test_outcomes(self) -> None:
        """
        Listeners get the name, the result and the duration of each part's reload.  No result is a success.  An
        exception, which no part should raise, is a failure and does not affect other parts.
        """
        slow: Deferred[bool] = Deferred()
        outcomes = {
            "silent": None,
            "good": succeed(True),
            "slow": slow,
            "bad": succeed(False),
            "worse": fail(Oops()),
        }
        reported: list[tuple[str, bool, float]] = []
        self.server.reloadListeners.append(lambda *reload: reported.append(reload))
        for name, outcome in outcomes.items():
            part = Reloadable()
            part.reload = lambda outcome=outcome: outcome  # type: ignore[method-assign, misc]
            self.server.adopt(part, name)
        reloaded = self.server.reload()
        self.reactor.advance(0.5)
        slow.callback(True)
        self.assertIs(self.successResultOf(reloaded), False)
        self.assertEqual(
            reported,
            [("silent", True, 0), ("good", True, 0), ("bad", False, 0), ("worse", False, 0), ("slow", True, 0.5)],
        )
        self.assertEqual(len(self.flushLoggedErrors(Oops)), 1)

    def test_raising(self) -> None:
        """A part whose reload cannot even be called has failed."""
        part = Reloadable()
        self.patch(part, "reload", NotImplemented)
        self.server.adopt(part)
        self.assertIs(self.successResultOf(self.server.reload()), False)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_byItself(self) -> None:
        """A part that reloads by itself does so through the server, which reports it."""
        reported: list[tuple[str, bool, float]] = []
        self.server.reloadListeners.append(lambda *reload: reported.append(reload))
        part = SelfReloading()
        self.server.adopt(part, "users")
        self.successResultOf(part.reloader())
        self.assertEqual((part.count, reported), (1, [("users", True, 0)]))

    def test_signal(self) -> None:
        """SIGHUP reloads while the server runs, in the reactor's thread."""
        part = Reloadable()
        self.server.adopt(part)
        with capturedLogs() as logs:
            self.server.startService()
        self.assertEqual(formatEvent(logs[-1]), "finger is ready")
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(part.count, 0)
        self.reactor.advance(0)
        self.assertEqual(part.count, 1)
        self.successResultOf(self.server.stopService())
        self.assertEqual(self.handlers(), [self.before] * 3)


class StopTests(ServerTestCase):
    """The stop of the server."""

    def test_slowPart(self) -> None:
        """A part that never stops does not keep the server from stopping."""
        slow = Service()
        never: Deferred[None] = Deferred()
        slow.stopService = lambda: never  # type: ignore[method-assign]
        self.server.adopt(slow)
        self.server.startService()
        stopped = self.server.stopService()
        self.assertNoResult(stopped)
        self.reactor.advance(5.0 + DRAIN_GRACE)
        self.successResultOf(stopped)
        never.callback(None)

    def test_idle(self) -> None:
        """A server without connections stops at once, and restores the signal handlers."""
        self.server.startService()
        self.successResultOf(self.server.stopService())
        self.assertFalse(self.server.running)
        self.assertEqual(self.handlers(), [self.before] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_drains(self) -> None:
        """A server with connections waits for the last to end; a second signal ends the process at once."""
        self.server.startService()
        first, transport = self.connect(), self.connect()
        protocol = self.protocol
        stopped = self.server.stopService()
        self.assertTrue(first.disconnecting)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.handlers()[:2], [signal.SIG_DFL] * 2)
        protocol.connectionLost(None)
        self.assertNoResult(stopped)
        self.assertEqual(self.handlers()[:2], [signal.SIG_DFL] * 2)
        (other,) = self.server.factories[0].protocols
        other.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(stopped)
        self.assertEqual(self.handlers(), [self.before] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cutOff(self) -> None:
        """A connection left after the drain's timeout is aborted."""
        self.server.startService()
        transport = self.connect()
        stopped = self.server.stopService()
        self.reactor.advance(4.9)
        self.assertFalse(transport.disconnected)
        self.reactor.advance(0.1)
        self.assertTrue(transport.disconnected)
        self.protocol.connectionLost(None)
        self.successResultOf(stopped)

    def test_portsFirst(self) -> None:
        """Connections are drained once no new ones can arrive."""
        closing: Deferred[None] = Deferred()
        service = Service()
        service.stopService = lambda: closing  # type: ignore[method-assign]
        self.server.adopt(service)
        self.server.startService()
        transport = self.connect()
        stopped = self.server.stopService()
        self.assertFalse(transport.disconnecting)
        closing.callback(None)
        self.assertTrue(transport.disconnecting)
        self.protocol.connectionLost(None)
        self.successResultOf(stopped)

    def test_again(self) -> None:
        """A stopped server can be started again."""
        for _ in range(2):
            self.server.startService()
            self.assertIsNot(self.handlers()[2], self.before)
            self.successResultOf(self.server.stopService())
            self.assertEqual(self.handlers(), [self.before] * 3)
