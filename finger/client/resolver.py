"""Names into addresses, which can be looked at before one of them is connected to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer

from finger.protocol.hosts import parseAddress


def alternate(addresses: Sequence[IAddress]) -> list[IAddress]:
    """Alternate the families, the resolver's first choice first (RFC 8305, section 4): one may not work here."""
    first = [address for address in addresses if type(address) is type(addresses[0])]
    second = [address for address in addresses if type(address) is not type(addresses[0])]
    return [address for pair in zip_longest(first, second) for address in pair if address is not None]


def knownAddresses(host: str, port: int) -> list[IAddress]:
    """
    The addresses of a host that needs no lookup: of an address, itself; of C{localhost}, both (RFC 6761, section
    6.3), whatever this machine's C{/etc/hosts} has forgotten.  The address that every machine has comes first.

    @return: none, if C{host} is any other name.
    """
    if host == "localhost":
        return [IPv4Address("TCP", "127.0.0.1", port), IPv6Address("TCP", "::1", port)]
    literal = parseAddress(host)
    if literal is None:
        return []
    return [(IPv4Address if literal.version == 4 else IPv6Address)("TCP", host, port)]


def lookUp(resolver: IHostnameResolver, host: str, port: int) -> Deferred[list[IAddress]]:
    """
    Find the addresses of a host.

    @param host: its name.
    @param port: what port the addresses are to have.
    @return: the addresses, in the resolver's order; none, if there is no such host.
    """
    receiver = _Addresses()
    resolver.resolveHostName(receiver, host, port)
    return receiver.all


@implementer(IResolutionReceiver)
class _Addresses:
    """Collects the addresses of one host."""

    def __init__(self) -> None:
        self.all: Deferred[list[IAddress]] = Deferred()
        self._found: list[IAddress] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        pass

    def addressResolved(self, address: IAddress) -> None:
        self._found.append(address)

    def resolutionComplete(self) -> None:
        self.all.callback(self._found)


@implementer(IReactorPluggableNameResolver, IHostnameResolver)
class ResolvedReactor:
    """
    A reactor for L{twisted.internet.endpoints.HostnameEndpoint} that resolves whatever it is asked to the addresses
    already found and checked.  Thus no second lookup, with another result, comes between check and connection.
    """

    def __init__(self, reactor: Any, addresses: list[IAddress]) -> None:
        self.connectTCP = reactor.connectTCP
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds
        self.nameResolver = self
        self._addresses = addresses

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """The one there is stays."""
        raise NotImplementedError

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        for address in self._addresses:
            resolutionReceiver.addressResolved(address)
        resolutionReceiver.resolutionComplete()
        return _Resolution(hostName)


@implementer(IHostResolution)
class _Resolution:
    """A resolution that is over."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        raise NotImplementedError
