"""Ports, tested with real sockets and with doubles."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from typing import Any
from unittest.mock import Mock, patch

from twisted.application.service import MultiService
from twisted.internet import reactor
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactor
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.errors import ConfigError
from finger.net.ports import (
    DualPortService,
    PortService,
    closedPorts,
    formatAddress,
    openPorts,
    portService,
)
from finger.net.proxyprotocol import parseTrusted
from finger.net.tcpports import TCPEndpoint, listenTCP
from tests.support.typed import addressOf, asType

FACTORY = Factory.forProtocol(Protocol)


def number(service: Any) -> int:
    """Return the single port number of a service."""
    (only,) = {addressOf(port).port for port in openPorts(service)}
    return only


class RealPortTests(TestCase):
    """Ports with real sockets."""

    def start(self, service: Any) -> Any:
        """Start a service, and stop it at the end of the test."""
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        return service

    @inlineCallbacks
    def test_listenTCP(self) -> Any:
        """An IPv6 port leaves the same port number on IPv4 free."""
        port = listenTCP(reactor, 0, FACTORY, interface="::1")
        verifyObject(IListeningPort, port)
        self.assertEqual(addressOf(port).host, "::1")
        with socket.socket(fileno=socket.dup(asType(Port, port).fileno())) as twin:
            self.assertTrue(twin.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
        yield port.stopListening()

    @inlineCallbacks
    def test_service(self) -> Any:
        """A service does the same, and can be started again."""
        server = PortService(TCPEndpoint(reactor, 0, interface="::1"), FACTORY)
        for _ in range(2):
            server.startService()
            port = number(server)
            socket.create_connection(("::1", port)).close()
            yield server.stopService()
            self.assertRaises(ConnectionRefusedError, socket.create_connection, ("::1", port))

    @inlineCallbacks
    def test_dual(self) -> Any:
        """Both families share one port number, and each port can be closed by itself."""
        service = self.start(DualPortService(reactor, 0, FACTORY, loopback=True))
        port = number(service)
        v4, v6 = list(service)
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()
        yield v4.stopService()
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", port))
        socket.create_connection(("::1", port)).close()
        v4.startService()
        yield v6.stopService()
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("::1", port))
        socket.create_connection(("127.0.0.1", port)).close()

    def test_strings(self) -> None:
        """Ports from endpoint strings for both families can share a port number."""
        service = self.start(portService("fingerport", "tcp:0:interface=127.0.0.1", reactor, FACTORY))
        port = number(service)
        other = self.start(portService("fingerport", rf"tcp6:{port}:interface=\:\:1", reactor, FACTORY))
        self.assertEqual(number(other), port)
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()

    def test_unix(self) -> None:
        """Other kinds of endpoints work, too."""
        path = os.path.join(tempfile.mkdtemp(), "socket")
        self.addCleanup(os.rmdir, os.path.dirname(path))
        service = self.start(portService("fingerport", f"unix:{path}", reactor, FACTORY))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            self.assertEqual(connection.getpeername(), path)
        (port,) = openPorts(service)
        self.assertEqual(formatAddress(port.getHost()), f"unix:{path}")

    def test_oneFamily(self) -> None:
        """A free port number is also found on a machine without IPv6."""
        with patch("socket.has_dualstack_ipv6", return_value=False):
            service = self.start(DualPortService(reactor, 0, FACTORY, loopback=True))
        socket.create_connection(("127.0.0.1", number(service))).close()

    def test_taken(self) -> None:
        """A port in use is reported in one line that names it and says what to do."""
        for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
            with socket.create_server((host, 0), family=family) as other:
                taken = other.getsockname()[1]
                service = portService("fingerport", str(taken), reactor, FACTORY, loopback=True)
                self.addCleanup(service.stopService)
                error = self.assertRaises(ConfigError, service.open)
            self.assertEqual(
                str(error),
                f"--fingerport={taken}: port {taken} is taken by another program; "
                "end that one, or choose another port",
            )

    def test_wide(self) -> None:
        """By default, the sockets listen on all addresses."""
        v4, v6 = (service.endpoint for service in DualPortService(reactor, 1079, FACTORY))
        self.assertEqual((v4._how[1], v6._how[1]), ("", "::"))


@implementer(IStreamServerEndpoint)
class EndpointDouble:
    """An endpoint whose result the test controls."""

    def __init__(self, result: Deferred[IListeningPort]) -> None:
        self.result = result

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Return the Deferred given by the test."""
        return self.result


def cannot(number: int) -> PortService:
    """Return a port that cannot be opened, with this errno."""
    error = CannotListenError("", 79, OSError(number, "x"))
    return PortService(EndpointDouble(fail(error)), FACTORY, "--fingerport=79")


class PortServiceTests(SynchronousTestCase):
    """Ports that cannot be opened."""

    def test_endpoint(self) -> None:
        """The IPv6 endpoint provides its interface, and reports errors through its Deferred."""
        endpoint = TCPEndpoint(reactor, 0, interface="not an address")
        verifyObject(IStreamServerEndpoint, endpoint)
        self.failureResultOf(endpoint.listen(FACTORY))

    def test_forbidden(self) -> None:
        """The error for a privileged port says what to do."""
        error = self.assertRaises(ConfigError, cannot(errno.EACCES).startService)
        self.assertIn("--fingerport=79: port 79 requires root", str(error))
        self.assertIn("CAP_NET_BIND_SERVICE", str(error))

    def test_other(self) -> None:
        """Any other error has the text of the system or the endpoint."""
        self.assertIn("Too many open files", str(self.assertRaises(ConfigError, cannot(errno.EMFILE).open)))
        service = PortService(EndpointDouble(fail(ValueError("no such thing"))), FACTORY)
        self.assertEqual(str(self.assertRaises(ConfigError, service.open)), "port: no such thing")

    def test_late(self) -> None:
        """If an endpoint fails after the start, the error is logged."""
        opening: Deferred[IListeningPort] = Deferred()
        service = PortService(EndpointDouble(opening), FACTORY)
        service.startService()
        self.assertEqual(openPorts(service), [])
        with capturedLogs() as logs:
            opening.errback(ValueError("no such thing"))
        self.assertEqual(str(logs[0]["problem"]), "port: no such thing")
        service.stopService()

    def test_lateAndWide(self) -> None:
        """A port limited to loopback is also refused after a late opening if other machines can reach it."""
        opening: Deferred[IListeningPort] = Deferred()
        service = PortService(EndpointDouble(opening), FACTORY, loopback=True)
        service.startService()
        port = Mock(getHost=Mock(return_value=IPv4Address("TCP", "192.0.2.1", 79)))
        with capturedLogs() as logs:
            opening.callback(port)
        self.assertIn("port: other machines could reach it", str(logs[0]["problem"]))
        port.stopListening.assert_called_once_with()
        self.assertEqual(openPorts(service), [])
        service.stopService()

    def test_stoppedEarly(self) -> None:
        """Stopping the service cancels a pending endpoint; the service can be started again."""
        cancelled: list[object] = []
        opening: Deferred[IListeningPort] = Deferred(cancelled.append)
        endpoint = EndpointDouble(opening)
        service = PortService(endpoint, FACTORY)
        service.startService()
        service.stopService()
        self.assertEqual(cancelled, [opening])
        port = MemoryReactor().listenTCP(79, FACTORY)
        endpoint.result = succeed(port)
        service.startService()
        self.assertEqual(openPorts(service), [port])
        service.stopService()
        service.stopService()

    def test_whenDone(self) -> None:
        """C{whenDone} fires once the endpoint has succeeded or failed, and at once for a closed port."""
        opening: Deferred[IListeningPort] = Deferred()
        service = PortService(EndpointDouble(opening), FACTORY)
        self.successResultOf(service.whenDone())
        service.open()
        done = service.whenDone()
        self.assertNoResult(done)
        opening.errback(ValueError("no such thing"))
        self.successResultOf(done)


class DualPortServiceTests(SynchronousTestCase):
    """Machines that lack an address family."""

    def dual(self, *ports: PortService) -> DualPortService:
        """Make a service with these ports."""
        service = DualPortService(MemoryReactor(), 1079, FACTORY, "--fingerport=1079")
        for before, port in zip(list(service), ports, strict=True):
            service.removeService(before)
            port.setName("IPv4" if port is ports[0] else "IPv6")
            port.setServiceParent(service)
        return service

    def test_one(self) -> None:
        """On a machine with one family, the service uses that one, and logs the other."""
        for number in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            opening: Deferred[IListeningPort] = Deferred()
            there = PortService(EndpointDouble(opening), FACTORY)
            service = self.dual(there, cannot(number))
            with capturedLogs() as logs:
                service.open()
            self.assertEqual(list(service), [there])
            self.assertEqual(formatEvent(logs[0]), "--fingerport=79: this machine has no IPv6")

    def test_none(self) -> None:
        """A machine with neither family is an error."""
        error = self.assertRaises(ConfigError, self.dual(cannot(errno.EAFNOSUPPORT), cannot(errno.EAFNOSUPPORT)).open)
        self.assertIn("neither IPv4 nor IPv6", str(error))


class PortOptionTests(SynchronousTestCase):
    """The values of port options."""

    def test_values(self) -> None:
        """A number, or an endpoint string."""
        self.assertIsInstance(portService("p", "1079", MemoryReactor(), FACTORY), DualPortService)
        self.assertIsInstance(portService("p", "tcp:1079", MemoryReactor(), FACTORY), PortService)

    def test_loopback(self) -> None:
        """With C{loopback}, a number listens on loopback addresses only; a string is used as it is."""
        both = asType(DualPortService, portService("p", "1079", MemoryReactor(), FACTORY, loopback=True))
        v4, v6 = (service.endpoint for service in both)
        self.assertEqual((v4._how[1], v6._how[1]), ("127.0.0.1", "::1"))

    def test_proxied(self) -> None:
        """C{haproxy:} selects the PROXY protocol, with the trusted networks."""
        reactor = MemoryReactor()
        service = portService("fingerport", "haproxy:tcp:79", reactor, Factory(), trusted=parseTrusted(["192.0.2.1"]))
        service.startService()
        factory = reactor.tcpServers[0][1]
        self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", "192.0.2.2", 5)))

    def test_bad(self) -> None:
        """Any other value is an error that names the option."""
        for value in ("", "x", "-1", "65536", "9" * 5000, "tcp:", "tcp:x", "nonsense:1", "\u0661"):
            error = self.assertRaises(ConfigError, portService, "fingerport", value, MemoryReactor(), FACTORY)
            self.assertTrue(str(error).startswith(f"--fingerport={value}: "), str(error))
            self.assertNotIn("\n", str(error))

    def test_openPorts(self) -> None:
        """Open ports are found at any depth."""
        outer, inner = MultiService(), MultiService()
        inner.setServiceParent(outer)
        PortService(EndpointDouble(Deferred()), FACTORY).setServiceParent(inner)
        self.assertEqual(openPorts(outer), [])

    def test_closedPorts(self) -> None:
        """A port counts as closed before it is opened, and after it is closed in any way."""
        reactor = MemoryReactor()
        outer = MultiService()
        port = asType(PortService, portService("p", "tcp:1079", reactor, FACTORY))
        port.setServiceParent(outer)
        self.assertEqual(closedPorts(outer), [port])
        port.open()
        self.assertEqual(closedPorts(outer), [])
        opened: Any = port.port
        opened.connected = False  # As with Twisted's own ports.
        self.assertEqual(closedPorts(outer), [port])

    def test_formatAddress(self) -> None:
        """Addresses are formatted for people."""
        self.assertEqual(formatAddress(IPv4Address("TCP", "192.0.2.1", 79)), "192.0.2.1:79")
        self.assertEqual(formatAddress(IPv6Address("TCP", "2001:db8::1", 79)), "[2001:db8::1]:79")
        self.assertEqual(formatAddress(UNIXAddress(b"/x")), "unix:/x")
        self.assertEqual(formatAddress(UNIXAddress(b"\0x")), "unix:@x")
        self.assertEqual(formatAddress(UNIXAddress(None)), "unix:")
        self.assertEqual(formatAddress(HostnameAddress(b"h", 1)), str(HostnameAddress(b"h", 1)))
