"""
Finger URLs (draft-ietf-uri-url-finger, RFC 3986) as values: C{finger://host:port/user}, and C{finger://user@host:port},
which text browsers know.  No I/O, no Twisted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from finger.protocol.hosts import parseHost, parsePort, splitPort

RIGHT: Final = "expected finger://HOST/USER, finger://USER@HOST or finger://HOST, where HOST may be HOST:PORT"

_ANY: Final = re.compile(r"\s*(?:finger:|[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_FORM: Final = re.compile(r"finger://([^/?#]*)(/[^?#]*)?([?#]?).*", re.IGNORECASE)
_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class FingerURL:
    """
    A URL.

    @ivar names: the query, decoded; empty for the user list.  It may still contain characters that cannot be sent.
    @ivar host: the server's host.
    @ivar port: its port; L{None} if the URL has none.
    """

    names: str
    host: str
    port: int | None


def isURL(text: str) -> bool:
    """Return whether a text is meant as a URL, of whatever kind."""
    return bool(_ANY.match(text))


def parseURL(text: str) -> FingerURL:
    """
    Parse a finger URL.

    @raise ValueError: if it is not valid.  The message says what is wrong and what would be right.
    """
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("a URL has no white space or control characters; a space is written %20")
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"not a finger URL; {RIGHT}")
    authority, path, more = match[1], (match[2] or "/")[1:], match[3]
    if more:
        raise ValueError(f"a finger URL ends after the user; {more} in a name is written %{ord(more):X}")
    user, _, place = authority.rpartition("@")
    _checkUser(user, path)
    host, port = _parsePlace(place)
    return FingerURL(_decode(user or path), host, port)


def _checkUser(user: str, path: str) -> None:
    if user and path:
        raise ValueError("the user is given before the host and after it; give it once")
    if "@" in user:
        raise ValueError(
            "there is more than one @ before the path; to have HOST query INNER: finger://HOST/USER@INNER"
        )
    if ":" in user:
        raise ValueError("a finger URL has no password; : in a name is written %3A")


def _parsePlace(place: str) -> tuple[str, int | None]:
    """Parse the host and the port.  A port may be empty, which is the same as none (RFC 3986, section 3.2.3)."""
    host, number = splitPort(place)
    isBracketed = place.startswith("[")
    if not host:
        raise ValueError(f"the host is missing; {RIGHT}")
    if (":" in host) != isBracketed:
        raise ValueError("brackets are for IPv6 addresses, which need them: finger://[ADDRESS]:PORT/USER")
    port = parsePort(number) if number else None
    return parseHost(_decodeZone(host) if isBracketed else _decode(host)), port


def _decodeZone(address: str) -> str:
    """Decode the zone of an address, whose percent sign is written C{%25} (RFC 6874) or as it is."""
    bare, percent, zone = address.partition("%")
    return bare + percent + _decode(zone[2:] if zone.startswith("25") and zone != "25" else zone)


def _decode(text: str) -> str:
    """Decode a part (RFC 3986, section 2.1)."""
    if _BAD_ESCAPE.search(text):
        raise ValueError("% must be followed by two hexadecimal digits; a percent sign is written %25")
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeError:
        raise ValueError("the bytes written with % are not UTF-8") from None
