"""
The PROXY protocol: a peer in front of us that says for whom it connects.

Who may say so may claim any address.  So only those who are trusted may connect at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.policies import WrappingFactory
from zope.interface import implementer

from finger.errors import ConfigError
from finger.hosts import IPNetwork, parseAddress, parseNetwork
from finger.querylog import QueryLog

PREFIX = "haproxy:"
"""How the string of such an endpoint begins; the rest is where it listens."""


def parseTrusted(values: Iterable[str]) -> tuple[IPNetwork, ...]:
    """
    Read the values of C{--trust-proxy}.

    @raise ConfigError: if one is neither an address nor a network.
    """
    networks = []
    for value in values:
        try:
            networks.append(parseNetwork(value))
        except ValueError as error:
            raise ConfigError(f"--trust-proxy={value}: {error}") from error
    return tuple(networks)


class TrustingFactory(WrappingFactory):
    """
    Lets those connect who are trusted, and whoever comes by a UNIX socket, which has permissions of its own.

    @param wrappedFactory: what answers them.
    @param trusted: the networks they are in.
    @param queries: where those who are not are logged.
    """

    noisy = False

    def __init__(self, wrappedFactory: IProtocolFactory, trusted: Iterable[IPNetwork], queries: QueryLog) -> None:
        super().__init__(wrappedFactory)
        self._trusted = tuple(trusted)
        self._queries = queries

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See L{IProtocolFactory.buildProtocol}."""
        host = getattr(addr, "host", None)
        address = parseAddress(host) if isinstance(host, str) else None
        if host is None or (address is not None and any(address in network for network in self._trusted)):
            return self.wrappedFactory.buildProtocol(addr)
        self._queries.begin("haproxy", str(host), "")("UntrustedProxy")
        return None


@implementer(IStreamServerEndpoint)
class _TrustingEndpoint:
    def __init__(self, endpoint: IStreamServerEndpoint, trusted: tuple[IPNetwork, ...], queries: QueryLog) -> None:
        self._endpoint = endpoint
        self._trusted = trusted
        self._queries = queries

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return self._endpoint.listen(TrustingFactory(protocolFactory, self._trusted, self._queries))


def trustingProxyEndpoint(
    endpoint: IStreamServerEndpoint, trusted: tuple[IPNetwork, ...], queries: QueryLog
) -> IStreamServerEndpoint:
    """
    Make an endpoint whose peers begin with a header of the PROXY protocol, version 1 or 2.

    @param endpoint: where it listens.
    @param trusted: the networks that peers may connect from.
    @param queries: where those from elsewhere are logged.
    """
    trusting: IStreamServerEndpoint = proxyEndpoint(_TrustingEndpoint(endpoint, trusted, queries))
    return trusting
