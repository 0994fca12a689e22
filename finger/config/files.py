"""
Reading the administrator's files: configuration, certificates, templates, passwords, users.

A path may lead to something else than a file.  To open a FIFO without a writer blocks for ever, and so may reading a
device; both would hang the whole server.  So a file is opened without waiting, refused unless it is a regular one,
and read up to a limit.

A regular file still blocks on a mount whose server is down.  A running server reads in a thread
(L{finger.config.threads}).  What users leave in their home directories needs more care (L{finger.backends.safefile}).
No Twisted.
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
"""The longest file that people write by hand, in bytes."""

MAX_DATA_BYTES: Final = 2**30
"""The longest file of users, which a program may have written, in bytes."""

READ_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Flags that open a file for reading and wait for nothing."""


def readFile(path: str | Path, limit: int = MAX_BYTES, mayBePipe: bool = False) -> bytes:
    """
    Read a regular file.

    @param limit: the most bytes it may hold.
    @param mayBePipe: whether a pipe is read to its end, too.  This waits for its writers, if there are any.
    @raise OSError: if it cannot be read, is not a regular file, or holds more; C{strerror} says so.
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

    @param mayBePipe: whether a pipe is opened, too.
    @raise OSError: if it cannot be opened, or is not a regular file.
    """
    with open(path, "rb", buffering=0, opener=_openAtOnce) as file:
        if mayBePipe and _isPipe(file):
            os.set_blocking(file.fileno(), True)
        elif not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        yield file


def readBytes(descriptor: int, count: int) -> bytes:
    """Read up to C{count} bytes of a file, whatever size it has, claims to have, or grows to."""
    content = bytearray()
    while len(content) < count and (chunk := os.read(descriptor, min(count - len(content), 2**20))):
        content += chunk
    return bytes(content)


def _openAtOnce(path: str, flags: int) -> int:
    return os.open(path, READ_FLAGS)


def _isPipe(file: BinaryIO) -> bool:
    return stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
