"""The log of queries (RFC 1288, section 3.2.7): one line each, with a rate limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.errors import Aborted, Gone, PeerError
from finger.log.failures import FailureLog
from finger.log.peerlog import PeerLog
from finger.protocol.hosts import canonicalAddress

T = TypeVar("T")

BURST = 200
"""The lines written at once."""

PER_SECOND = 20
"""The lines written per second in the long run; the number of the others is logged."""

MAX_QUERY = 1024
"""The characters of a query that are logged.  Some adapters accept longer queries than finger does."""


class QueryLog:
    """
    The log that adapters report their queries to.

    @param clock: the clock for durations and the rate limit; L{None} for no limit, and durations of 0.
    @param burst: the lines written at once.
    @param perSecond: the lines written per second in the long run.
    @ivar failures: the log for failures that are the server's fault.
    @ivar events: the log for other events that hold values from peers.
    @ivar listeners: called after every query, logged or not, with the adapter, outcome, and duration in seconds.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime | None = None, burst: int = BURST, perSecond: float = PER_SECOND) -> None:
        self._clock = clock
        self.log = self.log  # Each access to the logger of a class makes a new one.
        self._lines = PeerLog(clock, burst, 1 / perSecond, MAX_QUERY, "{count} queries not logged (rate limit)")
        self.failures = FailureLog(clock)
        self.events = PeerLog(clock)
        self.listeners: list[Callable[[str, str, float], object]] = []

    def begin(self, adapter: str, peer: str, query: str) -> Callable[[str], None]:
        """
        Begin a query.

        @param adapter: the adapter's name.
        @param peer: the client's address.  It is logged in its usual form (RFC 5952), and a mapped IPv4 address as
            IPv4.
        @param query: the query as received; it is logged escaped.
        @return: a function to call with the outcome: C{ok}, or the name of an error.
        """
        began = self._now()

        def finish(outcome: str) -> None:
            self.record(adapter, peer, query, outcome, self._now() - began)

        return finish

    def record(self, adapter: str, peer: str, query: str, outcome: str, seconds: float = 0.0) -> None:
        """
        Log a query that has ended.

        @param adapter: see L{begin}.
        @param peer: see L{begin}.
        @param query: see L{begin}.
        @param outcome: C{ok}, or the name of an error.
        @param seconds: the duration; by default that of an answer at once.
        """
        for listener in self.listeners:
            listener(adapter, outcome, seconds)
        self._lines.info(
            self.log,
            "{adapter} {peer} {query!r} {outcome} {milliseconds:.1f} ms",
            adapter=adapter,
            peer=canonicalAddress(peer),
            query=query,
            outcome=outcome,
            milliseconds=seconds * 1000,
        )

    def _now(self) -> float:
        return self._clock.seconds() if self._clock is not None else 0.0


def finishQuery(result: T, finish: Callable[[str], None]) -> T:
    """
    Report the outcome of a lookup, and pass its result on; for L{twisted.internet.defer.Deferred.addBoth}.

    @param result: the lookup's result or failure.
    @param finish: the function returned by L{QueryLog.begin}.
    """
    finish(type(result.value).__name__ if isinstance(result, Failure) else "ok")
    return result


def lossOf(reason: Failure) -> PeerError:
    """
    Return the error of a query whose connection was lost before the answer.

    @param reason: the reason, as given to C{connectionLost}.
    """
    return Aborted() if reason.check(ConnectionAborted) else Gone()
