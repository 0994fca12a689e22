"""Resolve host names to addresses, so that addresses can be checked before connecting."""

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
    """
    Order addresses by alternating families, the first address's family first (RFC 8305, section 4), in case a family
    does not work.
    """
    first = [address for address in addresses if type(address) is type(addresses[0])]
    second = [address for address in addresses if type(address) is not type(addresses[0])]
    return [address for pair in zip_longest(first, second) for address in pair if address is not None]


def knownAddresses(host: str, port: int) -> list[IAddress]:
    """
    Return the addresses of a host that needs no lookup: a literal address, or C{localhost} (RFC 6761, section 6.3).

    C{localhost} has both loopback addresses, even if C{/etc/hosts} lacks one.  IPv4 is first: all machines have it.

    @return: the addresses; empty for any other name.
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

    @param resolver: the resolver to use.
    @param host: the host's name.
    @param port: the port of the addresses.
    @return: the addresses, in the resolver's order; empty if the host does not exist.
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
    A reactor for L{twisted.internet.endpoints.HostnameEndpoint} that resolves every name to addresses already
    checked.  A second lookup, between check and connection, could have another result.
    """

    def __init__(self, reactor: Any, addresses: list[IAddress]) -> None:
        self.connectTCP = reactor.connectTCP
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds
        self.nameResolver = self
        self._addresses = addresses

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """The resolver cannot be replaced."""
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
    """A completed resolution."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        raise NotImplementedError
