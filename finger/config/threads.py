"""Reading files in the reactor's threads while a server runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

T = TypeVar("T")


class ThreadedReader(Generic[T]):
    """
    A function that reads files, called in the reactor's threads.

    Calls run one at a time and in order, so an unreachable file server blocks only one thread.

    @param reactor: the reactor whose threads run the function; L{None} to run it in the caller's thread.
    @param read: the function.
    """

    def __init__(self, reactor: Any | None, read: Callable[[], T]) -> None:
        self._reactor = reactor
        self._read = read
        self._lock = DeferredLock()

    def __call__(self) -> Deferred[T]:
        """
        Call the function.

        @return: its result.  Fails as it does.
        """
        return self._lock.acquire().addCallback(lambda _: self._start())

    def _start(self) -> Deferred[T]:
        """Start a call.  A thread cannot be stopped, so cancelling the result does not start the next call."""
        result: Deferred[T] = Deferred()
        self._run().addBoth(self._finish, result)
        return result

    def _run(self) -> Deferred[T]:
        if self._reactor is None:
            return maybeDeferred(self._read)
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._read)

    def _finish(self, outcome: T | Failure, result: Deferred[T]) -> None:
        self._lock.release()
        result.callback(outcome)
