"""
The users file, as text and as profiles.  No I/O.

::

    # a comment
    moshez: Happy and well
    ada (Ada Lovelace): Working on the engine.
        A line that starts with white space continues the status above it.

        So does a blank line between two such lines.

A file can have 1,000,000 users.  So its bytes are kept as they are, with a table of where each user is, and a profile
is made from its lines when it is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from functools import partial
from typing import Final

from finger.backends._offsets import Offsets
from finger.errors import BadQuery
from finger.profile import Profile
from finger.protocol.names import parseName

SLICE: Final = 16 * 1024
"""The bytes that are parsed between two pauses."""

_COMMON: Final = re.compile(r"([!\"$-'*+,.0-9;-?A-~][!-'*-9;-?A-~]{0,254}) *(?:\(([^():]*)\) *)?:")
"""The usual beginning of a user's line: an ASCII login that needs no other check, and possibly a full name."""

_CONTINUING: Final = " \t#"
"""The usual first characters of lines that begin no user."""

_HEAD: Final = re.compile(r"(?P<login>[^()]*?)\s*(?:\((?P<name>[^()]*)\))?")


@dataclass(frozen=True, slots=True)
class UsersFile:
    """
    The contents of a users file.

    @ivar profiles: the users by login, in the file's order.
    @ivar problems: the invalid lines: their numbers, from 1, and what is wrong with each.
    """

    profiles: Mapping[str, Profile]
    problems: tuple[tuple[int, str], ...]


def parseUsers(content: bytes, pause: Callable[[], object] = lambda: None) -> UsersFile:
    """
    Parse a users file.  An invalid line is skipped together with its continuation lines.

    @param pause: called after each L{SLICE}, so that other threads have a turn.
    """
    parser = _Parser(content)
    start = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    while start < len(content):
        end = _lineEnd(content, start + SLICE)
        parser.read(start, end)
        pause()
        start = end + 1
    return UsersFile(parser.users, tuple(parser.problems))


class _Parser:
    """
    Finds the users' lines.

    @ivar users: the users found so far.
    @ivar problems: the invalid lines found so far.
    """

    def __init__(self, content: bytes) -> None:
        self.users = _Users(content)
        self.problems: list[tuple[int, str]] = []
        self._content = content
        self._number = 0
        self._hasUser = False

    def read(self, start: int, end: int) -> None:
        """Read the lines between two offsets."""
        piece = self._content[start:end]
        text = _decode(piece)
        isUTF8 = not _isEscaped(text)
        for line, encoded in zip(text.split("\n"), piece.split(b"\n"), strict=True):
            self._number += 1
            match = _COMMON.match(line)
            if match is not None and isUTF8 and self.users.offsets.add(match[1], start):
                self._hasUser = True
            elif not (isUTF8 and self._hasUser and line[:1] in _CONTINUING):
                self._readCarefully(line, start)
            start += len(encoded) + 1

    def _readCarefully(self, line: str, offset: int) -> None:
        try:
            self._check(line, offset)
        except ValueError as error:
            self.problems.append((self._number, str(error)))

    def _check(self, line: str, offset: int) -> None:
        beginsUser = _beginsUser(line)
        self._hasUser = self._hasUser or beginsUser
        if _isEscaped(line):
            raise ValueError("is not UTF-8")
        if beginsUser:
            login, _, _ = _entry(line)
            if not self.users.offsets.add(login, offset):
                raise ValueError(f"defines {login!r} again; the first definition is used")
        elif not (self._hasUser or _isSkipped(line)):
            raise ValueError("continues a status, but no status precedes it")


class _Users(Mapping[str, Profile]):
    """
    The users of a text, by login.

    @param content: the text.
    @ivar offsets: where the users' lines begin.
    """

    def __init__(self, content: bytes) -> None:
        self.offsets = Offsets(content.count(b"\n") + 1, partial(_profileAt, content))

    def __getitem__(self, login: str) -> Profile:
        return self.offsets.find(login)

    def __iter__(self) -> Iterator[str]:
        return (profile.login for profile in self.offsets.profiles())

    def __len__(self) -> int:
        return len(self.offsets)

    def values(self) -> ValuesView[Profile]:
        """Return the profiles."""
        return _Profiles(self)


class _Profiles(ValuesView[Profile]):
    """The profiles of L{_Users}, made without looking up each login."""

    _mapping: _Users

    def __iter__(self) -> Iterator[Profile]:
        return self._mapping.offsets.profiles()


def _profileAt(content: bytes, offset: int) -> Profile:
    """Return the profile of the user whose line begins at an offset."""
    end = content.find(b"\n", offset)
    if end >= 0 and b"#" < content[end + 1 : end + 2] < b"\x80":  # The next line surely begins a user.
        return Profile(*_entry(content[offset:end].decode()))
    line, *more = _linesAt(content, offset)
    login, name, status = _entry(line)
    return Profile(login, name, _joined(status, more))


def _linesAt(content: bytes, offset: int) -> Iterator[str]:
    """Yield the user's line that begins at an offset, and the valid lines that continue it."""
    end = _lineEnd(content, offset)
    yield _decode(content[offset:end])
    while end < len(content):
        start, end = end + 1, _lineEnd(content, end + 1)
        line = _decode(content[start:end])
        if _beginsUser(line):
            return
        if not line.startswith("#") and not _isEscaped(line):
            yield line


def _lineEnd(content: bytes, start: int) -> int:
    end = content.find(b"\n", start)
    return end if end >= 0 else len(content)


def _decode(content: bytes) -> str:
    """Decode UTF-8, and escape bytes that are none."""
    return content.decode("utf-8", "surrogateescape")


def _isEscaped(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _beginsUser(line: str) -> bool:
    return line != "" and line[0] != "#" and not line[0].isspace()


def _isSkipped(line: str) -> bool:
    """Return whether a line is a comment or blank."""
    return line.startswith("#") or not line.strip()


def _entry(line: str) -> tuple[str, str | None, str]:
    """Split C{user (Full Name): status} at its first colon."""
    common = _COMMON.match(line)
    if common is None:
        return _unusualEntry(line)
    login, name = common.groups()
    return login, name and name.strip(), line[common.end() :].strip()


def _unusualEntry(line: str) -> tuple[str, str | None, str]:
    head, colon, status = line.partition(":")
    if not colon:
        raise ValueError("has no colon: expected 'user: status'")
    match = _HEAD.fullmatch(head.strip())
    if match is None or not match["login"]:
        raise ValueError("names no user: expected 'user: status' or 'user (Full Name): status'")
    try:
        login, name = parseName(match["login"]), match["name"]
    except BadQuery as error:
        raise ValueError(str(error)) from error
    return login, name and name.strip(), status.strip()


def _joined(first: str, more: Sequence[str]) -> str:
    """
    Return a status: the text on the user's line and the lines that continue it, without the indentation that all of
    these have in common.
    """
    if not more:
        return first
    lines = [_expanded(line.rstrip()) for line in more]
    indent = min((_indent(line) for line in lines if line), default=0)
    return "\n".join([first, *(line[indent:] for line in lines)]).strip("\n")


def _expanded(line: str) -> str:
    indent = _indent(line)
    return line[:indent].expandtabs() + line[indent:]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
