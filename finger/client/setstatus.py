"""The client of the setter, on this machine: C{python -m finger --set}."""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass
from typing import Final

from finger.errors import BadQuery
from finger.protocol.setting import formatMessage, parseReply
from finger.protocol.wire import decode

TIMEOUT: Final = 30.0
"""Seconds to wait for the setter."""

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
        connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
        text = decode(_receive(connection))
    return Reply(text, parseReply(text) is not None)


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


def _receive(connection: socket.socket) -> bytes:
    answer = b""
    while len(answer) < MAX_ANSWER and (piece := connection.recv(4096)):
        answer += piece
    return answer
