"""
The setter's wire format, as values.

A client connects, sends one message and closes its half of the connection.  The message is UTF-8, with the user on
the first line and the status on the following ones; it has at most L{MAX_MESSAGE} bytes.  The server applies it,
sends one line that ends in CRLF, and closes the connection.  If the line is C{Status of NAME is set}, byte for byte,
the status is set; any other first line is a refusal that says why.
"""

from __future__ import annotations

import re
from typing import Final

from finger.errors import BadQuery
from finger.protocol.wire import cleanLine

MAX_MESSAGE: Final = 256 * 1024
"""The maximum length of a message, in bytes."""

TOO_LONG: Final = f"Nothing was set: a message has at most {MAX_MESSAGE} bytes"
USAGE: Final = "Nothing was set: expected the user on the first line and the status from the second on"
NOT_UTF8: Final = "Nothing was set: the message is not UTF-8"

_REPLY: Final = re.compile(r"Status of ([^\r\n]+) is set(?:\r?\n|\Z)")


def formatMessage(user: str, status: str) -> bytes:
    """
    Return a message as bytes.

    @raise BadQuery: if the user is not a single printable line.
    """
    if not user.isprintable():
        raise BadQuery("a user name must not contain control characters")
    return f"{user}\n{status}".encode()


def parseMessage(message: bytes) -> tuple[str, str]:
    """
    Parse a message.

    @return: the user and the status.
    @raise BadQuery: if it is not UTF-8, or a part is missing.
    """
    try:
        text = message.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadQuery(NOT_UTF8) from None
    user, _, status = text.partition("\n")
    if not user.strip() or not status.strip():
        raise BadQuery(USAGE)
    return user.strip(), status.strip("\n")


def formatReply(user: str) -> str:
    """Return the reply to a message that has been applied."""
    return f"Status of {cleanLine(user)} is set"


def parseReply(reply: str) -> str | None:
    """
    Parse a reply.

    @return: the user whose status is set, as the server spells the name; L{None} if nothing was set.
    """
    match = _REPLY.match(reply)
    return match[1] if match else None
