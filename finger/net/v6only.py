"""
IPv6-only listening, as a function, an endpoint, and a reactor.

Twisted does not set C{IPV6_V6ONLY} (RFC 3493, section 5.3), so its IPv4 and IPv6 ports collide on one port number.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.tcp import Port
from zope.interface import implementer

BACKLOG = 511
"""The connections that may wait to be accepted.  With Twisted's 50, some of 500 clients at once wait for a second."""


class _V6OnlyPort(Port):
    """A TCP port for IPv6 only."""

    def createInternetSocket(self) -> socket.socket:
        sock: socket.socket = super().createInternetSocket()
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return sock


def listenTCP6(
    reactor: Any, port: int, factory: IProtocolFactory, backlog: int = BACKLOG, interface: str = "::"
) -> IListeningPort:
    """
    Listen on IPv6 only: the counterpart of C{reactor.listenTCP} for IPv4.

    @param reactor: an L{IReactorFDSet <twisted.internet.interfaces.IReactorFDSet>}.
    @param port: the port number, or 0 for any free port.
    @param factory: the factory of the protocols that answer.
    @param backlog: the most connections that may wait to be accepted.
    @param interface: the address to listen on.
    @raise CannotListenError: if the port cannot be opened.
    """
    listening = _V6OnlyPort(port, factory, backlog, interface, reactor)
    listening.startListening()
    return listening


@implementer(IStreamServerEndpoint)
class TCP6OnlyEndpoint:
    """L{listenTCP6} as an endpoint, with the same parameters."""

    def __init__(self, reactor: Any, port: int, backlog: int = BACKLOG, interface: str = "::") -> None:
        self._where = reactor, port
        self._how = backlog, interface

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """See L{IStreamServerEndpoint.listen}."""
        return maybeDeferred(listenTCP6, *self._where, protocolFactory, *self._how)


class V6OnlyReactor:
    """A reactor whose IPv6 ports are IPv6-only, for endpoints made from strings."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = BACKLOG, interface: str = ""
    ) -> IListeningPort:
        if isIPv6Address(interface):
            return listenTCP6(self._reactor, port, factory, backlog, interface)
        port4: IListeningPort = self._reactor.listenTCP(port, factory, backlog, interface)
        return port4
