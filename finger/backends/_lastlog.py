"""
When a user last logged in, from the two places where Linux systems record it.

C{/var/log/lastlog} is an array of C{struct lastlog}, one for each uid; its successor C{lastlog2}, for times after
2038, is an SQLite database.  A system that has both has left the first behind, so the second is asked first.

Everything here blocks.  No Twisted.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from finger.config.files import openFile
from finger.profile import LastLogin

DATABASE: Final = Path("/var/lib/lastlog/lastlog2.db")
FILE: Final = Path("/var/log/lastlog")

BUSY_TIMEOUT: Final = 1.0
"""How long to wait for somebody who is writing the database, in seconds."""

_NARROW: Final = struct.Struct("=I32s256s")
_WIDE: Final = struct.Struct("=q32s256s")
_WIDE_MACHINES: Final = {"aarch64", "aarch64_be", "loongarch64"}
"""Where glibc never had a 32-bit time_t to stay compatible with (C{__WORDSIZE_TIME64_COMPAT32} is 0)."""


def findLastLogin(login: str, uid: int, *, database: Path = DATABASE, file: Path = FILE) -> LastLogin | None:
    """
    Look a user's last login up.

    @return: the login, with a C{when} of L{None} if there has been none; L{None} if this system does not record
        logins, or not for us.
    """
    return queryDatabase(database, login) or readFile(file, uid)


def queryDatabase(path: Path, login: str) -> LastLogin | None:
    """Look a user up in a C{lastlog2} database; L{None} if there is none that can be read."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)) as connection:
            rows = connection.execute("SELECT Time, TTY, RemoteHost FROM Lastlog2 WHERE Name = ?", (login,))
            seconds, tty, host = rows.fetchone() or (0, "", "")
    except sqlite3.Error:
        return None
    return _lastLogin(seconds, tty or "", host or "")


def readFile(path: Path, uid: int, machine: str = os.uname().machine) -> LastLogin | None:
    """
    Look a user up in a C{lastlog} file; L{None} if there is none that can be read.

    @param machine: the architecture that wrote it, as in C{uname -m}.
    """
    record = _WIDE if machine in _WIDE_MACHINES else _NARROW
    try:
        with openFile(path) as file:
            data = os.pread(file.fileno(), record.size, uid * record.size)
    except OSError:
        return None
    if len(data) < record.size:
        return LastLogin(None)  # The file ends with the highest uid that has ever logged in.
    seconds, tty, host = record.unpack(data)
    return _lastLogin(seconds, _toText(tty), _toText(host))


def _lastLogin(seconds: int, tty: str, host: str) -> LastLogin | None:
    if not seconds:
        return LastLogin(None)
    try:
        return LastLogin(datetime.fromtimestamp(seconds, UTC).astimezone(), tty, host)
    except (OSError, ValueError, OverflowError):  # No time that a calendar has: a damaged record.
        return None


def _toText(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")
