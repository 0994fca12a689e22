"""Turn a failure into a message for the peer and, if it is the server's fault, a log entry."""

from __future__ import annotations

from collections import Counter

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.errors import INTERNAL_ERROR, FingerError, PeerError
from finger.timing import Buckets

BURST = 3
"""The failures of one kind logged at once."""

INTERVAL = 60.0
"""Seconds until one more failure of that kind is logged, with the number of those not logged."""


class FailureLog:
    """
    The log of failures that are the server's fault, with tracebacks.  Each kind of failure has its own rate limit, so
    that none floods the log or hides another.

    @param clock: the clock for the rate limit; L{None} for no limit.
    """

    def __init__(self, clock: IReactorTime | None = None) -> None:
        self._buckets = Buckets(clock, BURST, INTERVAL) if clock is not None else None
        self._leftOut: Counter[str] = Counter()

    def explain(self, failure: Failure, log: Logger) -> str:
        """
        Return the message for the peer, and log the failure unless it is the peer's fault.

        @param failure: what went wrong.
        @param log: the logger to use.
        @return: one line, without internal details.
        """
        if not failure.check(PeerError):
            self._log(failure, log)
        return failure.value.words if isinstance(failure.value, FingerError) else INTERNAL_ERROR

    def _log(self, failure: Failure, log: Logger) -> None:
        place = _place(failure)
        if self._buckets is not None and not self._buckets.of(place).tryTake():
            self._leftOut[place] += 1
            return
        more = self._leftOut.pop(place, 0)
        log.failure("a query failed{more}", failure, more=f" ({more} more since the last one logged)" if more else "")


def _place(failure: Failure) -> str:
    """Return the key of a kind of failure: its class, and the line that raised it."""
    kind = type(failure.value)
    where = [f"{path}:{line}" for _, path, line, *_ in failure.frames[-1:]]
    return " ".join([f"{kind.__module__}.{kind.__qualname__}", *where])
