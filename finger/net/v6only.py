"""
IPv6 and IPv6 alone, as a port, an endpoint, and a reactor.

Twisted does not set C{IPV6_V6ONLY} (RFC 3493, section 5.3), so that its ports of both families collide on one number.
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
"""How many connections may wait to be accepted.  With Twisted's 50, some of 500 clients at once wait for a second."""


class _V6OnlyPort(Port):
    """A port for IPv6 that leaves IPv4 to another."""

    def createInternetSocket(self) -> socket.socket:
        sock: socket.socket = super().createInternetSocket()
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return sock


def listenTCP6(
    reactor: Any, port: int, factory: IProtocolFactory, backlog: int = BACKLOG, interface: str = "::"
) -> IListeningPort:
    """
    Listen on IPv6 and IPv6 alone: what C{reactor.listenTCP} is for IPv4.

    @param reactor: an L{IReactorFDSet <twisted.internet.interfaces.IReactorFDSet>}.
    @param port: the number, or 0 for any free one.
    @param factory: what answers there.
    @param backlog: how many connections may wait to be accepted.
    @param interface: the address to listen on.
    @raise CannotListenError: if the port cannot be had.
    """
    listening = _V6OnlyPort(port, factory, backlog, interface, reactor)
    listening.startListening()
    return listening


@implementer(IStreamServerEndpoint)
class TCP6OnlyEndpoint:
    """L{listenTCP6} as an endpoint; its parameters are that function's."""

    def __init__(self, reactor: Any, port: int, backlog: int = BACKLOG, interface: str = "::") -> None:
        self._where = reactor, port
        self._how = backlog, interface

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """See L{IStreamServerEndpoint.listen}."""
        return maybeDeferred(listenTCP6, *self._where, protocolFactory, *self._how)


class V6OnlyReactor:
    """A reactor whose IPv6 ports, as endpoint strings ask for them, leave IPv4 alone."""

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
