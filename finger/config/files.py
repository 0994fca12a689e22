"""
Reading the administrator's files: configuration, certificates, templates, passwords, users.

A path may lead to something other than a regular file.  Opening a FIFO without a writer blocks forever, and reading a
device may; both would hang the whole server.  So a file is opened without blocking, refused unless it is a regular
file, and read up to a limit.

A regular file on a mount still blocks while the file server is down, so a running server reads files in a thread
(L{finger.config.threads}).  Files in users' home directories need more care (L{finger.backends.safefile}).  This
module does not use Twisted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

MAX_BYTES: Final = 16 * 2**20
"""The maximum size of a file written by hand, in bytes."""

MAX_DATA_BYTES: Final = 2**30
"""The maximum size of a users file, which a program may have written, in bytes."""

READ_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Flags that open a file for reading without blocking."""


def readFile(path: str | Path, limit: int = MAX_BYTES, mayBePipe: bool = False) -> bytes:
    """
    Read a regular file.

    @param limit: the maximum size, in bytes.
    @param mayBePipe: whether to read a pipe, too.  This blocks until all its writers have closed it.
    @raise OSError: if the file cannot be read, is not a regular file, or is too long; C{strerror} has the reason.
    """
    with openFile(path, mayBePipe) as file:
        content = readBytes(file.fileno(), limit + 1)
        if len(content) > limit:
            raise OSError(errno.EFBIG, f"is longer than {limit} bytes", str(path))
        if not content and _isPipe(file):
            raise OSError(errno.ENODATA, "is a pipe without content", str(path))
        return content


@contextmanager
def openFile(path: str | Path, mayBePipe: bool = False) -> Iterator[BinaryIO]:
    """
    Open a regular file for reading, without a buffer.

    @param mayBePipe: whether to open a pipe, too.
    @raise OSError: if the file cannot be opened, or is not a regular file.
    """
    with open(path, "rb", buffering=0, opener=_openAtOnce) as file:
        if mayBePipe and _isPipe(file):
            os.set_blocking(file.fileno(), True)
        elif not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        yield file


def readBytes(descriptor: int, count: int) -> bytes:
    """
    Read up to C{count} bytes of a file, regardless of its reported size.  A file that has that size is read by one
    call, without copying it, since a copy of a large one would make other threads wait.
    """
    step = max(os.fstat(descriptor).st_size + 1, 2**16)
    chunks: list[bytes] = []
    while count > 0 and (chunk := os.read(descriptor, min(count, step))):
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)


def _openAtOnce(path: str, flags: int) -> int:
    return os.open(path, READ_FLAGS)


def _isPipe(file: BinaryIO) -> bool:
    return stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
