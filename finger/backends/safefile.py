"""
Reading what users leave in their home directories, as if each of them were out to trick us.

A user can put anything under the name of a plan: a symbolic link to a file that only we may read, a hard link to
somebody else's, a FIFO that blocks whoever opens it, a directory, a socket, ten sparse gigabytes.  So a file is
looked at before it is opened, opened so that nothing can block or be followed, looked at again, and read up to a
limit by counting.  It is served only if it is a regular file with one name, belongs to the user, and may be read by
everybody on the machine: a file its owner keeps from the neighbours is kept from the world, whoever we run as.

The directories on the way are the administrator's, from the password database, and are followed.  Should one of
them lead to a wrong place, the file there still has to be the user's own.

Everything here blocks: a home directory may be on a file server that is down.  No Twisted.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
from types import TracebackType
from typing import Final

from finger.config.files import READ_FLAGS, readBytes

MAX_BYTES: Final = 64 * 1024
"""How much of a file is read, in bytes."""

_SEARCH: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
"""How a home directory is opened: O_PATH, where there is one, for a directory of mode 0711 cannot be read."""

_READ: Final = READ_FLAGS | os.O_NOFOLLOW

_ABSENT: Final = {errno.ENOENT, errno.ENOTDIR}
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM}
_REFUSED: Final = _FORBIDDEN | {
    errno.EAGAIN,  # The user holds a lease on it.
    errno.ELOOP,  # It became a symbolic link just now.
    errno.ENAMETOOLONG,
    errno.ENXIO,  # It became a socket just now.
}


class NotServed(Exception):
    """A file is there, but not for the world.  The message is for the administrator and says why."""


class Home:
    """
    A user's home directory, held open; to be used in a C{with} statement.

    That there is none, or that it may not be searched by us, is no error: then nothing is in it.

    @param path: where it is.
    @param owner: the user's uid.
    @ivar refusals: what is there and was not served, and why, one line each, for the administrator.
    @raise OSError: if it cannot be known now what is in it; the methods raise this, too.
    """

    def __init__(self, path: str, owner: int) -> None:
        self.refusals: list[str] = []
        self._path = path
        self._owner = owner
        self._directory = self._open()

    def __enter__(self) -> Home:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        self._close()

    def has(self, name: str) -> bool:
        """Is there anything of that name, even a symbolic link that leads nowhere?"""
        if self._directory is None:
            return False
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except OSError as error:
            if error.errno in _FORBIDDEN:  # A stat needs no permission but to search the directory.
                self._refuse("", "may not be searched, so nothing in it is seen")
                self._close()
            else:
                self._excuse(name, error)
            return False
        return True

    def read(self, name: str, limit: int = MAX_BYTES) -> str:
        """
        Read a file of the user's.

        @param limit: the most to read, in bytes; a longer file is cut after a line, and says so.
        @return: the text, without white space at its end; empty if there is none that may be served.
        """
        if self._directory is None:
            return ""
        try:
            return _toText(_read(self._directory, name, self._owner, limit + 1), limit)
        except NotServed as why:
            self._refuse(name, str(why))
        except OSError as error:
            self._excuse(name, error)
        return ""

    def _open(self) -> int | None:
        if not self._path.startswith("/"):
            return None
        try:
            return os.open(self._path, _SEARCH)
        except OSError as error:
            self._excuse("", error)
            return None

    def _close(self) -> None:
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def _excuse(self, name: str, error: OSError) -> None:
        """Pass over an error that is an answer; raise one that leaves the question open, as a dead disk does."""
        if error.errno in _REFUSED:
            self._refuse(name, error.strerror or str(error))
        elif error.errno not in _ABSENT:
            raise error

    def _refuse(self, name: str, why: str) -> None:
        self.refusals.append(f"{os.path.join(self._path, name) if name else self._path}: {why}")


def _read(directory: int, name: str, owner: int, count: int) -> bytes:
    # Looked at first, since only opening some devices already does something.
    _check(os.stat(name, dir_fd=directory, follow_symlinks=False), owner)
    file = os.open(name, _READ, dir_fd=directory)
    try:
        _check(os.fstat(file), owner)  # It may be another one by now.
        return readBytes(file, count)
    finally:
        os.close(file)


def _check(status: os.stat_result, owner: int) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise NotServed("is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise NotServed("is not a regular file")
    if status.st_uid != owner:
        raise NotServed(f"belongs to uid {status.st_uid}, not to the user")
    if status.st_nlink > 1:
        raise NotServed("is a hard link: it has other names")
    if not status.st_mode & stat.S_IROTH:
        raise NotServed("may not be read by other users, so neither by the world")


def _toText(data: bytes, limit: int) -> str:
    if len(data) <= limit:
        return data.decode("utf-8", "replace").rstrip()
    lineEnd = data.rfind(b"\n", 0, limit)
    whole = data[: lineEnd if lineEnd > 0 else limit]
    # Not final: a character cut in two is left out.
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(whole)
    return f"{text.rstrip()}\n[The rest is left out: this is longer than {limit} bytes.]"
