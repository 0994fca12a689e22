"""Tests of a running server's status port, with curl and Prometheus' own tools."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase, TestCase

from finger.adapters.web.tls import developmentCertificate
from tests.process.test_abuse_process import SlowServer
from tests.process.test_blackbox import BlackBoxTestCase, run, url, waitUntil
from tests.support.everywhere import UNKNOWN, everyAnswer
from tests.support.tools import DEADLINE, FAMILIES, ROOT, Server, ask, need
from tests.support.typed import notNone

PORTS = ("--fingerport=0", "--webport=0", "--ssl", "--httpsport=0", "--pbport=0", "--statusport=0")
REFUSED = "finger_connections_refused_total"
READ_AT = "finger_last_reload_success_timestamp_seconds"


def curl(server: Server, path: str, *options: str, family: str = "IPv4") -> str:
    """Request a page of the status port, and return its status and its content."""
    address = url(FAMILIES[family], server.port("statusport"), path)
    form = ("--silent", "--show-error", "--globoff", "--noproxy", "*", "--write-out", "%{stderr}%{http_code}")
    done = run(need("curl", package="curl"), *form, *options, address)
    return f"{done.stderr}\n{done.stdout}"


def sample(server: Server, name: str, **labels: str) -> float | None:
    """Return the value of a metric; L{None} if none has this name and these labels."""
    _, _, text = curl(server, "metrics").partition("\n")
    for family in text_string_to_metric_families(text):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return found.value
    return None


class EveryAdapterTests(TestCase):
    """Queries on all adapters, over both families."""

    timeout = 2 * DEADLINE

    def start(self, *options: str, **settings: Any) -> Server:
        """Start a server."""
        server = Server(*options, *PORTS, **settings)
        self.addCleanup(server.__exit__)
        return server

    async def test_counted(self) -> None:
        """Each query is counted once, by adapter and outcome, with the time it took."""
        server = self.start(f"--file={ROOT}/etc/users")
        for user in ("moshez", UNKNOWN):
            async for _ in everyAnswer(server, user):
                pass
        for adapter, wanted in {"finger": 4, "web": 4, "xmlrpc": 4, "pb": 2}.items():
            for outcome in ("ok", "NoSuchUser"):
                self.assertEqual(
                    sample(server, "finger_queries_total", adapter=adapter, outcome=outcome), wanted, adapter
                )
            count = sample(server, "finger_query_duration_seconds_count", adapter=adapter)
            self.assertEqual(count, 2 * wanted, adapter)
            self.assertEqual(sample(server, "finger_internal_errors_total", adapter=adapter), 0)
        self.assertEqual(sample(server, "finger_users"), 6)
        _, _, text = curl(server, "metrics").partition("\n")
        for word in ("moshez", UNKNOWN, *FAMILIES.values(), server.directory.name):
            self.assertNotIn(word, text)

    async def test_promtool(self) -> None:
        """promtool accepts the metrics of a new server and of one that has answered queries."""
        promtool = need("promtool", package="prometheus")
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        directory.chmod(0o755)
        pem = directory / "both.pem"
        pem.write_bytes(developmentCertificate())
        pem.chmod(0o644)
        server = self.start(
            f"--file={ROOT}/etc/users", f"--certificate={pem}", "--ircnick=bot", "--ircserver=127.0.0.1:9"
        )
        for _ in range(2):
            _, _, text = curl(server, "metrics").partition("\n")
            done = run(promtool, "check", "metrics", stdin=text)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            async for _ in everyAnswer(server, "moshez"):
                pass
            server.process.send_signal(signal.SIGHUP)
            server.waitFor("certificate read again")


class RuleTests(SynchronousTestCase):
    """The alerts in C{etc/prometheus}."""

    def test_rules(self) -> None:
        """The rules are valid, and their own tests pass."""
        promtool = need("promtool", package="prometheus")
        directory = ROOT / "etc" / "prometheus"
        for command in (("check", "rules", "finger.rules.yml"), ("test", "rules", "finger.test.yml")):
            done = run("env", f"--chdir={directory}", promtool, *command)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_tested(self) -> None:
        """Each alert has a test in which it fires, and one in which it does not."""
        rules, tests = (
            (ROOT / "etc" / "prometheus" / f"finger.{name}.yml").read_text() for name in ("rules", "test")
        )
        for alert in re.findall(r"- alert: (\w+)", rules):
            self.assertIn(f"- {{alertname: {alert}, eval_time:", tests)
            self.assertIn(f"- alertname: {alert}\n", tests)


class StatusProcessTests(BlackBoxTestCase):
    """Other properties of the status port."""

    def test_health(self) -> None:
        """The server is healthy over both families even if its back end never answers."""
        slow = SlowServer()
        self.addCleanup(slow.close)
        server = self.start(f"--backend=proxy:127.0.0.1:{slow.port}", "--fingerport=0", "--statusport=0")
        with socket.create_connection(("::1", server.port("fingerport")), timeout=DEADLINE) as waiting:
            waiting.sendall(b"moshez\r\n")
            self.assertTrue(slow.asked.wait(DEADLINE))
            for family in FAMILIES:
                self.assertEqual(curl(server, "healthz", family=family), "200\nok\n")
                self.assertEqual(curl(server, "healthz", "--head", family=family).split("\n")[0], "200")
            self.assertEqual(sample(server, "finger_connections", option="fingerport"), 1)
            self.assertIsNone(sample(server, "finger_users"))
            # Without this, the end of the connection would look like a half-close.
            waiting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        waitUntil(lambda: sample(server, "finger_connections", option="fingerport") == 0, server.process)
        waitUntil(
            lambda: sample(server, "finger_queries_total", adapter="finger", outcome="Gone") == 1, server.process
        )

    def test_reload(self) -> None:
        """The metrics report successful and failed reloads on SIGHUP."""
        users = self.users("ada: 1\n")
        server = self.start(f"--file={users}", "--fingerport=0", "--statusport=0")

        def state() -> tuple[float | None, ...]:
            return (
                sample(server, "finger_users"),
                sample(server, "finger_last_reload_successful", part="file"),
                sample(server, "finger_reloads_total", part="file", outcome="success"),
                sample(server, "finger_reloads_total", part="file", outcome="failure"),
            )

        self.assertEqual(state(), (1, 1, 0, 0))
        began = sample(server, READ_AT, part="file")
        users.write_text("ada: 1\nmoshez: 2\n")
        server.process.send_signal(signal.SIGHUP)
        server.waitFor("read 2 users")
        waitUntil(lambda: state() == (2, 1, 1, 0), server.process)
        good = sample(server, READ_AT, part="file")
        self.assertGreater(notNone(good), notNone(began))
        users.unlink()
        server.process.send_signal(signal.SIGHUP)
        server.waitFor("its current users stay")
        waitUntil(lambda: state() == (2, 0, 1, 1), server.process)
        self.assertEqual(sample(server, READ_AT, part="file"), good)
        self.assertEqual(sample(server, "finger_last_reload_successful", part="templates"), 1)
        self.assertEqual(curl(server, "healthz"), "200\nok\n")
        self.assertEqual(ask("::1", server.port("fingerport"), b"moshez\r\n"), b"2\r\n")
        users.write_text("ada: 1\n")
        server.process.send_signal(signal.SIGHUP)
        server.waitFor("read 1 users")
        waitUntil(lambda: state() == (1, 1, 2, 1), server.process)

    def test_refused(self) -> None:
        """Refused connections are counted, and the status port has its own limit."""
        server = self.start(f"--file={ROOT}/etc/users", "--fingerport=0", "--statusport=0", "--max-connections=3")
        with ExitStack() as stack:
            for _ in range(5):
                connection = socket.create_connection(("127.0.0.1", server.port("fingerport")), timeout=DEADLINE)
                stack.enter_context(connection)
            waitUntil(
                lambda: sample(server, "finger_connections_refused_total", option="fingerport") == 2, server.process
            )
            self.assertEqual(sample(server, "finger_connections", option="fingerport"), 3)
            self.assertEqual(sample(server, "finger_connections_limit", option="fingerport"), 3)
            self.assertEqual(sample(server, REFUSED, option="statusport"), 0)
            with self.crowd(server) as refused:
                self.assertEqual(refused.recv(100), b"")
        waitUntil(lambda: curl(server, "healthz") == "200\nok\n", server.process)

    @contextmanager
    def crowd(self, server: Server) -> Iterator[socket.socket]:
        """Use all connections of the status port, and yield one more."""
        with ExitStack() as stack:
            crowd = [
                stack.enter_context(socket.create_connection(("::1", server.port("statusport")), timeout=DEADLINE))
                for _ in range(4)
            ]
            yield crowd[-1]

    def test_openMetrics(self) -> None:
        """The OpenMetrics format is sent if it is requested."""
        server = self.start(f"--file={ROOT}/etc/users", "--statusport=0")
        text = curl(server, "metrics", "--header", "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1")
        self.assertTrue(text.startswith("200\n"))
        self.assertTrue(text.endswith("# EOF\n"))

    def test_strangeRequests(self) -> None:
        """Other methods and paths are refused, and not logged."""
        server = self.start(f"--file={ROOT}/etc/users", "--statusport=0")
        self.assertEqual(curl(server, "metrics", "--data", "x")[:3], "405")
        self.assertEqual(curl(server, "moshez")[:3], "404")
        self.assertEqual(
            curl(server, "metrics", "--header", "Accept: application/openmetrics-text;version=x")[:3], "200"
        )
        self.assertNotIn("moshez", server.log)
        self.assertNotIn("Traceback", server.log)

    def test_loopback(self) -> None:
        """A port number listens on loopback only."""
        server = self.start(f"--file={ROOT}/etc/users", "--statusport=0")
        hosts = re.findall(r"--statusport=0: listening on (\S+):\d+", server.log)
        self.assertEqual(sorted(hosts), ["127.0.0.1", "[::1]"])

    def test_rebinding(self) -> None:
        """A web page whose host's name resolves to this machine gets no answers (DNS rebinding)."""
        server = self.start(f"--file={ROOT}/etc/users", "--statusport=0", "--statushost=Status.Example")
        for host, code in (
            *(("evil.example", "421"), ("evil.example:9079", "421"), ("127.0.0.1.evil.example", "421"), ("", "421")),
            *(("localhost", "200"), ("status.example:80", "200"), ("[::1]:1", "200"), ("127.0.0.1", "200")),
        ):
            for path in ("healthz", "metrics"):
                for family in FAMILIES:
                    answer = curl(server, path, "--header", f"Host: {host}" if host else "Host;", family=family)
                    self.assertEqual(answer[:3], code, (host, path))
                    self.assertEqual("--statushost" in answer, code == "421")

    def test_unix(self) -> None:
        """The status port may be a UNIX socket with restricted permissions."""
        path = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, path)
        server = self.start(f"--file={ROOT}/etc/users", f"--statusport=unix:{path}/status:mode=600")
        done = run(need("curl", package="curl"), "--silent", "--unix-socket", f"{path}/status", "http://here/healthz")
        self.assertEqual(done.stdout, "ok\n")
        self.assertEqual((path / "status").stat().st_mode & 0o777, 0o600)
        self.assertEqual(server.stop(), -signal.SIGTERM)

    def test_withoutClient(self) -> None:
        """Without prometheus-client the server runs, warns once at the start, and is healthy."""
        hiding = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, hiding)
        hiding.chmod(0o755)
        (hiding / "prometheus_client.py").write_text("raise ImportError('there is none')\n")
        server = self.start(f"--file={ROOT}/etc/users", "--fingerport=0", "--statusport=0", PYTHONPATH=str(hiding))
        self.assertEqual(server.log.count(f"{sys.executable} -m pip install prometheus-client"), 1)
        self.assertEqual(curl(server, "healthz"), "200\nok\n")
        status, _, words = curl(server, "metrics").partition("\n")
        self.assertEqual((status, words.count("\n")), ("501", 1))
        self.assertIn(f"{sys.executable} -m pip install prometheus-client", words)
        self.assertEqual(ask("::1", server.port("fingerport"), b"moshez\r\n"), b"Happy and well\r\n")
