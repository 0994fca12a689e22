"""
IRC messages (RFC 1459, RFC 2812): parsing and formatting, without I/O or Twisted.

The grammar, RFC 2812 section 2.3.1::

    message    =  [ ":" prefix SPACE ] command [ params ] crlf
    prefix     =  servername / ( nickname [ [ "!" user ] "@" host ] )
    command    =  1*letter / 3digit
    params     =  *14( SPACE middle ) [ SPACE ":" trailing ]

Servers may put IRCv3's tags before a message; they are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from string import ascii_lowercase, ascii_uppercase
from typing import Final

MAX_LINE: Final = 512
"""Maximum length of a line, in bytes with its CRLF (RFC 2812 section 2.3)."""

MAX_LINES: Final = 5
"""Maximum number of lines of an answer that are sent; the rest is replaced by their number."""

SAFE_NICK_LENGTH: Final = 9
"""
Maximum length of a nickname that every server accepts (RFC 2812 section 1.2.1); few servers state theirs before
registration is complete.
"""

_MESSAGE: Final = re.compile(
    r"(?:@[^ ]+ +)?(?::(?P<prefix>[^ ]+) +)?(?P<command>[A-Za-z]+|[0-9]{3})(?P<params>(?: .*)?)", re.DOTALL
)
_PREFIX: Final = re.compile(r"(?P<nick>[^!@]+)!(?P<user>[^@]*)@(?P<host>.+)", re.DOTALL)
_FORBIDDEN: Final = re.compile(r"[\r\n\0]")
_NICKLEN: Final = re.compile(r"0*[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True)
class Message:
    """
    One line.

    @ivar command: the command in upper case, or three digits.
    @ivar params: the parameters.
    @ivar prefix: the sender, as the server writes it; empty if it is missing.
    @ivar nick: the sender's nickname; empty if the sender is a server.
    @ivar host: the sender's host; empty if the sender is a server.
    """

    command: str
    params: tuple[str, ...] = ()
    prefix: str = ""
    nick: str = ""
    host: str = ""

    def param(self, index: int) -> str:
        """Return a parameter, or the empty string if it is missing: a server's slip must not end the connection."""
        return self.params[index] if index < len(self.params) else ""


def parseMessage(line: bytes) -> Message | None:
    """
    Parse a line.

    @param line: the line, with or without its CRLF.
    @return: the message; L{None} if the line is not valid.
    """
    text = line.rstrip(b"\r\n").decode("utf-8", "replace")
    match = _MESSAGE.fullmatch(text)
    if match is None or _FORBIDDEN.search(text):
        return None
    middle, colon, trailing = match["params"].partition(" :")
    params = [word for word in middle.split(" ") if word] + [trailing] * bool(colon)
    prefix = match["prefix"] or ""
    user = _PREFIX.fullmatch(prefix)
    nick, host = (user["nick"], user["host"]) if user else ("", "")
    return Message(match["command"].upper(), tuple(params), prefix, nick, host)


def formatMessage(command: str, *params: str) -> bytes:
    """
    Format a line.  In parameters, CR, LF and NUL become spaces; an overlong line is cut.

    @param params: the parameters, at least one; only the last may contain spaces.
    """
    line = " ".join([command, *params[:-1], f":{params[-1]}"])
    return cut(_FORBIDDEN.sub(" ", line), MAX_LINE - 2).encode("utf-8", "replace") + b"\r\n"


# Texts.


def cut(text: str, limit: int) -> str:
    """Cut a text to at most C{limit} bytes of UTF-8, at the end of a character."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def wrap(text: str, limit: int) -> list[str]:
    """
    Break a text into lines of at most C{limit} bytes.  Blank lines are dropped, as IRC cannot send them.

    @param limit: the maximum length of a line, in bytes; at least four, which one character may take.
    """
    lines = []
    for line in text.expandtabs().split("\n"):
        rest = line.rstrip()
        while rest:
            piece = _piece(rest, limit)
            if not piece.isspace():
                lines.append(piece.rstrip())
            rest = rest[len(piece) :].lstrip()
    return lines


def _piece(text: str, limit: int) -> str:
    """Return the beginning of a text, up to a space if its second half has one."""
    piece = cut(text, limit)
    if len(piece) == len(text) or text[len(piece)] == " ":
        return piece
    space = piece.rfind(" ")
    return piece[:space] if space > len(piece) // 2 else piece


def firstLines(lines: list[str]) -> list[str]:
    """Return the first lines, and a line that counts the rest."""
    more = len(lines) - MAX_LINES
    return lines if more <= 0 else [*lines[:MAX_LINES], f"... {more} more line{'s' * (more > 1)}"]


_FORMATTING: Final = re.compile(
    "\x03(?:[0-9]{1,2}(?:,[0-9]{1,2})?)?"  # Foreground and background colour by number.
    "|\x04(?:[0-9A-Fa-f]{6}(?:,[0-9A-Fa-f]{6})?)?"  # The same in hexadecimal.
    "|[\x02\x0f\x11\x16\x1d\x1e\x1f]"  # Bold, plain, monospace, reverse, italic, struck through, underlined.
)
"""https://modern.ircdocs.horse/formatting"""


def plain(text: str) -> str:
    """Strip formatting codes from a text, and the spaces around it."""
    return _FORMATTING.sub("", text).strip()


def ctcpCommand(text: str) -> str:
    """Return the command of a CTCP request, in upper case; empty if the text is not a request."""
    return text.strip("\x01").partition(" ")[0].upper() if text.startswith("\x01") else ""


# Names.

_CASEMAPPINGS: Final = {
    "ascii": str.maketrans(ascii_uppercase, ascii_lowercase),
    "rfc1459": str.maketrans(ascii_uppercase + "[]\\~", ascii_lowercase + "{}|^"),
    "strict-rfc1459": str.maketrans(ascii_uppercase + "[]\\", ascii_lowercase + "{}|"),
}


@dataclass(frozen=True, slots=True)
class Features:
    """
    The features that a server announces in RPL_ISUPPORT (https://modern.ircdocs.horse/#rplisupport-005).

    @ivar casemapping: the name of the rule by which names are compared (RFC 1459 section 2.2).
    @ivar channelTypes: the characters a channel's name may begin with.
    @ivar nickLength: maximum length of a nickname; L{None} if unknown.
    """

    casemapping: str = "rfc1459"
    channelTypes: str = "#&"
    nickLength: int | None = None

    def updated(self, tokens: Iterable[str]) -> Features:
        """Return the features, updated by C{NAME=value} tokens."""
        values = dict(token.partition("=")[::2] for token in tokens)
        length = _NICKLEN.fullmatch(values.get("NICKLEN", ""))
        return replace(
            self,
            casemapping=values.get("CASEMAPPING", self.casemapping).lower(),
            channelTypes=values.get("CHANTYPES", self.channelTypes),
            nickLength=int(length[0]) if length else self.nickLength,
        )

    def fold(self, name: str) -> str:
        """Return a name in lower case by the server's rule.  For unknown rules, ASCII's is used."""
        return name.translate(_CASEMAPPINGS.get(self.casemapping, _CASEMAPPINGS["ascii"]))

    def same(self, name: str, other: str) -> bool:
        """Return whether two names mean the same user or channel."""
        return self.fold(name) == self.fold(other)

    def isChannel(self, name: str) -> bool:
        """Return whether the name is a channel's."""
        return name != "" and name[0] in self.channelTypes

    def addressed(self, text: str, nickname: str) -> str:
        """Return the text addressed to C{nickname} in a channel, as in C{nickname: text}; empty if it is not."""
        name, mark, rest = text[: len(nickname)], text[len(nickname) :][:1], text[len(nickname) + 1 :]
        return rest.strip() if mark in {":", ","} and self.same(name, nickname) else ""


def otherNicknames(wanted: str) -> Iterator[str]:
    """
    Yield alternatives to a nickname that is in use or that the server refuses: first similar ones, then short ones,
    then ones that any server accepts.
    """
    yield from (f"{wanted}_", f"{wanted}__")
    yield from (f"{wanted[: SAFE_NICK_LENGTH - 1 - (n > 9)]}{n}" for n in range(1, 21))
    yield from (f"finger{n}" for n in range(1, 10))
