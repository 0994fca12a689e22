"""Tests for L{finger.service}."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.application.service import Service
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from finger.adapters import setter
from finger.adapters.finger import adapter as fingeradapter
from finger.adapters.web.tls import developmentCertificate
from finger.backends.chain import ChainFingerService
from finger.config.model import Config
from finger.errors import ConfigError
from finger.interfaces import IReloadable
from finger.net.limits import LimitedFactory
from finger.net.ports import PortService, openPorts, portService
from finger.ops.server import FingerServer
from finger.service import makeServer
from finger.testing import ThreadlessReactor
from tests.support.tools import ROOT

USERS = str(Path(ROOT, "etc", "users"))
PASSWORDS = InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace")


def configure(**fields: Any) -> Config:
    """Return a configuration that opens no ports except those given."""
    nowhere = {"fingerPorts": ("none",), "webPorts": ("none",), "pbPorts": ("none",), "usersFile": USERS}
    return Config(**{**nowhere, **fields})


class MakeServiceTests(TestCase):
    """The servers of several configurations."""

    def start(self, **fields: Any) -> FingerServer:
        """Start a server that runs until the end of the test."""
        server = makeServer(configure(**fields), reactor)
        server.privilegedStartService()
        server.startService()
        self.addCleanup(server.stopService)
        return server

    def test_ports(self) -> None:
        """Every adapter listens at its ports; the plain port numbers of some mean loopback only."""
        server = self.start(
            fingerPorts=("tcp:0:interface=127.0.0.1", "none", "tcp:0:interface=127.0.0.1"),
            webPorts=("tcp:0:interface=127.0.0.1",),
            ssl=True,
            httpsPorts=("tcp:0:interface=127.0.0.1",),
            pbPorts=("0",),
            backends=("file", "memory"),
            setterPorts=("0",),
        )
        hosts = {label: [address.host for address in addresses] for label, addresses in server.openPorts().items()}
        self.assertEqual(
            hosts,
            {
                "--fingerport=tcp:0:interface=127.0.0.1": ["127.0.0.1"],
                "--webport=tcp:0:interface=127.0.0.1": ["127.0.0.1"],
                "--httpsport=tcp:0:interface=127.0.0.1": ["127.0.0.1"],
                "--pbport=0": ["127.0.0.1", "::1"],
                "--setport=0": ["127.0.0.1", "::1"],
            },
        )

    def test_stop(self) -> Deferred[None]:
        """A stopped server has no open ports."""
        server = makeServer(configure(pbPorts=("0",)), reactor)
        server.open()
        server.startService()
        stopped: Deferred[None] = server.stopService()
        return stopped.addCallback(lambda _: self.assertEqual(server.openPorts(), {"--pbport=0": []}))

    def test_backends(self) -> None:
        """A single back end is used directly, several as a chain."""
        with patch("finger.service.PolicyFingerService", side_effect=ZeroDivisionError) as policy:
            self.assertRaises(ZeroDivisionError, makeServer, configure(backends=("memory",)), reactor)
            self.assertNotIsInstance(policy.call_args.args[0], ChainFingerService)
            both = configure(backends=("memory", f"file:{USERS}"))
            self.assertRaises(ZeroDivisionError, makeServer, both, reactor)
            self.assertIsInstance(policy.call_args.args[0], ChainFingerService)

    def test_counted(self) -> None:
        """Users are counted only if all back ends can count them."""
        memory = ("memory", f"file:{USERS}")
        counted = makeServer(configure(backends=memory), reactor).counted
        assert counted is not None
        self.assertEqual(counted.countUsers(), 6)
        self.assertIsNone(makeServer(configure(backends=(*memory, "proxy")), reactor).counted)

    def test_irc(self) -> None:
        """An IRC bot is made only if a nickname is set."""
        with patch("finger.adapters.irc.service.ircService", return_value=Service()) as irc:
            makeServer(configure(), reactor)
            irc.assert_not_called()
            makeServer(configure(ircNick="bot", ircServer="h:1", ircChannels=("#a",)), reactor)
        _, factory, server = irc.call_args.args
        self.assertEqual((factory.nickname, factory.channels, server), ("bot", ("#a",), "h:1"))

    def test_wrong(self) -> None:
        """An invalid configuration is an error of one line."""
        for fields, words in (
            ({"backends": ("nonsense",)}, "--backend=nonsense: no back end"),
            ({"usersFile": "/nowhere"}, "--file=/nowhere: cannot be read"),
            ({"usersFile": "/nowhere", "backends": ("file:",)}, "--file=/nowhere: cannot be read"),
            ({"setterPorts": ("0",)}, "--setport=0: none of the back ends (file) can be set"),
            ({"checkers": (PASSWORDS,)}, "--auth: none of the back ends (file) can be set"),
            ({"ssl": True, "privateKey": "/k"}, "--privatekey: needs --certificate"),
            ({"hsts": 5}, "--hsts=5: needs --ssl and --certificate"),
            ({"hsts": 5, "certificate": "/c"}, "--hsts=5: needs --ssl and --certificate"),
            ({"hsts": 0, "ssl": True}, "--hsts=0: needs --ssl and --certificate"),
            ({"hsts": "5s", "ssl": True}, "hsts='5s': should be a number, 0 or more"),
            ({"hsts": 5, "ssl": True, "certificate": "/nowhere"}, "--certificate=/nowhere: cannot be read"),
            ({"statusHosts": ("a b",)}, "'a b' is neither a host name nor an address"),
            ({"ssl": True, "certificate": "/nowhere"}, "--certificate=/nowhere: cannot be read"),
            ({"templates": "/nowhere"}, "--templates=/nowhere: "),
            ({"fingerPorts": ("x",)}, "--fingerport=x: is not a port number"),
            ({"trustedProxies": ("nobody",), "fingerPorts": ("79",)}, "--trust-proxy=nobody: "),
            ({"forward": ("bad host",)}, "--forward=bad host"),
            ({"ircNick": "no nick"}, "--ircnick=no nick"),
            ({"backends": ("proxy",), "fingerPorts": ("79",)}, "--backend=proxy: would ask this server itself"),
            ({"backends": ("proxy:LOCALHOST:1079",), "fingerPorts": ("1079",)}, "would ask this server itself"),
        ):
            error = self.assertRaises(ConfigError, makeServer, configure(**fields), reactor)
            self.assertIn(words, str(error))
            self.assertNotIn("\n", str(error))

    def test_memory(self) -> None:
        """If hardening denies the memory for TLS, the error names the setting; other memory errors are unchanged."""
        denied = MemoryError("Cannot allocate write+execute memory")
        for fields, maker in (
            ({"ssl": True, "httpsPorts": ("none",)}, "finger.adapters.web.tls.CertificateOptions"),
            ({"ircNick": "bot"}, "finger.adapters.irc.service.SSL.Context"),
        ):
            with patch(maker, side_effect=denied):
                error = self.assertRaises(ConfigError, makeServer, configure(**fields), reactor)
            self.assertIn("set MemoryDenyWriteExecute=no in its systemd unit", str(error))
            with patch(maker, side_effect=MemoryError):
                self.assertRaises(MemoryError, makeServer, configure(**fields), reactor)

    def test_proxy(self) -> None:
        """A proxy of another server or another port is accepted."""
        for fields in ({"backends": ("proxy",)}, {"backends": ("proxy:h.example",), "fingerPorts": ("79",)}):
            self.assertIsInstance(makeServer(configure(**fields), reactor), FingerServer)


EVERYTHING: dict[str, Any] = {
    **dict.fromkeys(("fingerPorts", "webPorts", "httpsPorts", "pbPorts"), ("tcp:0",)),
    "setterPorts": ("unix:/nowhere",),
    "backends": ("memory",),
    "ssl": True,
}
"""A configuration with every adapter."""


class Transport(StringTransport):
    """A transport for HTTPS."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Ignore this."""


SPOKEN = {"finger": fingeradapter.TOO_MANY, "set": setter.TOO_MANY}
"""The refusals of adapters that have words for it."""

REFUSALS = {None, *SPOKEN.values()}


class LimitTests(SynchronousTestCase):
    """The limits of each adapter."""

    def factories(self, **fields: Any) -> dict[str, LimitedFactory]:
        """Make a server with every adapter, and return its factories by the names of their adapters."""
        self.reactor = MemoryReactorClock()
        server = makeServer(configure(**EVERYTHING | fields), self.reactor)
        return {factory.label.removesuffix("port"): factory for factory in server.factories}

    def ask(self, factory: LimitedFactory, host: str = "192.0.2.1") -> bytes | None:
        """Return what a client that sends nothing receives; L{None} if its connection is refused."""
        protocol, transport = self.connect(factory, host)
        return transport.value() if protocol is not None else None

    def connect(self, factory: LimitedFactory, host: str = "192.0.2.1") -> tuple[Any, StringTransport]:
        """Connect until the end of the test."""
        address = IPv4Address("TCP", host, 5)
        protocol, transport = factory.buildProtocol(address), Transport(peerAddress=address)
        if protocol is not None:
            protocol.makeConnection(transport)
            self.addCleanup(protocol.connectionLost, Failure(ConnectionDone()))
        return protocol, transport

    def test_inAll(self) -> None:
        """Every adapter has its own limit of connections; finger and the setter tell the peer why it is refused."""
        for name, factory in self.factories(maxConnections=2).items():
            for _ in range(2):
                self.assertNotIn(self.ask(factory, "127.0.0.1"), REFUSALS)
            self.assertEqual(self.ask(factory, "127.0.0.1"), SPOKEN.get(name))

    def test_perAddress(self) -> None:
        """Every adapter limits the connections of each address."""
        for factory in self.factories(maxConnectionsPerAddress=1).values():
            self.assertNotIn(self.ask(factory), REFUSALS)
            self.assertIn(self.ask(factory), REFUSALS)
            self.assertNotIn(self.ask(factory, "192.0.2.2"), REFUSALS)

    def test_perUID(self) -> None:
        """Every adapter limits the connections of each user at UNIX sockets."""
        for name, factory in self.factories(maxConnectionsPerUID=1).items():
            with patch("finger.net.limits.peerUID", return_value=1000):
                self.assertNotIn(self.ask(factory), REFUSALS)
                self.assertEqual(self.ask(factory), SPOKEN.get(name, b""))
            with patch("finger.net.limits.peerUID", return_value=0):
                self.assertNotIn(self.ask(factory, "192.0.2.2"), REFUSALS)

    def test_rate(self) -> None:
        """Every adapter limits the rate of connections, unless the rate is 0."""
        for rate, most in ((1.0, 3), (0.0, 15)):
            for factory in self.factories(connectionsPerSecond=rate, connectionBurst=3).values():
                heard = [self.ask(factory) not in REFUSALS for _ in range(15)]
                self.assertEqual(heard, [True] * most + [False] * (15 - most))

    def test_scarce(self) -> None:
        """If file descriptors are scarce, fewer connections are accepted, and a warning is logged."""
        with patch("finger.service.fitDescriptors", return_value=1) as fit, capturedLogs() as logs:
            factories = self.factories(maxConnections=7)
        fit.assert_called_with(7, 5)
        told = [(event["option"], event["most"], event["wanted"]) for event in logs if "wanted" in event]
        self.assertIn(("fingerport", 1, 7), told)
        self.assertEqual(len(told), 5)
        self.ask(factories["finger"], "127.0.0.1")
        self.assertIsNone(self.ask(factories["finger"], "127.0.0.1"))

    def test_adapters(self) -> None:
        """Disabled adapters do not reduce the descriptors of the others."""
        for fields, count in (({}, 5), ({"ssl": False, "setterPorts": ()}, 3), ({"pbPorts": ("none",)}, 4)):
            with patch("finger.service.fitDescriptors", return_value=500) as fit:
                makeServer(configure(**EVERYTHING | fields), MemoryReactorClock())
            fit.assert_called_with(500, count)

    def test_times(self) -> None:
        """The timeouts apply to every adapter."""
        for name, factory in self.factories(querySeconds=3.0, answerSeconds=4.0).items():
            protocol, transport = self.connect(factory)
            protocol.dataReceived(b"\x16" if name == "https" else b"\x01")  # The beginning of a request.
            self.reactor.advance(2.9)
            self.assertFalse(transport.disconnected)
            self.reactor.advance(1.2)
            self.assertTrue(transport.disconnected, name)


class LoginTests(SynchronousTestCase):
    """Logging in."""

    def test_web(self) -> None:
        """The web offers a login only if there are passwords; Perspective Broker itself reports if there are none."""
        for checkers in ((), (PASSWORDS,)):
            with (
                patch("finger.adapters.web.adapter.RepeatingSite") as site,
                patch("finger.adapters.pb.root.BoundedPBServerFactory") as pb,
            ):
                makeServer(configure(backends=("memory",), checkers=checkers), MemoryReactorClock())
            web, perspective = site.call_args.args[0].authority, pb.call_args.args[0].authority
            self.assertEqual(web is not None, bool(checkers))
            self.assertEqual(perspective.hasPasswords, bool(checkers))

    def test_readOnly(self) -> None:
        """If no back end can be set, there is no login."""
        with patch("finger.adapters.pb.root.BoundedPBServerFactory") as pb:
            makeServer(configure(), MemoryReactorClock())
        self.assertIsNone(pb.call_args.args[0].authority)


@implementer(IListeningPort)
class PortDouble:
    """
    A port at an address.

    @ivar isOpen: whether the port is open.
    """

    isOpen = True

    def __init__(self, address: IAddress) -> None:
        self._address = address

    def startListening(self) -> None:
        """Do nothing: the port is open."""

    def stopListening(self) -> None:
        """Close."""
        self.isOpen = False

    def getHost(self) -> IAddress:
        """Return the address."""
        return self._address


class OnlyLoopbackTests(SynchronousTestCase):
    """Ports without authentication, which must be on loopback."""

    def open(self, address: IAddress) -> tuple[PortService, PortDouble]:
        """Open a port at an address, as the setter does."""
        port = PortDouble(address)
        with patch.object(TCP4ServerEndpoint, "listen", return_value=succeed(port)):
            factory = Factory.forProtocol(Protocol)
            service = portService("setport", "tcp:0", MemoryReactorClock(), factory, onlyLoopback=True)
            assert isinstance(service, PortService)
            try:
                service.open()
            except ConfigError as error:
                self.assertIs(error, service.problem)
        return service, port

    def test_wide(self) -> None:
        """A port that other machines can reach is closed at once, with an error of one line."""
        for address in (
            IPv4Address("TCP", "0.0.0.0", 1080),
            IPv4Address("TCP", "192.0.2.1", 1080),
            IPv6Address("TCP", "::", 1080),
            IPv6Address("TCP", "2001:db8::1", 1080),
        ):
            service, port = self.open(address)
            self.assertFalse(port.isOpen)
            self.assertEqual(openPorts(service), [])
            self.assertIn("--setport=tcp:0: other machines could reach it", str(service.problem))
            self.assertNotIn("\n", str(service.problem))

    def test_loopback(self) -> None:
        """A port that other machines cannot reach stays open."""
        for address in (
            IPv4Address("TCP", "127.0.0.1", 1080),
            IPv6Address("TCP", "::1", 1080),
            UNIXAddress("/run/finger/set"),
        ):
            service, port = self.open(address)
            self.assertTrue(port.isOpen)
            self.assertEqual(openPorts(service), [port])
            self.assertIsNone(service.problem)


class ReloadTests(TestCase):
    """Reloading at SIGHUP."""

    def test_reloadables(self) -> None:
        """Users, templates and the certificate are reloaded; if a file is now invalid, its old contents stay."""
        directory = Path(self.mktemp())
        directory.mkdir()
        users, pem = directory / "users", directory / "both.pem"
        users.write_text("a: 1\n")
        pem.write_bytes(developmentCertificate())
        fields = {"usersFile": str(users), "ssl": True, "httpsPorts": ("none",), "certificate": str(pem)}
        server = makeServer(configure(**fields), ThreadlessReactor())
        self.assertEqual(set(server.reloadables), {"file", "templates", "certificate"})
        users.write_text("b: 2\n")
        self.assertIs(self.successResultOf(server.reload()), True)
        self.assertEqual(self.successResultOf(server.service.getUsers()), ["b"])
        pem.write_bytes(b"nonsense")
        self.assertIs(self.successResultOf(server.reload()), False)
        self.assertEqual(self.successResultOf(server.service.getUsers()), ["b"])

    def test_hangup(self) -> Deferred[Any]:
        """The signal reloads the server while it runs, and has its previous handler after the server has stopped."""
        before = signal.getsignal(signal.SIGHUP)
        server = makeServer(configure(), reactor)
        reloaded: Deferred[None] = Deferred()

        @implementer(IReloadable)
        class Reloadable:
            def reload(self) -> Deferred[None]:
                reloaded.callback(None)
                return succeed(None)

        server.reloadables = {"x": Reloadable()}
        server.startService()
        os.kill(os.getpid(), signal.SIGHUP)

        def stopped(_: object) -> None:
            self.assertIs(signal.getsignal(signal.SIGHUP), before)

        return reloaded.addCallback(lambda _: server.stopService()).addCallback(stopped)
