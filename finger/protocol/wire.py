"""
The finger protocol (RFC 1288): parsing bytes into values, and formatting values as bytes.  No I/O, no Twisted.

The grammar, from section 2.3::

    {Q1}    ::= [{W}|{W}{S}{U}]{C}
    {Q2}    ::= [{W}{S}][{U}]{H}{C}
    {U}     ::= username
    {H}     ::= @hostname | @hostname{H}
    {W}     ::= /W
    {S}     ::= <SP> | <SP>{S}
    {C}     ::= <CRLF>

Some clients send other forms, which are also accepted: C{/w}, tabs, C{/W} at the end (RFC 1194), a bare C{@}, several
names, and what telnet adds to them (L{finger.protocol.telnet}).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from finger.errors import BadQuery
from finger.profile import NO_PLAN, LastLogin, Mail, Profile
from finger.protocol.names import INVISIBLE, canonical
from finger.protocol.telnet import withoutTelnet

MAX_LINE: Final = 1024
"""
The maximum length of a query, in bytes without its line end.  The RFC sets no limit; the Morris worm sent 536 bytes.
"""

MAX_NAMES: Final = 16
"""The maximum number of names in a query."""

_VERBOSE: Final = {"/W", "/w"}
_PLAIN: Final = re.compile(rb"[A-Za-z0-9._-]{1,255}")
_LINE_ENDS: Final = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Query:
    """
    A query.

    @ivar verbose: whether it has C{/W}, which requests the long form (section 2.5.4).
    @ivar names: the names in it, in order and each once: C{user}, C{user@host} or C{@host}; empty for the user list.
    """

    verbose: bool = False
    names: tuple[str, ...] = ()


def parseQuery(line: bytes) -> Query:
    """
    Parse a query (section 2.3).

    @param line: the line, with or without its line end.
    @raise BadQuery: if it is too long or has too many names.
    """
    line = line.rstrip(b"\r\n")
    if _PLAIN.fullmatch(line):  # Many times as fast, and usually true.
        return Query(names=(line.decode("ascii"),))
    if len(line) > MAX_LINE:
        raise BadQuery(f"a query has at most {MAX_LINE} bytes")
    text = canonical(withoutTelnet(line).decode("utf-8", "replace"))
    tokens = [token for token in re.split("[ \t]+", text) if token]
    verbose = bool(_VERBOSE.intersection(tokens[:1] + tokens[-1:]))
    if tokens and tokens[0] in _VERBOSE:
        del tokens[0]
    elif verbose:
        del tokens[-1]
    if len(tokens) > MAX_NAMES:
        raise BadQuery(f"a query has at most {MAX_NAMES} names")
    return Query(verbose, tuple(dict.fromkeys(name for name in map(_withoutEmptyHost, tokens) if name)))


def _withoutEmptyHost(name: str) -> str:
    """
    Remove an empty host, which is this one: C{@} means the same as the empty query, and C{user@} the same as C{user}.
    """
    return name[:-1] if name.endswith("@") and "@" not in name[:-1] else name


def formatQuery(names: str, verbose: bool) -> bytes:
    """
    Return a query as bytes.

    @raise BadQuery: if C{names} contains a control character, which might end the line and begin another, or is
        too long for servers.
    """
    if any(unicodedata.category(character) in _CONTROLS for character in names):
        raise BadQuery("a name must not contain control characters")
    line = ("/W " if verbose else "").encode() + names.encode()
    if len(line) > MAX_LINE:
        raise BadQuery(f"a query has at most {MAX_LINE} bytes")
    return line + b"\r\n"


def splitHost(name: str) -> tuple[str, str] | None:
    """
    Split a name at its rightmost C{@}: the query goes to that host first (section 2.4).

    @return: the query and the host; L{None} if the name is of a local user.
    """
    query, at, host = name.rpartition("@")
    return (query, host.removeprefix("[").removesuffix("]")) if at else None


# Text in answers.

_CONTROLS: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}

_DROPPED: Final = re.compile(
    "[\u00ad\u180e\u200b\u2060-\u2064\ufeff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
"""
Characters that are dropped: they are invisible, and only tell a program where to break a line, how to spell a flag,
or what the encoding is.
"""

_UNSAFE: Final = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f"
    "\u2028-\u202e\u2066-\u206f"  # Separators of lines, and controls of the writing direction.
    "\ud800-\udfff\ufff9-\ufffb"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"  # XML cannot carry the noncharacters.
)
"""
Characters that are made visible: a terminal might interpret them, or they might deceive a reader.  The marks and
joiners that many scripts need are not among them.
"""

_UNSAFE_ASCII: Final = {code: "?" for code in range(128) if _UNSAFE.match(chr(code))}


def clean(text: str) -> str:
    """
    Make a text safe to display (section 3.3): every line end becomes a newline, and every character that a terminal
    might interpret or that might deceive a reader (control characters, controls of the writing direction, lone
    surrogates) a question mark.  Invisible characters that do no harm are dropped.
    """
    if text.isprintable():  # Many times as fast, and usually true.
        return text
    text = _LINE_ENDS.sub("\n", text) if "\r" in text else text
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    if text.isascii():
        return text.translate(_UNSAFE_ASCII)
    return _UNSAFE.sub("?", _DROPPED.sub("", text))


def cleanLine(text: str) -> str:
    """Make a text safe to display on one line, such as a name in a sentence or a log line."""
    return " ".join(clean(text).split())


class _ASCIITable(dict[int, str]):
    """The ASCII forms of characters, for C{str.translate}."""

    _MOST = 4096

    def __missing__(self, code: int) -> str:
        decomposed = unicodedata.normalize("NFKD", INVISIBLE.sub("", chr(code)))
        bare = "".join(character for character in decomposed if not unicodedata.combining(character))
        form = bare.encode("ascii", "replace").decode("ascii")
        if len(self) < self._MOST:  # A text may contain all of Unicode.
            self[code] = form
        return form


_ASCII: Final = _ASCIITable()


def toASCII(text: str) -> str:
    """
    Convert a text to ASCII: letters lose their accents, invisible characters are dropped, and other characters become
    question marks.
    """
    # Character by character, since normalizing a long run of accents takes very long.
    return text if text.isascii() else text.translate(_ASCII)


def encode(text: str, utf8: bool = True) -> bytes:
    """
    Encode a text for the wire: cleaned, with CRLF after every line including the last (section 2.2).

    @param utf8: whether to send UTF-8, as users expect today, instead of the ASCII of the RFC.
    """
    text = clean(text if utf8 else toASCII(text)).removesuffix("\n")
    return (text.replace("\n", "\r\n") + "\r\n").encode("utf-8")


def decode(answer: bytes) -> str:
    """Decode a text from the wire: cleaned, with newlines between its lines and none at its end."""
    return clean(answer.decode("utf-8", "replace")).removesuffix("\n")


# The short and the long form, which clients and scripts know.


def formatList(profiles: Iterable[Profile]) -> str:
    """
    Return the short form: for each user a line with the login, two or more spaces, and the full name.  For an empty
    list, return a line that says so.
    """
    lines = [f"{cleanLine(p.login):<15}  {cleanLine(p.name or '')}".rstrip() for p in profiles]
    return "\n".join(lines) or "No one logged on"


def formatAnswer(profile: Profile, verbose: bool = False) -> str:
    """
    Return the answer to a query for a user: only the status if the profile has nothing else and the query is not
    verbose; otherwise the long form.
    """
    if profile.isStatusOnly and not verbose:
        return profile.status
    return "\n".join(_longLines(profile))


def _longLines(profile: Profile) -> list[str]:
    lines = [_pair("Login", profile.login, 15, "\t\t\t", "Name", profile.name)]
    if profile.home is not None or profile.shell is not None:
        lines.append(_pair("Directory", profile.home, 25, "\t", "Shell", profile.shell))
    if profile.office is not None:
        lines.append(f"Office: {cleanLine(profile.office)}")
    if profile.lastLogin is not None:
        lines.append(formatLastLogin(profile.lastLogin))
    if profile.mail is not None:
        lines.append(formatMail(profile.mail))
    lines.extend(_textLines("PGP key", profile.pgpkey))
    lines.extend(_textLines("Project", profile.project))
    if profile.plan is not None:
        lines.extend(_textLines("Plan", profile.plan) or [NO_PLAN])
    lines.extend(_textLines("Public key", profile.pubkey))
    return lines


def _textLines(label: str, text: str | None) -> list[str]:
    return [f"{label}:", text.removesuffix("\n")] if text else []


def _pair(label: str, value: str | None, width: int, gap: str, label2: str, value2: str | None) -> str:
    return f"{label}: {cleanLine(value or ''):<{width}}{gap}{label2}: {cleanLine(value2 or '')}".rstrip()


def formatLastLogin(login: LastLogin) -> str:
    """Return a line about a last login."""
    if login.when is None:
        return "Never logged in."
    tty = f" on {cleanLine(login.tty)}" if login.tty else ""
    host = f" from {cleanLine(login.host)}" if login.host else ""
    return f"Last login {_date(login.when)}{tty}{host}"


def formatMail(mail: Mail) -> str:
    """Return one or two lines about a mailbox."""
    if mail.received is None:
        return "No mail."
    if mail.unreadSince is None:
        return f"Mail last read {_date(mail.received)}"
    return f"New mail received {_date(mail.received)}\n     Unread since {_date(mail.unreadSince)}"


def _date(when: datetime) -> str:
    """Format a time as in C{Wed Mar 31 18:32 (PST)}; a naive time has no zone."""
    zone = when.tzname()
    return f"{when:%a %b} {when.day:>2} {when:%H:%M}" + (f" ({zone})" if zone else "")


_LIST_LINE: Final = re.compile(r"(\S+)(?:\s{2,}(\S.*?))?(?:\s{2,}.*)?\s*")


def parseList(answer: str) -> list[Profile]:
    """
    Parse another server's user list, skipping the lines that are not in the short form.

    @return: the profiles (login and full name), sorted by login, without duplicates.
    """
    profiles: dict[str, Profile] = {}
    for line in answer.split("\n"):
        match = _LIST_LINE.fullmatch(line.expandtabs())
        if match and match[1] != "Login":
            profiles.setdefault(match[1], Profile(match[1], name=match[2]))
    return [profiles[login] for login in sorted(profiles)]
