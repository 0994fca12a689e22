"""The arguments of the client as values: what to ask which server.  No I/O, no Twisted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from finger.client.fingerurl import isURL, parseURL
from finger.errors import BadQuery
from finger.protocol.hosts import parseHost, parsePort, splitPort
from finger.protocol.wire import formatQuery

_VERBOSE: Final = re.compile(r"\A/[Ww](?:[ \t]+|\Z)")
_ENCODED_PERCENT: Final = re.compile(r"%25(?=.*[^0-9])")


@dataclass(frozen=True, slots=True)
class Target:
    """
    One query.

    @ivar query: the bytes to send.
    @ivar host: the server's host; empty for this machine.
    @ivar port: the server's port; L{None} if the argument has none.
    """

    query: bytes
    host: str
    port: int | None = None


def parseTarget(text: str, verbose: bool) -> Target:
    """
    Read C{user}, C{user@host}, C{@host}, C{user@host1@host2}, or a finger URL.  The last host is sent the part before
    it, as it is; only the last one may have a port.

    @param text: the argument.
    @param verbose: whether to ask for more information (C{/W}).
    @raise ValueError: if the argument cannot be sent as a query.
    """
    names, host, port = _parseURL(text) if isURL(text) else _parsePlain(text)
    # A name may begin with /W, too, as it does in some URLs.  A server understands one, but not two.
    bare = _VERBOSE.sub("", names, count=1)
    try:
        return Target(formatQuery(bare, verbose or bare != names), host, port)
    except BadQuery as error:
        raise ValueError(f"{text!r}: {error}") from error


def _parseURL(text: str) -> tuple[str, str, int | None]:
    try:
        url = parseURL(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from error
    return url.names, url.host, url.port


def _parsePlain(text: str) -> tuple[str, str, int | None]:
    names, at, place = text.rpartition("@")
    if not at:
        return text, "", None
    if not place:
        return names, "", None
    host, number = splitPort(place)
    if not host:
        raise ValueError(f"{text!r}: the host is missing before the port")
    return names, _parseHost(host), None if number is None else _parsePort(number, text)


def _parsePort(number: str, text: str) -> int:
    try:
        return parsePort(number)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from error


def _parseHost(text: str) -> str:
    """
    Parse a host.  The percent sign before the zone of an address may be written as in URLs, C{%25} (RFC 6874), except
    before a number: C{%251} is the interface with the number 251 here (RFC 4007, section 11.2).
    """
    try:
        return parseHost(_ENCODED_PERCENT.sub("%", text, count=1))
    except ValueError as error:
        hint = "; an IPv6 address with a port is written [ADDRESS]:PORT" if ":" in text else ""
        raise ValueError(f"{error}{hint}") from error
