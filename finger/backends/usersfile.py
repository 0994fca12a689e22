"""
The users file, as text and as profiles.  No I/O.

::

    # a comment
    moshez: Happy and well
    ada (Ada Lovelace): Working on the engine.
        A line that starts with white space continues the status above it.

        So does a blank line between two such lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from finger.errors import BadQuery
from finger.profile import Profile
from finger.protocol.names import parseName

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


def parseUsers(content: bytes) -> UsersFile:
    """Parse a users file.  An invalid line is skipped together with its continuation lines."""
    users: dict[str, tuple[str | None, _Status]] = {}
    problems: list[tuple[int, str]] = []
    status: _Status | None = None
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = raw.decode("utf-8").rstrip()
            if line.startswith("#"):
                continue
            if not line or line[0].isspace():
                _continuation(status, line)
                continue
            status = _Status("")  # Collects the continuation lines of an invalid line.
            login, name, first = _entry(line, users)
        except ValueError as error:
            problems.append((number, _reason(error)))
            continue
        status = _Status(first)
        users[login] = name, status
    profiles = {login: Profile(login, name, status.text()) for login, (name, status) in users.items()}
    return UsersFile(profiles, tuple(problems))


@dataclass(slots=True)
class _Status:
    """A status: the text on the user's line, and the lines that continue it."""

    first: str
    more: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the text, without the indentation that all continuation lines have in common."""
        indent = min((_indent(line) for line in self.more if line), default=0)
        return "\n".join([self.first, *(line[indent:] for line in self.more)]).strip("\n")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _continuation(status: _Status | None, line: str) -> None:
    if status is not None:
        text = line.lstrip()
        status.more.append(line[: len(line) - len(text)].expandtabs() + text)
    elif line:
        raise ValueError("continues a status, but no status precedes it")


def _entry(line: str, users: Mapping[str, object]) -> tuple[str, str | None, str]:
    """Split C{user (Full Name): status} at its first colon."""
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
    if login in users:
        raise ValueError(f"defines {login!r} again; the first definition is used")
    return login, name.strip() if name is not None else None, status.strip()


def _reason(error: ValueError) -> str:
    return "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
