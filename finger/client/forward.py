"""Forward queries to other servers (RFC 1288, sections 2.4 and 3.2.1)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Final

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from finger.client.client import FINGER_PORT, Allowed, FingerClient, formatName
from finger.errors import ConfigError, ForwardingRefused, PeerError
from finger.interfaces import IFingerForwarder
from finger.protocol.hosts import IPNetwork, isGlobal, parseAddress, parseHost, rateLimitKey
from finger.protocol.wire import formatQuery

ANY: Final = "any"
"""The value of C{--forward} for every host with a public address."""

UNKNOWN_PEER: Final = "unknown"
"""The peer that queries count for whose adapter does not say."""


def parseForward(value: str) -> str | IPNetwork:
    """
    Read a value of C{--forward}.

    @return: a network, a host's name or address in canonical form, or L{ANY}.
    @raise ConfigError: if the value is none of these.
    """
    try:
        if "/" in value:
            return ip_network(value)
        return parseHost(value.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise ConfigError(
            f"--forward={value}: {error}; give a host, an address, a network such as 192.0.2.0/24, or 'any'"
        ) from error


@implementer(IFingerForwarder)
class Forwarder:
    """
    Forward queries to the hosts that the administrator allows.

    A listed host is allowed, whatever its addresses are.  A listed network allows the literal addresses in it.
    C{any} allows all other hosts, but only at public addresses, so that clients cannot reach internal networks
    through this server.

    Servers that forward to each other cannot loop: each server removes a host from the query, the number of hosts is
    limited here, and identical queries at the same time are sent once (L{FingerClient}).

    @param client: the client that sends the queries; its limits apply.
    @param hosts: the values of C{--forward}; if empty, all queries are refused.
    @param maxHops: the most hosts in C{user@host1@host2...}, without this server.
    @param port: the port of the hosts.
    @raise ConfigError: if a value is invalid (L{parseForward}).
    """

    def __init__(
        self, client: FingerClient, hosts: Iterable[str] = (), maxHops: int = 1, port: int = FINGER_PORT
    ) -> None:
        self._client = client
        self._maxHops = maxHops
        self._port = port
        rules = [parseForward(host) for host in hosts]
        self._hosts = {rule for rule in rules if isinstance(rule, str)}
        self._networks = [rule for rule in rules if not isinstance(rule, str)]

    def forward(self, query: str, host: str, verbose: bool, peer: str = "") -> Deferred[str]:
        """
        See L{IFingerForwarder.forward}.  Also fails with L{finger.errors.NoSuchUser} if C{query} is a name that
        cannot be sent in a query.
        """
        try:
            if query.count("@") >= self._maxHops:
                raise ForwardingRefused(f"more than {self._maxHops} hosts")
            host, allowed = self._permit(host)
            line = formatName(query, verbose) if query else formatQuery("", verbose)
        except PeerError:
            return fail()
        place = rateLimitKey(peer) if peer else UNKNOWN_PEER
        return self._client.ask(host, self._port, line, allowed, place).addCallback(lambda answer: answer.text)

    def _permit(self, host: str) -> tuple[str, Allowed | None]:
        """Return the host in canonical form, and the check for its addresses, or raise L{ForwardingRefused}."""
        try:
            name = parseHost(host)
        except ValueError as error:
            raise ForwardingRefused(str(error)) from error
        if (name != ANY and name in self._hosts) or self._isInNetwork(name):
            return name, None
        if ANY in self._hosts:
            return name, isGlobal
        raise ForwardingRefused(f"{name} is not allowed")

    def _isInNetwork(self, name: str) -> bool:
        address = parseAddress(name)
        return address is not None and any(address in network for network in self._networks)
