"""The client of the setter, on this machine: C{python -m finger --set}."""

from __future__ import annotations

import getpass
import socket
import time
from dataclasses import dataclass
from typing import Final

from finger.errors import BadQuery
from finger.protocol.setting import formatMessage, parseMarkedReply, parseReply
from finger.protocol.wire import decode

TIMEOUT: Final = 30.0
"""Seconds to connect to the setter, to send a part of the message, and to wait for the whole reply."""

MAX_ANSWER: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """
    The setter's reply.

    @ivar text: the reply's text, safe to print.
    @ivar isSet: whether the status is set.
    """

    text: str
    isSet: bool


def setStatus(where: int | str, user: str, status: str) -> Reply:
    """
    Set a status.

    @param where: the setter's port on this machine, or the path of its UNIX socket.
    @param user: the user; empty for the user that runs this process.
    @param status: the new status.
    @return: the setter's reply.
    @raise BadQuery: if the user is not a single line, or the user that runs this process has no name.
    @raise OSError: if the setter cannot be reached.
    """
    user = user or oneself()
    message = formatMessage(user, status)
    with _connect(where) as connection:
        isSent = _send(connection, message)
        reply, end = _receive(connection)
        return _parse(reply, end if isSent else "connection lost")


def _send(connection: socket.socket, message: bytes) -> bool:
    """
    Send the message, and return whether all could be sent.  If not, the setter may have refused it before it has read
    everything, and its reply says why.
    """
    try:
        connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        return False
    return True


def _parse(reply: bytes, end: str) -> Reply:
    """Read the outcome from the mark of a reply, or from the words of a setter that does not mark replies."""
    marked = parseMarkedReply(reply.decode("utf-8", "replace"))
    if marked is not None:
        return Reply(decode(marked[0].encode()), marked[1])
    if reply.endswith(b"\n"):
        return Reply(decode(reply), parseReply(decode(reply)) is not None)
    received = f": {decode(reply)}" if reply else ""
    return Reply(f"the setter's reply is incomplete ({end}), so the status may be set or not{received}", False)


def oneself() -> str:
    """
    Return the name of the user that runs this process.

    @raise BadQuery: if there is none.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise BadQuery("this account has no name; give the name of the user") from None


def _connect(where: int | str) -> socket.socket:
    if isinstance(where, int):
        return socket.create_connection(("localhost", where), TIMEOUT)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(TIMEOUT)
    try:
        connection.connect(where)
    except OSError:
        connection.close()
        raise
    return connection


def _receive(connection: socket.socket) -> tuple[bytes, str]:
    """Receive the reply; return it, and why no more came."""
    answer, deadline = b"", time.monotonic() + TIMEOUT
    try:
        while len(answer) < MAX_ANSWER:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = connection.recv(4096)
            if not piece:
                return answer, "connection closed"
            answer += piece
    except TimeoutError:
        return answer, f"time limit of {TIMEOUT:g} s"
    except ConnectionError:
        return answer, "connection lost"
    return answer, f"size limit of {MAX_ANSWER} bytes"
