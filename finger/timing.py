"""Timeouts and rate limits."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python import runtime

T = TypeVar("T")

MAX_KEYS = 10_000
"""The number of keys that L{Buckets} keep, which bounds the memory that a flood of addresses can use."""

DRAIN_GRACE = 1.0
"""The time for a first query to arrive while the server stops, in seconds: it may already be on its way."""


CLOSE_GRACE = 15.0
"""The time between the timeouts of a back end and of its connection, in seconds: time to send the error."""


ROUNDING = 1e-6
"""The time, in seconds, by which sums of times may be wrong."""


def followMonotonicClock(reactor: Any) -> None:
    """
    Make a reactor use the monotonic clock instead of the wall clock, so that setting the time does not move
    deadlines.  Calls that are already scheduled keep their delays.  A reactor with its own clock, such as
    L{twisted.internet.task.Clock}, keeps it.
    """
    if reactor.seconds is not runtime.seconds:
        return
    shift = time.monotonic() - reactor.seconds()
    reactor.seconds = time.monotonic
    for call in reactor.getDelayedCalls():
        call.delay(shift)


class Timer:
    """
    A call after a delay, such as the timeout of a connection, which the peer cannot extend.

    Most timers are started again and again, each time for later, and never end.  So a start for later only notes the
    end; the delayed call of the earlier start then waits for the rest.

    @param clock: the clock; L{None} disables the timer.
    """

    __slots__ = ("_arguments", "_call", "_clock", "_do", "_end")

    def __init__(self, clock: IReactorTime | None) -> None:
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._end = 0.0
        self._do: Callable[..., object] = _doNothing
        self._arguments: tuple[object, ...] = ()

    @property
    def isRunning(self) -> bool:
        """Whether the call is still to be made."""
        return self._call is not None

    def start(self, seconds: float, do: Callable[..., object], *arguments: object) -> None:
        """
        Start the timer, instead of an earlier start.

        @param seconds: the delay.
        @param do: called with the arguments after the delay.
        """
        if self._clock is None:
            return
        self._do, self._arguments = do, arguments
        self._end = self._clock.seconds() + seconds
        if self._call is not None and self._call.getTime() <= self._end:
            return
        if self._call is not None:
            self._call.cancel()
        self._call = self._clock.callLater(seconds, self)

    def cancel(self) -> None:
        """Stop the timer."""
        if self._call is not None:
            self._call.cancel()
        self._forget()

    def __call__(self) -> None:
        """Make the call, or wait for the rest of the time."""
        assert self._clock is not None
        rest = self._end - self._clock.seconds()
        if rest > ROUNDING:
            self._call = self._clock.callLater(rest, self)
            return
        do, arguments = self._do, self._arguments
        self._forget()
        do(*arguments)

    def _forget(self) -> None:
        self._call, self._do, self._arguments = None, _doNothing, ()


def _doNothing() -> None:
    """The call of a timer that is not running."""


class TimeoutQueue(Generic[T]):
    """
    One timeout for many objects, such as idle connections, with one delayed call for all of them.  They end in the
    order in which they began.

    @param clock: the clock; L{None} for no timeout.
    @param seconds: the timeout.
    @param do: called with an object after that time.
    """

    def __init__(self, clock: IReactorTime | None, seconds: float, do: Callable[[T], object]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._do = do
        self._timer = Timer(clock)
        self._ends: OrderedDict[T, float] = OrderedDict()

    def add(self, item: T) -> None:
        """Begin the timeout of an object."""
        if self._clock is not None:
            self._ends[item] = self._clock.seconds() + self._seconds
            if not self._timer.isRunning:
                self._timer.start(self._seconds, self._expire)

    def discard(self, item: T) -> None:
        """End the timeout of an object, if it has one."""
        self._ends.pop(item, None)
        if not self._ends:
            self._timer.cancel()

    def _expire(self) -> None:
        assert self._clock is not None
        while self._ends:
            item, end = next(iter(self._ends.items()))
            rest = end - self._clock.seconds()
            if rest > ROUNDING:
                self._timer.start(rest, self._expire)
                return
            del self._ends[item]
            self._do(item)


class Bucket:
    """
    A token bucket.

    @param clock: the clock.
    @param size: the most tokens in the bucket.
    @param interval: the time until a token is added, in seconds.
    """

    def __init__(self, clock: IReactorTime, size: int, interval: float) -> None:
        self._clock = clock
        self._ahead = (size - 1) * interval
        self._interval = interval
        self._full = float("-inf")  # The time at which the bucket is full again; this implies the number of tokens.

    def wait(self) -> float:
        """Return the time until a token is available, in seconds."""
        seconds = self._full - self._ahead - self._clock.seconds()
        return seconds if seconds > ROUNDING else 0.0

    def take(self) -> None:
        """Take a token, even if none is available: this delays the next ones."""
        self._full = max(self._full, self._clock.seconds()) + self._interval

    def giveBack(self) -> None:
        """Return a token that was taken."""
        self._full -= self._interval

    def tryTake(self) -> bool:
        """Take a token if one is available, and return whether it was."""
        now = self._clock.seconds()
        if self._full - self._ahead - now > ROUNDING:
            return False
        self._full = max(self._full, now) + self._interval
        return True


class Buckets:
    """
    A token bucket for each key.  Beyond L{MAX_KEYS}, the least recently used bucket is dropped; its key then starts
    with a full one.

    @param clock: the clock.
    @param size: the most tokens in each bucket.
    @param interval: the time until a token is added to a bucket, in seconds.
    """

    def __init__(self, clock: IReactorTime, size: int, interval: float) -> None:
        self._clock = clock
        self._size = size
        self._interval = interval
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, key: str) -> Bucket:
        """Return the bucket of a key."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._clock, self._size, self._interval)
            if len(self._buckets) > MAX_KEYS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket
