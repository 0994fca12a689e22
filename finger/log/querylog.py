"""The log of queries (RFC 1288, section 3.2.7): one line each, and no flood of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.log.failures import FailureLog
from finger.protocol.hosts import parseAddress
from finger.timing import Bucket

T = TypeVar("T")

BURST = 200
"""How many lines are written at once."""

PER_SECOND = 20
"""How many more each second; of those left out, the number."""

MAX_QUERY = 1024
"""How much of a query is written, in characters.  Not every adapter's queries are as short as finger's."""


class QueryLog:
    """
    Where adapters tell what they were asked.

    @param clock: for the durations and the limit; without one there is neither.
    @param burst: how many lines are written at once.
    @param perSecond: how many more each second.
    @ivar failures: where those are logged that are our fault.
    @ivar listeners: told of every query, logged or left out: the adapter, the outcome, and the seconds it took.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime | None = None, burst: int = BURST, perSecond: float = PER_SECOND) -> None:
        self._clock = clock
        self._bucket = Bucket(clock, burst, 1 / perSecond) if clock is not None else None
        self._leftOut = 0
        self.failures = FailureLog(clock)
        self.listeners: list[Callable[[str, str, float], object]] = []

    def begin(self, adapter: str, peer: str, query: str) -> Callable[[str], None]:
        """
        A query has come.

        @param adapter: by which way.
        @param peer: from whom: an address; it is logged as it is usually written (RFC 5952), IPv4 as IPv4 even if it
            comes as IPv6.
        @param query: what was asked, as it came; it is logged escaped.
        @return: to be called with the outcome when there is one: C{ok}, or the name of an error.
        """
        began = self._now()

        def finish(outcome: str) -> None:
            seconds = self._now() - began
            for listener in self.listeners:
                listener(adapter, outcome, seconds)
            self._tell(adapter, peer, query, outcome, seconds * 1000)

        return finish

    def _tell(self, adapter: str, peer: str, query: str, outcome: str, milliseconds: float) -> None:
        if self._bucket is not None and not self._bucket.tryTake():
            self._leftOut += 1
            return
        if self._leftOut:
            self.log.warn("{count} more queries came than are logged", count=self._leftOut)
            self._leftOut = 0
        self.log.info(
            "{adapter} {peer} {query!r} {outcome} {milliseconds:.1f} ms",
            adapter=adapter,
            peer=str(parseAddress(peer) or peer),
            query=query[:MAX_QUERY],
            outcome=outcome,
            milliseconds=milliseconds,
        )

    def _now(self) -> float:
        return self._clock.seconds() if self._clock is not None else 0.0


def finishQuery(result: T, finish: Callable[[str], None]) -> T:
    """
    Tell the outcome of a lookup, and pass its result on; for L{twisted.internet.defer.Deferred.addBoth}.

    @param finish: what L{QueryLog.begin} gave.
    """
    finish(type(result.value).__name__ if isinstance(result, Failure) else "ok")
    return result
