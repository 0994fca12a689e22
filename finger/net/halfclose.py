"""
Half-closed connections: the peer has closed its sending side, and still waits for the answer (RFC 9293, section 3.6).

Twisted closes a connection at the peer's FIN unless every protocol from the transport up to the adapter's provides
L{IHalfCloseableProtocol}.
"""

from __future__ import annotations

import select
from typing import Any, Final

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import alsoProvides

GONE_INTERVAL: Final = 1.0
"""The interval of the checks whether a half-closed peer has left, in seconds."""


class HalfCloseWrapper(ProtocolWrapper):
    """A wrapper that passes on half-closes, unlike L{ProtocolWrapper}, if the protocol inside supports them."""

    def makeConnection(self, transport: Any) -> None:
        """
        See L{ProtocolWrapper.makeConnection}.  The interface is provided after it, because wrappers inside take the
        interfaces of their transport, which is this one, for their own.
        """
        super().makeConnection(transport)
        if IHalfCloseableProtocol.providedBy(self.halfCloseable()):
            alsoProvides(self, IHalfCloseableProtocol)

    def halfCloseable(self) -> Any:
        """Return the protocol that half-closes are passed on to."""
        return self.wrappedProtocol

    def readConnectionLost(self) -> None:
        """See L{IHalfCloseableProtocol.readConnectionLost}."""
        self.halfCloseable().readConnectionLost()

    def writeConnectionLost(self) -> None:
        """See L{IHalfCloseableProtocol.writeConnectionLost}."""
        self.halfCloseable().writeConnectionLost()


def hasLeft(transport: Any) -> bool:
    """
    Return whether a half-closed peer has closed the rest of the connection, too: by a reset or, on a UNIX socket, by
    closing it.  The reactor does not watch a socket whose input has ended.

    @param transport: the transport.  A peer of one without a socket has not left.
    """
    getHandle = getattr(transport, "getHandle", None)
    if getHandle is None:
        return False
    poller = select.poll()
    poller.register(getHandle(), 0)
    return bool(poller.poll(0))
