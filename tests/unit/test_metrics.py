"""The metrics: counts, names, and what they must not contain."""

from __future__ import annotations

import re
import shutil
import tempfile
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

import finger
from finger.adapters.finger import FingerFactory
from finger.backends.memory import MemoryFingerService
from finger.errors import ConfigError, FingerError, NoSuchUser, PeerError
from finger.log.querylog import QueryLog
from finger.net.limits import LimitedFactory
from finger.ops.metrics import (
    INTERNAL,
    MIXED,
    OPENMETRICS,
    OURS,
    OUTCOMES,
    PEERS,
    TEXT,
    Metrics,
)
from finger.ops.processcollector import AnyProcessCollector
from finger.ops.querycollector import SECONDS

Samples = dict[tuple[str, ...], float]


def samples(metrics: Metrics, name: str) -> Samples:
    """Return the samples with a name: their values by label values, in the order of the label names."""
    families = text_string_to_metric_families(metrics.render("")[1].decode())
    found = (sample for family in families for sample in family.samples if sample.name == name)
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in found}


class NoSuchRoom(NoSuchUser):
    """A subclass of one of our errors, as a third-party back end may raise."""


class Barred(PeerError):
    """An error of the peer without an outcome of its own."""


class Misconfigured(ConfigError):
    """An error of the server without an outcome of its own."""


class QueryTests(SynchronousTestCase):
    """The metrics of queries."""

    def setUp(self) -> None:
        """Make the metrics."""
        self.metrics = Metrics()

    def outcomes(self, *reported: str) -> Samples:
        """Report these outcomes for an adapter; return the counts."""
        for outcome in reported:
            self.metrics.queried("finger", outcome, 0.0)
        return samples(self.metrics, "finger_queries_total")

    def test_outcomes(self) -> None:
        """Queries are counted by adapter and outcome, and the series exist before the first query."""
        self.metrics.expectQueries("finger")
        self.assertEqual(self.outcomes(), {("finger", "ok"): 0})
        self.metrics.queried("web", "NoSuchUser", 0.0)
        self.assertEqual(
            self.outcomes("ok", "ok", "BadQuery"),
            {("finger", "ok"): 2, ("finger", "BadQuery"): 1, ("web", "NoSuchUser"): 1},
        )

    def test_several(self) -> None:
        """A query for several names counts once, with their common outcome, or as mixed."""
        self.assertEqual(
            self.outcomes("ok,ok,ok", "ok,NoSuchUser", "NoSuchUser,ok,BackendUnavailable"),
            {("finger", "ok"): 1, ("finger", MIXED): 2},
        )

    def test_foreign(self) -> None:
        """An error of a third party counts as the outcome that it extends."""
        self.assertEqual(
            self.outcomes("NoSuchRoom", "Barred", "Misconfigured", "KeyError", "Mixed", "", "x\ny"),
            {("finger", "NoSuchUser"): 1, ("finger", "PeerError"): 1, ("finger", INTERNAL): 5},
        )

    def test_gone(self) -> None:
        """A query whose client has left is not an error of the server."""
        self.assertEqual(self.outcomes("Gone", "CancelledError"), {("finger", "Gone"): 2})
        self.assertEqual(samples(self.metrics, "finger_internal_errors_total"), {})

    def test_ourErrors(self) -> None:
        """Each error of this package has an outcome, which is either the peer's fault or the server's."""
        for module in walk_packages(finger.__path__, "finger."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
        errors = set(_kinds(FingerError))
        ours = {error for error in errors if error.__module__.startswith("finger.")}
        peers = {error.__name__ for error in ours if issubclass(error, PeerError)}
        self.assertEqual(PEERS, peers)
        self.assertEqual(OURS - {INTERNAL}, {"BackendUnavailable"})
        for error in ours - {kind for kind in ours if kind.__name__ in OUTCOMES}:
            self.assertTrue(issubclass(error, ConfigError), f"no outcome for {error}")

    def test_internalErrors(self) -> None:
        """Errors of the server are counted separately, for each name in a query."""
        self.metrics.expectQueries("finger")
        self.assertEqual(samples(self.metrics, "finger_internal_errors_total"), {("finger",): 0})
        self.outcomes("ok", "NoSuchUser", "ok,BackendUnavailable,KeyError", "BackendUnavailable", "Barred")
        self.assertEqual(samples(self.metrics, "finger_internal_errors_total"), {("finger",): 3})

    def test_duration(self) -> None:
        """Durations have buckets for each adapter, from half a millisecond to half a minute."""
        self.assertEqual((SECONDS[0], SECONDS[-1], sorted(SECONDS)), (0.0005, 30.0, list(SECONDS)))
        for seconds in (0.0004, 0.02, 29.0, 60.0):
            self.metrics.queried("web", "ok", seconds)
        buckets = samples(self.metrics, "finger_query_duration_seconds_bucket")
        self.assertEqual(
            [buckets["web", bound] for bound in ("0.0005", "0.01", "0.025", "30.0", "+Inf")], [1, 1, 2, 3, 4]
        )
        self.assertAlmostEqual(samples(self.metrics, "finger_query_duration_seconds_sum")["web",], 89.0204)

    def test_flood(self) -> None:
        """
        10,000 queries for different users, from different peers, with different outcomes, create no labels, and all
        are counted, although most are not logged.
        """
        log = QueryLog(None)
        log.log = SimpleNamespace(info=lambda *arguments, **fields: None)  # type: ignore[assignment]
        log.listeners.append(self.metrics.queried)
        log.begin("finger", "192.0.2.1", "x")("ok,KeyError")
        for outcome in OUTCOMES:
            log.begin("finger", "192.0.2.1", "x")(outcome)
        before = set(samples(self.metrics, "finger_queries_total"))
        lines = self.metrics.render("")[1].count(b"\n")
        for number in range(10_000):
            log.begin("finger", f"192.0.2.{number}", f"user{number}")(f"Error{number}{',ok' * (number % 2)}")
        after = samples(self.metrics, "finger_queries_total")
        self.assertEqual(set(after), before)
        self.assertEqual(sum(after.values()), 10_001 + len(OUTCOMES))
        text = self.metrics.render("")[1]
        self.assertEqual(text.count(b"\n"), lines)
        self.assertNotIn(b"192.0.2", text)
        self.assertNotIn(b"user", text.replace(b"user and system CPU", b""))

    def test_names(self) -> None:
        """10,000 different queries to the finger adapter create no labels."""
        factory = FingerFactory(MemoryFingerService())
        factory.queries.log = SimpleNamespace(info=lambda *arguments, **fields: None)  # type: ignore[assignment]
        factory.queries.listeners.append(self.metrics.queried)
        for number in range(10_000):
            name = f"secret{number}" if number % 2 else f"secret{number} x{number}@192.0.2.1"
            self.successResultOf(factory.answer(name.encode(), f"192.0.2.{number % 256}"))
        self.assertEqual(
            samples(self.metrics, "finger_queries_total"), {("finger", "NoSuchUser"): 5000, ("finger", MIXED): 5000}
        )
        self.assertIsNone(re.search(rb"secret|192\.0", self.metrics.render("")[1]))


def _kinds(kind: type[FingerError]) -> list[type[FingerError]]:
    return [error for base in kind.__subclasses__() for error in (base, *_kinds(base))]


class ConnectionTests(SynchronousTestCase):
    """The metrics of connections."""

    def test_connections(self) -> None:
        """Open connections, their limit, and refused connections are reported."""
        metrics = Metrics()
        factory = LimitedFactory(Factory.forProtocol(Protocol), "fingerport", most=2, refusal=b"No")
        metrics.expectConnections(factory)
        self.assertEqual(samples(metrics, "finger_connections"), {("fingerport",): 0})
        self.assertEqual(samples(metrics, "finger_connections_limit"), {("fingerport",): 2})
        self.assertEqual(samples(metrics, "finger_connections_refused_total"), {("fingerport",): 0})
        protocols = []
        for _ in range(4):
            protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 5))
            if protocol is not None:
                protocol.makeConnection(StringTransport())
            protocols.append(protocol)
        self.assertEqual(samples(metrics, "finger_connections"), {("fingerport",): 2})
        self.assertEqual(samples(metrics, "finger_connections_refused_total"), {("fingerport",): 2})
        protocols[0].connectionLost(None)
        self.assertEqual(samples(metrics, "finger_connections"), {("fingerport",): 1})
        self.assertEqual(samples(metrics, "finger_queries_total"), {})


class ReloadTests(SynchronousTestCase):
    """The metrics of reloads."""

    def test_reloads(self) -> None:
        """The number, the last result, the time of the last success, and the last duration are reported."""
        now = 1000.0
        metrics = Metrics(lambda: now)
        parts = {"file": object()}
        metrics.expectReloads(parts)
        names = ("successful", "success_timestamp_seconds", "duration_seconds")

        def last() -> list[float | None]:
            return [samples(metrics, f"finger_last_reload_{name}").get(("file",)) for name in names]

        self.assertEqual(last(), [1, 1000, None])
        now = 2000.0
        metrics.reloaded("file", False, 0.5)
        self.assertEqual(last(), [0, 1000, 0.5])
        now = 3000.0
        metrics.reloaded("file", True, 0.25)
        self.assertEqual(last(), [1, 3000, 0.25])
        parts["config"] = object()
        counts = {("success", "file"): 1, ("failure", "file"): 1, ("success", "config"): 0, ("failure", "config"): 0}
        self.assertEqual(samples(metrics, "finger_reloads_total"), counts)


class GaugeTests(SynchronousTestCase):
    """Metrics that are read on request."""

    def test_users(self) -> None:
        """The number of users is reported if users can be counted."""
        metrics = Metrics()
        self.assertEqual(samples(metrics, "finger_users"), {})
        users = {"ada": "1"}
        metrics.expectUsers(SimpleNamespace(countUsers=lambda: len(users)))  # type: ignore[arg-type]
        self.assertEqual(samples(metrics, "finger_users"), {(): 1})
        users["moshez"] = "2"
        self.assertEqual(samples(metrics, "finger_users"), {(): 2})

    def test_expiry(self) -> None:
        """The expiry of the certificate in use is reported."""
        metrics = Metrics()
        self.assertEqual(samples(metrics, "finger_certificate_expiry_timestamp_seconds"), {})
        expiry = [datetime.fromtimestamp(10, UTC)]
        metrics.addGauge("finger_certificate_expiry_timestamp_seconds", "When.", lambda: expiry[0].timestamp())
        self.assertEqual(samples(metrics, "finger_certificate_expiry_timestamp_seconds"), {(): 10})
        expiry[0] = datetime.fromtimestamp(20, UTC)
        self.assertEqual(samples(metrics, "finger_certificate_expiry_timestamp_seconds"), {(): 20})

    def test_process(self) -> None:
        """The resources and the start time of the process are reported."""
        metrics = Metrics()
        for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
            self.assertGreater(samples(metrics, f"process_{name}")[()], 0, name)

    def test_processesAlone(self) -> None:
        """With only processes in C{/proc}, they are the same, and the start time is right within seconds."""
        there, alone = Path("/proc"), Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, alone)
        (alone / "self").symlink_to(there / "self")
        (full, *_), (hidden, *_) = (
            [metric.samples[0].value for metric in AnyProcessCollector(proc=str(proc), registry=None).collect()
             if metric.name == "process_start_time_seconds"]
            for proc in (there, alone)
        )  # fmt: skip
        self.assertLess(abs(full - hidden), 5)

    def test_build(self) -> None:
        """The versions of the running software are reported."""
        ((python, twisted, version),) = samples(Metrics(), "finger_build_info")
        self.assertEqual(version, finger.__version__)
        self.assertTrue(python.startswith("3."))
        self.assertGreaterEqual(int(twisted.partition(".")[0]), 26)

    def test_apart(self) -> None:
        """Two servers in one process have separate metrics."""
        one, other = Metrics(), Metrics()
        one.queried("finger", "ok", 0.0)
        self.assertEqual(samples(other, "finger_queries_total"), {})


class RenderTests(SynchronousTestCase):
    """The output formats."""

    OPEN = (
        "application/openmetrics-text",
        "text/plain, application/openmetrics-text; version=1.0.0; charset=utf-8",
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,*/*;q=0.1",
        "application/openmetrics-text ; q=0.5 ; version=0.0.1",
    )
    PLAIN = (
        "",
        "*/*",
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;version=x",
        "application/openmetrics-text;version=" + "9" * 10_000,
        "text/plain;version=1.0.0;escaping=\r\nx",
        ",;=,;;,==",
        "\xff\x00",
    )

    def setUp(self) -> None:
        """Make metrics of every type."""
        self.metrics = Metrics()
        self.metrics.expectQueries("finger")

    def test_openMetrics(self) -> None:
        """A request that accepts OpenMetrics gets it, with the creation times of series."""
        for accept in self.OPEN:
            kind, text = self.metrics.render(accept)
            self.assertEqual(kind, OPENMETRICS, accept)
            self.assertTrue(text.endswith(b"# EOF\n"))
            self.assertIn(b"finger_queries_created{", text)

    def test_plain(self) -> None:
        """All other requests get Prometheus' own format, without creation times."""
        for accept in self.PLAIN:
            kind, text = self.metrics.render(accept)
            self.assertEqual(kind, TEXT, accept)
            self.assertNotIn(b"EOF", text)
            self.assertNotIn(b"_created", text)
