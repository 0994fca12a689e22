"""Tests of the status port, with requests as bytes."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from finger.adapters.web.tls import developmentCertificate
from finger.net.http import BoundedSite
from finger.ops.health import NOT_INSTALLED, StatusResource, howToInstall
from finger.service import makeServer
from finger.testing import ThreadlessReactor
from tests.support.typed import asType
from tests.unit.test_service import configure

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


class StatusTestCase(SynchronousTestCase):
    """A connection to a status port."""

    def setUp(self) -> None:
        """Connect to a status port that has no problems and one metric."""
        self.problems: list[str] = []
        self.accepted: list[str] = []
        self.connect(StatusResource(lambda: self.problems, self.numbers))

    def connect(self, resource: StatusResource, address: IAddress | None = None) -> None:
        """Connect to a resource at an address."""
        self.clock = Clock()
        self.channel = BoundedSite(resource, self.clock).buildProtocol(None)
        self.transport = StringTransport(hostAddress=address)
        self.channel.makeConnection(self.transport)

    def numbers(self, accept: str) -> tuple[str, bytes]:
        """Return the metrics."""
        self.accepted.append(accept)
        return "text/x", b"seven 7\n"

    def ask(self, request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """Send a request (complete, or its path alone), and return status, headers and body of the response."""
        self.transport.clear()
        self.clock.advance(0)  # The next request has another turn.
        self.channel.dataReceived(request if b"\r\n" in request else GET % request)
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        return int(status.split()[1]), headers, body


class HealthTests(StatusTestCase):
    """The page C{/healthz}."""

    def test_ok(self) -> None:
        """A healthy server answers 200."""
        status, headers, body = self.ask(b"/healthz")
        self.assertEqual((status, body), (200, b"ok\n"))
        self.assertEqual(headers[b"cache-control"], b"no-store")
        self.assertEqual(headers[b"content-type"], b"text/plain; charset=utf-8")

    def test_problems(self) -> None:
        """Problems give 503 with one line each, until they are solved."""
        self.problems.extend(["--fingerport=79: is not open", "ü"])
        status, _, body = self.ask(b"/healthz")
        self.assertEqual((status, body.decode()), (503, "--fingerport=79: is not open\nü\n"))
        self.problems.clear()
        self.assertEqual(self.ask(b"/healthz")[0], 200)

    def test_withoutBackend(self) -> None:
        """The answer does not depend on the back end."""
        asked: list[str] = []

        class Service:
            def __getattr__(self, name: str) -> Any:
                asked.append(name)
                raise AttributeError(name)

        reactor: Any = MemoryReactorClock()
        server = makeServer(configure(), reactor)
        service: Any = Service()
        server.service = server.counted = service
        with patch("signal.signal"):
            server.startService()
            self.connect(StatusResource(server.problems))
            self.assertEqual(self.ask(b"/healthz")[0], 200)
            self.successResultOf(server.stopService())
        self.assertEqual(self.ask(b"/healthz")[::2], (503, b"the server is not running\n"))
        self.assertEqual(asked, [])


class MetricsTests(StatusTestCase):
    """The page C{/metrics}."""

    def test_numbers(self) -> None:
        """The metrics have their content type, and must not be cached."""
        status, headers, body = self.ask(b"/metrics")
        self.assertEqual((status, body), (200, b"seven 7\n"))
        self.assertEqual(headers[b"content-type"], b"text/x")
        self.assertEqual(headers[b"cache-control"], b"no-store")

    def test_accept(self) -> None:
        """The Accept header is passed on unchanged."""
        self.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: a\r\nAccept: b;\xff\r\n\r\n")
        self.assertEqual(self.accepted, ["", "a,b;\xff"])

    def test_none(self) -> None:
        """Without metrics, one line says how to install them."""
        self.connect(StatusResource(list))
        status, _, body = self.ask(b"/metrics")
        self.assertEqual((status, body), (501, NOT_INSTALLED.encode() + b"\n"))
        self.assertIn(b"prometheus-client", body)
        self.assertEqual(self.ask(b"/healthz")[0], 200)

    def test_howToInstall(self) -> None:
        """The advice works: pip can install packages in a virtual environment only, and is named by its path."""
        self.assertIn(howToInstall(sys.executable, True), NOT_INSTALLED)  # The tests run in an environment.
        for executable, command in (
            ("/opt/finger/bin/python", "/opt/finger/bin/python -m pip install prometheus-client"),
            ("/home/a b/python", "'/home/a b/python' -m pip install prometheus-client"),
        ):
            self.assertEqual(howToInstall(executable, True), f"run {command}")
        self.assertNotIn("pip install", howToInstall("/usr/bin/python3", False))


class RequestTests(StatusTestCase):
    """All other requests."""

    def test_head(self) -> None:
        """HEAD gives the same headers without the content."""
        for path in (b"/healthz", b"/metrics"):
            status, headers, body = self.ask(path)
            head, headHeaders, nothing = self.ask(b"HEAD %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            self.assertEqual((head, nothing), (status, b""))
            self.assertEqual(headHeaders[b"content-length"], b"%d" % len(body))
            self.assertEqual(headHeaders.keys(), headers.keys())

    def test_methods(self) -> None:
        """Methods other than GET and HEAD get 405."""
        for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS"):
            for path in (b"/healthz", b"/metrics", b"/", b"/x"):
                status, headers, _ = self.ask(
                    b"%b %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" % (method, path)
                )
                self.assertEqual((status, headers[b"allow"]), (405, b"get, head"))
        self.assertEqual(self.accepted, [])

    def test_paths(self) -> None:
        """Other paths get 404."""
        for path in (b"/", b"/x", b"/healthz/", b"/metrics/x", b"/x/y/z", b"//healthz", b"/%FF%00"):
            status, headers, body = self.ask(path)
            self.assertEqual((status, headers[b"content-type"]), (404, b"text/plain; charset=utf-8"), path)
            self.assertLess(len(body), 80)


class HostTests(StatusTestCase):
    """Requests for other servers, as a web page can send them after DNS rebinding."""

    def check(self, address: IAddress, own: Sequence[bytes], others: Sequence[bytes]) -> None:
        """Check which hosts are answered at an address, on all paths."""
        self.connect(StatusResource(list, self.numbers, ("status.example", "192.0.2.9")), address)
        for hosts, expected in ((own, {200, 404}), (others, {421})):
            for host in hosts:
                for path in (b"/healthz", b"/metrics", b"/", b"/healthz/x"):
                    status, headers, body = self.ask(b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path, host))
                    self.assertIn(status, expected, host)
                    self.assertEqual(headers[b"content-length"], b"%d" % len(body))

    OWN = (
        *(b"localhost", b"LOCALHOST:9079", b"localhost.", b"127.0.0.1:9079", b"[::1]", b"[0:0::1]:9079"),
        *(b"status.example:80", b"192.0.2.9", b"[::ffff:127.0.0.1]"),
    )
    OTHERS = (
        *(b"", b":9079", b"evil.example", b"localhost.evil.example", b"evil.example:9079", b"127.0.0.2", b"0.0.0.0"),
        *(b"192.0.2.1.evil.example", b"[::2]", b"0x7f.1", b"status.example.org", b"localhost.."),
    )

    def test_hosts(self) -> None:
        """The port answers for localhost, the address of the connection, and names from --statushost."""
        self.check(IPv4Address("TCP", "127.0.0.1", 9079), self.OWN, (*self.OTHERS, b"192.0.2.1", b"[fe80::1]"))
        self.check(IPv4Address("TCP", "192.0.2.1", 9079), (*self.OWN, b"192.0.2.1:9079"), self.OTHERS)
        self.check(IPv6Address("TCP", "fe80::1%eth0", 9079), (*self.OWN, b"[fe80::1]:9079"), self.OTHERS)

    def test_unix(self) -> None:
        """At a UNIX socket, which no web page can reach, the host does not matter."""
        self.check(UNIXAddress(b"/run/finger/status"), (*self.OWN, *self.OTHERS), ())

    def test_absolute(self) -> None:
        """The host of a URL replaces that of the field."""
        self.connect(StatusResource(list), IPv4Address("TCP", "127.0.0.1", 9079))
        for target, host, code in ((b"localhost", b"evil", 200), (b"evil", b"localhost", 421)):
            request = b"GET http://%b/healthz HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, host)
            self.assertEqual(self.ask(request)[0], code)

    def test_none(self) -> None:
        """HTTP/1.0, which no browser speaks, needs no host."""
        self.connect(StatusResource(list), IPv4Address("TCP", "127.0.0.1", 9079))
        self.assertEqual(self.ask(b"GET /healthz HTTP/1.0\r\n\r\n")[0], 200)


class CompositionTests(SynchronousTestCase):
    """A server made with C{--statusport}."""

    def make(self, **fields: Any) -> tuple[Any, list[str]]:
        """Make a server, and return it with the messages logged."""
        with capturedLogs() as logs:
            server = makeServer(configure(**fields), MemoryReactorClock())
        return server, [formatEvent(event) for event in logs]

    def test_default(self) -> None:
        """Without the option, no metrics are loaded and no port is opened."""
        for ports in ((), ("none",)):
            with patch.dict(sys.modules, {"finger.ops.metrics": None}):
                server, logs = self.make(statusPorts=ports)
            self.assertEqual((server.openPorts(), server.reloadListeners, logs), ({}, [], []))

    def test_loopback(self) -> None:
        """A number is a port on loopback."""
        server, _ = self.make(statusPorts=("1081",))
        v4, v6 = (port.endpoint for port in server.getServiceNamed("--statusport=1081"))
        self.assertEqual((v4._how[1], v6._how[1]), ("127.0.0.1", "::1"))

    def test_expected(self) -> None:
        """Metrics exist from the start for everything that is configured, and for nothing else."""
        pem = Path(self.mktemp())
        pem.write_bytes(developmentCertificate())
        ways = {"fingerPorts": "79", "webPorts": "8000", "httpsPorts": "443", "pbPorts": "8889"}
        fields = {name: (port,) for name, port in ways.items()}
        _, text = self.numbersOf(**fields, ssl=True, certificate=str(pem), ircNick="bot")
        for adapter in ("finger", "web", "xmlrpc", "pb", "irc"):
            self.assertIn(f'finger_queries_total{{adapter="{adapter}",outcome="ok"}} 0.0', text)
        for option in ("fingerport", "webport", "httpsport", "pbport", "statusport"):
            self.assertIn(f'finger_connections{{option="{option}"}} 0.0', text)
        for part in ("file", "templates", "certificate"):
            self.assertIn(f'finger_last_reload_successful{{part="{part}"}} 1.0', text)
        self.assertIn("\nfinger_users 6.0", text)
        self.assertIn("\nfinger_certificate_expiry_timestamp_seconds 1", text)
        _, text = self.numbersOf(fingerPorts=("79",), backends=("proxy:192.0.2.1",))
        self.assertEqual(re.findall(r'adapter="(\w+)",outcome', text), ["finger"])
        self.assertEqual(re.findall(r'finger_connections{option="(\w+)"', text), ["fingerport", "statusport"])
        self.assertNotIn("finger_users", text)
        self.assertNotIn("certificate", text)

    def test_backendNames(self) -> None:
        """Metrics name back ends without their arguments, which may be secret."""
        other = Path(self.mktemp())
        other.write_text("a: 1\n")
        _, text = self.numbersOf(backends=("file", f"file:{other}"))
        parts = re.findall(r'finger_last_reload_successful{part="(.*)"}', text)
        self.assertEqual(parts, ["file", "file-2", "templates"])

    def test_reloads(self) -> None:
        """Reloads are counted."""
        server, _ = self.numbersOf()
        self.successResultOf(server.reload())
        self.assertIn('finger_reloads_total{outcome="success",part="templates"} 1.0', self.render(server))

    def numbersOf(self, **fields: Any) -> tuple[Any, str]:
        """Make a server with a status port, and return it with its metrics."""
        reactor = ThreadlessReactor()
        server = makeServer(configure(statusPorts=("1081",), **fields), reactor)
        return server, self.render(server)

    def render(self, server: Any) -> str:
        """Return a server's metrics as text."""
        (limited,) = [limited for limited in server.factories if limited.label == "statusport"]
        channel, transport = limited.wrappedFactory.buildProtocol(None), StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(GET % b"/metrics")
        channel.connectionLost(None)
        return asType(bytes, transport.value()).decode()

    def test_notInstalled(self) -> None:
        """Without prometheus-client, the port is opened, and one line is logged."""
        with patch.dict(sys.modules, {"finger.ops.metrics": None}):
            server, logs = self.make(statusPorts=("1081",))
        self.assertEqual(list(server.openPorts()), ["--statusport=1081"])
        self.assertEqual(len(logs), 1)
        self.assertIn(f"--statusport: {NOT_INSTALLED}", logs[0])
