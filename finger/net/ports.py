"""
Ports: IPv4 and IPv6 side by side on one number.

Each family has a socket of its own (C{IPV6_V6ONLY}, RFC 3493 section 5.3), so that peers over IPv4 are seen as
such, and one family can be stopped without the other.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.errors import ConfigError
from finger.log.querylog import QueryLog
from finger.net.datagrams import MakeProtocol, UDPEndpoint
from finger.net.inherited import SYSTEMD, AdoptingEndpoint, InheritedSockets, parseSelector
from finger.net.listenerrors import errnoOf, whyNot
from finger.net.proxyprotocol import PREFIX, trustingProxyEndpoint
from finger.net.systemd import InheritedSocket
from finger.net.v6only import BACKLOG, TCP6OnlyEndpoint, V6OnlyReactor
from finger.protocol.hosts import IPNetwork, hostOf, isLocal

_NO_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


class PortService(Service):
    """
    A port that is open while the service runs.

    @ivar endpoint: where to listen.
    @ivar factory: what answers there.
    @ivar label: the option this port comes from and its value, for messages.
    @ivar port: the open port, or L{None}.
    @ivar problem: why there is none.
    @param loopback: is a port that other machines can reach a problem?
    """

    log = Logger()
    port: IListeningPort | None = None
    problem: ConfigError | None = None
    _opening: Deferred[None] | None = None

    def __init__(
        self,
        endpoint: IStreamServerEndpoint | UDPEndpoint,
        factory: IProtocolFactory | MakeProtocol,
        label: str = "port",
        loopback: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.factory = factory
        self.label = label
        self._loopback = loopback

    def open(self) -> None:
        """
        Open the port, if it is not open yet.

        @raise ConfigError: if it cannot be had.
        """
        if self._opening is None:
            listen: Callable[[Any], Deferred[IListeningPort]] = self.endpoint.listen
            self._opening = listen(self.factory).addCallbacks(self._opened, self._notOpened)
        if self.problem is not None:
            raise self.problem

    def whenDone(self) -> Deferred[None]:
        """Fires when the endpoint, which may take its time, has opened the port or said why not."""
        done: Deferred[None] = Deferred()
        if self._opening is None:
            done.callback(None)
        else:
            self._opening.addCallback(done.callback)
        return done

    def privilegedStartService(self) -> None:
        """Open the port while there are the privileges for it."""
        self.open()

    def startService(self) -> None:
        """Open the port, if that is still to be done."""
        self.open()
        super().startService()

    def stopService(self) -> Deferred[None] | None:
        """Close the port; connections that are there go on."""
        super().stopService()
        if self._opening is not None:
            self._opening.cancel()
        port = self.port
        self.port = self._opening = self.problem = None
        return port.stopListening() if port is not None else None

    def _opened(self, port: IListeningPort) -> None:
        if self._loopback and not isLocal(hostOf(port.getHost())):
            port.stopListening()
            self._refuse(
                ConfigError(
                    f"{self.label}: other machines could reach it, and nobody there need say who it is; "
                    "give a number, a unix: endpoint, or one with interface=127.0.0.1"
                )
            )
            return
        self.port = port
        self.log.info("{label}: listening on {address}", label=self.label, address=formatAddress(port.getHost()))

    def _notOpened(self, failure: Failure) -> None:
        kind = MissingFamily if errnoOf(failure) in _NO_FAMILY else ConfigError
        self._refuse(kind(f"{self.label}: {whyNot(failure)}"))

    def _refuse(self, problem: ConfigError) -> None:
        self.problem = problem
        if self.running:  # An endpoint that took its time; nobody is there any more to raise to.
            self.log.error("{problem}", problem=problem)


@dataclass(frozen=True, slots=True)
class Transport:
    """
    What ports of both families are made with.

    @ivar socketType: the type of their sockets.
    @ivar makeEndpoint4: makes the endpoint of a port and an IPv4 address.
    @ivar makeEndpoint6: makes the endpoint of a port and an IPv6 address, which leaves IPv4 alone.
    """

    socketType: socket.SocketKind
    makeEndpoint4: Callable[[Any, int, str], Any]
    makeEndpoint6: Callable[[Any, int, str], Any]


TCP = Transport(
    socket.SOCK_STREAM,
    lambda reactor, port, address: TCP4ServerEndpoint(reactor, port, BACKLOG, address),
    lambda reactor, port, address: TCP6OnlyEndpoint(reactor, port, BACKLOG, address),
)
UDP = Transport(socket.SOCK_DGRAM, UDPEndpoint, UDPEndpoint)


class MissingFamily(ConfigError):
    """This machine has no IPv4, or no IPv6."""


class PortsService(MultiService):
    """The ports of one option, each a L{PortService}."""

    def open(self) -> None:
        """
        Open all.

        @raise ConfigError: if one cannot be had.
        """
        for service in list(self):
            service.open()

    def privilegedStartService(self) -> None:
        """Open all while there are the privileges for it."""
        self.open()

    def startService(self) -> None:
        """Open all, if that is still to be done."""
        self.open()
        super().startService()


class DualPortService(PortsService):
    """
    One port number on both families: a L{PortService} for each.  One family may miss, but not both.

    @param reactor: an L{IReactorTCP <twisted.internet.interfaces.IReactorTCP>} that is an C{IReactorFDSet}, too.
    @param port: the number, or 0 for any that is free on both.
    @param factory: what answers there.
    @param label: the option this port comes from and its value, for messages.
    @param loopback: listen to this machine alone.
    @param transport: TCP or UDP.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        port: int,
        factory: IProtocolFactory | MakeProtocol,
        label: str = "port",
        loopback: bool = False,
        transport: Transport = TCP,
    ) -> None:
        super().__init__()
        port = port or _freePort(transport.socketType)
        v4, v6 = ("127.0.0.1", "::1") if loopback else ("", "::")
        for family, endpoint in (
            ("IPv4", transport.makeEndpoint4(reactor, port, v4)),
            ("IPv6", transport.makeEndpoint6(reactor, port, v6)),
        ):
            service = PortService(endpoint, factory, label)
            service.setName(family)
            service.setServiceParent(self)

    def open(self) -> None:
        """
        Open both.

        @raise ConfigError: if one cannot be had, or this machine has neither family.
        """
        missing = 0
        for service in list(self):
            try:
                service.open()
            except MissingFamily:
                missing += 1
                self.removeService(service)
                self.log.warn("{label}: this machine has no {family}", label=service.label, family=service.name)
        if missing == 2:
            raise ConfigError(f"{service.label}: this machine has neither IPv4 nor IPv6")


class InheritedPortService(PortsService):
    """
    Sockets that systemd has opened.  They are looked for when they are to be opened: when a configuration is only
    checked, there are none.

    @param find: finds the sockets; raises L{ConfigError} if they are not there.
    @param makePort: makes the service of one of them.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[InheritedSocket]],
        makePort: Callable[[InheritedSocket], PortService],
    ) -> None:
        super().__init__()
        self._find = find
        self._makePort = makePort

    def open(self) -> None:
        """
        Find the sockets, and open them.

        @raise ConfigError: if there are none of these.
        """
        if not self.services:
            for found in self._find():
                self._makePort(found).setServiceParent(self)
        super().open()


def portService(
    option: str,
    value: str,
    reactor: Any,
    factory: IProtocolFactory,
    loopback: bool = False,
    onlyLoopback: bool = False,
    trusted: tuple[IPNetwork, ...] = (),
    queries: QueryLog | None = None,
    inherited: InheritedSockets | None = None,
) -> PortService | PortsService:
    """
    Make the service that a port option asks for.

    @param option: the option's name, for messages.
    @param value: a number, which is that port on both families, C{systemd:NAME}, or an endpoint string.
    @param loopback: let a number mean that port for this machine alone.
    @param onlyLoopback: let nothing else be taken.
    @param trusted: the networks from which peers may connect to a C{haproxy:} endpoint.
    @param queries: where those who may not are logged.
    @param inherited: the sockets that systemd has opened; none, if not given.
    @raise ConfigError: if the value is none of these.
    """
    label = f"--{option}={value}"
    if value.isascii() and value.isdigit():
        return DualPortService(reactor, _parseNumber(value, label), factory, label, loopback)
    proxied, bare = value.startswith(PREFIX), value.removeprefix(PREFIX)

    def listenAt(endpoint: IStreamServerEndpoint) -> PortService:
        if proxied:
            endpoint = trustingProxyEndpoint(endpoint, trusted, queries or QueryLog())
        return PortService(endpoint, factory, label, onlyLoopback)

    if bare.startswith(SYSTEMD):
        inherited = inherited or InheritedSockets({}, 0)
        find = partial(inherited.adopt, parseSelector(bare, label), label)
        return InheritedPortService(find, lambda found: listenAt(AdoptingEndpoint(reactor, found)))
    try:
        endpoint = serverFromString(V6OnlyReactor(reactor), bare)
    except Exception as error:  # Each kind of endpoint has its own ways to say that its string is wrong.
        raise ConfigError(
            f"{label}: is no port number, no endpoint string such as 'tcp:79:interface=192.0.2.1', and not 'none' "
            f"({error})"
        ) from error
    return listenAt(endpoint)


def datagramPortService(
    option: str, value: str, reactor: Any, makeProtocol: MakeProtocol, loopback: bool = False
) -> DualPortService:
    """
    Make the service that a datagram port option asks for.

    @param option: the option's name, for messages.
    @param value: a number, which is that UDP port on both families.
    @param makeProtocol: makes the protocol of each port.
    @param loopback: receive from this machine alone.
    @raise ConfigError: if the value is no port number.
    """
    label = f"--{option}={value}"
    return DualPortService(reactor, _parseNumber(value, label), makeProtocol, label, loopback, UDP)


def _parseNumber(value: str, label: str) -> int:
    if not (value.isascii() and value.isdigit()) or len(value) > len("65535") or int(value) > 65535:
        raise ConfigError(f"{label}: a port is a number from 0 to 65535")
    return int(value)


def portServices(service: Any) -> list[PortService]:
    """
    The services that have one port each.

    @param service: a L{PortService}, or a collection of services that holds some at any depth.
    """
    if isinstance(service, PortService):
        return [service]
    return [found for child in service for found in portServices(child)]


def openPorts(service: Any) -> list[IListeningPort]:
    """
    The ports that are open now.

    @param service: see L{portServices}.
    """
    return [found.port for found in portServices(service) if found.port is not None]


def closedPorts(service: Any) -> list[PortService]:
    """
    Those whose port should be open and is not: not yet, or no more, whoever closed it.

    @param service: see L{portServices}.
    """
    return [
        found
        for found in portServices(service)
        if not getattr(found.port, "connected", found.port is not None)  # As Twisted's own ports say it.
    ]


def formatAddress(address: IAddress) -> str:
    """Write an address as people do: C{192.0.2.1:79}, C{[2001:db8::1]:79}, C{unix:/run/finger/web.sock}."""
    if isinstance(address, UNIXAddress):
        # An abstract address is written as systemd writes it.
        return f"unix:{os.fsdecode(address.name or b'')}".replace("\0", "@")
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if host is None:
        return str(address)
    return f"[{host}]:{port}" if isIPv6Address(host) else f"{host}:{port}"


def _freePort(kind: socket.SocketKind) -> int:
    """A number that is free on both families, or on the one there is."""
    dual = socket.has_dualstack_ipv6()
    with closing(socket.socket(socket.AF_INET6 if dual else socket.AF_INET, kind)) as sock:
        if dual:  # One socket on both families gets a number that neither has taken.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("", 0))
        number: int = sock.getsockname()[1]
    return number
