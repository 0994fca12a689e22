"""Tests of the client as a process, against servers on real sockets of both families."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Thread
from unittest import SkipTest

from tests.process.test_blackbox import USERS, BlackBoxTestCase, run
from tests.support.tools import DEADLINE, FAMILIES

HAPPY = "Happy and well\n"


def client(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Run the client; return its exit status and outputs."""
    done = run(sys.executable, "-m", "finger", *arguments, stdin=stdin)
    return done.returncode, done.stdout, done.stderr


def bracketed(host: str) -> str:
    """Return a host as it is written before a port."""
    return f"[{host}]" if ":" in host else host


def linkLocal() -> str:
    """Return a link-local address of this machine, with its zone, or skip the test."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            digits, _, _, scope, _, interface = line.split()
            if scope == "20":
                return f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))}%{interface}"
    raise SkipTest("no interface has a link-local address")


class Scripted:
    """
    A server for one connection, in a thread.

    @param host: the address to listen on.
    @param serve: serves the connection, once a line has come.
    @ivar port: its port.
    """

    def __init__(self, host: str, serve: Callable[[socket.socket], object]) -> None:
        self._listening = listening(host)
        self._listening.settimeout(DEADLINE)
        self.port: int = self._listening.getsockname()[1]
        self._serve = serve
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.settimeout(DEADLINE)
            while not connection.recv(1024).endswith(b"\n"):
                pass
            self._serve(connection)

    def end(self) -> None:
        """Wait for the end."""
        self._thread.join(DEADLINE)
        self._listening.close()


def reset(connection: socket.socket) -> None:
    """Make the end of a connection a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half(connection: socket.socket) -> None:
    """Send the beginning of an answer, and reset."""
    connection.sendall(b"half\r\n")
    reset(connection)


def send(data: bytes, connection: socket.socket) -> None:
    """Send data."""
    connection.sendall(data)


def listening(host: str) -> socket.socket:
    """Listen on a port."""
    return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


@contextlib.contextmanager
def unaccepting(host: str) -> Iterator[int]:
    """Listen on a port whose queue of connections is full, so that the kernel drops further ones."""
    with ExitStack() as stack:
        server = stack.enter_context(listening(host))
        server.listen(0)
        for _ in range(8):
            connection = stack.enter_context(socket.socket(server.family))
            connection.setblocking(False)
            connection.connect_ex(server.getsockname())
        yield server.getsockname()[1]


class QueryTests(BlackBoxTestCase):
    """Arguments, and a real server."""

    def setUp(self) -> None:
        """Start a server."""
        self.server = self.start(f"--file={USERS}", "--fingerport=0")
        self.port = self.server.port("fingerport")

    def test_urls(self) -> None:
        """URLs of all forms, and hosts with a port, over both families."""
        for host in FAMILIES.values():
            place = f"{bracketed(host)}:{self.port}"
            for argument in (
                *(f"finger://{place}/moshez", f"finger://moshez@{place}", f"finger://moshez@{place}/"),
                *(f"FINGER://{place}/mosh%65z", f"Finger://m%6Fshez@{place}", f"moshez@{place}"),
            ):
                self.assertEqual(client(argument), (0, f"[{host}]\n{HAPPY}", ""), argument)
            for argument in (f"finger://{place}", f"finger://{place}/", f"finger://@{place}", f"@{place}"):
                status, out, err = client(argument)
                self.assertEqual((status, err), (0, ""))
                self.assertIn("alice            Alice Example\n", out)
            self.assertEqual(client(f"finger://{place}/zo%C3%AB"), client("-p", str(self.port), f"zoë@{host}"))
            self.assertIn("Login: moshez", client(f"finger://{place}//W%20moshez")[1])
            denied = (0, f"[{host}]\nFinger forwarding service denied\n", "")
            self.assertEqual(client(f"finger://{place}/moshez@inner"), denied)
            self.assertEqual(client(f"moshez@inner@{place}"), denied)

    def test_zones(self) -> None:
        """A link-local address, with its zone as in a URL and as elsewhere."""
        address = linkLocal()
        encoded = address.replace("%", "%25")
        for argument in (
            *(f"finger://[{encoded}]:{self.port}/moshez", f"finger://moshez@[{address}]:{self.port}"),
            *(f"moshez@[{encoded}]:{self.port}", f"moshez@[{address}]:{self.port}"),
        ):
            self.assertEqual(client(argument), (0, f"[{address}]\n{HAPPY}", ""), argument)
        for argument in (f"moshez@{address}", f"moshez@{encoded}", f"moshez@[{encoded}]"):
            self.assertEqual(client("-p", str(self.port), argument), (0, f"[{address}]\n{HAPPY}", ""), argument)
        status, out, err = client("finger://[fe80::1%25nothing0]/moshez")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("this machine has no such network interface", err)

    def test_mixed(self) -> None:
        """Each argument may have its own port; C{-p} is for the others."""
        other = self.start(f"--file={self.users('moshez: elsewhere')}", "--fingerport=0").port("fingerport")
        arguments = ("moshez", f"moshez@127.0.0.1:{other}", "-p", str(self.port), f"finger://[::1]:{other}/moshez")
        printed = f"{HAPPY}\n[127.0.0.1]\nelsewhere\n\n[::1]\nelsewhere\n"
        self.assertEqual(client(*arguments), (0, printed, ""))

    def test_options(self) -> None:
        """C{--} ends the options, wherever it stands."""
        for arguments in (("-p", str(self.port), "--", "--set"), ("-4", "-p", str(self.port), "--", "-l")):
            self.assertEqual(client(*arguments), (0, "No such user\n", ""))
            self.server.waitFor(f"{arguments[-1]!r} NoSuchUser")

    def test_bad(self) -> None:
        """A malformed argument is an error of one line, and nothing is sent."""
        before = self.server.log
        for rest in ("/a%0d%0aalice", "/%1b[2J", "/%zz", "/%ff", "/a b", "/a?b", "0/a", "x/a"):
            status, out, err = client(f"finger://127.0.0.1:{self.port}{rest}", "moshez")
            self.assertEqual((status, out, err.count("\n")), (2, "", 1), err)
            self.assertTrue(err.startswith("python -m finger: error: "))
            self.assertTrue(err.rstrip("\n").isprintable())
        for argument in ("finger://", "finger:///a", f"finger://:{self.port}/a", "http://127.0.0.1/a", "finger:a@b"):
            status, out, err = client(argument)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1), err)
        self.assertEqual(self.server.log, before)


class FailureTests(BlackBoxTestCase):
    """Queries without an answer: the line says how far they came."""

    def serve(self, host: str, serve: Callable[[socket.socket], object]) -> str:
        """Start a scripted server; return its place."""
        server = Scripted(host, serve)
        self.addCleanup(server.end)
        return f"{bracketed(host)}:{server.port}"

    def name(self, place: str) -> str:
        """Return a place as errors name it."""
        host, _, port = place.rpartition(":")
        return f"{host.strip('[]')} port {port}"

    def test_empty(self) -> None:
        """A server that closes the connection without an answer."""
        for host in FAMILIES.values():
            for argument in ("a@{}", "finger://{}/a"):
                place = self.serve(host, lambda connection: None)
                line = f"finger: {self.name(place)} sent an empty answer\n"
                self.assertEqual(client(argument.format(place)), (1, "", line))

    def test_reset(self) -> None:
        """A server that resets the connection, before an answer and in the middle of one."""
        for host in FAMILIES.values():
            place = self.serve(host, reset)
            line = f"finger: connected to {self.name(place)}, but no answer: connection lost\n"
            self.assertEqual(client(f"a@{place}"), (1, "", line))

            place = self.serve(host, half)
            line = f"finger: the answer of {host} was truncated: connection lost\n"
            self.assertEqual(client(f"a@{place}"), (1, f"[{host}]\nhalf\n", line))

    def test_slow(self) -> None:
        """Servers that accept no connection, and servers that accept one and say nothing, on both families."""
        with ExitStack() as stack:
            lines = {}
            for host in FAMILIES.values():
                place = f"{bracketed(host)}:{stack.enter_context(unaccepting(host))}"
                lines[place] = f"could not connect to {self.name(place)}: no connection within 5 s"
                silent = stack.enter_context(listening(host))
                place = f"{bracketed(host)}:{silent.getsockname()[1]}"
                lines[place] = f"connected to {self.name(place)}, but no answer: time limit of 20 s"
            with ThreadPoolExecutor(len(lines)) as pool:
                for printed, line in zip(
                    pool.map(client, [f"a@{place}" for place in lines]), lines.values(), strict=True
                ):
                    self.assertEqual(printed, (1, "", f"finger: {line}\n"))

    def test_refused(self) -> None:
        """A port where no program listens."""
        for host in FAMILIES.values():
            with listening(host) as closed:
                port = closed.getsockname()[1]
            line = f"finger: could not connect to {host} port {port}: Connection refused\n"
            self.assertEqual(client(f"finger://{bracketed(host)}:{port}/a"), (1, "", line))

    def test_unresolved(self) -> None:
        """A host that does not exist (RFC 6761, section 6.4)."""
        status, out, err = client("finger://host.invalid/a", "a@host.invalid:1079")
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(err, "finger: could not resolve host.invalid: no address found\n" * 2)


class SetTests(BlackBoxTestCase):
    """C{--set}: the outcome is the mark of the reply."""

    def test_real(self) -> None:
        """A real setter, which sets a status and refuses one."""
        server = self.start(
            f"--backend=file:{self.users('ada: x')}",
            "--backend=memory",
            "--setport=0",
            "--fingerport=0",
            "--max-users=1",
        )
        port = str(server.port("setport"))
        self.assertEqual(client("--set", "-p", port, "moshez", stdin=HAPPY), (0, "Status of moshez is set\n", ""))
        place = f"127.0.0.1:{server.port('fingerport')}"
        self.assertEqual(client(f"finger://{place}/moshez"), (0, f"[127.0.0.1]\n{HAPPY}", ""))
        for user, stdin, why in (
            ("ada", "y", "back end, which cannot be set"),
            ("bob", "y", "no user can be added"),
            ("moshez", "", "Nothing was set: "),
            ("moshez", "x" * 300_000, "Nothing was set: "),
        ):
            status, out, err = client("--set", "-p", port, user, stdin=stdin)
            self.assertEqual((status, out, err.count("\n")), (1, "", 1), err)
            self.assertIn(why, err)
        self.assertEqual(client("--set", "-p", str(server.port("fingerport")), "moshez", stdin="x")[0], 1)
        self.assertEqual(client(f"moshez@{place}"), (0, f"[127.0.0.1]\n{HAPPY}", ""))

    def test_words(self) -> None:
        """The words of a reply have no influence."""
        for reply, status, out, err in (
            (b"Status of ada is set\trefused\r\n", 1, "", "finger: Status of ada is set\n"),
            (b"Bien r\xc3\xa9gl\xc3\xa9\tset\r\n", 0, "Bien r\xe9gl\xe9\n", ""),
        ):
            server = Scripted("127.0.0.1", partial(send, reply))
            self.addCleanup(server.end)
            self.assertEqual(client("--set", "-p", str(server.port), "ada", stdin="x"), (status, out, err))

    def test_incomplete(self) -> None:
        """A setter that dies before the end of its reply leaves the outcome open, and that is a failure."""
        for serve, end in ((lambda connection: None, "connection closed"), (reset, "connection lost")):
            server = Scripted("127.0.0.1", serve)
            self.addCleanup(server.end)
            status, out, err = client("--set", "-p", str(server.port), "ada", stdin="x")
            self.assertEqual((status, out, err.count("\n")), (1, "", 1))
            self.assertIn(f"the setter's reply is incomplete ({end})", err)
