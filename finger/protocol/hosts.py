"""
Names and addresses of other servers, as values.  No I/O, no Twisted.

What a host is called comes from the network (C{user@host}) and goes to the resolver, to logs and to terminals.  So a
strict grammar stands before all of them: RFC 952 and 1123, and the underscores people have in spite of these.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

MAX_PORT: Final = 65535

LOCAL: Final = "local"
"""What stands for the host of a peer that has none, because it is on a UNIX socket of this machine."""

_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_MAX_NAME: Final = 253
_SCOPE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNICAST: Final = IPv6Network("2000::/3")  # RFC 4291
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052


def parseHost(text: str) -> str:
    """
    Read a host's name or address, as one spelling of the many it may have: small letters, no dot at the end, an
    international name as in the DNS, an IPv4-mapped IPv6 address as the IPv4 address that it is.

    @param text: as it came, but without brackets.
    @raise ValueError: if it is neither.  So are 127.1, 2130706433 and 0x7f000001, which some resolvers take for
        127.0.0.1.
    """
    address = parseAddress(text)
    if address is not None:
        return str(address)
    try:
        name = text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    name = name.lower().removesuffix(".")
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name) or _NUMBER.fullmatch(name):
        raise ValueError(f"{text[:_MAX_NAME]!r} is neither a host name nor an address")
    return name


def parseAddress(text: str) -> IPAddress | None:
    """Read an address; L{None} if it is none.  An IPv4-mapped IPv6 address is the IPv4 address that it is."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None and not _SCOPE.fullmatch(address.scope_id):
        return None
    return address.ipv4_mapped or address


def parseNetwork(text: str) -> IPNetwork:
    """
    Read a network, or an address, which is a network of its own.

    @raise ValueError: if it is neither; says what would be right.
    """
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; give an address, or a network such as 192.0.2.0/24") from error


def parseHostPort(text: str, port: int) -> tuple[str, int]:
    """
    Read C{host}, C{host:port}, C{::1}, C{[::1]} or C{[::1]:port}.

    @param port: the port if none is given.
    @raise ValueError: if it is none of these.
    """
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        colon, number = rest[:1], rest[1:]
    elif text.count(":") > 1:
        host, colon, number = text, "", ""
    else:
        host, colon, number = text.partition(":")
    if colon not in ("", ":"):
        raise ValueError(f"{text!r} has {colon!r} where a colon should be")
    return parseHost(host), parsePort(number) if colon else port


def parsePort(text: str) -> int:
    """
    Read a port.

    @raise ValueError: if it is no number from 1 to 65535.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PORT)) and 1 <= int(text) <= MAX_PORT):
        raise ValueError(f"{text!r} is no port: that is a number from 1 to {MAX_PORT}")
    return int(text)


def hostOf(address: object) -> str:
    """
    The host of an address of Twisted's.

    @param address: an L{IAddress <twisted.internet.interfaces.IAddress>}; or L{None}, as some connections have it.
    @return: the host, or L{LOCAL} if it has none.
    """
    return str(getattr(address, "host", LOCAL))


def isLocal(host: str) -> bool:
    """Is a host, as L{hostOf} gives it, this machine?"""
    address = parseAddress(host)
    return address.is_loopback if address is not None else host == LOCAL


def isGlobal(address: str) -> bool:
    """
    Is an address on the public Internet: not of this machine or its networks, nor multicast, reserved or made up?

    An IPv6 address that leads to an IPv4 address (mapped, 6to4, NAT64) is what that one is.  A Teredo address leads
    to one, too, and never is.
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
    # Some multicast addresses are called global, and so are some IPv6 addresses that are not even assigned.
    if isinstance(address, IPv6Address):
        return address.is_global and address in _UNICAST
    return address.is_global and not address.is_multicast and not address.is_reserved
