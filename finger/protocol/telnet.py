"""
Telnet's part of a query.  No I/O, no Twisted.

Telnet clients can query finger servers.  Besides the query, they send commands and options (RFC 854), and NULs; in
some modes, the Enter key sends CR NUL.
"""

from __future__ import annotations

import re
from typing import Final

MAX_TELNET: Final = 1024
"""The maximum length of telnet's part, in bytes; more than that is part of the query."""

_TELNET: Final = re.compile(
    rb"\xff(?:[\xec-\xf9]"  # a command: IAC GA
    rb"|[\xfb-\xfe]."  # an option: IAC WILL NAWS
    rb"|\xfa(?:[^\xff]|\xff[^\xf0])*?\xff\xf0"  # a subnegotiation: IAC SB NAWS 0 80 0 24 IAC SE
    rb"|(?P<data>\xff)"  # a byte of data: IAC IAC
    rb"|(?P<begun>(?:[\xfb-\xfe]|\xfa(?:[^\xff]|\xff[^\xf0])*\xff?)?\Z))"  # the beginning of one of these
    rb"|(?P<enter>\r\0)|(?P<cr>\r\Z)|\0",
    re.DOTALL,
)
_NOT_TEXT: Final = "\N{REPLACEMENT CHARACTER}".encode()  # UTF-8 has no byte 255.


def withoutTelnet(line: bytes) -> bytes:
    """Return a query without telnet commands, NUL and CR NUL.  An incomplete command stays."""
    return _TELNET.sub(_replacement, line)


def _replacement(match: re.Match[bytes]) -> bytes:
    if match["begun"] is not None or match["cr"]:
        return match[0]
    return _NOT_TEXT if match["data"] else b""


class TelnetFilter:
    """
    Removes telnet's part from a stream that carries one query.

    CR NUL after the query becomes its line end.
    """

    def __init__(self) -> None:
        self._room = MAX_TELNET
        self._pending = b""
        self._hasContent = False

    def feed(self, data: bytes) -> bytes:
        """
        Return the next bytes of the query.

        @param data: the next bytes of the stream.  An incomplete command is kept until the rest has been received.
        """
        data, self._pending = self._pending + data, b""
        content, end = bytearray(), 0
        for match in _TELNET.finditer(data) if self._room >= 0 else ():
            content += self._noted(data[end : match.start()])
            end = match.start()
            if len(match[0]) > self._room:
                self._room = -1
                break
            end = match.end()
            content += self._filtered(match)
        return bytes(content + self._noted(data[end:]))

    def end(self) -> bytes:
        """Return what is left of the query at the end of the stream.  An incomplete command is dropped."""
        rest, self._pending = self._pending, b""
        return rest if rest == b"\r" else b""

    def _filtered(self, match: re.Match[bytes]) -> bytes:
        if match["begun"] is not None or match["cr"]:
            self._pending = match[0]
            return b""
        self._room -= len(match[0])
        if match["enter"]:
            return b"\n" if self._hasContent else b""
        return self._noted(_replacement(match))

    def _noted(self, data: bytes) -> bytes:
        self._hasContent = self._hasContent or bool(data.strip())
        return data
