"""
The file of the memory back end: all users as a JSON object, for one server at a time.

The file is replaced as a whole, by a new one of a fixed name beside it.  The directory may be one that others can
write to, so the new file is created and never opened through a link.  A symbolic link at the path itself is followed
once, at the start, and stays.

Two servers on one file would overwrite each other's changes.  So a server locks a third file beside it (flock), which
the kernel unlocks when the process ends, however that is.  The lock file itself stays, since removing it would let a
third server lock another file of the same name.

The functions block; of Twisted, this module uses nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Final

from finger.config.files import MAX_DATA_BYTES, readFile
from finger.errors import BadQuery, ConfigError
from finger.protocol.names import MAX_NAME, parseName

Users = Mapping[str, str]

_LOCK_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class UsersJSON:
    """
    A file that contains all users.

    @param path: the file; its directory must be writable.
    @ivar path: the file, after symbolic links.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(os.path.realpath(path))
        self._label = f"--backend=memory:{path}"
        self._lock: int | None = None
        self._isClosed = False
        self._saving = Lock()

    def open(self) -> None:
        """
        Keep other servers from using the file, until L{close} or the end of the process.

        @raise ConfigError: if another server uses it, or it cannot be locked.
        """
        path = self.path.with_name(f".{self.path.name}.lock")
        try:
            self._lock = _lock(path)
        except BlockingIOError as error:
            raise ConfigError(f"{self._label}: is in use by another server") from error
        except OSError as error:
            raise ConfigError(f"{self._label}: cannot be locked: {path}: {error.strerror}") from error
        self._isClosed = False

    def close(self) -> None:
        """Let other servers use the file.  Wait for a thread that writes it; later changes are refused."""
        with self._saving:
            self._isClosed = True
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def load(self) -> dict[str, str]:
        """
        Read the users; a file that does not exist has none.

        @return: the statuses by the canonical form of the users' names.
        @raise ConfigError: if the file cannot be read, does not contain users, or contains one whose name cannot be
            queried.
        """
        try:
            content = readFile(self.path, MAX_DATA_BYTES)
            users = json.loads(content) if content else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"{self._label}: cannot be read: {why}") from error
        if not isinstance(users, dict) or not all(isinstance(status, str) for status in users.values()):
            raise ConfigError(f"{self._label}: is not a JSON object of users and statuses")
        return {self._name(user): status for user, status in users.items()}

    def _name(self, user: str) -> str:
        try:
            return parseName(user)
        except BadQuery as error:
            raise ConfigError(f"{self._label}: {user[:MAX_NAME]!r}: {error}; rename or delete it") from error

    def save(self, users: Users) -> None:
        """
        Write the users atomically and durably: after a crash, the file contains either the old or the new ones.

        @raise OSError: if they could not be written; the file then still contains the old ones.
        """
        with self._saving:
            if self._isClosed:
                raise OSError("the server has stopped")
            self._replace(json.dumps(users, ensure_ascii=False, indent=0).encode())

    def _replace(self, content: bytes) -> None:
        new = self.path.with_name(f".{self.path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()  # A crash left it.
        with contextlib.suppress(FileNotFoundError):
            mode: int | None = None
            mode = stat.S_IMODE(self.path.lstat().st_mode)
        with open(new, "xb", opener=_create) as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)
        _sync(self.path.parent)


def _create(path: str, flags: int) -> int:
    """Create a file, which must not exist, not even as a link that leads nowhere."""
    return os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    """
    Lock a file, and create it first if it does not exist.

    @return: the descriptor that holds the lock.
    @raise BlockingIOError: if another process holds it.
    """
    try:
        descriptor = os.open(path, _LOCK_FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        _giveTo(descriptor, path.parent.stat())
    except FileExistsError:
        descriptor = os.open(path, _LOCK_FLAGS)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _giveTo(descriptor: int, directory: os.stat_result) -> None:
    """Give a lock file to the owner of its directory, whom a server that drops root's privileges becomes."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.fchown(descriptor, directory.st_uid, directory.st_gid)
    if directory.st_mode & stat.S_IWGRP:
        os.fchmod(descriptor, 0o660)
