"""
Tests of systemd's socket activation and notifications, with C{systemd-socket-activate} and with the test as service
manager.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from queue import Queue
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.tools import DEADLINE, ROOT, TIMES, Server, need, receive

USERS = f"--file={ROOT / 'etc' / 'users'}"
HAPPY = b"Happy and well\r\n"

PASS = """
import fcntl, os, sys
names, given, *command = sys.argv[1:]
high = [fcntl.fcntl(int(descriptor), fcntl.F_DUPFD_CLOEXEC, 100) for descriptor in given.split(",")]
for descriptor in given.split(","):
    os.set_inheritable(int(descriptor), False)
for number, descriptor in enumerate(high, 3):
    os.dup2(descriptor, number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)))
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(command[0], command)
"""
"""A program that passes sockets as systemd does, and then executes a command."""


def passing(sockets: list[socket.socket], names: str = "") -> tuple[str, ...]:
    """Return a command that passes sockets to the command that follows it."""
    return sys.executable, "-c", PASS, names, ",".join(str(sock.fileno()) for sock in sockets)


class Manager:
    """A receiver of notifications."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(DEADLINE)
        self._socket.bind(address)

    def hear(self) -> dict[str, str]:
        """Return the next notification."""
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().split("\n"))

    def collect(self, name: str) -> dict[str, str]:
        """Return the latest values of all notifications up to the next one with this name."""
        told: dict[str, str] = {}
        while name not in told:
            told |= self.hear()
        return told

    def waitFor(self, *names: str) -> dict[str, str]:
        """Return the next notification with one of these names."""
        while True:
            told = self.hear()
            if told.keys() & set(names):
                return told

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class SystemdTestCase(SynchronousTestCase):
    """Listening sockets that stay open across servers."""

    def setUp(self) -> None:
        """Make the sockets of a socket unit: one for each family, and a UNIX socket."""
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.directory.chmod(0o755)
        self.path = str(self.directory / "socket")
        self.sockets: list[socket.socket] = []
        self.listen(socket.AF_INET, ("127.0.0.1", 0))
        self.listen(socket.AF_INET6, ("::1", 0))
        self.listen(socket.AF_UNIX, self.path)

    def listen(self, family: int, address: Any, v6only: bool = True) -> socket.socket:
        """Make another listening socket."""
        sock = socket.socket(family)
        self.addCleanup(sock.close)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        sock.bind(address)
        sock.listen(511)
        self.sockets.append(sock)
        return sock

    def connect(self, sock: socket.socket) -> socket.socket:
        """Connect to a socket, whether or not a server runs already."""
        connection = socket.socket(sock.family)
        self.addCleanup(connection.close)
        connection.settimeout(DEADLINE)
        connection.connect(sock.getsockname())
        return connection

    def ask(self, sock: socket.socket, query: bytes = b"moshez\r\n") -> bytes:
        """Send a query to a socket, and return the answer."""
        with self.connect(sock) as connection:
            connection.sendall(query)
            return receive(connection)


class ActivatedTests(SystemdTestCase):
    """C{systemd-socket-activate} of Debian's package systemd."""

    def activated(self, *options: str, names: str = "") -> Server:
        """Start a server by a first connection."""
        activate = need("systemd-socket-activate", "systemd")
        self.first = self.connect(self.sockets[0])
        self.first.sendall(b"moshez\r\n")
        before = (*passing(self.sockets), activate, *([f"--fdname={names}"] if names else []))
        server = Server(USERS, *options, before=before, sockets=self.sockets)
        self.addCleanup(server.__exit__)
        return server

    def peers(self, server: Server) -> list[str]:
        """Return the peers in the log."""
        return re.findall(r"\] finger (\S+) 'moshez' ok", server.log)

    def test_named(self) -> None:
        """All sockets of a name are served, and the connection that started the server is answered."""
        server = self.activated("--fingerport=systemd:finger", names="finger:finger:finger")
        self.assertEqual(receive(self.first), HAPPY)
        for sock in self.sockets:
            self.assertEqual(self.ask(sock), HAPPY)
        self.assertEqual(self.peers(server), ["127.0.0.1", "127.0.0.1", "::1", "local"])

    def test_web(self) -> None:
        """Each option adopts the sockets of its own name."""
        web = self.listen(socket.AF_INET6, ("::1", 0))
        self.activated("--fingerport=systemd:finger", "--webport=systemd:web", names="finger:finger:finger:web")
        self.assertEqual(self.ask(self.sockets[1]), HAPPY)
        self.assertIn(b"Happy and well", self.ask(web, b"GET /moshez HTTP/1.0\r\n\r\n"))

    def test_unnamed(self) -> None:
        """
        Sockets without names are selected by index.  Twisted removes the variables that count them; the family in the
        endpoint string is ignored, or addresses of IPv6 peers would be wrong.
        """
        indices = [f"--fingerport=systemd:domain=INET:index={number}" for number in range(3)]
        server = self.activated(*indices)
        for sock in self.sockets:
            self.assertEqual(self.ask(sock), HAPPY)
        self.assertEqual(self.peers(server), ["127.0.0.1", "127.0.0.1", "::1", "local"])

    def test_mapped(self) -> None:
        """On a socket for both families, a peer over IPv4 is logged by its IPv4 address."""
        both = self.listen(socket.AF_INET6, ("::ffff:127.0.0.1", 0), v6only=False)
        server = self.activated("--fingerport=systemd:index=0", "--fingerport=systemd:index=3")
        self.assertEqual(self.ask(both), HAPPY)
        self.assertEqual(self.peers(server), ["127.0.0.1", "127.0.0.1"])
        self.assertIn("systemd passed sockets that no option adopts; connections to them hang: 2 without", server.log)

    def test_unknown(self) -> None:
        """An unknown name is an error of one line that lists the known ones, and no port is served."""
        error = self.assertRaises(
            AssertionError, self.activated, "--fingerport=systemd:fingr", names="finger:finger:web"
        )
        problem = "--fingerport=systemd:fingr: no such socket; systemd passed 'finger' (2), 'web' (1)"
        self.assertIn(f"\ntwistd finger: {problem}\n", str(error))
        self.assertNotIn("Traceback", str(error))


class ManagedTests(SystemdTestCase):
    """A service manager, played by the test."""

    def managed(self, *options: str, **environment: Any) -> Server:
        """Start a server with the sockets passed to it."""
        before = passing(self.sockets, "finger:finger:finger")
        server = Server(*options, "--fingerport=systemd:finger", before=before, sockets=self.sockets, **environment)
        self.addCleanup(server.__exit__)
        return server

    def test_notify(self) -> None:
        """All notifications are sent in order, to a path or to an abstract address."""
        where = self.directory / "notify"
        users = self.directory / "users"
        for address, said in ((str(where), str(where)), (f"\0{where}", f"@{where}")):
            users.write_text("moshez: Happy and well\n")
            manager = Manager(address)
            self.addCleanup(manager.close)
            if said == address:
                where.chmod(0o666)
            server = self.managed(f"--file={users}", NOTIFY_SOCKET=said, WATCHDOG_USEC="100000")
            v4, v6 = (sock.getsockname()[1] for sock in self.sockets[:2])
            status = f"finger on 127.0.0.1:{v4}, [::1]:{v6}, unix:{self.path}"
            self.assertEqual(manager.hear(), {"READY": "1", "STATUS": f"1 user; {status}"})
            self.assertEqual(manager.hear(), {"WATCHDOG": "1"})
            users.write_text("moshez: Happy and well\nanna: here\n")
            server.process.send_signal(signal.SIGHUP)
            told = manager.waitFor("RELOADING")
            self.assertRegex(told["MONOTONIC_USEC"], r"^[1-9][0-9]+$")
            # Between the two, the watchdog may already tell the new status.
            told = manager.collect("READY")
            self.assertEqual((told["READY"], told["STATUS"]), ("1", f"2 users; {status}"))
            manager.waitFor("WATCHDOG")
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(manager.waitFor("STOPPING"), {"STOPPING": "1"})
            self.assertEqual(server.process.wait(DEADLINE), -signal.SIGTERM)

    def test_restart(self) -> None:
        """Repeated restarts lose no query, over either family and on a UNIX socket."""
        ended = threading.Event()
        answers: Queue[bytes] = Queue()

        def askOn(sock: socket.socket) -> None:
            while not ended.is_set():
                answers.put(self.ask(sock))

        threads = [threading.Thread(target=askOn, args=(sock,)) for sock in self.sockets]
        for thread in threads:
            thread.start()
        try:
            for _ in range(4 * TIMES):
                server = self.managed(USERS)
                for _ in range(100):
                    self.assertEqual(answers.get(timeout=DEADLINE), HAPPY)
                self.assertEqual(server.stop(), -signal.SIGTERM)
            self.managed(USERS)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        while not answers.empty():
            self.assertEqual(answers.get(), HAPPY)
        for sock in self.sockets:
            self.assertEqual(self.ask(sock), HAPPY)
