"""Texts, without a socket in sight: cleaned, read, and what is said when there is none to give.

Since stage 24 in a module of its own, which can be imported, tested and used by itself.
"""

from html import escape

from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger("finger")


def clean(text: str) -> list[str]:
    """The lines of a text, with "?" for what a terminal would obey instead of show."""
    lines = text.expandtabs().splitlines()
    return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]


def toHTML(text: str) -> str:
    return escape("\n".join(clean(text)))  # other people's text is never markup


def parseUsers(text: str) -> dict[str, str]:
    """`user: status` or `user (Full Name): status`; an indented line goes on with the last one."""
    users: dict[str, str] = {}
    user = ""
    for number, line in enumerate(clean(text), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and user:
            users[user] += "\n" + line.strip()
            continue
        name, colon, status = line.partition(":")
        user = name.partition("(")[0].strip() if colon else ""
        if user:
            users[user] = status.strip()
        else:
            log.warn("users file, line {number}: not `user: status`", number=number)
    return users


def lookupFailed(failure: Failure) -> str:
    log.failure("a lookup failed", failure)  # we want to know why; the caller need not
    return "Internal error in server"
