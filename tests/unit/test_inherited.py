"""Sockets inherited from systemd, tested with real sockets but without systemd."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from finger.errors import ConfigError
from finger.net.inherited import AdoptingEndpoint, InheritedSockets, SocketSelector, parseSelector
from finger.net.ports import openPorts, portService
from finger.net.proxyprotocol import parseTrusted
from finger.net.systemd import (
    InheritedSocket,
)
from tests.support.typed import addressOf, asType

FACTORY = Factory.forProtocol(Protocol)
PID = 4711


class SocketSelectorTests(SynchronousTestCase):
    """The values of port options."""

    def test_good(self) -> None:
        """A name, an index, and Twisted's own syntax are accepted."""
        for value, wanted in (
            ("systemd:finger", SocketSelector("finger")),
            ("systemd:name=finger", SocketSelector("finger")),
            ("systemd:finger.socket", SocketSelector("finger.socket")),
            ("systemd:INET", SocketSelector("INET")),
            ("systemd:index=0", SocketSelector(index=0)),
            ("systemd:index=12", SocketSelector(index=12)),
            ("systemd:domain=INET6:name=finger", SocketSelector("finger", domain="INET6")),
            ("systemd:name=finger:domain=UNIX", SocketSelector("finger", domain="UNIX")),
            ("systemd:INET:index=1", SocketSelector(index=1, domain="INET")),
        ):
            self.assertEqual(parseSelector(value, "--p"), wanted)

    def test_bad(self) -> None:
        """Any other value is an error of one line that gives the valid forms."""
        for value in (
            "",
            "index=",
            "index=-1",
            "index=x",
            "index=\u0661",
            "index=999999",
            "name=",
            "domain=INET",
            "domain=INET9:index=0",
            "domain=INET:index=0:name=a",
            "index=0:index=1",
            "finger:web",
            "a:b:c",
            "color=red",
        ):
            error = self.assertRaises(ConfigError, portService, "p", f"systemd:{value}", reactor, FACTORY)
            self.assertEqual(
                str(error), f"--p=systemd:{value}: is neither systemd:NAME nor systemd:index=NUMBER", value
            )


@contextmanager
def listening(*places: tuple[int, Any]) -> Iterator[list[socket.socket]]:
    """Open listening sockets, one for each family and address."""
    sockets = [socket.socket(family) for family, _ in places]
    for sock, (family, address) in zip(sockets, places, strict=True):
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::ffff:127.0.0.1")
        sock.bind(address)
        sock.listen()
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


V4 = socket.AF_INET, ("127.0.0.1", 0)
V6 = socket.AF_INET6, ("::1", 0)
MAPPED = socket.AF_INET6, ("::ffff:127.0.0.1", 0)


def inherit(*named: tuple[Any, str]) -> InheritedSockets:
    """Make L{InheritedSockets} of sockets, or of anything with a descriptor."""
    sockets = [InheritedSocket(one.fileno(), name) for one, name in named]
    with patch("finger.net.inherited.inheritedSockets", return_value=sockets):
        return InheritedSockets({"LISTEN_PID": str(PID)}, PID)


class AdoptTests(TestCase):
    """Adopting real sockets."""

    def start(self, value: str, inherited: InheritedSockets, factory: IProtocolFactory = FACTORY) -> Any:
        """Start a port option's service, and stop it at the end of the test."""
        service = portService("fingerport", value, reactor, factory, inherited=inherited)
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def hosts(self, service: Any) -> list[str]:
        """Return the addresses that the service listens on."""
        return [addressOf(port).host for port in openPorts(service)]

    def test_name(self) -> None:
        """All sockets with the name are adopted, each with its own family."""
        with listening(V4, V6, V4) as (v4, v6, web):
            inherited = inherit((v4, "finger"), (web, "web"), (v6, "finger"))
            service = self.start("systemd:finger", inherited)
            self.assertEqual(self.hosts(service), ["127.0.0.1", "::1"])
            for port in openPorts(service):
                verifyObject(IListeningPort, port)
            self.assertEqual(self.hosts(self.start("systemd:index=1", inherited)), ["127.0.0.1"])

    def test_flags(self) -> None:
        """The socket and our duplicate are non-blocking and not inheritable."""
        with listening(V4) as (sock,):
            os.set_inheritable(sock.fileno(), True)
            service = self.start("systemd:index=0", inherit((sock, "")))
            (port,) = openPorts(service)
            self.assertNotEqual(asType(Port, port).fileno(), sock.fileno())
            for descriptor in (sock.fileno(), asType(Port, port).fileno()):
                self.assertFalse(os.get_inheritable(descriptor))
                self.assertFalse(os.get_blocking(descriptor))

    def test_domain(self) -> None:
        """C{domain} selects the sockets of one family among those with a name."""
        with listening(V4, V6) as (v4, v6):
            inherited = inherit((v4, "finger"), (v6, "finger"))
            self.assertEqual(self.hosts(self.start("systemd:domain=INET6:name=finger", inherited)), ["::1"])
            self.assertEqual(self.hosts(self.start("systemd:domain=INET:name=finger", inherited)), ["127.0.0.1"])

    def test_wrongDomain(self) -> None:
        """A single socket keeps its own family if C{domain} is wrong, with a warning."""
        with listening(V6) as (sock,):
            with capturedLogs() as logs:
                service = self.start("systemd:domain=INET:index=0", inherit((sock, "")))
            self.assertEqual(self.hosts(service), ["::1"])
            self.assertEqual(
                formatEvent(logs[0]),
                "--fingerport=systemd:domain=INET:index=0: the socket is not INET; its actual family is used",
            )

    @staticmethod
    def peers(connected: Deferred[Any]) -> Factory:
        """Make a factory that passes on the peer's address when data arrives."""

        class Recorder(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.loseConnection()
                connected.callback(self.transport.getPeer())

        return Factory.forProtocol(Recorder)

    async def test_peers(self) -> None:
        """Peers have their real addresses, whatever C{domain} says."""
        for place in (V4, V6, MAPPED):
            connected: Deferred[Any] = Deferred()
            with listening(place) as (sock,):
                self.start("systemd:domain=INET:index=0", inherit((sock, "")), self.peers(connected))
                address = sock.getsockname()[:2]
                with socket.create_connection(address) as connection:
                    connection.sendall(b"x")
                    peer = await connected
                    self.assertEqual((peer.host, peer.port), connection.getsockname()[:2])

    async def test_proxied(self) -> None:
        """The PROXY protocol works on an inherited socket."""
        connected: Deferred[Any] = Deferred()
        with listening(V4) as (sock,):
            service = portService(
                "fingerport",
                "haproxy:systemd:finger",
                reactor,
                self.peers(connected),
                trusted=parseTrusted(["127.0.0.0/8"]),
                inherited=inherit((sock, "finger")),
            )
            service.startService()
            self.addCleanup(service.stopService)
            with socket.create_connection(sock.getsockname()) as connection:
                connection.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 79\r\nx")
                self.assertEqual((await connected).host, "192.0.2.7")

    async def test_again(self) -> None:
        """A service can be stopped and started again; connections in between are answered then."""
        with listening(V4) as (sock,):
            connected: Deferred[Any] = Deferred()
            service = self.start("systemd:finger", inherit((sock, "finger")), self.peers(connected))
            await service.stopService()
            self.assertEqual(openPorts(service), [])
            with socket.create_connection(sock.getsockname()) as connection:
                connection.sendall(b"x")
                service.startService()
                await connected

    async def test_UNIX(self) -> None:
        """A UNIX socket's file, mode and backlog stay unchanged, and the socket stays open."""
        path = Path(tempfile.mkdtemp(), "socket")
        self.addCleanup(path.parent.rmdir)
        self.addCleanup(path.unlink)
        with listening((socket.AF_UNIX, str(path))) as (sock,):
            path.chmod(0o600)
            connected: Deferred[Any] = Deferred()
            service = self.start("systemd:finger", inherit((sock, "finger")), self.peers(connected))
            (port,) = openPorts(service)
            verifyObject(IListeningPort, port)
            self.assertEqual(port.getHost(), UNIXAddress(str(path)))
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(b"x")
                await connected
            await service.stopService()
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                sock.accept()[0].close()

    async def test_waiting(self) -> None:
        """A connection that has not been accepted waits for the next process that has the socket."""
        with listening(V4) as (sock,):
            service = self.start("systemd:finger", inherit((sock, "finger")))
            with socket.create_connection(sock.getsockname()) as connection:
                await service.stopService()
                accepted, peer = sock.accept()
                accepted.close()
                self.assertEqual(peer, connection.getsockname())

    def test_setter(self) -> None:
        """An inherited socket that other machines can reach is refused for a port without authentication."""
        with listening((socket.AF_INET, ("0.0.0.0", 0)), V4) as (wide, narrow):
            inherited = inherit((wide, "wide"), (narrow, "narrow"))
            for name in ("wide", "narrow"):
                service = portService(
                    "setport", f"systemd:{name}", reactor, FACTORY, onlyLoopback=True, inherited=inherited
                )
                self.addCleanup(service.stopService)
                if name == "narrow":
                    service.open()
                else:
                    self.assertIn("other machines could reach", str(self.assertRaises(ConfigError, service.open)))


class RefusedTests(SynchronousTestCase):
    """Errors on adopting sockets, of one line each, with the option's name."""

    def refused(self, value: str, inherited: InheritedSockets | None) -> str:
        """Return the error without the option."""
        service = portService("fingerport", value, reactor, FACTORY, inherited=inherited)
        self.addCleanup(service.stopService)
        message = str(self.assertRaises(ConfigError, service.open))
        self.assertNotIn("\n", message)
        self.assertTrue(message.startswith(f"--fingerport={value}: "), message)
        return message.removeprefix(f"--fingerport={value}: ")

    def test_unknown(self) -> None:
        """If no socket matches, the error lists those that exist."""
        with listening(V4, V6, V4, V6) as (a, b, c, d):
            named = inherit((a, "finger"), (b, "finger"), (c, "web"), (d, ""))
            there = "no such socket; systemd passed 'finger' (2), 'web' (1), 1 without a name"
            self.assertEqual(self.refused("systemd:fingr", named), there)
            self.assertEqual(self.refused("systemd:index=4", named), there)

    def test_none(self) -> None:
        """systemd has passed no sockets."""
        for inherited in (None, InheritedSockets({}, PID), InheritedSockets({"LISTEN_PID": str(PID)}, PID)):
            self.assertEqual(
                self.refused("systemd:finger", inherited),
                "systemd passed no sockets; enable the socket unit, as in 'systemctl enable --now finger.socket'",
            )

    def test_otherProcess(self) -> None:
        """systemd has passed its sockets to another process."""
        self.assertEqual(
            self.refused("systemd:finger", InheritedSockets({"LISTEN_PID": "17", "LISTEN_FDS": "1"}, PID)),
            "systemd passed its sockets to process 17, not to this one; a wrapper script must exec this program",
        )

    def test_twice(self) -> None:
        """Another option has adopted the socket."""
        with listening(V4) as (sock,):
            inherited = inherit((sock, "finger"))
            first = portService("fingerport", "systemd:finger", reactor, FACTORY, inherited=inherited)
            first.open()
            self.addCleanup(first.stopService)
            self.assertEqual(
                self.refused("systemd:index=0", inherited),
                "--fingerport=systemd:finger already uses this socket; give each option its own",
            )

    def test_noneOfDomain(self) -> None:
        """No socket with the name has the family."""
        with listening(V4) as (sock,), open(os.devnull) as file:
            for one in (sock, file):
                self.assertEqual(
                    self.refused("systemd:domain=INET6:name=finger", inherit((one, "finger"))),
                    "none of the sockets 'finger' is INET6; systemd:NAME selects all",
                )

    def test_notListening(self) -> None:
        """The socket does not listen, as with C{Accept=yes}."""
        with closing(socket.socket()) as sock:
            self.assertEqual(
                self.refused("systemd:index=0", inherit((sock, ""))),
                f"socket {sock.fileno()} (without a name) does not listen; set Accept=no in its unit",
            )

    def test_notStream(self) -> None:
        """The socket is a datagram socket, or of another family."""
        for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_NETLINK, socket.SOCK_RAW)):
            with closing(socket.socket(family, kind)) as sock:
                refused = self.refused("systemd:web", inherit((sock, "web")))
                problem = "is not a TCP or UNIX stream socket; set ListenStream= in its unit"
                self.assertEqual(refused, f"socket {sock.fileno()} (web) {problem}")

    def test_noSocket(self) -> None:
        """The descriptor is not a socket, or is closed."""
        with open(os.devnull) as file:
            number = file.fileno()
            refused = self.refused("systemd:finger", inherit((file, "finger")))
            self.assertEqual(refused, f"descriptor {number} (finger) from systemd is not a socket")
            inherited = inherit((file, "finger"))
        self.assertIn("none of", self.refused("systemd:domain=INET:name=finger", inherited))
        self.assertEqual(self.refused("systemd:finger", inherited), "it cannot be opened: Bad file descriptor")

    def test_endpoint(self) -> None:
        """The endpoint provides its interface, and reports errors through its Deferred."""
        endpoint = AdoptingEndpoint(reactor, InheritedSocket(-1))
        verifyObject(IStreamServerEndpoint, endpoint)
        self.failureResultOf(endpoint.listen(FACTORY), OSError)


class LeftOverTests(SynchronousTestCase):
    """Sockets that no option adopts."""

    def started(self, inherited: InheritedSockets) -> list[str]:
        """Start the service; return what it logs."""
        with capturedLogs() as logs:
            inherited.startService()
        return [formatEvent(event) for event in logs]

    def test_left(self) -> None:
        """They are named in the log, and not inheritable."""
        with listening(V4, V4) as (a, b):
            os.set_inheritable(b.fileno(), True)
            inherited = inherit((a, "finger"), (b, "web"))
            inherited.adopt(SocketSelector("finger"), "--fingerport=systemd:finger")
            self.assertEqual(
                self.started(inherited),
                ["systemd passed sockets that no option adopts; connections to them hang: 'web' (1)"],
            )
            self.assertFalse(os.get_inheritable(b.fileno()))
        self.assertEqual(len(self.started(inherited)), 1)  # A closed descriptor is ignored.

    def test_none(self) -> None:
        """If all sockets are adopted, nothing is logged."""
        self.assertEqual(self.started(InheritedSockets({}, PID)), [])
