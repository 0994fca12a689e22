"""Work that is shared by all who ask for it at the same time, and bounded."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.python.failure import Failure

from finger.errors import RemoteUnreachable

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """
    Work under way, each piece of it done once for all who want its result.

    @param most: how many pieces at once.
    @param abandoned: is work that nobody waits for any more cancelled?
    """

    def __init__(self, most: int, abandoned: bool = True) -> None:
        self._most = most
        self._abandoned = abandoned
        self._work: dict[Hashable, _Work[T]] = {}

    def join(self, key: Hashable, start: Callable[[], Deferred[T]]) -> Deferred[T]:
        """
        Wait for the work that C{key} names, which C{start} begins if it is not under way.

        @return: its result, to be cancelled without harm to others who wait for it.  Fails with
            L{RemoteUnreachable} if there is too much other work.
        """
        if key in self._work:
            return self._work[key].wait()
        if len(self._work) >= self._most:
            return fail(RemoteUnreachable("too many others are being asked"))
        work = self._work[key] = _Work(self._abandoned)
        waiting = work.wait()
        work.begin(maybeDeferred(start).addBoth(self._done, key))
        return waiting

    def _done(self, result: T | Failure, key: Hashable) -> T | Failure:
        del self._work[key]
        return result


class _Work(Generic[T]):
    def __init__(self, abandoned: bool) -> None:
        self._abandoned = abandoned
        self._waiting: list[Deferred[T]] = []

    def begin(self, result: Deferred[T]) -> None:
        self._result = result
        result.addBoth(self._tell)

    def wait(self) -> Deferred[T]:
        waiting: Deferred[T] = Deferred(self._leave)
        self._waiting.append(waiting)
        return waiting

    def _tell(self, result: T | Failure) -> None:
        while self._waiting:  # One by one, as one that is told may make another leave.
            self._waiting.pop(0).callback(result)

    def _leave(self, waiting: Deferred[T]) -> None:
        self._waiting.remove(waiting)
        if self._abandoned and not self._waiting:
            self._result.cancel()
