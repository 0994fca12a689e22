"""
IRC (RFC 1459, RFC 2812) as values: lines in, values out, and the way back.  No I/O, no Twisted.

The grammar, RFC 2812 section 2.3.1::

    message    =  [ ":" prefix SPACE ] command [ params ] crlf
    prefix     =  servername / ( nickname [ [ "!" user ] "@" host ] )
    command    =  1*letter / 3digit
    params     =  *14( SPACE middle ) [ SPACE ":" trailing ]

Servers may put IRCv3's tags before it; they are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from string import ascii_lowercase, ascii_uppercase
from typing import Final

MAX_LINE: Final = 512
"""The longest line, in bytes with its CRLF (RFC 2812 section 2.3)."""

MAX_LINES: Final = 5
"""How many lines of an answer are sent; of the rest, the number."""

SAFE_NICK_LENGTH: Final = 9
"""What every server takes (RFC 2812 section 1.2.1); few say what they take before the nickname is settled."""

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
    @ivar params: what it is about.
    @ivar prefix: who sent it, as the server writes it; empty if it does not.
    @ivar nick: the nickname of the user who sent it; empty if that was a server.
    @ivar host: where that user is.
    """

    command: str
    params: tuple[str, ...] = ()
    prefix: str = ""
    nick: str = ""
    host: str = ""

    def param(self, index: int) -> str:
        """A parameter, or the empty string where there is none: a server's slip should not end the connection."""
        return self.params[index] if index < len(self.params) else ""


def parseMessage(line: bytes) -> Message | None:
    """
    Read a line.

    @param line: the line, with or without its end.
    @return: L{None}, if it is none.
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
    Write a line.  Nothing in a parameter can end it: CR, LF and NUL become spaces, and what is too long is cut.

    @param params: at least one; only the last may hold spaces.
    """
    line = " ".join([command, *params[:-1], f":{params[-1]}"])
    return cut(_FORBIDDEN.sub(" ", line), MAX_LINE - 2).encode("utf-8", "replace") + b"\r\n"


# Texts.


def cut(text: str, limit: int) -> str:
    """As much of a text as fits into so many bytes of UTF-8, without half a character at its end."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def wrap(text: str, limit: int) -> list[str]:
    """
    Break a text into lines that can be sent: of no more than C{limit} bytes, and none of them blank.

    @param limit: at least the four bytes that one character may take.
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
    """The beginning of a text, up to a space if there is one late enough."""
    piece = cut(text, limit)
    if len(piece) == len(text) or text[len(piece)] == " ":
        return piece
    space = piece.rfind(" ")
    return piece[:space] if space > len(piece) // 2 else piece


def firstLines(lines: list[str], most: int = MAX_LINES) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - most
    return lines if more <= 0 else [*lines[:most], f"... {more} more line{'s' * (more > 1)}"]


_FORMATTING: Final = re.compile(
    "\x03(?:[0-9]{1,2}(?:,[0-9]{1,2})?)?"  # A colour by number, and one behind it.
    "|\x04(?:[0-9A-Fa-f]{6}(?:,[0-9A-Fa-f]{6})?)?"  # The same in hexadecimal.
    "|[\x02\x0f\x11\x16\x1d\x1e\x1f]"  # Bold, plain, monospace, reverse, italic, struck through, underlined.
)
"""https://modern.ircdocs.horse/formatting"""


def plain(text: str) -> str:
    """A text as it was meant: without mIRC's formatting codes, and without the spaces around it."""
    return _FORMATTING.sub("", text).strip()


def ctcpCommand(text: str) -> str:
    """The command of a CTCP request, in upper case; empty if the text is none."""
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
    What a server says of itself in RPL_ISUPPORT (https://modern.ircdocs.horse/#rplisupport-005).

    @ivar casemapping: which characters are the same in names (RFC 1459 section 2.2).
    @ivar channelTypes: what a channel's name begins with.
    @ivar nickLength: the longest nickname; L{None} until the server says it.
    """

    casemapping: str = "rfc1459"
    channelTypes: str = "#&"
    nickLength: int | None = None

    def updated(self, tokens: Iterable[str]) -> Features:
        """The features with what C{NAME=value} tokens say."""
        said = dict(token.partition("=")[::2] for token in tokens)
        length = _NICKLEN.fullmatch(said.get("NICKLEN", ""))
        return replace(
            self,
            casemapping=said.get("CASEMAPPING", self.casemapping).lower(),
            channelTypes=said.get("CHANTYPES", self.channelTypes),
            nickLength=int(length[0]) if length else self.nickLength,
        )

    def fold(self, name: str) -> str:
        """A name in lower case, as this server has it.  A mapping we do not know is at least ASCII's."""
        return name.translate(_CASEMAPPINGS.get(self.casemapping, _CASEMAPPINGS["ascii"]))

    def same(self, name: str, other: str) -> bool:
        """Do two names mean the same user, or channel?"""
        return self.fold(name) == self.fold(other)

    def isChannel(self, name: str) -> bool:
        """Is this a channel's name?"""
        return name != "" and name[0] in self.channelTypes

    def addressed(self, text: str, nickname: str) -> str:
        """What is said to C{nickname} in a channel, as in C{nickname: this}; empty if it is said to others."""
        name, mark, rest = text[: len(nickname)], text[len(nickname) :][:1], text[len(nickname) + 1 :]
        return rest.strip() if mark in {":", ","} and self.same(name, nickname) else ""


def otherNicknames(wanted: str) -> Iterator[str]:
    """
    What to be called when C{wanted} is taken, or is not to this server's taste: first much like it, then at least
    short, then at least proper.
    """
    yield from (f"{wanted}_", f"{wanted}__")
    yield from (f"{wanted[: SAFE_NICK_LENGTH - 1 - (n > 9)]}{n}" for n in range(1, 21))
    yield from (f"finger{n}" for n in range(1, 10))
