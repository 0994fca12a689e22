"""Time: how long a peer has, and how often it may."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python import runtime

MAX_KEYS = 10_000
"""How many keys L{Buckets} tell apart; a flood of addresses takes no more memory than that."""

DRAIN_GRACE = 1.0
"""Seconds that a first query has to arrive when the server is being stopped: it may be on its way."""


CLOSE_GRACE = 15.0
"""Seconds between the end of a back end's time and that of the connection: time to send the error."""


def followMonotonicClock(reactor: Any) -> None:
    """
    Have a reactor follow the monotonic clock instead of the wall clock: deadlines are about time that passes, and the
    wall clock may be set.  Calls that are already scheduled keep their delays.  A reactor with a clock of its
    own, such as L{twisted.internet.task.Clock}, keeps it.
    """
    if reactor.seconds is not runtime.seconds:
        return
    shift = time.monotonic() - reactor.seconds()
    reactor.seconds = time.monotonic
    for call in reactor.getDelayedCalls():
        call.delay(shift)


class Deadline:
    """
    What may take only so long.  Each phase has its own time, which nothing the peer does can extend.

    @param clock: the time; without one there is no end.
    """

    def __init__(self, clock: IReactorTime | None) -> None:
        self._clock = clock
        self._call: IDelayedCall | None = None

    def start(self, seconds: float, end: Callable[[], object]) -> None:
        """Begin a phase that may take so long; the one before it is over.  If it takes longer, C{end} is called."""
        self.cancel()
        if self._clock is not None:
            self._call = self._clock.callLater(seconds, end)

    def cancel(self) -> None:
        """The last phase is over."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None


class Bucket:
    """
    A token bucket.

    @param clock: the time.
    @param size: how many tokens there are at once.
    @param interval: seconds until there is one more.
    """

    def __init__(self, clock: IReactorTime, size: int, interval: float) -> None:
        self._clock = clock
        self._ahead = (size - 1) * interval
        self._interval = interval
        self._full = float("-inf")  # When the bucket will be full again; it says as much as a count would.

    def wait(self) -> float:
        """Seconds until there is a token."""
        return max(0.0, self._full - self._ahead - self._clock.seconds())

    def take(self) -> None:
        """Take a token, even if there is none yet: later ones come later, then."""
        self._full = max(self._full, self._clock.seconds()) + self._interval

    def tryTake(self) -> bool:
        """Take a token if there is one."""
        if self.wait() > 0:
            return False
        self.take()
        return True


class Buckets:
    """
    A token bucket for each key, as far as keys are remembered: when there are too many, those not used for longest
    are forgotten, which does them a favour.

    @param clock: the time.
    @param size: how many tokens each has at once.
    @param interval: seconds until it has one more.
    """

    def __init__(self, clock: IReactorTime, size: int, interval: float) -> None:
        self._clock = clock
        self._size = size
        self._interval = interval
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, key: str) -> Bucket:
        """The bucket of a key."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._clock, self._size, self._interval)
            if len(self._buckets) > MAX_KEYS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket
