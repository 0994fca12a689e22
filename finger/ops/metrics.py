"""
Metrics for Prometheus: the counters, and their text format.

Metrics contain no user names, addresses or queries.  Every label has few values, whatever peers send and third-party
back ends raise.  Names follow U{https://prometheus.io/docs/practices/naming/}.

This module requires prometheus-client, an optional dependency, so it is imported only if metrics are enabled.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

import twisted
from finger.config._version import __version__
from finger.errors import Aborted, FingerError, Gone, PeerError
from finger.interfaces import ICountsUsers
from finger.net.limits import LimitedFactory
from finger.ops.processcollector import AnyProcessCollector
from finger.ops.querycollector import QueryCollector

MIXED: Final = "Mixed"
"""The outcome of a query for several names whose outcomes differ."""

GONE: Final = Gone.__name__
"""The outcome of a query whose peer closed the connection before the answer."""

INTERNAL: Final = "InternalError"
"""The outcome of a query that failed with an error not in L{finger.errors}."""

OURS: Final = frozenset({"BackendUnavailable", INTERNAL})
"""The outcomes that are the server's fault."""

PEERS: Final = frozenset(
    {
        Aborted.__name__,
        "BadQuery",
        "CodingRefused",
        "ConditionFailed",
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
        "SetRefused",
        "TooManyAttempts",
    }
)
"""The outcomes that are not the server's fault."""

OUTCOMES: Final = frozenset({"ok"}) | PEERS | OURS
"""The outcomes of looking up one name.  The log distinguishes more."""

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

M = TypeVar("M", Counter, Gauge)


class Metrics:
    """
    The metrics of one server, with a registry of their own.

    @param now: returns the current time, in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._parts: Mapping[str, object] = {}
        self._began = now()
        self._expected: set[str] = set()
        self._registry = CollectorRegistry()
        build = {"version": __version__, "twisted": twisted.__version__, "python": platform.python_version()}
        Info("finger_build", "Versions of the running software.", registry=self._registry).info(build)
        AnyProcessCollector(registry=self._registry)
        self._queries = QueryCollector(now)
        self._registry.register(self._queries)
        self._makeConnections()
        self._makeReloads()

    def _makeConnections(self) -> None:
        self._connections = self._make(Gauge, "finger_connections", "Open connections.", "option")
        self._limits = self._make(Gauge, "finger_connections_limit", "Limit of open connections.", "option")
        self._refused = self._make(
            Counter,
            "finger_connections_refused_total",
            "Connections refused, or closed at a request: over a limit, or for what a proxy is or says.",
            "option",
        )

    def _makeReloads(self) -> None:
        part = "part"
        self._reloads = self._make(Counter, "finger_reloads_total", "Reloads of this part.", part, "outcome")
        self._isRead = self._make(
            Gauge, "finger_last_reload_successful", "1 if the last reload of this part succeeded, else 0.", part
        )
        self._readAt = self._make(
            Gauge,
            "finger_last_reload_success_timestamp_seconds",
            "Time when this part was last read successfully.",
            part,
        )
        self._reloadSeconds = self._make(
            Gauge, "finger_last_reload_duration_seconds", "Duration of this part's last reload.", part
        )

    def _make(self, kind: type[M], name: str, documentation: str, *labels: str) -> M:
        return kind(name, documentation, labels, registry=self._registry)

    # Create each series before its first event.  A counter that first appears as 1 shows no increase.

    def expectQueries(self, adapter: str) -> None:
        """Create the series for an adapter's queries."""
        self._queries.expect(adapter)

    def expectConnections(self, factory: LimitedFactory) -> None:
        """Create the series for a factory's connections and refusals."""
        option = factory.label
        self._connections.labels(option).set_function(lambda: factory.taken)
        self._limits.labels(option).set(factory.most)
        refused = self._refused.labels(option)
        factory.queries.listeners.append(lambda adapter, outcome, seconds: refused.inc())

    def expectReloads(self, parts: Mapping[str, object]) -> None:
        """
        Create the series for parts that can be reloaded, with their first read as a success.

        @param parts: the server's reloadable parts by name; parts added later are included.
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
        """Create the number of users."""
        gauge = Gauge("finger_users", "Number of users.", registry=self._registry)
        gauge.set_function(users.countUsers)

    def addGauge(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        """
        Add a gauge for an adapter.

        @param name: the gauge's name.
        @param documentation: its description.
        @param value: returns the current value.
        """
        Gauge(name, documentation, registry=self._registry).set_function(value)

    # Count events.

    def queried(self, adapter: str, outcome: str, seconds: float) -> None:
        """
        Count a completed query; a listener of L{finger.log.querylog.QueryLog}.

        @param adapter: the adapter's name.
        @param outcome: the outcome, or several joined by commas if the query was for several names.
        @param seconds: the duration.
        """
        if outcome in OUTCOMES:
            label, errors = outcome, int(outcome in OURS)
        else:
            outcomes = [_known(name) for name in outcome.split(",")]
            label = outcomes[0] if len(set(outcomes)) == 1 else MIXED
            errors = sum(known in OURS for known in outcomes)
        self._queries.count(adapter, label, seconds)
        if errors:
            self._queries.countErrors(adapter, errors)

    def reloaded(self, part: str, isRead: bool, seconds: float) -> None:
        """
        Count a reload; a listener of L{finger.ops.server.FingerServer}.

        @param part: the part's name.
        @param isRead: whether the reload succeeded.
        @param seconds: the duration.
        """
        self._expectReloads()
        self._reloads.labels(part, "success" if isRead else "failure").inc()
        self._isRead.labels(part).set(isRead)
        self._reloadSeconds.labels(part).set(seconds)
        if isRead:
            self._readAt.labels(part).set(self._now())

    # Show the metrics.

    def render(self, accept: str) -> tuple[str, bytes]:
        """
        Format the metrics.

        @param accept: the C{Accept} header of the request (RFC 9110, section 12.5.1).
        @return: the content type and the content: OpenMetrics if that is accepted, otherwise Prometheus' own format.
        """
        self._expectReloads()
        if _acceptsOpenMetrics(accept):
            return OPENMETRICS, openmetrics.generate_latest(self._registry)
        return TEXT, generate_latest(_WithoutCreated(self._registry))


def _known(outcome: str) -> str:
    """
    Return the outcome in L{OUTCOMES} for the name of an error.

    A third-party back end may raise a subclass of our errors: a C{NoSuchRoom} that extends C{NoSuchUser} counts as
    C{NoSuchUser}.
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
    """A registry without the creation times of its series, which Prometheus' format does not have."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if sample.name != f"{metric.name}_created"]
            yield metric
