"""
TLS whose peer may close its sending side first, and still receives the answer.

In TLS 1.3 a C{close_notify} closes one direction (RFC 8446, section 6.1).  In TLS 1.2 it closes both (RFC 5246,
section 7.2.1).  A FIN without a C{close_notify} is an incomplete close, which servers should expect (RFC 9112,
section 9.8): the syntax of a request shows whether it is complete.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IHalfCloseableProtocol, ITCPTransport
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from zope.interface import implementer


class TLSConnection(SSL.Connection):
    """
    OpenSSL's side of a connection.  Twisted closes a connection at a C{close_notify}; this one hides it from Twisted
    if the connection may stay open.

    @param context: the certificate and the settings.
    @param protocol: Twisted's side.
    """

    def __init__(self, context: SSL.Context, protocol: object) -> None:
        super().__init__(context, None)
        self._protocol: Any = protocol if IHalfCloseableProtocol.providedBy(protocol) else None

    def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
        """See C{OpenSSL.SSL.Connection.recv}."""
        try:
            return super().recv(bufsiz, flags)
        except SSL.ZeroReturnError:
            if self._protocol is None or self.get_protocol_version() < SSL.TLS1_3_VERSION:
                raise
            self._protocol.readConnectionLost()
            raise SSL.WantReadError from None


@implementer(IHalfCloseableProtocol)
class HalfCloseableTLS(BufferingTLSTransport):
    """Twisted's side of a connection.  If the protocol inside does not support half-closes, they close it."""

    transport: ITCPTransport
    _hasEnded = False

    def readConnectionLost(self) -> None:
        """Pass on the end of the peer's data: by C{close_notify}, by FIN, or by both, one after the other."""
        self._hasEnded = True
        protocol = IHalfCloseableProtocol(self.wrappedProtocol, None)
        if self.disconnecting or protocol is None:
            self.loseConnection()
        else:
            protocol.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Do nothing: the protocol inside cannot close its sending side alone."""

    def loseConnection(self) -> None:
        """Close the connection.  A peer whose data has ended cannot reply to a C{close_notify}, so don't wait."""
        super().loseConnection()
        if self._hasEnded:
            self.transport.loseConnection()


class HalfCloseableTLSFactory(TLSMemoryBIOFactory):
    """A factory of connections whose peers may close their sending sides first."""

    protocol = HalfCloseableTLS
