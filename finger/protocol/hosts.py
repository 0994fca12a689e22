"""
The names and addresses of hosts, as values.  No I/O, no Twisted.

A host's name comes from the network (C{user@host}) and goes to the resolver, to logs and to terminals.  It must
therefore match a strict grammar first: that of RFC 952 and 1123, plus the underscores that are common nevertheless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

import idna

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

MAX_PORT: Final = 65535

LOCAL: Final = "local"
"""The placeholder for the host of a peer on a UNIX socket, which is on this machine and has no address."""

_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_MAX_NAME: Final = 253
_SCOPE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNICAST: Final = IPv6Network("2000::/3")  # RFC 4291
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052


def parseHost(text: str) -> str:
    """
    Parse a host's name or address, and return its canonical form: lowercase, without a final dot, an international
    name in its ASCII form (IDNA 2008, RFC 5891; mapped as browsers do, by Unicode Technical Standard 46), an
    IPv4-mapped IPv6 address as the IPv4 address.

    @param text: the name or address, without brackets.
    @raise ValueError: if it is neither.  This includes 127.1, 2130706433 and 0x7f000001, which some resolvers read
        as 127.0.0.1.
    """
    address = parseAddress(text)
    if address is not None:
        return str(address)
    name = _toASCII(text).lower().removesuffix(".")
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name) or _NUMBER.fullmatch(name):
        raise ValueError(f"{text[:_MAX_NAME]!r} is neither a host name nor an address")
    return name


def _toASCII(name: str) -> str:
    """Return a host's name in its ASCII form; empty if it has none."""
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii") if len(name) <= _MAX_NAME else ""
    except UnicodeError:
        return ""


@lru_cache(maxsize=4096)  # An address is parsed for each limit, and for the log.
def parseAddress(text: str) -> IPAddress | None:
    """
    Parse an address.

    @return: the address, an IPv4-mapped IPv6 address as the IPv4 address; L{None} if it is not valid.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None and not _SCOPE.fullmatch(address.scope_id):
        return None
    return address.ipv4_mapped or address


@lru_cache(maxsize=4096)
def canonicalAddress(text: str) -> str:
    """
    Return the usual form of an address (RFC 5952), a mapped IPv4 address as IPv4.

    @param text: the address; anything else is returned as it is.
    """
    return str(parseAddress(text) or text)


def parseNetwork(text: str) -> IPNetwork:
    """
    Parse a network, or an address as the network that contains only it.

    @raise ValueError: if it is neither; the message says what would be right.
    """
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; give an address, or a network such as 192.0.2.0/24") from error


def parseHostPort(text: str, port: int) -> tuple[str, int]:
    """
    Parse C{host}, C{host:port}, C{::1}, C{[::1]} or C{[::1]:port}.

    @param port: the default port.
    @raise ValueError: if it is none of these.
    """
    host, number = splitPort(text)
    return parseHost(host), port if number is None else parsePort(number)


def splitPort(text: str) -> tuple[str, str | None]:
    """
    Split C{host}, C{host:port}, C{::1}, C{[::1]} or C{[::1]:port}.  More than one colon without brackets is an IPv6
    address, which has no port.

    @return: the host, without brackets, and the port; L{None} if there is no colon before it.  Neither is checked.
    @raise ValueError: if a bracket is not closed, or something other than a port follows it.
    """
    if not text.startswith("["):
        host, colon, number = text.partition(":") if text.count(":") == 1 else (text, "", "")
        return host, number if colon else None
    host, closed, rest = text[1:].partition("]")
    if not closed or rest[:1] not in ("", ":"):
        raise ValueError(f"{text[:_MAX_NAME]!r} is neither [ADDRESS] nor [ADDRESS]:PORT")
    return host, rest[1:] if rest else None


def parsePort(text: str) -> int:
    """
    Parse a port number.

    @raise ValueError: if it is not a number from 1 to 65535.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PORT)) and 1 <= int(text) <= MAX_PORT):
        raise ValueError(f"{text!r} is not a port: expected a number from 1 to {MAX_PORT}")
    return int(text)


def hostOf(address: object) -> str:
    """
    Return the host of a Twisted address.

    @param address: an L{IAddress <twisted.internet.interfaces.IAddress>}; L{None} for connections without one.
    @return: the host, or L{LOCAL} if there is none.
    """
    return str(getattr(address, "host", LOCAL))


@lru_cache(maxsize=4096)
def isLocal(host: str) -> bool:
    """Return whether a host, as returned by L{hostOf}, is this machine."""
    address = parseAddress(host)
    return address.is_loopback if address is not None else host == LOCAL


def isTrusted(host: str, networks: Iterable[IPNetwork]) -> bool:
    """
    Return whether a host, as returned by L{hostOf}, is a trusted proxy: its address is in one of the networks, or it
    is at the other end of a UNIX socket, which file permissions protect.
    """
    address = parseAddress(host)
    return any(address in network for network in networks) if address is not None else host == LOCAL


@lru_cache(maxsize=4096)
def rateLimitKey(host: str) -> str:
    """
    Return the key that an address's connections are counted by: an IPv4 address itself, or an IPv6 address's /64.

    @param host: the address.  Anything else, such as a UNIX socket's path, is its own key.
    """
    address = parseAddress(host.partition("%")[0])
    if address is None:
        return host
    if not isinstance(address, IPv6Address) or address.is_loopback:
        return str(address)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def isGlobal(address: str) -> bool:
    """
    Return whether an address is on the public Internet: a valid address that is not of this machine, private,
    multicast or reserved.

    An IPv6 address that contains an IPv4 address (mapped, 6to4, NAT64) is global if that one is.  A Teredo address
    contains one as well, but is never global.
    """
    parsed = parseAddress(address)
    return parsed is not None and _isGlobal(_target(parsed))


def _target(address: IPAddress) -> IPAddress:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address


def _isGlobal(address: IPAddress) -> bool:
    # The ipaddress module counts some multicast addresses and some unassigned IPv6 addresses as global.
    if isinstance(address, IPv6Address):
        return address.is_global and address in _UNICAST
    return address.is_global and not address.is_multicast and not address.is_reserved
