"""
The setter's wire format, as values.

A client connects, sends one message and closes its half of the connection.  The message is UTF-8, with the user on
the first line and the status on the following ones; it has at most L{MAX_MESSAGE} bytes.  The server applies it,
sends one line that ends in CRLF, and closes the connection.  If the line is C{Status of NAME is set}, byte for byte,
the status is set; any other first line is a refusal that says why.  These words are for people, and for clients that
do not send sealed messages.

The end of the connection ends the message, so a client that is killed midway would set half a status.  A I{sealed}
message prevents that: its first line ends in TAB CR LF, and the message in CR LF, with no CR LF in between.  So the
beginning of such a message is never a whole one, and is refused.  Our client sends sealed messages.  A server that
does not know them ignores the TAB, which is white space around the name, and the line end at the end.  A message
without the TAB is applied as it is.

The reply to a sealed message is marked: after the words, its line has a TAB, and C{set} or C{refused}.  So our client
needs no words to know the outcome, and cannot mistake one for the other, whatever a back end's reason says.  Only two
replies to it have no mark: that of an older server, which is read by its words, and the refusal of a connection above
a limit.

A web page can make a browser send a request to any port of its machine.  A message whose first line looks like that
of HTTP is therefore refused, whatever follows.  The page cannot choose another first line.
"""

from __future__ import annotations

import re
from typing import Final

from finger.errors import BadQuery
from finger.protocol.names import parseName
from finger.protocol.wire import cleanLine

MAX_MESSAGE: Final = 256 * 1024
"""The maximum length of a message, in bytes."""

TOO_LONG: Final = f"Nothing was set: a message has at most {MAX_MESSAGE} bytes"
USAGE: Final = "Nothing was set: expected the user on the first line and the status from the second on"
NOT_UTF8: Final = "Nothing was set: the message is not UTF-8"
INCOMPLETE: Final = "Nothing was set: the message is incomplete"
IS_HTTP: Final = "Nothing was set: this is not an HTTP server"

_SEAL: Final = b"\t\r\n"
_END: Final = b"\r\n"
_HTTP: Final = re.compile(rb"[^\n]*\bHTTP/\d|[ \t]*[\w-]+[ \t]+(/|\*|\w+://)", re.IGNORECASE)
"""
The first line of a request, by its version, or by its method and target (RFC 9112, section 3).  The method may be any
word, since a page can make up its own.
"""

_REPLY: Final = re.compile(r"Status of ([^\r\n]+) is set(?:\r?\n|\Z)")
_MARKED: Final = re.compile(r"([^\r\n]*)\t(set|refused)\r\n")


def formatMessage(user: str, status: str) -> bytes:
    """
    Return a message as bytes, sealed.

    @raise BadQuery: if no user can have that name.
    """
    text = re.sub(r"\r+\n", "\n", status).removesuffix("\n")
    return parseName(user).encode() + _SEAL + text.encode() + _END


def parseMessage(message: bytes) -> tuple[str, str]:
    """
    Parse a message.

    @return: the user, by the canonical form of the name, and the status.
    @raise BadQuery: if it is not UTF-8, a part is missing, it is an HTTP request, or no user can have that name.
    """
    if _HTTP.match(message):
        raise BadQuery(IS_HTTP)
    if _isCut(message):
        raise BadQuery(INCOMPLETE)
    try:
        text = message.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadQuery(NOT_UTF8) from None
    user, _, status = text.partition("\n")
    if not user.strip() or not status.strip():
        raise BadQuery(USAGE)
    return parseName(user.strip()), status.strip("\n")


def _isCut(message: bytes) -> bool:
    """Return whether a message is the beginning of a sealed one."""
    return isSealed(message) and not message.partition(b"\n")[2].endswith(_END)


def isSealed(message: bytes) -> bool:
    """Return whether a message is sealed, or the beginning of such a message."""
    return message.partition(b"\n")[0].endswith(_SEAL[:-1])


def formatReply(user: str) -> str:
    """Return the reply to a message that has been applied."""
    return f"Status of {cleanLine(user)} is set"


def markReply(words: str, isSet: bool) -> str:
    """Return the reply to a sealed message, as one line."""
    return f"{cleanLine(words)}\t{'set' if isSet else 'refused'}"


def parseMarkedReply(reply: str) -> tuple[str, bool] | None:
    """
    Parse the reply to a sealed message.

    @return: its words, and whether the status is set; L{None} if it has no mark.
    """
    match = _MARKED.fullmatch(reply)
    return (match[1], match[2] == "set") if match else None


def parseReply(reply: str) -> str | None:
    """
    Parse a reply without a mark.

    @return: the user whose status is set, as the server spells the name; L{None} if nothing was set.
    """
    match = _REPLY.match(reply)
    return match[1] if match else None
