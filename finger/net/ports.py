"""
Ports: services that listen on IPv4 and IPv6 on one port number.

Each family has its own socket (C{IPV6_V6ONLY}, RFC 3493 section 5.3), so that IPv4 peers have IPv4 addresses, and one
family can be stopped without the other.
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
from twisted.internet.endpoints import serverFromString
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
from finger.net.tcpports import BACKLOG, TCPEndpoint, TCPReactor
from finger.protocol.hosts import IPNetwork, hostOf, isLocal

_NO_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


class PortService(Service):
    """
    A port that is open while the service runs.

    @ivar endpoint: the endpoint to listen on.
    @ivar factory: the factory of the protocols that answer.
    @ivar label: the option and its value, for messages.
    @ivar port: the open port, or L{None}.
    @ivar problem: why the port could not be opened; L{None} if it was not tried or is open.
    @param loopback: whether to refuse a port that other machines can reach.
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

        @raise ConfigError: if the port cannot be opened.
        """
        if self._opening is None:
            listen: Callable[[Any], Deferred[IListeningPort]] = self.endpoint.listen
            self._opening = listen(self.factory).addCallbacks(self._opened, self._notOpened)
        if self.problem is not None:
            raise self.problem

    def whenDone(self) -> Deferred[None]:
        """Return a Deferred that fires once opening the port has succeeded or failed."""
        done: Deferred[None] = Deferred()
        if self._opening is None:
            done.callback(None)
        else:
            self._opening.addCallback(done.callback)
        return done

    def privilegedStartService(self) -> None:
        """Open the port before privileges are dropped."""
        self.open()

    def startService(self) -> None:
        """Open the port, if it is not open yet."""
        self.open()
        super().startService()

    def stopService(self) -> Deferred[None] | None:
        """Close the port; existing connections continue."""
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
                    f"{self.label}: other machines could reach it, and it has no authentication; "
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
        if self.running:  # The endpoint failed later, so that open() has returned.
            self.log.error("{problem}", problem=problem)


@dataclass(frozen=True, slots=True)
class Transport:
    """
    A transport protocol, with its endpoints.

    @ivar socketType: the type of the sockets.
    @ivar makeEndpoint: makes an endpoint from a reactor, a port number and an address, for the address's family only.
    """

    socketType: socket.SocketKind
    makeEndpoint: Callable[[Any, int, str], Any]


TCP = Transport(
    socket.SOCK_STREAM,
    lambda reactor, port, address: TCPEndpoint(reactor, port, BACKLOG, address),
)
UDP = Transport(socket.SOCK_DGRAM, UDPEndpoint)


class MissingFamily(ConfigError):
    """This machine does not have the port's address family."""


class PortsService(MultiService):
    """The ports of one option, each a L{PortService}."""

    def open(self) -> None:
        """
        Open all ports.

        @raise ConfigError: if a port cannot be opened.
        """
        for service in list(self):
            service.open()

    def privilegedStartService(self) -> None:
        """Open all ports before privileges are dropped."""
        self.open()

    def startService(self) -> None:
        """Open all ports that are not open yet."""
        self.open()
        super().startService()


class DualPortService(PortsService):
    """
    One port number on both families, with a L{PortService} for each.  The machine may lack one family, but not both.

    @param reactor: an L{IReactorTCP <twisted.internet.interfaces.IReactorTCP>} that is an C{IReactorFDSet}, too.
    @param port: the port number, or 0 for any port that is free on both.
    @param factory: the factory of the protocols that answer.
    @param label: the option and its value, for messages.
    @param loopback: whether to listen on the loopback addresses only.
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
        for family, address in (("IPv4", v4), ("IPv6", v6)):
            service = PortService(transport.makeEndpoint(reactor, port, address), factory, label)
            service.setName(family)
            service.setServiceParent(self)

    def open(self) -> None:
        """
        Open both ports.

        @raise ConfigError: if a port cannot be opened, or this machine has neither family.
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
    Sockets opened by systemd.  They are looked up on opening, because they do not exist when a configuration is only
    checked.

    @param find: finds the sockets; raises L{ConfigError} if no such socket exists.
    @param makePort: makes the service for one socket.
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

        @raise ConfigError: if no such socket exists, or it cannot be opened.
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
    Make the service for a port option.

    @param option: the option's name, for messages.
    @param value: a number for that port on both families, C{systemd:NAME}, or an endpoint string.
    @param reactor: the reactor to listen with.
    @param factory: the factory of the protocols that answer.
    @param loopback: whether a number means that port on the loopback addresses only.
    @param onlyLoopback: whether to refuse any port that other machines can reach.
    @param trusted: the networks of proxies that may connect to a C{haproxy:} endpoint.
    @param queries: the log for other peers that connect to a C{haproxy:} endpoint.
    @param inherited: the sockets opened by systemd; none by default.
    @raise ConfigError: if the value has none of these forms.
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
        endpoint = serverFromString(TCPReactor(reactor), bare)
    except Exception as error:  # Each endpoint parser raises exceptions of its own.
        raise ConfigError(
            f"{label}: is not a port number, an endpoint string such as 'tcp:79:interface=192.0.2.1', or 'none' "
            f"({error})"
        ) from error
    return listenAt(endpoint)


def datagramPortService(
    option: str, value: str, reactor: Any, makeProtocol: MakeProtocol, loopback: bool = False
) -> DualPortService:
    """
    Make the service for a datagram port option.

    @param option: the option's name, for messages.
    @param value: a number for that UDP port on both families.
    @param reactor: the reactor to listen with.
    @param makeProtocol: makes the protocol of each port.
    @param loopback: whether to listen on the loopback addresses only.
    @raise ConfigError: if the value is not a port number.
    """
    label = f"--{option}={value}"
    return DualPortService(reactor, _parseNumber(value, label), makeProtocol, label, loopback, UDP)


def _parseNumber(value: str, label: str) -> int:
    if not (value.isascii() and value.isdigit()) or len(value) > len("65535") or int(value) > 65535:
        raise ConfigError(f"{label}: a port is a number from 0 to 65535")
    return int(value)


def portServices(service: Any) -> list[PortService]:
    """
    Return the services with one port each.

    @param service: a L{PortService}, or a collection of services that contains some at any depth.
    """
    if isinstance(service, PortService):
        return [service]
    return [found for child in service for found in portServices(child)]


def openPorts(service: Any) -> list[IListeningPort]:
    """
    Return the ports that are open now.

    @param service: see L{portServices}.
    """
    return [found.port for found in portServices(service) if found.port is not None]


def closedPorts(service: Any) -> list[PortService]:
    """
    Return the services whose port should be open and is not: not yet, or no longer.

    @param service: see L{portServices}.
    """
    return [
        found
        for found in portServices(service)
        if not getattr(found.port, "connected", found.port is not None)  # Twisted's own ports have C{connected}.
    ]


def formatAddress(address: IAddress) -> str:
    """Format an address for people: C{192.0.2.1:79}, C{[2001:db8::1]:79}, C{unix:/run/finger/web.sock}."""
    if isinstance(address, UNIXAddress):
        # An abstract address begins with @, as in systemd.
        return f"unix:{os.fsdecode(address.name or b'')}".replace("\0", "@")
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if host is None:
        return str(address)
    return f"[{host}]:{port}" if isIPv6Address(host) else f"{host}:{port}"


def _freePort(kind: socket.SocketKind) -> int:
    """Return a port number that is free on all families that this machine has."""
    dual = socket.has_dualstack_ipv6()
    with closing(socket.socket(socket.AF_INET6 if dual else socket.AF_INET, kind)) as sock:
        if dual:  # A dual-stack socket gets a number that is free on both families.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("", 0))
        number: int = sock.getsockname()[1]
    return number
