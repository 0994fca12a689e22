"""HTTP requests that a reverse proxy may have sent: their client, as a trusted proxy says."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.web.server import Request

from finger.net.forwarded import FIELDS, Client, findClient
from finger.protocol.hosts import IPNetwork, hostOf


class ProxiedRequest(Request):
    """A request whose client may be behind a trusted proxy."""

    _proxied = Client("")  # Of a request that is not complete.

    def findClient(self, trusted: Iterable[IPNetwork]) -> str:
        """
        Find the client, from now on.

        @param trusted: the networks of trusted proxies.
        @return: the client's host.
        @raise finger.net.forwarded.BadForwarded: see L{finger.net.forwarded.findClient}.
        """
        values = (self.requestHeaders.getRawHeaders(name, ()) for name in FIELDS)
        self._proxied = findClient(hostOf(self.client), trusted, *values)
        return self._proxied.host

    def getClientAddress(self) -> IAddress:
        """See L{Request.getClientAddress}.  The port of a client behind a proxy is unknown, and 0."""
        host = self._proxied.host
        if host in ("", hostOf(self.client)):
            address: IAddress = super().getClientAddress()
            return address
        return IPv6Address("TCP", host, 0) if ":" in host else IPv4Address("TCP", host, 0)

    def isSecure(self) -> bool:
        """See L{Request.isSecure}.  A proxy that says how its client is connected is believed."""
        isSecure = self._proxied.isSecure
        return bool(super().isSecure()) if isSecure is None else isSecure
