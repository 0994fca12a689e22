"""Turn a failure into a message for the peer and, if it is the server's fault, a log entry."""

from __future__ import annotations

from collections import Counter

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.errors import INTERNAL_ERROR, FingerError, PeerError
from finger.log.peerlog import EscapedFailure, bounded
from finger.timing import Buckets

BURST = 3
"""The failures of one kind logged at once."""

INTERVAL = 60.0
"""Seconds until one more failure of that kind is logged, with the number of those not logged."""


class FailureLog:
    """
    The log of failures that are the server's fault, with tracebacks.  Each kind of failure has its own rate limit, so
    that none floods the log or hides another.  Messages may hold what a peer sent: they are cut and escaped.

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
            self.report(log, "a query failed", failure)
        return failure.value.words if isinstance(failure.value, FingerError) else INTERNAL_ERROR

    def explainToPeople(self, failure: Failure, log: Logger) -> str:
        """
        Return the message for a peer that is a person: the administrator's own text, if there is one, which may have
        several lines.  Otherwise this is the same as L{explain}.
        """
        words = self.explain(failure, log)
        return (failure.value.text if isinstance(failure.value, PeerError) else "") or words

    def report(self, log: Logger, format: str, failure: Failure | None = None, **values: object) -> None:
        """
        Log a failure.

        @param log: the logger to use.
        @param format: a constant format, as of L{Logger.failure}.
        @param failure: the failure; by default, of the current exception.
        @param values: the values of the format's fields.
        """
        failure = failure or Failure()
        kind = f"{format} {_place(failure)}"
        if self._buckets is not None and not self._buckets.of(kind).tryTake():
            self._leftOut[kind] += 1
            return
        count = self._leftOut.pop(kind, 0)
        more = f" ({count} more since the last one logged)" if count else ""
        log.failure(f"{format}{{more}}", EscapedFailure(failure), more=more, **bounded(format, values))


def _place(failure: Failure) -> str:
    """Return the key of a kind of failure: its class, and the line that raised it."""
    kind = type(failure.value)
    where = [f"{path}:{line}" for _, path, line, *_ in failure.frames[-1:]]
    return " ".join([f"{kind.__module__}.{kind.__qualname__}", *where])
