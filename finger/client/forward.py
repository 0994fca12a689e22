"""Asking other servers on a peer's behalf (RFC 1288, sections 2.4 and 3.2.1)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Final

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from finger.client.client import FINGER_PORT, Allowed, FingerClient, formatName
from finger.errors import ConfigError, ForwardingRefused, PeerError
from finger.interfaces import IFingerForwarder
from finger.protocol.hosts import IPNetwork, isGlobal, parseAddress, parseHost
from finger.protocol.wire import formatQuery

ANY: Final = "any"
"""The value of C{--forward} for every host with a public address."""


def parseForward(value: str) -> str | IPNetwork:
    """
    Read a value of C{--forward}.

    @return: a network; else a host's name or address, or L{ANY}, in the one spelling that hosts are compared in.
    @raise ConfigError: if it is none of these.
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
    Asks the hosts that the administrator named, and no other.

    A host that is named may be asked, whatever its addresses are.  A network that is named allows the literal
    addresses in it.  C{any} allows all other hosts, of whose addresses only public ones are connected to, so that
    nobody looks into our own networks with our eyes.

    Servers that forward to each other cannot make a query endless: it loses a host at each, the hosts in it are
    counted here first, and the same query does not go out twice at a time (L{FingerClient}).

    @param client: who asks; its limits are the forwarder's.
    @param hosts: the values of C{--forward}; without one everything is refused.
    @param maxHops: of C{user@host1@host2...}, how many hosts, this server being none of them.
    @param port: the port they are asked at.
    @raise ConfigError: if a value is none (L{parseForward}).
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

    def forward(self, query: str, host: str, verbose: bool) -> Deferred[str]:
        """
        See L{IFingerForwarder.forward}.  Fails with L{finger.errors.NoSuchUser}, too, if C{query} is a name that
        no server can be asked for.
        """
        try:
            if query.count("@") >= self._maxHops:
                raise ForwardingRefused(f"more than {self._maxHops} hosts")
            host, allowed = self._permit(host)
            line = formatName(query, verbose) if query else formatQuery("", verbose)
        except PeerError:
            return fail()
        return self._client.ask(host, self._port, line, allowed).addCallback(lambda answer: answer.text)

    def _permit(self, host: str) -> tuple[str, Allowed | None]:
        """The host as it is to be asked, and what its addresses must be."""
        try:
            name = parseHost(host)
        except ValueError as error:
            raise ForwardingRefused(str(error)) from error
        if (name != ANY and name in self._hosts) or self._isInNetwork(name):
            return name, None
        if ANY in self._hosts:
            return name, isGlobal
        raise ForwardingRefused(f"{name} is not named")

    def _isInNetwork(self, name: str) -> bool:
        address = parseAddress(name)
        return address is not None and any(address in network for network in self._networks)
