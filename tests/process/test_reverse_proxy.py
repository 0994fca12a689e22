"""Real reverse proxies in front of the server, as an unprivileged user, with the recipes of C{docs/configure.md}."""

from __future__ import annotations

import os
import random
import shutil
import socket
import ssl
import subprocess
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from xmlrpc.client import dumps

from tests.process.test_blackbox import BlackBoxTestCase
from tests.support.pages import PAGES
from tests.support.tools import DEADLINE, Server, need

NOBODY = 65534
"""The user and group of the proxies, if the tests run as root."""

CLIENT = "127.0.0.2"
"""A client's address, which is not a trusted proxy's."""

NGINX = """
worker_processes 1;
daemon off;
pid {here}/pid;
error_log {here}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    # So that tests can be clients with any address.
    set_real_ip_from {client};
    real_ip_header X-Test-Client;
    {recipe}
}}
"""
"""What the recipe for nginx is a part of on Debian, for an unprivileged user."""

CADDY = """
{{
    admin off
    auto_https disable_redirects
    local_certs
    skip_install_trust
    storage file_system {here}
}}
{recipe}
"""
"""Settings for Caddy with a certificate authority of its own, for an unprivileged user."""


def recipe(language: str, changes: Iterable[tuple[str, str]]) -> str:
    """Return the recipe in a language, with paths and ports replaced; each must be there."""
    (section,) = (found for found in PAGES["configure.md"].sections if found.title == "Behind a reverse proxy")
    (text,) = (block.text for block in section.blocks if block.language == language)
    for before, after in changes:
        assert before in text, f"the recipe for {language} has no {before!r}"
        text = text.replace(before, after)
    return text


def freePort() -> int:
    """Return a port that is free on both loopback addresses, of those that the system gives to nobody by itself."""
    while True:
        number = random.randrange(20_000, 32_000)
        try:
            for host in ("127.0.0.1", "::1"):
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                socket.create_server((host, number), family=family).close()
        except OSError:
            continue
        return number


class ReverseProxyTestCase(BlackBoxTestCase):
    """A proxy in front of the server.  The tests themselves are in subclasses, one for each proxy."""

    def setUp(self) -> None:
        """Start a server and the proxy."""
        self.program = self.find()
        self.here = Path(mkdtemp())
        self.addCleanup(shutil.rmtree, self.here)
        self.port = freePort()
        passwords = self.users("moshez:secret\n")
        self.server = self.start(
            "--backend=memory", "--webport=tcp:0:interface=127.0.0.1", f"--auth=file:{passwords}", *self.options()
        )
        self.makeCertificate()
        if os.geteuid() == 0:
            for path in (self.here, *self.here.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        self.startProxy()

    def find(self) -> str:
        """Return the path of the proxy's program."""
        raise NotImplementedError

    def command(self, server: Server) -> list[str]:
        """Write the proxy's configuration, and return the command that starts it."""
        raise NotImplementedError

    def options(self) -> list[str]:
        """Return further options of the server."""
        return []

    def makeCertificate(self) -> None:
        """Make a certificate and its key."""
        subprocess.run(
            [
                *(need("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
                *("-subj", "/CN=localhost", "-keyout", self.here / "key.pem", "-out", self.here / "cert.pem"),
            ],
            check=True,
            capture_output=True,
        )
        both = (self.here / "cert.pem").read_text() + (self.here / "key.pem").read_text()
        (self.here / "both.pem").write_text(both)

    def startProxy(self) -> None:
        """Start the proxy, as an unprivileged user, and wait until it accepts connections."""
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        with open(self.here / "log", "wb") as log:
            process = subprocess.Popen(
                self.command(self.server),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.here,
                env={"PATH": os.environ["PATH"], "HOME": str(self.here)},
                **identity,
            )
        self.addCleanup(process.wait, DEADLINE)
        self.addCleanup(process.terminate)
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                self.send("GET", "/robots.txt")
                return
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    self.fail((self.here / "log").read_text())
                time.sleep(0.05)

    def connect(self, source: str = CLIENT) -> HTTPSConnection:
        """Return a connection to the proxy from an address."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host = "::1" if ":" in source else "127.0.0.1"
        return HTTPSConnection(host, self.port, timeout=DEADLINE, source_address=(source, 0), context=context)

    def send(
        self, method: str, path: str, source: str = CLIENT, body: str | None = None, **headers: str
    ) -> tuple[int, str]:
        """Send a request, with underscores for hyphens in the names of headers, and return the code and the body."""
        with closing(self.connect(source)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def put(self, password: str = "secret", **headers: str) -> int:
        """Set the user's status with a password, and return the code."""
        basic = b64encode(f"moshez:{password}".encode()).decode()
        return self.send("PUT", "/moshez", body="Behind", Authorization=f"Basic {basic}", **headers)[0]


class Recipe:
    """The tests of each proxy."""

    def test_client(self: Any) -> None:
        """The log has the client's address, whatever the client claims, and whatever else the connection carries."""
        self.assertEqual(self.send("GET", "/one")[0], 404)
        self.server.waitFor(f"web {CLIENT} 'one' NoSuchUser")
        for number, claim in enumerate(
            (
                {"X_Forwarded_For": "198.51.100.9"},
                {"X_Forwarded_For": "nonsense"},
                {"Forwarded": "for=198.51.100.9;proto=http"},
                {"Forwarded": 'for="'},
                {"X_Forwarded_Proto": "http", "X_Forwarded_For": "127.0.0.1, ::1"},
            )
        ):
            self.assertEqual(self.send("GET", f"/claim{number}", **claim)[0], 404, claim)
            self.server.waitFor(f"web {CLIENT} 'claim{number}' NoSuchUser")
        self.assertEqual(self.send("GET", "/six", "::1")[0], 404)
        self.server.waitFor("web ::1 'six' NoSuchUser")
        with closing(self.connect()) as connection:
            for number in range(120):  # More than fit on one connection to the server.
                connection.request("GET", f"/again{number}")
                answer = connection.getresponse()
                self.assertEqual((answer.status, b"No such user" in answer.read()), (404, True))
        self.server.waitFor(f"web {CLIENT} 'again119' NoSuchUser")

    def test_put(self: Any) -> None:
        """A password is accepted, because the client uses HTTPS; failed attempts are the client's."""
        self.assertEqual(self.put(), 200)
        self.assertIn("Behind", self.send("GET", "/moshez")[1])
        self.assertEqual(self.put(X_Forwarded_Proto="http", Forwarded="proto=http"), 200)
        self.assertEqual(self.put("wrong"), 401)
        self.server.waitFor(f"{CLIENT} failed to log in")

    def test_direct(self: Any) -> None:
        """Without the proxy, the same password is refused: it is not encrypted."""
        port = self.server.port("webport")
        with socket.create_connection(("127.0.0.1", port), DEADLINE, source_address=(CLIENT, 0)) as connection:
            connection.sendall(
                b"PUT /moshez HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nX-Forwarded-Proto: https\r\n\r\nx"
            )
            self.assertIn(b" 403 ", connection.recv(65536))

    def test_xmlrpc(self: Any) -> None:
        """XML-RPC calls pass through, too."""
        call = dumps(("x",), "getUser")
        self.assertIn("No such user", self.send("POST", "/RPC2", body=call, Content_Type="text/xml")[1])
        self.server.waitFor(f"xmlrpc {CLIENT} 'x' NoSuchUser")


class NginxTests(Recipe, ReverseProxyTestCase):
    """nginx."""

    def find(self) -> str:
        """See L{ReverseProxyTestCase.find}."""
        return need("nginx", "nginx")

    def options(self) -> list[str]:
        """See L{ReverseProxyTestCase.options}."""
        return ["--rate=1", "--burst=5"]

    def command(self, server: Server) -> list[str]:
        """See L{ReverseProxyTestCase.command}."""
        text = recipe(
            "nginx",
            (
                ("listen 443 ", f"listen 127.0.0.1:{self.port} "),
                ("listen [::]:443 ", f"listen [::1]:{self.port} "),
                ("/etc/finger/fullchain.pem", f"{self.here}/cert.pem"),
                ("/etc/finger/privkey.pem", f"{self.here}/key.pem"),
                ("127.0.0.1:8000", f"127.0.0.1:{server.port('webport')}"),
            ),
        )
        path = self.here / "nginx.conf"
        path.write_text(NGINX.format(here=self.here, client=CLIENT, recipe=text))
        return [self.program, "-e", f"{self.here}/error.log", "-p", str(self.here), "-c", str(path)]

    def test_limits(self) -> None:
        """Each client has the rate of its own address."""
        for client in ("192.0.2.7", "198.51.100.1", "2001:db8::7"):
            codes = Counter(self.send("GET", "/", X_Test_Client=client)[0] for _ in range(20))
            self.assertGreaterEqual(codes[200], 5)
            self.assertGreaterEqual(codes[429], 1, codes)
            self.server.waitFor(f"web {client} '' ok")
        self.server.waitFor("webport 192.0.2.7 '' TooManyRequests")
        self.assertEqual(self.send("GET", "/", X_Test_Client="192.0.2.8")[0], 200)


class CaddyTests(Recipe, ReverseProxyTestCase):
    """Caddy."""

    def find(self) -> str:
        """See L{ReverseProxyTestCase.find}."""
        return need("caddy", "caddy")

    def command(self, server: Server) -> list[str]:
        """See L{ReverseProxyTestCase.command}."""
        address = f"https://127.0.0.1:{self.port}, https://[::1]:{self.port} {{\n    bind 127.0.0.1 ::1"
        backend = f"127.0.0.1:{server.port('webport')}"
        text = recipe("caddyfile", (("finger.example.org {", address), ("127.0.0.1:8000", backend)))
        path = self.here / "Caddyfile"
        path.write_text(CADDY.format(here=self.here, recipe=text))
        return [self.program, "run", "--adapter", "caddyfile", "--config", str(path)]


class HAProxyTests(Recipe, ReverseProxyTestCase):
    """HAProxy, in HTTP mode."""

    def find(self) -> str:
        """See L{ReverseProxyTestCase.find}."""
        return need("haproxy", "haproxy")

    def command(self, server: Server) -> list[str]:
        """See L{ReverseProxyTestCase.command}."""
        text = recipe(
            "text",
            (
                ("bind :::443 v4v6 ", f"bind 127.0.0.1:{self.port},[::1]:{self.port} "),
                ("/etc/finger/both.pem", f"{self.here}/both.pem"),
                ("127.0.0.1:8000", f"127.0.0.1:{server.port('webport')}"),
            ),
        )
        path = self.here / "haproxy.cfg"
        path.write_text(text)
        return [self.program, "-db", "-f", str(path)]
