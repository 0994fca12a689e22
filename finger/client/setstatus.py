"""C{python -m finger --set}: tell the setter a status, on this machine."""

from __future__ import annotations

import getpass
import socket
from typing import Final

from finger.errors import BadQuery
from finger.protocol.wire import decode

TIMEOUT: Final = 30.0
"""Seconds to wait for the setter."""

MAX_ANSWER: Final = 64 * 1024


def setStatus(where: int | str, user: str, status: str) -> str:
    """
    Set a status.

    @param where: the setter's port on this machine, or the path of its UNIX socket.
    @param user: whose; empty for one's own.
    @return: what the setter says.
    @raise BadQuery: if a user is no single line, or one's own name is not known.
    @raise OSError: if the setter cannot be reached.
    """
    user = user or _oneself()
    if not user.isprintable():
        raise BadQuery("a user's name holds no control characters")
    with _connect(where) as connection:
        connection.sendall(f"{user}\n{status}".encode())
        connection.shutdown(socket.SHUT_WR)
        return decode(_receive(connection))


def _oneself() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise BadQuery("this account has no name; say whose status it is") from None


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
