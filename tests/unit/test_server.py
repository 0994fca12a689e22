"""The server as a whole: reloaded, stopped, and brought to a good end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from finger.errors import ConfigError
from finger.interfaces import IReloadable, ISelfReloading
from finger.net.limits import LimitedFactory
from finger.net.ports import DualPortService, PortService
from finger.ops.server import FingerServer

FACTORY = Factory.forProtocol(Protocol)


@implementer(IReloadable)
class Reloadable:
    """Counts how often it is reloaded."""

    count = 0

    def reload(self) -> Deferred[None]:
        """Count."""
        self.count += 1
        return succeed(None)


@implementer(IReloadable)
class ReloadableService(Service, Reloadable):
    """One that is started, too."""


@implementer(ISelfReloading)
class SelfReloading(Reloadable):
    """One that reads again by itself."""

    def __init__(self) -> None:
        self.reloader = self.reload


class Oops(Exception):
    """What should not happen."""


class _Reactor(MemoryReactorClock):
    def callFromThread(self, work: Callable[..., object], *arguments: object) -> None:
        self.callLater(0, work, *arguments)


class ServerTestCase(SynchronousTestCase):
    """A server, and the signals as they were before it."""

    def setUp(self) -> None:
        """The server, and a way back for the signals."""
        self.reactor = _Reactor()
        self.server = FingerServer(self.reactor, drainSeconds=5.0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
            signal.signal(number, self.before)

    def before(self, number: int, frame: FrameType | None) -> None:
        """What stands for the handlers there were before."""

    def handlers(self) -> list[Any]:
        """Who hears of SIGTERM, SIGINT and SIGHUP."""
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]

    def connect(self) -> StringTransport:
        """Somebody who is connected."""
        factory = LimitedFactory(FACTORY, "fingerport")
        self.server.factories.append(factory)
        self.protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 5))
        transport = StringTransport()
        self.protocol.makeConnection(transport)
        return transport


class AdoptTests(ServerTestCase):
    """Parts."""

    def test_service(self) -> None:
        """What can be started is, and what can be reloaded is, and what is both, both."""
        service, reloadable, both = Service(), Reloadable(), ReloadableService()
        for part in (service, reloadable, both, object()):
            self.server.adopt(part)
        self.assertEqual(list(self.server), [service, both])
        self.assertEqual(self.server.reloadables, {"Reloadable": reloadable, "ReloadableService": both})

    def test_ports(self) -> None:
        """Its ports can be opened before it is started, and are known by the options they come from."""
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


class ProblemTests(ServerTestCase):
    """Whether it can answer."""

    def test_running(self) -> None:
        """Before it is started, and when it has stopped, it cannot."""
        self.assertEqual(self.server.problems(), ["the server does not run"])
        self.server.startService()
        self.assertEqual(self.server.problems(), [])
        self.successResultOf(self.server.stopService())
        self.assertEqual(self.server.problems(), ["the server does not run"])

    def test_ports(self) -> None:
        """While it runs, every port must be open; why one is not, is told if it is known."""
        self.server.startService()
        port = PortService(TCP4ServerEndpoint(self.reactor, 79), FACTORY, "--fingerport=tcp:79")
        port.setServiceParent(self.server)
        self.assertEqual(self.server.problems(), [])
        port.stopService()
        self.assertEqual(self.server.problems(), ["--fingerport=tcp:79: is not open"])
        port.problem = ConfigError("--fingerport=tcp:79: is not open for a reason")
        self.assertEqual(self.server.problems(), ["--fingerport=tcp:79: is not open for a reason"])

    def test_families(self) -> None:
        """Of a number, both families are."""
        dual = DualPortService(self.reactor, 79, FACTORY, "--fingerport=79")
        for port in dual:
            port.endpoint = TCP4ServerEndpoint(self.reactor, 79)
        dual.setServiceParent(self.server)
        self.server.startService()
        self.assertEqual(self.server.problems(), [])
        dual.getServiceNamed("IPv6").stopService()
        self.assertEqual(self.server.problems(), ["--fingerport=79: is not open on IPv6"])


class ReloadTests(ServerTestCase):
    """SIGHUP."""

    def test_reload(self) -> None:
        """All that can be reloaded is."""
        parts = [Reloadable(), Reloadable()]
        for part in parts:
            self.server.adopt(part)
        self.assertIs(self.successResultOf(self.server.reload()), True)
        self.assertEqual([part.count for part in parts], [1, 1])

    def test_told(self) -> None:
        """The log says when all is done, and what could not be."""
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
        told = [(event["log_level"], formatEvent(event)) for event in logs]
        self.assertEqual(
            told,
            [
                (LogLevel.warn, "finger has reloaded all but: bad, slow"),
                (LogLevel.info, "finger has reloaded"),
            ],
        )

    def test_names(self) -> None:
        """Each part is told of by its name; two of one name can be told apart."""
        parts = [Reloadable(), Reloadable(), ReloadableService(), Reloadable()]
        for part, name in zip(parts, ("users", "users", "", "users"), strict=True):
            self.server.adopt(part, name)
        self.assertEqual(list(self.server.reloadables), ["users", "users-2", "ReloadableService", "users-3"])
        self.assertEqual(list(self.server.reloadables.values()), parts)

    def test_outcomes(self) -> None:
        """
        Who listens is told which parts could be read, and how long that took.  What tells nothing could be; what
        fails, though it never should, could not, and keeps no other from being read.
        """
        slow: Deferred[bool] = Deferred()
        outcomes = {
            "silent": None,
            "good": succeed(True),
            "slow": slow,
            "bad": succeed(False),
            "worse": fail(Oops()),
        }
        told: list[tuple[str, bool, float]] = []
        self.server.reloadListeners.append(lambda *reload: told.append(reload))
        for name, outcome in outcomes.items():
            part = Reloadable()
            part.reload = lambda outcome=outcome: outcome  # type: ignore[method-assign, misc]
            self.server.adopt(part, name)
        reloaded = self.server.reload()
        self.reactor.advance(0.5)
        slow.callback(True)
        self.assertIs(self.successResultOf(reloaded), False)
        self.assertEqual(
            told,
            [("silent", True, 0), ("good", True, 0), ("bad", False, 0), ("worse", False, 0), ("slow", True, 0.5)],
        )
        self.assertEqual(len(self.flushLoggedErrors(Oops)), 1)

    def test_raising(self) -> None:
        """One that cannot even begin is as one that fails."""
        part = Reloadable()
        self.patch(part, "reload", NotImplemented)
        self.server.adopt(part)
        self.assertIs(self.successResultOf(self.server.reload()), False)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_byItself(self) -> None:
        """A part that reads again by itself does so through the server, which tells of it."""
        told: list[tuple[str, bool, float]] = []
        self.server.reloadListeners.append(lambda *reload: told.append(reload))
        part = SelfReloading()
        self.server.adopt(part, "users")
        self.successResultOf(part.reloader())
        self.assertEqual((part.count, told), (1, [("users", True, 0)]))

    def test_signal(self) -> None:
        """The signal reloads, in the reactor's own time, while the server runs."""
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
    """Stopping."""

    def test_idle(self) -> None:
        """A server without connections stops at once, and leaves the signals as they were."""
        self.server.startService()
        self.successResultOf(self.server.stopService())
        self.assertFalse(self.server.running)
        self.assertEqual(self.handlers(), [self.before] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_drains(self) -> None:
        """Otherwise it waits for the last; whoever signals once more meanwhile ends the process at once."""
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
        other.connectionLost(None)
        self.successResultOf(stopped)
        self.assertEqual(self.handlers(), [self.before] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cutOff(self) -> None:
        """Who does not go in time is cut off."""
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
        """Connections are brought to an end only when no more can come."""
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
        """Stopped, it can be started again."""
        for _ in range(2):
            self.server.startService()
            self.assertIsNot(self.handlers()[2], self.before)
            self.successResultOf(self.server.stopService())
            self.assertEqual(self.handlers(), [self.before] * 3)
