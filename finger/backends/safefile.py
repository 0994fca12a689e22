"""
Safe reading of files in users' home directories, which are not trusted.

A user can create anything under the name of a plan: a symbolic link to a file that only this process may read, a hard
link to another user's file, a FIFO that blocks on opening, a directory, a socket, ten sparse gigabytes.  A file is
therefore checked before it is opened, opened so that this neither blocks nor follows a link, checked again, and read
up to a limit.  It is served only if it is a regular file with one name, belongs to the user, and is readable by all
users of the machine: a file that is private on the machine is not public, even if this process may read it.

A symbolic link of the user may lead to such a file, since many people keep their dot files elsewhere; root's only to
one in root's home directory, since root owns most of the system.  The target is found without opening it (O_PATH) and
checked, and then the file that was found is opened, whatever the link has become.

The directories above it come from the administrator's password database, and their links are followed.  If one leads
to a wrong place, the file there must still belong to the user.

A plan is UTF-8.  One with a byte order mark is in the encoding of its mark, and one that is not UTF-8 is taken for
ISO 8859-1 (Latin-1).

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

_FIND: Final = getattr(os, "O_PATH", 0)
"""The flag for finding a file without opening it; 0 where it does not exist, and then links are not followed."""

_UTF_8: Final = codecs.getincrementaldecoder("utf-8")

_DECODERS: Final = (
    (codecs.BOM_UTF8, _UTF_8),
    (codecs.BOM_UTF32_LE, codecs.getincrementaldecoder("utf-32-le")),  # It begins with the mark of UTF-16.
    (codecs.BOM_UTF32_BE, codecs.getincrementaldecoder("utf-32-be")),
    (codecs.BOM_UTF16_LE, codecs.getincrementaldecoder("utf-16-le")),
    (codecs.BOM_UTF16_BE, codecs.getincrementaldecoder("utf-16-be")),
)
"""Byte order marks, and the decoders of their encodings, which may not be readable later."""

_ABSENT: Final = {errno.ENOENT, errno.ENOTDIR}
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM}
_REFUSED: Final = _FORBIDDEN | {
    errno.EAGAIN,  # The user holds a lease on it.
    errno.ELOOP,  # It became a symbolic link just now, or is a link that leads to itself.
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
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode) and status.st_uid == owner and _FIND:
        return _readLinked(directory, name, owner, count)
    _check(status, owner)
    return _readChecked(os.open(name, _READ, dir_fd=directory), owner, count)  # It may have been replaced.


def _readLinked(directory: int, name: str, owner: int, count: int) -> bytes:
    found = _find(directory, name)
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != owner or (owner == 0 and not _isIn(directory, found)):
            raise NotServed("is a symbolic link")
        _check(status, owner, "is a symbolic link to a file that ")
        return _readChecked(os.open(_pathOf(found), READ_FLAGS), owner, count)
    finally:
        os.close(found)


def _find(directory: int, name: str) -> int:
    try:
        return os.open(name, _FIND | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno not in _ABSENT | _REFUSED:
            raise
        raise NotServed(f"is a symbolic link that cannot be followed: {error.strerror}") from error


def _isIn(directory: int, found: int) -> bool:
    return os.readlink(_pathOf(found)).startswith(f"{os.readlink(_pathOf(directory))}/")


def _pathOf(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _readChecked(file: int, owner: int, count: int) -> bytes:
    try:
        _check(os.fstat(file), owner)
        return readBytes(file, count)
    finally:
        os.close(file)


def _check(status: os.stat_result, owner: int, link: str = "") -> None:
    if stat.S_ISLNK(status.st_mode):
        raise NotServed("is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise NotServed("is not a regular file")
    if status.st_uid != owner:
        raise NotServed(f"belongs to uid {status.st_uid}, not to the user")
    if status.st_nlink > 1:
        raise NotServed(f"{link}has other names (hard links)")
    if not status.st_mode & stat.S_IROTH:
        raise NotServed(f"{link}is not readable by other users of the machine")


def _toText(data: bytes, limit: int) -> str:
    if len(data) <= limit:
        return _decodeText(data).rstrip()
    text = _decodeText(data[:limit], isWhole=False)
    lineEnd = text.rfind("\n")
    text = text[: lineEnd if lineEnd > 0 else len(text)]
    return f"{text.rstrip()}\n[The rest is left out: this is longer than {limit} bytes.]"


def _decodeText(data: bytes, isWhole: bool = True) -> str:
    """
    Decode a text whose encoding is not known: that of its byte order mark, otherwise UTF-8, otherwise Latin-1.

    @param isWhole: whether this is the whole text; otherwise, a truncated character at its end is left out.
    """
    for mark, decoder in _DECODERS:
        if data.startswith(mark):
            return decoder("replace").decode(data[len(mark) :], final=isWhole)
    try:
        return _UTF_8("strict").decode(data, final=isWhole)
    except UnicodeDecodeError:
        return data.decode("latin-1")
