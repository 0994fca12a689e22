"""
The client on whose behalf a reverse proxy sends an HTTP request: C{Forwarded} (RFC 7239), and C{X-Forwarded-For} with
C{X-Forwarded-Proto}.  No I/O, no Twisted.

Each proxy adds the address of its own peer at the end.  What stands before that may be the invention of a client, so
the fields are read from the end, as far as the addresses are those of trusted proxies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from finger.protocol.hosts import IPNetwork, isTrusted, parseAddress

FIELDS: Final = (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto")
"""The names of the fields, in the order of L{findClient}'s parameters."""


class BadForwarded(ValueError):
    """A trusted proxy sent a field that is not valid, or two fields that contradict each other."""


@dataclass(frozen=True, slots=True)
class Client:
    """
    The client of a request.

    @ivar host: its address; if that is not known, the address of the last known proxy.
    @ivar isSecure: whether it uses TLS; L{None} if no field says.
    @ivar isKnown: whether a proxy disclosed its address.
    """

    host: str
    isSecure: bool | None = None
    isKnown: bool = False


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says of its peer.  A C{host} of L{None} is not disclosed."""

    host: str | None
    isSecure: bool | None


def findClient(
    peer: str,
    trusted: Iterable[IPNetwork],
    forwarded: Sequence[bytes] = (),
    addresses: Sequence[bytes] = (),
    protocols: Sequence[bytes] = (),
) -> Client:
    """
    Find the client of a request: the last address that is not a trusted proxy's.

    A proxy that sends one kind of fields usually passes on the other kind, which the client may have invented.  So
    both kinds must agree where both say something.

    @param peer: the host of the connection's peer.  Only the fields of a trusted proxy count.
    @param trusted: the networks of trusted proxies.
    @param forwarded: the values of the request's C{Forwarded} fields.
    @param addresses: the values of its C{X-Forwarded-For} fields.
    @param protocols: the values of its C{X-Forwarded-Proto} fields.
    @raise BadForwarded: if the fields are not valid, or contradict each other.
    """
    trusted = tuple(trusted)
    if not isTrusted(peer, trusted):
        return Client(peer)
    first = _follow(peer, trusted, _hopsOfForwarded(forwarded))
    second = _follow(peer, trusted, _hopsOfX(_items(addresses), _items(protocols)))
    if _differ(first.isSecure, second.isSecure) or (first.isKnown and second.isKnown and first.host != second.host):
        raise BadForwarded("Forwarded and X-Forwarded-... contradict each other")
    found = max(first, second, key=lambda client: (client.isKnown, client.host != peer))
    return Client(found.host, second.isSecure if first.isSecure is None else first.isSecure, found.isKnown)


def _differ(first: bool | None, second: bool | None) -> bool:
    return None not in {first, second} and first != second


def _follow(peer: str, trusted: tuple[IPNetwork, ...], hops: Iterable[_Hop]) -> Client:
    """Follow the hops from the server towards the client, up to the first that is not a trusted proxy."""
    client = Client(peer)
    for hop in hops:
        if hop.host is None:
            return Client(client.host, hop.isSecure)
        client = Client(hop.host, hop.isSecure, isKnown=True)
        if not isTrusted(hop.host, trusted):
            break
    return client


# X-Forwarded-For and X-Forwarded-Proto, which no standard defines.


def _items(values: Iterable[bytes]) -> list[str]:
    """Return the items of a list, which may have empty ones (RFC 9110, section 5.6.1)."""
    items = (item.strip(" \t") for value in values for item in value.decode("latin-1").split(","))
    return [item for item in items if item]


def _hopsOfX(addresses: Sequence[str], protocols: Sequence[str]) -> Iterator[_Hop]:
    """
    Return the hops, from the server on.  Each has the protocol at the same place from the end; if there are fewer
    protocols than addresses, the first one counts for the others.
    """
    if protocols and not addresses:
        yield _Hop(None, _isSecure(protocols[-1]))
    for place, address in enumerate(reversed(addresses), 1):
        isSecure = _isSecure(protocols[-min(place, len(protocols))]) if protocols else None
        bare = parseAddress(address) if "%" not in address else None
        yield _Hop(_parseNode(address) if bare is None else str(bare), isSecure)


def _isSecure(protocol: str) -> bool:
    return protocol.lower() in {"https", "wss"}


# Forwarded (RFC 7239).

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR: Final = re.compile(rf'[ \t]*+(?:({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*+)"))?[ \t]*+(;|,|\Z)')
_NODE: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|(unknown|_[A-Za-z0-9._-]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?",
    re.IGNORECASE,
)


def _hopsOfForwarded(values: Sequence[bytes]) -> Iterator[_Hop]:
    """Return the hops, from the server on.  A field before the last that is needed may be anything."""
    for value in reversed(values):
        elements = _elements(value.decode("latin-1"))
        yield from (_hopOf(element) for element in reversed(elements) if element)


def _elements(value: str) -> list[dict[str, str]]:
    """Return the parameters of each element (section 4), by name in lowercase."""
    elements: list[dict[str, str]] = [{}]
    position = 0
    while True:
        pair = _PAIR.match(value, position)
        if pair is None or (pair[1] and pair[1].lower() in elements[-1]):
            raise BadForwarded("Forwarded is not valid")
        if pair[1]:
            elements[-1][pair[1].lower()] = pair[2] or re.sub(r"\\(.)", r"\1", pair[3])
        if pair[4] == ",":
            elements.append({})
        elif not pair[4]:
            return elements
        position = pair.end()


def _hopOf(element: dict[str, str]) -> _Hop:
    node, protocol = element.get("for"), element.get("proto")
    return _Hop(None if node is None else _parseNode(node), None if protocol is None else _isSecure(protocol))


def _parseNode(node: str) -> str | None:
    """
    Parse a node (section 6): an address, IPv6 in brackets, with or without a port.

    @return: the address; L{None} for C{unknown} and for an obfuscated identifier, which may be another one in the
        next request, and so identifies nothing.
    """
    match = _NODE.fullmatch(node)
    if match is not None and match[3]:
        return None
    address = parseAddress(match[1] or match[2]) if match is not None else None
    if match is None or address is None or (match[1] and ":" not in match[1]):
        raise BadForwarded("a forwarded address is not valid")
    return str(address)
