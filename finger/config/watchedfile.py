"""A file of lines that the administrator writes, which is read again when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.client.singleflight import SingleFlight
from finger.config.files import MAX_BYTES, readFile
from finger.interfaces import ISelfReloading

INTERVAL = 30.0
"""The interval at which a file is checked for changes, in seconds."""

MAX_PROBLEMS = 10
"""The maximum number of invalid lines logged at each reading; the others are only counted."""

Signature = tuple[int, ...]


class Content(Protocol):
    """
    What a file contains.

    @ivar problems: the invalid lines: their numbers, from 1, and what is wrong with each.
    """

    @property
    def problems(self) -> tuple[tuple[int, str], ...]:
        """See above."""

    def __len__(self) -> int:
        """Return the number of things that the file contains."""


T = TypeVar("T", bound=Content)


@dataclass(frozen=True, slots=True)
class _Reading(Generic[T]):
    """One reading of the file, which replaces the previous one as a whole."""

    signature: Signature
    content: T


def _read(path: str, parse: Callable[[bytes], T], limit: int) -> _Reading[T]:
    signature = _signature(path)  # Taken first, so that a change during the reading is noticed later.
    return _Reading(signature, parse(readFile(path, limit)))


def _signature(path: str) -> Signature:
    """
    Return a value that differs if the file has changed.  It includes the inode, since editors write and rename a new
    file.
    """
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@implementer(ISelfReloading)
class WatchedFile(Service, Generic[T]):
    """
    A file of lines.

    While the service runs, the file is read again when it has changed.  If that fails, the error is logged, and the
    current content stays.

    @param path: the file.
    @param reactor: the reactor, for its clock and threads.
    @param parse: makes the content from the file's bytes, in a thread.
    @param things: what the file contains, for the log, as in C{users}.
    @param limit: the maximum size of the file, in bytes.
    @ivar content: the content of the file when it was last read.
    @ivar readings: the number of readings, each of which may have another content.
    @ivar reloader: see L{ISelfReloading}.
    @raise OSError: if the file cannot be read at the start.
    """

    log = Logger()

    def __init__(
        self, path: str, reactor: Any, parse: Callable[[bytes], T], things: str, limit: int = MAX_BYTES
    ) -> None:
        self.path = path
        self._reactor = reactor
        self._parse = parse
        self._things = things
        self._limit = limit
        self._unreadable = ""
        self._reloads: SingleFlight[bool] = SingleFlight(1, cancelAbandoned=False)
        self._reloaded = 0
        self.readings = 1
        self.reloader: Callable[[], Deferred[bool] | Deferred[None]] = self.reload
        self._looking = LoopingCall(lambda: Deferred.fromCoroutine(self._look()))
        self._looking.clock = reactor
        self._use(_read(path, parse, limit))

    def _use(self, reading: _Reading[T]) -> None:
        self._signature = reading.signature
        self.content = reading.content
        self._tellProblems()

    def startService(self) -> None:
        """Start watching the file.  Warn if it is not readable, since the process may have dropped privileges."""
        if not os.access(self.path, os.R_OK):
            self.log.warn(
                "{path} is not readable by the user of this process (uid {uid}): its changes will not be noticed",
                path=self.path,
                uid=os.geteuid(),
            )
        super().startService()
        self._looking.start(INTERVAL, now=False)

    def stopService(self) -> None:
        """Stop watching the file."""
        super().stopService()
        self._looking.stop()

    async def _look(self) -> None:
        """Check for a change, in a thread, since this may block on a mount whose server is down."""
        threads = self._reactor.getThreadPool()
        try:
            signature = await deferToThreadPool(self._reactor, threads, _signature, self.path)
            changed = signature != self._signature
        except OSError:
            changed = True  # The reading logs the error, and only once.
        if changed:
            await self.reloader()

    def reload(self) -> Deferred[bool]:
        """
        See L{ISelfReloading}.  The file is read in a thread, since it may be large, and by one thread at a time:
        all calls during a reading share one more reading after it.
        """
        return self._reloads.join(self._reloaded, self._reload)

    def _reload(self) -> Deferred[bool]:
        self._reloaded += 1
        threads = self._reactor.getThreadPool()
        reading = deferToThreadPool(self._reactor, threads, _read, self.path, self._parse, self._limit)
        return reading.addCallbacks(self._readAgain, self._notRead)

    def _readAgain(self, reading: _Reading[T]) -> bool:
        self.readings += 1
        self._unreadable = ""
        count = len(reading.content)
        self.log.info("read {count} {things} from {path}", count=count, things=self._things, path=self.path)
        self._use(reading)
        return True

    def _notRead(self, failure: Failure) -> bool:
        why = getattr(failure.value, "strerror", None) or failure.getErrorMessage()
        if why != self._unreadable:
            self.log.error(
                "{path} cannot be read, its current {things} stay: {why}",
                path=self.path,
                things=self._things,
                why=why,
            )
        self._unreadable = why
        return False

    def _tellProblems(self) -> None:
        problems = self.content.problems
        for number, problem in problems[:MAX_PROBLEMS]:
            self.log.warn("{path}:{number}: skipped: {problem}", path=self.path, number=number, problem=problem)
        if len(problems) > MAX_PROBLEMS:
            self.log.warn("{path}: {more} more lines skipped", path=self.path, more=len(problems) - MAX_PROBLEMS)
