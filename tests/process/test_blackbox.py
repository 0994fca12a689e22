"""Tests of the service as a process, with real clients over real sockets."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from xmlrpc.client import Fault, ServerProxy

from twisted.trial.unittest import SynchronousTestCase

from tests.support.tools import DEADLINE, FAMILIES, ROOT, TIMES, Server, ask, need, needRoot, receive, twistdPath
from tests.support.typed import asType, notNone

USERS = Path(ROOT, "etc", "users")
EXAMPLES = Path(ROOT, "docs", "examples")


def run(*command: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program, and return its result."""
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
        env={**os.environ, **environment},
    )


def url(host: str, port: int, path: str = "", scheme: str = "http") -> str:
    """Return a URL of this machine."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/{path}"


class BlackBoxTestCase(SynchronousTestCase):
    """A test case that stops the servers it started."""

    def start(self, *options: str, **settings: Any) -> Server:
        """Start a server."""
        server = Server(*options, **settings)
        self.addCleanup(server.__exit__)
        return server

    def users(self, text: str) -> Path:
        """Write a users file that is readable for the server's user."""
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        directory.chmod(0o755)
        path = directory / "users"
        path.write_text(text)
        return path


class ClientTests(BlackBoxTestCase):
    """Real clients, over both families."""

    def setUp(self) -> None:
        """Start a server with the sample users."""
        self.server = self.start(f"--file={USERS}", "--fingerport=0", "--webport=0", "--ssl", "--httpsport=0")
        self.finger, self.web = self.server.port("fingerport"), self.server.port("webport")

    def test_sockets(self) -> None:
        """Plain sockets."""
        for host in FAMILIES.values():
            self.assertEqual(ask(host, self.finger, b"moshez\r\n"), b"Happy and well\r\n")
            self.assertEqual(ask(host, self.finger, b"nobody\n"), b"No such user\r\n")
            self.assertIn(b"alice            Alice Example\r\n", ask(host, self.finger, b"\r\n"))
            self.assertEqual(ask(host, self.finger, b"@" * 1000 + b"\n"), b"Finger forwarding service denied\r\n")
        self.assertIn("finger 127.0.0.1 'moshez' ok", self.server.log)
        self.assertIn("finger ::1 'moshez' ok", self.server.log)

    def test_ourClient(self) -> None:
        """The package's own client, which can name a port."""
        for host in FAMILIES.values():
            done = run(sys.executable, "-m", "finger", "-p", str(self.finger), f"alice@{host}")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("Name: Alice Example\nPlan:\nBack on Monday.\nUntil then, ask Bob.\n", done.stdout)

    def test_curl(self) -> None:
        """curl, with HTTP, HTTPS, and gopher as plain TCP."""
        curl = need("curl", package="curl")
        for host in FAMILIES.values():
            for address in (
                url(host, self.web, "moshez"),
                url(host, self.server.port("httpsport"), "moshez", "https"),
            ):
                done = run(curl, "--silent", "--show-error", "--insecure", "--globoff", "--fail", address)
                self.assertIn("Happy and well", done.stdout, done.stderr)
            done = run(curl, "--silent", "--globoff", f"gopher://{url(host, self.finger, '0moshez')[7:]}")
            self.assertEqual(done.stdout, "Happy and well\n" if "\r" not in done.stdout else "Happy and well\r\n")

    def test_lynx(self) -> None:
        """lynx, with HTTP."""
        lynx = need("lynx", package="lynx")
        self.assertIn("Happy and well", run(lynx, "-dump", url("127.0.0.1", self.web, "moshez")).stdout)
        self.assertIn("Alice Example", run(lynx, "-dump", url("localhost", self.web)).stdout)

    def test_links(self) -> None:
        """links, with HTTP over both families, and with a finger URL."""
        links = need("links", package="links")
        for host in FAMILIES.values():
            self.assertIn("Happy and well", run(links, "-dump", url(host, self.web, "moshez")).stdout)
        self.assertIn("Happy and well", run(links, "-dump", f"finger://moshez@127.0.0.1:{self.finger}").stdout)

    def test_openssl(self) -> None:
        """TLS 1.2 and 1.3 are accepted, and older versions refused."""
        openssl = need("openssl", package="openssl")
        for host in FAMILIES.values():
            address = url(host, self.server.port("httpsport"))[7:-1]
            for version, answered in (("-tls1_3", True), ("-tls1_2", True), ("-tls1_1", False)):
                done = run(
                    *(openssl, "s_client", "-connect", address, version, "-cipher", "ALL@SECLEVEL=0"),
                    *("-ign_eof", "-quiet"),
                    stdin="GET /moshez HTTP/1.0\r\n\r\n",
                )
                self.assertEqual("Happy and well" in done.stdout, answered, (version, done.stderr))

    def test_xmlrpc(self) -> None:
        """Python's XML-RPC client, with HTTP and HTTPS."""
        insecure = ssl.create_default_context()
        insecure.check_hostname = False
        insecure.verify_mode = ssl.CERT_NONE
        for host in FAMILIES.values():
            for proxy in (
                ServerProxy(url(host, self.web, "RPC2")),
                ServerProxy(url(host, self.server.port("httpsport"), "RPC2", "https"), context=insecure),
            ):
                with proxy:
                    self.assertEqual(proxy.getUser("moshez"), "Happy and well")
                    self.assertEqual(proxy.getUser("nobody"), "No such user")
                    self.assertEqual(proxy.getUsers(), ["alice", "bob", "coke", "moshez", "shawn", "zoë"])
                    self.assertIn("getUser", proxy.system.listMethods())


class ProxyProtocolTests(BlackBoxTestCase):
    """The PROXY protocol."""

    def test_trusted(self) -> None:
        """
        A header from a trusted proxy is used and the client's address logged; other peers are refused and logged.
        """
        server = self.start(
            f"--file={USERS}",
            "--trust-proxy=127.0.0.0/8",
            "--fingerport=haproxy:tcp:0:interface=127.0.0.1",
            r"--fingerport=haproxy:tcp6:0:interface=\:\:1",
        )
        header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 79\r\nmoshez\r\n"
        trusted, other = server.ports["fingerport"]
        self.assertEqual(ask("127.0.0.1", trusted, header), b"Happy and well\r\n")
        self.assertIn("finger 192.0.2.7 'moshez' ok", server.log)
        with socket.create_connection(("::1", other), timeout=DEADLINE) as connection:
            self.assertEqual(receive(connection), b"")
        server.waitFor("haproxy ::1 '' UntrustedProxy")


class Port79Tests(BlackBoxTestCase):
    """Clients that need port 79, and the privileges of a server started by root."""

    def setUp(self) -> None:
        """Choose port 79, which needs root."""
        needRoot("port 79 and dropping privileges")
        self.ports = [r"--fingerport=tcp:79:interface=127.0.0.1", r"--fingerport=tcp6:79:interface=\:\:1"]

    def test_finger(self) -> None:
        """Debian's finger client, over both families, with and without -l."""
        program = need("finger", package="finger")
        server = self.start(f"--file={USERS}", *self.ports)
        for host in FAMILIES.values():
            self.assertIn("Happy and well", run(program, f"moshez@{host}").stdout)
            self.assertIn("Login: moshez", run(program, "-l", f"moshez@{host}").stdout)
            self.assertIn("Alice Example", run(program, f"@{host}").stdout)
            self.assertIn("No such user", run(program, f"nobody@{host}").stdout)
        self.assertIn("finger ::1 'moshez' ok", server.log)

    def test_unprivileged(self) -> None:
        """The server has given up root's user, groups and saved ids."""
        server = self.start(f"--file={USERS}", *self.ports)
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        for field in ("Uid", "Gid"):
            ids = set(notNone(re.search(rf"^{field}:\s*(.*)$", status, re.MULTILINE))[1].split())
            self.assertEqual(len(ids), 1)
            self.assertNotEqual(ids, {"0"})
        self.assertNotIn("0", notNone(re.search(r"^Groups:(.*)$", status, re.MULTILINE))[1].split())
        self.assertEqual(ask("127.0.0.1", 79, b"moshez\r\n"), b"Happy and well\r\n")

    def test_uid(self) -> None:
        """twistd's option --uid takes precedence."""
        server = self.start(f"--file={USERS}", *self.ports, twistd=("--uid=1", "--gid=2"))
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        self.assertIn("Uid:\t1\t1\t1\t1", status)
        self.assertIn("Gid:\t2\t2\t2\t2", status)

    def test_tac(self) -> None:
        """twistd -y runs the sample .tac file."""
        here = self.tac("tcp:79:interface=127.0.0.1")
        with open(here / "log", "wb") as log:
            process = subprocess.Popen(
                [twistdPath(), "-n", "--pidfile=", "-y", str(here / "finger.tac")], cwd=here, stdout=log, stderr=log
            )
        try:
            waitUntil(lambda: b"finger is ready" in (here / "log").read_bytes(), process)
            self.assertEqual(ask("127.0.0.1", 79, b"moshez\r\n"), b"Happy and well\r\n")
            self.assertNotIn("Uid:\t0", Path(f"/proc/{process.pid}/status").read_text())
        finally:
            process.terminate()
            process.wait(DEADLINE)

    def test_tacTaken(self) -> None:
        """A port that is in use is an error of one line, without a traceback, for a .tac file as well."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            here = self.tac(f"tcp:{port}:interface=127.0.0.1")
            done = run(twistdPath(), "-n", "--pidfile=", "-y", str(here / "finger.tac"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"finger.tac: --fingerport=tcp:{port}:interface=127.0.0.1: port {port} is taken", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertNotIn("Traceback", done.stdout)

    def tac(self, port: str) -> Path:
        """Return a directory with the sample .tac file, changed to the sample users and another port."""
        here = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, here)
        here.chmod(0o755)
        text = USERS.with_name("finger.tac").read_text()
        text = text.replace('"file:/etc/users"', f'"file:{USERS}"')
        (here / "finger.tac").write_text(text.replace('("79",)', f'("{port}",)').replace('("8000",)', '("none",)'))
        return here


def waitUntil(condition: Any, process: subprocess.Popen[bytes]) -> None:
    """Wait until a condition is true, while a process runs."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError("the condition did not become true")
        time.sleep(0.02)


class CommandLineTests(BlackBoxTestCase):
    """Starting, failing to start, and stopping."""

    def refused(self, *options: str) -> str:
        """Start a server that must fail, and return its error message."""
        done = run(twistdPath(), "-n", "--pidfile=", "finger", *options)
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        return done.stderr

    def test_wrong(self) -> None:
        """An invalid option is an error of one line that names it, with exit status 1."""
        quiet = (f"--file={USERS}", "--fingerport=none", "--webport=none", "--pbport=none")
        for option in (
            *("--nonsense", "--fingerport=x", "--webport=tcp:x", "--disclose=age", "--backend=nonsense"),
            *("--backend=local:x", "--backend=proxy:a:b", "--setport=0", "--templates=/nowhere", "--forward=a b"),
            *("--ircnick=1", "--hops=0", "--file=/nowhere", "--backend=memory:/nowhere/x/y/"),
        ):
            if option != "--backend=memory:/nowhere/x/y/":
                self.assertIn(option.partition("=")[0], self.refused(*quiet, option))

    def test_taken(self) -> None:
        """A port that is in use is reported with what to do."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            error = self.refused(
                f"--file={USERS}", "--webport=none", "--pbport=0", f"--fingerport=tcp:{port}:interface=127.0.0.1"
            )
        self.assertIn(f"port {port} is taken by another program", error)

    def test_takenDaemon(self) -> None:
        """A daemon reports it on the terminal, and leaves no pid file."""
        here = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, here)
        with socket.create_server(("127.0.0.1", 0)) as other:
            done = subprocess.run(
                [
                    *(twistdPath(), "finger", f"--file={USERS}", "--webport=none", "--pbport=none"),
                    f"--fingerport=tcp:{other.getsockname()[1]}:interface=127.0.0.1",
                ],
                cwd=here,
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn("is taken by another program", done.stderr)
        self.assertEqual(os.listdir(here), [])

    def test_stop(self) -> None:
        """SIGTERM stops the server without a traceback."""
        server = self.start(f"--file={USERS}", "--fingerport=0")
        port = server.port("fingerport")
        self.assertEqual(server.stop(), -signal.SIGTERM)
        self.assertIn("Server Shut Down", server.log)
        self.assertNotIn("Traceback", server.log)
        for host in FAMILIES.values():
            self.assertRaises(ConnectionRefusedError, ask, host, port, b"\r\n")

    def test_stopInFlood(self) -> None:
        """SIGTERM does not reset the connections that wait to be accepted, which are more than fit into a turn."""
        for host in FAMILIES.values():
            server = self.start(f"--file={USERS}", "--fingerport=0")
            with ExitStack() as stack:
                server.process.send_signal(signal.SIGSTOP)
                peers = []
                for _ in range(300):
                    peer = socket.create_connection((host, server.port("fingerport")), DEADLINE)
                    peers.append(stack.enter_context(peer))
                    peer.sendall(b"moshez\r\n")
                server.process.send_signal(signal.SIGTERM)
                server.process.send_signal(signal.SIGCONT)
                self.assertEqual({receive(peer) for peer in peers}, {b"Happy and well\r\n"})
            self.assertEqual(server.process.wait(DEADLINE), -signal.SIGTERM)

    def test_help(self) -> None:
        """The help texts."""
        self.assertIn("finger ", run(twistdPath(), "--help").stdout)
        self.assertIn("--fingerport=", run(twistdPath(), "finger", "--help", COLUMNS="80").stdout)
        self.assertIn("memory[:PATH]", run(twistdPath(), "finger", "--help-backends").stdout)


class SwitchTests(BlackBoxTestCase):
    """The switches of RFC 1288, on the adapters they affect."""

    def test_noList(self) -> None:
        """With --no-list no adapter lists the users, but users can be queried."""
        server = self.start(f"--file={USERS}", "--no-list", "--fingerport=0", "--webport=0", "--pbport=0")
        self.assertEqual(ask("::1", server.port("fingerport"), b"\r\n"), b"Finger online user list denied\r\n")
        self.assertEqual(ask("::1", server.port("fingerport"), b"moshez\r\n"), b"Happy and well\r\n")
        error = self.assertRaises(HTTPError, urllib.request.urlopen, url("127.0.0.1", server.port("webport")))
        self.assertEqual(error.code, 403)
        error.close()
        with ServerProxy(url("127.0.0.1", server.port("webport"), "RPC2")) as proxy:
            fault = self.assertRaises(Fault, proxy.getUsers)
            self.assertIn("Finger online user list denied", str(fault))

    def test_disclose(self) -> None:
        """With --disclose no adapter shows other fields."""
        path = self.users("ada (Ada Lovelace): Secret plan\n")
        server = self.start(f"--file={path}", "--disclose=name", "--fingerport=0", "--webport=0")
        self.assertEqual(
            ask("127.0.0.1", server.port("fingerport"), b"/W ada\r\n"),
            b"Login: ada            \t\t\tName: Ada Lovelace\r\n",
        )
        with urllib.request.urlopen(url("127.0.0.1", server.port("webport"), "ada")) as page:
            self.assertNotIn(b"Secret plan", page.read())
        with ServerProxy(url("127.0.0.1", server.port("webport"), "RPC2")) as proxy:
            self.assertEqual(proxy.getUser("ada"), "Ada Lovelace")

    def test_ascii(self) -> None:
        """With --ascii finger answers in ASCII."""
        path = self.users("zoe: Zoë ☕\n")
        server = self.start(f"--file={path}", "--ascii", "--fingerport=0")
        self.assertEqual(ask("127.0.0.1", server.port("fingerport"), b"zoe\r\n"), b"Zoe ?\r\n")

    def test_matchNames(self) -> None:
        """With --match-names first, last and full names match."""
        server = self.start(f"--file={USERS}", "--match-names", "--fingerport=0")
        self.assertIn(b"Login: alice", ask("127.0.0.1", server.port("fingerport"), b"Alice\r\n"))
        self.assertEqual(ask("127.0.0.1", server.port("fingerport"), b"example\r\n").count(b"Login: "), 2)

    def test_forwardRefused(self) -> None:
        """By default no query is forwarded, and no connection is made."""
        server = self.start(f"--file={USERS}", "--fingerport=0")
        with socket.create_server(("127.0.0.1", 0)) as target:
            for host in ("127.0.0.1", "[::1]", "localhost", "10.0.0.1", "169.254.169.254", "a@self@self"):
                answer = ask("127.0.0.1", server.port("fingerport"), f"u@{host}\r\n".encode())
                self.assertEqual(answer, b"Finger forwarding service denied\r\n")
            target.settimeout(0)
            self.assertRaises(BlockingIOError, target.accept)

    def test_forward(self) -> None:
        """With --forward a query is forwarded to port 79 of that host, and the answer relayed completely."""
        needRoot("forwarded queries go to port 79")
        path = self.users("u: one\n  two\n")
        self.start(f"--file={path}", "--fingerport=tcp:79:interface=127.0.0.1")
        relay = self.start(f"--file={USERS}", "--forward=127.0.0.1", "--fingerport=0")
        port = relay.port("fingerport")
        self.assertEqual(ask("::1", port, b"u@127.0.0.1\r\n"), b"one\r\ntwo\r\n")
        self.assertEqual(ask("::1", port, b"/W u@127.0.0.1\r\n").count(b"Plan:"), 1)
        self.assertEqual(ask("::1", port, b"u@::1\r\n"), b"Finger forwarding service denied\r\n")
        self.assertEqual(ask("::1", port, b"u@127.0.0.1@127.0.0.1\r\n"), b"Finger forwarding service denied\r\n")


class FileTests(BlackBoxTestCase):
    """A users file that changes while the server runs."""

    def test_hangup(self) -> None:
        """SIGHUP reads the file again; if it cannot be read, the last good users stay."""
        path = self.users("moshez: old\n")
        server = self.start(f"--file={path}", "--fingerport=0")
        port = server.port("fingerport")
        path.write_text("moshez: new\n")
        server.process.send_signal(signal.SIGHUP)
        server.waitFor("read 1 users")
        self.assertEqual(ask("::1", port, b"moshez\r\n"), b"new\r\n")
        path.unlink()
        server.process.send_signal(signal.SIGHUP)
        server.waitFor("its current users stay")
        self.assertEqual(ask("::1", port, b"moshez\r\n"), b"new\r\n")
        path.write_text("moshez: newer\n")
        server.process.send_signal(signal.SIGHUP)
        waitUntil(lambda: ask("::1", port, b"moshez\r\n") == b"newer\r\n", server.process)

    def test_whole(self) -> None:
        """While a large file is reloaded, each query sees either all old or all new users."""
        path = self.users("")
        files = ["".join(f"u{n}: {letter}\n" for n in range(20_000)) for letter in "ab"]
        path.write_text(files[0])
        server = self.start(f"--file={path}", "--fingerport=0")
        answers = set()
        for turn in range(10 * TIMES):
            new = path.with_name("new")
            new.write_text(files[turn % 2])
            new.rename(path)
            server.process.send_signal(signal.SIGHUP)
            for _ in range(20):
                answers.add(ask("127.0.0.1", server.port("fingerport"), b"u0 u10000 u19999\r\n"))
        self.assertTrue(answers <= {b"a\r\n" * 3, b"b\r\n" * 3}, answers)


class SetterTests(BlackBoxTestCase):
    """Setting and storing statuses."""

    def directory(self) -> Path:
        """Make a directory that is writable for the server's user."""
        path = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, path)
        path.chmod(0o777)
        return path

    def set(self, server: Server, user: str, status: str, host: str = "127.0.0.1") -> bytes:
        """Set a status, and return the reply."""
        return ask(host, server.port("setport"), f"{user}\n{status}\n".encode(), half=True)

    def test_set(self) -> None:
        """A status can be set and queried over both families; an error is one line."""
        server = self.start("--backend=memory", "--setport=0", "--fingerport=0")
        for host in FAMILIES.values():
            self.assertEqual(self.set(server, "moshez", f"by {host}", host), b"Status of moshez is set\r\n")
            self.assertEqual(ask(host, server.port("fingerport"), b"moshez\r\n"), f"by {host}\r\n".encode())
        self.assertIn(b"Nothing was set: expected", ask("::1", server.port("setport"), b"moshez\n", half=True))
        self.assertIn(b"a user name is", self.set(server, "a@b", "x"))

    def test_loopback(self) -> None:
        """A port number listens on loopback only."""
        server = self.start("--backend=memory", "--setport=0")
        addresses = re.findall(r"--setport=0: listening on (\S+):\d+", server.log)
        self.assertEqual(sorted(addresses), ["127.0.0.1", "[::1]"])

    def test_killed(self) -> None:
        """After kill -9 during writes, every acknowledged status is stored, and the file is intact."""
        path = self.directory() / "users.json"
        server = self.start(f"--backend=memory:{path}", "--setport=0")
        acknowledged: list[int] = []
        enough = threading.Event()

        def setOne(number: int) -> None:
            try:
                if self.set(server, f"u{number}", f"status {number}") == f"Status of u{number} is set\r\n".encode():
                    acknowledged.append(number)
                    if len(acknowledged) >= 200:
                        enough.set()
            except OSError:
                pass  # Killed before it could reply.

        with ThreadPoolExecutor(8) as pool:
            for number in range(1000):
                pool.submit(setOne, number)
            enough.wait(DEADLINE)
            server.process.kill()
        self.assertGreaterEqual(len(acknowledged), 200)
        kept = json.loads(path.read_bytes())
        again = self.start(f"--backend=memory:{path}", "--fingerport=0", "--setport=0")
        for number in acknowledged:
            self.assertEqual(kept[f"u{number}"], f"status {number}")
            answer = ask("127.0.0.1", again.port("fingerport"), f"u{number}\r\n".encode())
            self.assertEqual(answer, f"status {number}\r\n".encode())

    def test_unwritable(self) -> None:
        """A status that cannot be stored is neither acknowledged nor shown."""
        directory = self.directory()
        server = self.start(f"--backend=memory:{directory}/users.json", "--setport=0", "--fingerport=0")
        self.set(server, "moshez", "kept")
        (directory / ".users.json.new").mkdir()
        self.assertEqual(self.set(server, "moshez", "lost"), b"Internal error in server\r\n")
        self.assertEqual(ask("::1", server.port("fingerport"), b"moshez\r\n"), b"kept\r\n")
        self.assertIn("the users could not be kept", server.log)


class CertificateTests(BlackBoxTestCase):
    """HTTPS with a given certificate."""

    def test_renewed(self) -> None:
        """SIGHUP loads a renewed certificate; a bad one is not used."""
        openssl = need("openssl", package="openssl")
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        directory.chmod(0o755)
        certificate, key = directory / "cert.pem", directory / "key.pem"

        def renew(name: str) -> None:
            done = run(
                *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-keyout", str(key), "-out", str(certificate), "-days", "1", "-subj", f"/CN={name}"),
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            key.chmod(0o644)

        def subject() -> str:
            address = f"127.0.0.1:{server.port('httpsport')}"
            return run(openssl, "s_client", "-connect", address).stdout

        renew("first")
        server = self.start(
            *(f"--file={USERS}", "--ssl", "--httpsport=0", f"--certificate={certificate}", f"--privatekey={key}")
        )
        self.assertIn("CN = first", subject())
        renew("second")
        server.process.send_signal(signal.SIGHUP)
        server.waitFor("certificate read again")
        self.assertIn("CN = second", subject())
        key.write_text("")
        server.process.send_signal(signal.SIGHUP)
        server.waitFor("the previous certificate stays in use")
        self.assertIn("CN = second", subject())


class AttackTests(BlackBoxTestCase):
    """Attacks that have broken finger servers before."""

    def test_longLines(self) -> None:
        """Queries of 64 KiB, with and without an end, are refused, and the memory does not grow."""
        server = self.start(f"--file={USERS}", "--fingerport=0")
        port = server.port("fingerport")
        ask("127.0.0.1", port, b"x" * 65536 + b"\r\n")
        before = residentKiB(server)
        for _ in range(50):
            self.assertEqual(ask("127.0.0.1", port, b"x" * 65536 + b"\r\n"), b"Bad query\r\n")
        self.assertEqual(ask("::1", port, b"x" * 65536), b"Bad query\r\n")
        self.assertLess(residentKiB(server) - before, 4096)
        self.assertEqual(ask("::1", port, b"moshez\r\n"), b"Happy and well\r\n")

    def test_tooMany(self) -> None:
        """A connection beyond the limit gets the reason; a closed one makes room for another."""
        server = self.start(f"--file={USERS}", "--fingerport=0", "--max-connections=5")
        port = server.port("fingerport")
        with ExitStack() as stack:
            held = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(5)]
            waitUntil(
                lambda: ask("127.0.0.1", port, b"") == b"Too many connections, try again later\r\n", server.process
            )
            held[0].sendall(b"moshez\r\n")
            self.assertEqual(receive(held[0]), b"Happy and well\r\n")
            self.assertEqual(ask("127.0.0.1", port, b"moshez\r\n"), b"Happy and well\r\n")

    def test_xss(self) -> None:
        """Stored and requested markup is escaped in pages."""
        path = self.users("<b>x</b>: <script>alert(1)</script>\n")
        server = self.start(f"--file={path}", "--webport=0")
        for page in ("", "%3Cb%3Ex%3C%2Fb%3E", "?user=%3Cb%3Ex%3C/b%3E", "%3Cscript%3Ealert(2)%3C/script%3E"):
            text = get(url("127.0.0.1", server.port("webport"), page))
            self.assertNotIn("<script", text)
            self.assertNotIn("<b>", text)

    def test_escapes(self) -> None:
        """No adapter, and no line of the log, has control characters."""
        path = self.users("m: a\x1b[2J\x9b\x00\x07\u202eb\n".replace("\x9b", "\u009b"))
        server = self.start(f"--file={path}", "--fingerport=0", "--webport=0")
        ask("127.0.0.1", server.port("fingerport"), b"\x1b[2J\x07\xe2\x80\xae\r\n")
        answers = [
            ask("127.0.0.1", server.port("fingerport"), b"m\r\n").decode(),
            get(url("127.0.0.1", server.port("webport"), "m")),
            get(url("127.0.0.1", server.port("webport"), "%1B%5B2J%07")),
            server.log,
        ]
        with ServerProxy(url("127.0.0.1", server.port("webport"), "RPC2")) as proxy:
            answers.append(asType(str, proxy.getUser("m")))
        for answer in answers:
            self.assertNotRegex(answer, "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]")


def residentKiB(server: Server) -> int:
    """Return the memory a server uses, in KiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(notNone(re.search(r"^VmRSS:\s*(\d+)", status, re.MULTILINE))[1])


def cpuSeconds(server: Server) -> float:
    """Return the CPU time that a server has used, in seconds."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def get(address: str) -> str:
    """Return a page, whatever its status."""
    try:
        answer: HTTPResponse | HTTPError = urllib.request.urlopen(address, timeout=DEADLINE)
    except HTTPError as error:
        answer = error
    with answer:
        return answer.read().decode()
