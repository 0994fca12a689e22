"""
Safe reading of files in users' home directories, which are not trusted.

A user can create anything under the name of a plan: a symbolic link to a file that only this process may read, a hard
link to another user's file, a FIFO that blocks on opening, a directory, a socket, ten sparse gigabytes.  A file is
therefore checked before it is opened, opened so that this neither blocks nor follows a link, checked again, and read
up to a limit.  It is served only if it is a regular file with one name, belongs to the user, and is readable by all
users of the machine: a file that is private on the machine is not public, even if this process may read it.

The directories above it come from the administrator's password database, and their links are followed.  If one leads
to a wrong place, the file there must still belong to the user.

All functions block: a home directory may be on a file server that is down.  No Twisted.
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
"""The default limit of a file's length, in bytes."""

_SEARCH: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
"""The flags for opening a home directory: O_PATH, where it exists, since one of mode 0711 is not readable."""

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
    """A file exists, but is not served.  The message is for the administrator and says why."""


class Home:
    """
    A user's home directory, held open as a context manager.

    A directory that does not exist, or that this process may not search, is not an error: it appears empty.

    @param path: the directory.
    @param owner: the user's uid.
    @ivar refusals: the files that exist but were not served, and why, one line each, for the administrator.
    @raise OSError: if its contents cannot be determined at present; the methods also raise this.
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
        """Return whether a file of any kind has that name, even a broken symbolic link."""
        if self._directory is None:
            return False
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except OSError as error:
            if error.errno in _FORBIDDEN:  # The only permission that stat needs is to search the directory.
                self._refuse("", "is not searchable, so its files are not seen")
                self._close()
            else:
                self._excuse(name, error)
            return False
        return True

    def read(self, name: str, limit: int = MAX_BYTES) -> str:
        """
        Read a file that belongs to the user.

        @param limit: the maximum length, in bytes; a longer file is cut after a line, and a note is added.
        @return: the text, without trailing white space; empty if there is no file that may be served.
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
        """Accept an error for a file that is absent or refused; raise any other, such as that of a broken disk."""
        if error.errno in _REFUSED:
            self._refuse(name, error.strerror or str(error))
        elif error.errno not in _ABSENT:
            raise error

    def _refuse(self, name: str, why: str) -> None:
        self.refusals.append(f"{os.path.join(self._path, name) if name else self._path}: {why}")


def _read(directory: int, name: str, owner: int, count: int) -> bytes:
    # Check first, since merely opening some devices has an effect.
    _check(os.stat(name, dir_fd=directory, follow_symlinks=False), owner)
    file = os.open(name, _READ, dir_fd=directory)
    try:
        _check(os.fstat(file), owner)  # It may have been replaced.
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
        raise NotServed("has other names (hard links)")
    if not status.st_mode & stat.S_IROTH:
        raise NotServed("is not readable by other users of the machine")


def _toText(data: bytes, limit: int) -> str:
    if len(data) <= limit:
        return data.decode("utf-8", "replace").rstrip()
    lineEnd = data.rfind(b"\n", 0, limit)
    whole = data[: lineEnd if lineEnd > 0 else limit]
    # Not final, so that a truncated character is left out.
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(whole)
    return f"{text.rstrip()}\n[The rest is left out: this is longer than {limit} bytes.]"
