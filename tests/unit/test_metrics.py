"""The numbers: what is counted, under which names, and what never is in them."""

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
    SECONDS,
    TEXT,
    Metrics,
)
from finger.ops.processcollector import AnyProcessCollector

Samples = dict[tuple[str, ...], float]


def samples(metrics: Metrics, name: str) -> Samples:
    """The samples of one name: values by the values of their labels, in the order of the labels' names."""
    families = text_string_to_metric_families(metrics.render("")[1].decode())
    found = (sample for family in families for sample in family.samples if sample.name == name)
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in found}


class NoSuchRoom(NoSuchUser):
    """What a back end of somebody else's may raise: a kind of what we know."""


class Barred(PeerError):
    """So may this be: the peer's doing, though we have no name for it."""


class Misconfigured(ConfigError):
    """And this: ours."""


class QueryTests(SynchronousTestCase):
    """Queries."""

    def setUp(self) -> None:
        """Numbers."""
        self.metrics = Metrics()

    def outcomes(self, *told: str) -> Samples:
        """What is counted if these outcomes are told of an adapter."""
        for outcome in told:
            self.metrics.queried("finger", outcome, 0.0)
        return samples(self.metrics, "finger_queries_total")

    def test_outcomes(self) -> None:
        """They are counted by adapter and outcome, and are there, as nothing, before the first comes."""
        self.metrics.expectQueries("finger")
        self.assertEqual(self.outcomes(), {("finger", "ok"): 0})
        self.metrics.queried("web", "NoSuchUser", 0.0)
        self.assertEqual(
            self.outcomes("ok", "ok", "BadQuery"),
            {("finger", "ok"): 2, ("finger", "BadQuery"): 1, ("web", "NoSuchUser"): 1},
        )

    def test_several(self) -> None:
        """A query for several names is one: of their outcome if they have one, else a mixed one."""
        self.assertEqual(
            self.outcomes("ok,ok,ok", "ok,NoSuchUser", "NoSuchUser,ok,BackendUnavailable"),
            {("finger", "ok"): 1, ("finger", MIXED): 2},
        )

    def test_foreign(self) -> None:
        """An error of somebody else's is what it is a kind of."""
        self.assertEqual(
            self.outcomes("NoSuchRoom", "Barred", "Misconfigured", "KeyError", "Mixed", "", "x\ny"),
            {("finger", "NoSuchUser"): 1, ("finger", "PeerError"): 1, ("finger", INTERNAL): 5},
        )

    def test_gone(self) -> None:
        """Who has left was not failed by us."""
        self.assertEqual(self.outcomes("Gone", "CancelledError"), {("finger", "Gone"): 2})
        self.assertEqual(samples(self.metrics, "finger_internal_errors_total"), {})

    def test_ourErrors(self) -> None:
        """Every error that there is in this package has its outcome, and whose fault it is, is known of each."""
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
        """What is our fault is counted by itself, each name of a query, whatever became of the others."""
        self.metrics.expectQueries("finger")
        self.assertEqual(samples(self.metrics, "finger_internal_errors_total"), {("finger",): 0})
        self.outcomes("ok", "NoSuchUser", "ok,BackendUnavailable,KeyError", "BackendUnavailable", "Barred")
        self.assertEqual(samples(self.metrics, "finger_internal_errors_total"), {("finger",): 3})

    def test_duration(self) -> None:
        """How long they took is told by adapter, in buckets from half a millisecond to half a minute."""
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
        10,000 queries for as many users, from as many peers, with as many outcomes, make no label of their own; and
        though the log leaves most of them out, all are counted.
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
        """Nor do 10,000 different queries that come by the finger adapter, whatever is asked for in them."""
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
    """Connections."""

    def test_connections(self) -> None:
        """How many there are, how many there may be, and how many were one too many."""
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
    """What is read again."""

    def test_reloads(self) -> None:
        """How often, whether it could be read the last time, when what is in use was, and how long that took."""
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
    """What is looked at when it is asked for."""

    def test_users(self) -> None:
        """Users, if they can be counted."""
        metrics = Metrics()
        self.assertEqual(samples(metrics, "finger_users"), {})
        users = {"ada": "1"}
        metrics.expectUsers(SimpleNamespace(countUsers=lambda: len(users)))  # type: ignore[arg-type]
        self.assertEqual(samples(metrics, "finger_users"), {(): 1})
        users["moshez"] = "2"
        self.assertEqual(samples(metrics, "finger_users"), {(): 2})

    def test_expiry(self) -> None:
        """The end of the certificate that is in use."""
        metrics = Metrics()
        self.assertEqual(samples(metrics, "finger_certificate_expiry_timestamp_seconds"), {})
        expiry = [datetime.fromtimestamp(10, UTC)]
        metrics.addGauge("finger_certificate_expiry_timestamp_seconds", "When.", lambda: expiry[0].timestamp())
        self.assertEqual(samples(metrics, "finger_certificate_expiry_timestamp_seconds"), {(): 10})
        expiry[0] = datetime.fromtimestamp(20, UTC)
        self.assertEqual(samples(metrics, "finger_certificate_expiry_timestamp_seconds"), {(): 20})

    def test_process(self) -> None:
        """What the process needs, and since when."""
        metrics = Metrics()
        for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
            self.assertGreater(samples(metrics, f"process_{name}")[()], 0, name)

    def test_processesAlone(self) -> None:
        """A process that sees of /proc nothing but processes knows the same, its start to a second."""
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
        """What runs."""
        ((python, twisted, version),) = samples(Metrics(), "finger_build_info")
        self.assertEqual(version, finger.__version__)
        self.assertTrue(python.startswith("3."))
        self.assertGreaterEqual(int(twisted.partition(".")[0]), 26)

    def test_apart(self) -> None:
        """Two servers in one process do not share their numbers."""
        one, other = Metrics(), Metrics()
        one.queried("finger", "ok", 0.0)
        self.assertEqual(samples(other, "finger_queries_total"), {})


class RenderTests(SynchronousTestCase):
    """Formats."""

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
        """Numbers, of every kind."""
        self.metrics = Metrics()
        self.metrics.expectQueries("finger")

    def test_openMetrics(self) -> None:
        """Who asks for OpenMetrics gets that, with the times when series began."""
        for accept in self.OPEN:
            kind, text = self.metrics.render(accept)
            self.assertEqual(kind, OPENMETRICS, accept)
            self.assertTrue(text.endswith(b"# EOF\n"))
            self.assertIn(b"finger_queries_created{", text)

    def test_plain(self) -> None:
        """All others, whatever they ask for, get Prometheus' own, which knows no such times."""
        for accept in self.PLAIN:
            kind, text = self.metrics.render(accept)
            self.assertEqual(kind, TEXT, accept)
            self.assertNotIn(b"EOF", text)
            self.assertNotIn(b"_created", text)
