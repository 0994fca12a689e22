"""Reading files in the reactor's threads while a server runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThreadPool

from finger.client.singleflight import SingleFlight

T = TypeVar("T")


class ThreadedReader(Generic[T]):
    """
    A function that reads files, called in the reactor's threads.

    Calls run one at a time and in order, so an unreachable file server blocks only one thread.

    @param reactor: the reactor whose threads run the function; L{None} to run it in the caller's thread.
    @param read: the function.
    """

    def __init__(self, reactor: Any | None, read: Callable[..., T]) -> None:
        self._reactor = reactor
        self._read = read
        self._calls: SingleFlight[T] = SingleFlight(1, cancelAbandoned=False)  # A thread cannot be stopped.

    def __call__(self, *arguments: object) -> Deferred[T]:
        """
        Call the function.

        @param arguments: the arguments to pass to it.
        @return: its result.  Fails as it does.
        """
        return self._calls.join(object(), partial(self._start, *arguments))

    def _start(self, *arguments: object) -> Deferred[T]:
        if self._reactor is None:
            return maybeDeferred(self._read, *arguments)
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._read, *arguments)
