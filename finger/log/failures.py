"""A failure, turned into the words for the peer and, when it is our fault, a line for the administrator."""

from __future__ import annotations

from collections import Counter

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.errors import INTERNAL_ERROR, FingerError, PeerError
from finger.timing import Buckets

BURST = 3
"""How many of the same failure are logged at once."""

INTERVAL = 60.0
"""Seconds until one more is; of those left out, the number."""


class FailureLog:
    """
    Where failures that are our fault are logged, with all there is to know; but no flood of the same one, and none
    hides another.

    @param clock: for the limit; without one there is none.
    """

    def __init__(self, clock: IReactorTime | None = None) -> None:
        self._buckets = Buckets(clock, BURST, INTERVAL) if clock is not None else None
        self._leftOut: Counter[str] = Counter()

    def explain(self, failure: Failure, log: Logger) -> str:
        """
        Say what went wrong.

        @param log: where to tell it, unless the peer is to blame.
        @return: one line for the peer, without details of our insides.
        """
        if not failure.check(PeerError):
            self._tell(failure, log)
        return failure.value.words if isinstance(failure.value, FingerError) else INTERNAL_ERROR

    def _tell(self, failure: Failure, log: Logger) -> None:
        place = _place(failure)
        if self._buckets is not None and not self._buckets.of(place).tryTake():
            self._leftOut[place] += 1
            return
        more = self._leftOut.pop(place, 0)
        log.failure("a query failed{more}", failure, more=f", and {more} more did so, since the last" if more else "")


def _place(failure: Failure) -> str:
    """What makes a failure the same as another: its class, and where it was raised."""
    kind = type(failure.value)
    where = [f"{path}:{line}" for _, path, line, *_ in failure.frames[-1:]]
    return " ".join([f"{kind.__module__}.{kind.__qualname__}", *where])
