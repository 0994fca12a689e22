"""
Listening on TCP, as a function, an endpoint, and a reactor.

Their ports are L{OneTurnPort}s.  Those for IPv6 are for IPv6 only (RFC 3493, section 5.3): Twisted does not set
C{IPV6_V6ONLY}, so its IPv4 and IPv6 ports collide on one port number.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.posixbase import PosixReactorBase
from zope.interface import implementer

from finger.net.oneturn import OneTurnPort

BACKLOG = 511
"""The connections that may wait to be accepted.  With Twisted's 50, some of 500 clients at once wait for a second."""


def listenTCP(
    reactor: Any, port: int, factory: IProtocolFactory, backlog: int = BACKLOG, interface: str = ""
) -> IListeningPort:
    """
    Listen on one family: the counterpart of C{reactor.listenTCP}.

    @param reactor: the reactor.  One that is not based on descriptors, such as a test double, listens in its own way.
    @param port: the port number, or 0 for any free port.
    @param factory: the factory of the protocols that answer.
    @param backlog: the most connections that may wait to be accepted.
    @param interface: the address to listen on, which also chooses the family: C{::} for any IPv6 address, and the
        empty string for any IPv4 address.
    @raise CannotListenError: if the port cannot be opened.
    """
    if not isinstance(reactor, PosixReactorBase):
        other: IListeningPort = reactor.listenTCP(port, factory, backlog, interface)
        return other
    listening = OneTurnPort(port, factory, backlog, interface, reactor)
    listening.startListening()
    return listening


@implementer(IStreamServerEndpoint)
class TCPEndpoint:
    """L{listenTCP} as an endpoint, with the same parameters."""

    def __init__(self, reactor: Any, port: int, backlog: int = BACKLOG, interface: str = "") -> None:
        self._where = reactor, port
        self._how = backlog, interface

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """See L{IStreamServerEndpoint.listen}."""
        return maybeDeferred(listenTCP, *self._where, protocolFactory, *self._how)


class TCPReactor:
    """A reactor whose ports are those of L{listenTCP}, for endpoints made from strings."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = BACKLOG, interface: str = ""
    ) -> IListeningPort:
        """See L{listenTCP}."""
        return listenTCP(self._reactor, port, factory, backlog, interface)
