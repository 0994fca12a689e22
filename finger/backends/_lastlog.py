"""
The last logins of users, from the two places where Linux systems record them.

C{/var/log/lastlog} is an array of C{struct lastlog}, one for each uid.  Its successor C{lastlog2}, for times after
2038, is an SQLite database.  On a system with both, the first is no longer updated, so the second has precedence.

All functions block.  No Twisted.
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
"""The time to wait for another process that writes to the database, in seconds."""

_NARROW: Final = struct.Struct("=I32s256s")
_WIDE: Final = struct.Struct("=q32s256s")
_WIDE_MACHINES: Final = {"aarch64", "aarch64_be", "loongarch64"}
"""The machines on which glibc keeps no compatibility with a 32-bit time_t (C{__WORDSIZE_TIME64_COMPAT32} is 0)."""


def findLastLogin(login: str, uid: int, *, database: Path = DATABASE, file: Path = FILE) -> LastLogin | None:
    """
    Look up a user's last login.

    @return: the login, with a C{when} of L{None} if the user has never logged in; L{None} if this system does not
        record logins, or the record is not readable.
    """
    return queryDatabase(database, login) or readFile(file, uid)


def queryDatabase(path: Path, login: str) -> LastLogin | None:
    """Look up a user's last login in a C{lastlog2} database; return L{None} if it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)) as connection:
            rows = connection.execute("SELECT Time, TTY, RemoteHost FROM Lastlog2 WHERE Name = ?", (login,))
            seconds, tty, host = rows.fetchone() or (0, "", "")
    except sqlite3.Error:
        return None
    return _lastLogin(seconds, tty or "", host or "")


def readFile(path: Path, uid: int, machine: str = os.uname().machine) -> LastLogin | None:
    """
    Look up a user's last login in a C{lastlog} file; return L{None} if it cannot be read.

    @param machine: the architecture that wrote the file, as printed by C{uname -m}.
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
    except (OSError, ValueError, OverflowError):  # The time is out of range: the record is damaged.
        return None


def _toText(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")
