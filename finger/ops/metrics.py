"""
Numbers for Prometheus: what is counted, and how it is written down.

Nobody's name or address is in them, and no query; and a label has one of few values, whatever peers send and whatever
back ends of somebody else's raise.  Names are made as U{https://prometheus.io/docs/practices/naming/} says.

Importing this needs prometheus-client, which is an extra; so it is imported only where numbers are asked for.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

import twisted
from finger.config._version import __version__
from finger.errors import FingerError, PeerError
from finger.interfaces import ICountsUsers
from finger.net.limits import LimitedFactory
from finger.ops.processcollector import AnyProcessCollector

MIXED: Final = "Mixed"
"""The outcome of a query for several names whose outcomes differ."""

GONE: Final = "Gone"
"""The outcome of a query whose peer did not wait for the answer."""

INTERNAL: Final = "InternalError"
"""The outcome of what failed with an error that is not one of L{finger.errors}."""

OURS: Final = frozenset({"BackendUnavailable", INTERNAL})
"""Outcomes that are our own fault."""

PEERS: Final = frozenset(
    {
        "BadQuery",
        "ForwardingRefused",
        GONE,
        "InsecureRefused",
        "ListRefused",
        "MethodRefused",
        "NoSuchPage",
        "NoSuchUser",
        "NotAllowed",
        "NotAuthenticated",
        PeerError.__name__,
        "RemoteUnreachable",
    }
)
"""Outcomes that are the peer's."""

OUTCOMES: Final = frozenset({"ok"}) | PEERS | OURS
"""What can become of a name that is looked up.  The log, which has room, tells others apart, too."""

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The buckets of durations: from an answer out of memory to the end of a back end's time."""

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

M = TypeVar("M", Counter, Gauge)


class Metrics:
    """
    The numbers of one server, in a registry of their own.

    @param now: the time of day, in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._series: dict[tuple[str, str], tuple[Callable[[], None], Callable[[float], None]]] = {}
        self._parts: Mapping[str, object] = {}
        self._began = now()
        self._expected: set[str] = set()
        self._registry = CollectorRegistry()
        build = {"version": __version__, "twisted": twisted.__version__, "python": platform.python_version()}
        Info("finger_build", "What runs.", registry=self._registry).info(build)
        AnyProcessCollector(registry=self._registry)
        self._makeQueries()
        self._makeConnections()
        self._makeReloads()

    def _makeQueries(self) -> None:
        self._queries = self._make(
            Counter, "finger_queries_total", "Queries that came to an end.", "adapter", "outcome"
        )
        self._seconds = Histogram(
            "finger_query_duration_seconds",
            "From a query's arrival to its end.",
            ["adapter"],
            registry=self._registry,
            buckets=SECONDS,
        )
        self._errors = self._make(
            Counter, "finger_internal_errors_total", "Names that could not be looked up, by our own fault.", "adapter"
        )

    def _makeConnections(self) -> None:
        self._connections = self._make(Gauge, "finger_connections", "Connections there are now.", "option")
        self._limits = self._make(Gauge, "finger_connections_limit", "Connections there may be at once.", "option")
        self._refused = self._make(
            Counter,
            "finger_connections_refused_total",
            "Connections refused: one too many, in all or from one address, or from a proxy nobody trusts.",
            "option",
        )

    def _makeReloads(self) -> None:
        part = "part"
        self._reloads = self._make(
            Counter, "finger_reloads_total", "Times this was read again, or could not be.", part, "outcome"
        )
        self._isRead = self._make(
            Gauge, "finger_last_reload_successful", "1 if this could be read the last time, else 0.", part
        )
        self._readAt = self._make(
            Gauge, "finger_last_reload_success_timestamp_seconds", "When what is in use of this was read.", part
        )
        self._reloadSeconds = self._make(
            Gauge, "finger_last_reload_duration_seconds", "How long reading this took the last time.", part
        )

    def _make(self, kind: type[M], name: str, what: str, *labels: str) -> M:
        return kind(name, what, labels, registry=self._registry)

    # What to expect, so that it is there before it happens: of what appears as 1, nobody sees that it has grown.

    def expectQueries(self, adapter: str) -> None:
        """Queries can come by this way."""
        self._queries.labels(adapter, "ok")
        self._seconds.labels(adapter)
        self._errors.labels(adapter)

    def expectConnections(self, factory: LimitedFactory) -> None:
        """Connections can come to this factory, or be refused by it."""
        option = factory.label
        self._connections.labels(option).set_function(lambda: factory.taken)
        self._limits.labels(option).set(factory.most)
        refused = self._refused.labels(option)
        factory.queries.listeners.append(lambda adapter, outcome, seconds: refused.inc())

    def expectReloads(self, parts: Mapping[str, object]) -> None:
        """
        These, by their names, have been read for the first time, and will be again.

        @param parts: what the server can reload; more may come.
        """
        self._parts = parts

    def _expectReloads(self) -> None:
        for part in [part for part in self._parts if part not in self._expected]:
            for outcome in ("success", "failure"):
                self._reloads.labels(part, outcome)
            self._isRead.labels(part).set(1)
            self._readAt.labels(part).set(self._began)
            self._expected.add(part)

    def expectUsers(self, users: ICountsUsers) -> None:
        """Users can be counted."""
        gauge = Gauge("finger_users", "Users there are now.", registry=self._registry)
        gauge.set_function(users.countUsers)

    def addGauge(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        """
        Add a number of an adapter's.

        @param name: its name.
        @param documentation: what it is.
        @param value: gives it.
        """
        Gauge(name, documentation, registry=self._registry).set_function(value)

    # What is told as it happens.

    def queried(self, adapter: str, outcome: str, seconds: float) -> None:
        """A listener of L{finger.log.querylog.QueryLog}: a query for one name or several has come to an end."""
        if outcome in OUTCOMES:
            label, errors = outcome, int(outcome in OURS)
        else:
            outcomes = [_known(name) for name in outcome.split(",")]
            label = outcomes[0] if len(set(outcomes)) == 1 else MIXED
            errors = sum(known in OURS for known in outcomes)
        count, observe = self._seriesOf(adapter, label)
        count()
        observe(seconds)
        if errors:
            self._errors.labels(adapter).inc(errors)

    def _seriesOf(self, adapter: str, label: str) -> tuple[Callable[[], None], Callable[[float], None]]:
        """What takes a query; kept, as looking for it costs more than counting does."""
        series = self._series.get((adapter, label))
        if series is None:
            series = self._queries.labels(adapter, label).inc, self._seconds.labels(adapter).observe
            self._series[adapter, label] = series
        return series

    def reloaded(self, part: str, isRead: bool, seconds: float) -> None:
        """A listener of L{finger.ops.server.FingerServer}: something has been read again, or could not be."""
        self._expectReloads()
        self._reloads.labels(part, "success" if isRead else "failure").inc()
        self._isRead.labels(part).set(isRead)
        self._reloadSeconds.labels(part).set(seconds)
        if isRead:
            self._readAt.labels(part).set(self._now())

    # What is asked for.

    def render(self, accept: str) -> tuple[str, bytes]:
        """
        Write the numbers down.

        @param accept: the formats that the reader understands (RFC 9110, section 12.5.1).
        @return: the content type, and the content: OpenMetrics for who asks for that, else Prometheus' own format.
        """
        self._expectReloads()
        if _acceptsOpenMetrics(accept):
            return OPENMETRICS, openmetrics.generate_latest(self._registry)
        return TEXT, generate_latest(_WithoutCreated(self._registry))


def _known(outcome: str) -> str:
    """
    The outcome in L{OUTCOMES} that an outcome is, or is a kind of.

    What a back end of somebody else's raises may extend an error of ours: a C{NoSuchRoom} that is a C{NoSuchUser} is
    the peer's doing.
    """
    if outcome in OUTCOMES:
        return outcome
    if outcome == "CancelledError":
        return GONE
    for error in _errors(FingerError):
        if error.__name__ == outcome:
            return next((base.__name__ for base in error.__mro__ if base.__name__ in OUTCOMES), INTERNAL)
    return INTERNAL


def _errors(base: type[FingerError]) -> Iterator[type[FingerError]]:
    for error in base.__subclasses__():
        yield error
        yield from _errors(error)


def _acceptsOpenMetrics(accept: str) -> bool:
    for item in accept.split(","):
        kind, *parameters = [part.strip() for part in item.split(";")]
        versions = [value for name, _, value in (part.partition("=") for part in parameters) if name == "version"]
        if kind == "application/openmetrics-text" and versions in ([], ["0.0.1"], ["1.0.0"]):
            return True
    return False


class _WithoutCreated(Collector):
    """A registry without the times when its series began: Prometheus' own format has no place for them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if sample.name != f"{metric.name}_created"]
            yield metric
