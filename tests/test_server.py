"""The server as a whole: reloaded, stopped, and brought to a good end."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from finger.interfaces import IReloadable
from finger.limits import LimitedFactory
from finger.listen import PortService
from finger.server import FingerServer

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


class ServerTestCase(SynchronousTestCase):
    """A server, and the signals as they were before it."""

    def setUp(self) -> None:
        """The server, and a way back for the signals."""
        self.reactor: Any = MemoryReactorClock()
        self.reactor.callFromThread = lambda work, *arguments: self.reactor.callLater(0, work, *arguments)
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
        self.assertEqual(self.server.reloadables, [reloadable, both])

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


class ReloadTests(ServerTestCase):
    """SIGHUP."""

    def test_reload(self) -> None:
        """All that can be reloaded is."""
        parts = [Reloadable(), Reloadable()]
        self.server.reloadables.extend(parts)
        self.successResultOf(self.server.reload())
        self.assertEqual([part.count for part in parts], [1, 1])

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
