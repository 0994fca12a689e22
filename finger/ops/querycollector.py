"""
The counters and durations of queries, for Prometheus.

The counters of prometheus-client take a lock for each of three numbers, because any thread may count.  Queries are
counted in the reactor's thread alone, where that would take as long as the answer to a query.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The buckets of durations, from an answer in memory to the timeout of a back end."""

_BOUNDS: Final = [*map(floatToGoString, SECONDS), "+Inf"]


class _Series:
    """A counter, and when it was created."""

    def __init__(self, created: float) -> None:
        self.value = 0
        self.created = created


class _Durations:
    """The durations of an adapter's queries."""

    def __init__(self) -> None:
        self.total = 0.0
        self.buckets = [0] * len(_BOUNDS)


class QueryCollector(Collector):
    """
    Counts queries.

    @param now: returns the current time, in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._queries: dict[tuple[str, str], _Series] = {}
        self._errors: dict[str, _Series] = {}
        self._durations: dict[str, _Durations] = {}

    def expect(self, adapter: str) -> None:
        """Create the series for an adapter's queries."""
        self._queries.setdefault((adapter, "ok"), _Series(self._now()))
        self._errors.setdefault(adapter, _Series(self._now()))
        self._durations.setdefault(adapter, _Durations())

    def count(self, adapter: str, outcome: str, seconds: float) -> None:
        """
        Count a query.

        @param adapter: the adapter's name.
        @param outcome: the outcome.
        @param seconds: the duration.
        """
        series = self._queries.get((adapter, outcome))
        if series is None:
            series = self._queries[adapter, outcome] = _Series(self._now())
        series.value += 1
        durations = self._durations.get(adapter)
        if durations is None:
            durations = self._durations[adapter] = _Durations()
        durations.total += seconds
        durations.buckets[bisect_left(SECONDS, seconds)] += 1

    def countErrors(self, adapter: str, errors: int) -> None:
        """
        Count the lookups of a counted query that failed because of a server error.

        @param adapter: the adapter's name.
        @param errors: their number.
        """
        self._errors.setdefault(adapter, _Series(self._now())).value += errors

    def describe(self) -> Iterator[Metric]:
        """See C{Collector.describe}: the registry refuses another metric with one of these names."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """See C{Collector.collect}."""
        queries = CounterMetricFamily("finger_queries_total", "Completed queries.", labels=["adapter", "outcome"])
        for labels, series in self._queries.items():
            queries.add_metric(labels, series.value, series.created)
        yield queries
        seconds = HistogramMetricFamily(
            "finger_query_duration_seconds", "Duration of queries, from arrival to completion.", labels=["adapter"]
        )
        for adapter, durations in self._durations.items():
            counts = accumulate(durations.buckets)
            seconds.add_metric([adapter], list(zip(_BOUNDS, counts, strict=True)), durations.total)
        yield seconds
        errors = CounterMetricFamily(
            "finger_internal_errors_total", "Lookups that failed because of a server error.", labels=["adapter"]
        )
        for adapter, series in self._errors.items():
            errors.add_metric([adapter], series.value, series.created)
        yield errors
