"""Coalesce calls: simultaneous callers with the same key share one operation and its result."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Work(Generic[T]):
    """An operation, and the callers that wait for its result."""

    key: Hashable
    start: Callable[[], Deferred[T]]
    waiting: list[Deferred[T]] = field(default_factory=list)
    result: Deferred[Any] = field(default_factory=Deferred)


class SingleFlight(Generic[T]):
    """
    Operations by key, each run once for all callers that wait for it.

    @param most: the most operations to run at once; further ones are queued.
    @param cancelAbandoned: whether to cancel a running operation when its last caller has cancelled.  A queued
        operation is then always removed.
    """

    def __init__(self, most: int, *, cancelAbandoned: bool = True) -> None:
        self._most = most
        self._cancelAbandoned = cancelAbandoned
        self._queued: dict[Hashable, _Work[T]] = {}
        self._running: dict[Hashable, _Work[T]] = {}
        self._isStarting = False

    def __contains__(self, key: Hashable) -> bool:
        """Return whether the operation with a key is running or queued."""
        return key in self._running or key in self._queued

    def join(self, key: Hashable, start: Callable[[], Deferred[T]]) -> Deferred[T]:
        """
        Wait for the operation with a key.  If it is neither running nor queued, add it.

        To avoid sharing an operation that is already running, use as the key a number that C{start} increases.

        @param key: identifies the operation.
        @param start: starts the operation.
        @return: its result.  Cancelling it does not affect other callers.
        """
        work = self._running.get(key) or self._queued.get(key)
        if work is None:
            work = self._queued[key] = _Work(key, start)
        waiting: Deferred[T] = Deferred(partial(self._leave, work))
        work.waiting.append(waiting)
        self._startQueued()
        return waiting

    def _startQueued(self) -> None:
        if self._isStarting:
            return  # When work ends at once, the loop below starts the next, without recursion.
        self._isStarting = True
        while self._queued and len(self._running) < self._most:
            key = next(iter(self._queued))
            work = self._running[key] = self._queued.pop(key)
            work.result = maybeDeferred(work.start)
            work.result.addBoth(self._ended, work)
        self._isStarting = False

    def _ended(self, result: T | Failure, work: _Work[T]) -> None:
        del self._running[work.key]
        while work.waiting:  # One by one, because a callback may cancel another caller.
            work.waiting.pop(0).callback(result)
        self._startQueued()

    def _leave(self, work: _Work[T], waiting: Deferred[T]) -> None:
        work.waiting.remove(waiting)
        if work.waiting:
            return
        if self._queued.get(work.key) is work:
            del self._queued[work.key]
        elif self._cancelAbandoned:
            work.result.cancel()
