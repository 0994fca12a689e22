"""A users file parsed in the plainest way, line by line, to compare with L{finger.backends.usersfile}."""

from __future__ import annotations

import re

from finger.errors import BadQuery
from finger.profile import Profile
from finger.protocol.names import parseName

HEAD = re.compile(r"(?P<login>[^()]*?)\s*(?:\((?P<name>[^()]*)\))?")


def parseByLine(content: bytes) -> tuple[list[Profile], list[tuple[int, str]]]:
    """Return the users in the file's order, and the invalid lines."""
    users: dict[str, tuple[str | None, list[str]]] = {}
    problems: list[tuple[int, str]] = []
    status: list[str] | None = None
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        line = raw.decode("utf-8", "replace").rstrip()
        begins = bool(line) and line[0] != "#" and not line[0].isspace()
        if begins:
            status = []  # Collects the continuation lines of an invalid line.
        try:
            raw.decode("utf-8")
            if begins:
                login, name, first = entry(line)
                if login in users:
                    raise ValueError(f"defines {login!r} again; the first definition is used")
                status = [first]
                users[login] = name, status
            elif not line.startswith("#"):
                continued(status, line)
        except UnicodeDecodeError:
            problems.append((number, "is not UTF-8"))
        except ValueError as error:
            problems.append((number, str(error)))
    return [Profile(login, name, joined(status)) for login, (name, status) in users.items()], problems


def continued(status: list[str] | None, line: str) -> None:
    """Add a line to a status."""
    if status is not None:
        text = line.lstrip()
        status.append(line[: len(line) - len(text)].expandtabs() + text)
    elif line:
        raise ValueError("continues a status, but no status precedes it")


def entry(line: str) -> tuple[str, str | None, str]:
    """Split a user's line at its first colon."""
    head, colon, status = line.partition(":")
    if not colon:
        raise ValueError("has no colon: expected 'user: status'")
    match = HEAD.fullmatch(head.strip())
    if match is None or not match["login"]:
        raise ValueError("names no user: expected 'user: status' or 'user (Full Name): status'")
    try:
        login, name = parseName(match["login"]), match["name"]
    except BadQuery as error:
        raise ValueError(str(error)) from error
    return login, name.strip() if name is not None else None, status.strip()


def joined(status: list[str]) -> str:
    """Return a status without the indentation that all its continuation lines have in common."""
    first, *more = status
    indent = min((len(line) - len(line.lstrip()) for line in more if line), default=0)
    return "\n".join([first, *(line[indent:] for line in more)]).strip("\n")
