"""Tests of clients that request long answers and read nothing: the server's memory does not grow."""

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import ExitStack
from itertools import product

from finger.net.limits import SILENCE
from tests.process.test_blackbox import BlackBoxTestCase, residentKiB, waitUntil
from tests.support.tools import DEADLINE, FAMILIES, Server, receive

CLIENTS = 100
"""The number of clients that read nothing."""

EACH = 160
"""Tolerated growth of memory for each of them, in KiB: what a transport holds, and the connection itself."""


class SlowReaderTests(BlackBoxTestCase):
    """
    Clients at UNIX sockets, of which the kernel buffers some 200 KiB each.  At a TCP port it may buffer megabytes,
    which would hide what the server holds.
    """

    def begin(self, option: str, count: int, name: str, *options: str) -> None:
        """Start a server with many users."""
        self.path = self.users("".join(f"u{number:06} ({name}): x\n" for number in range(count)))
        self.socket = str(self.path.with_name("socket"))
        self.server = self.start(
            f"--file={self.path}", f"--{option}=unix:{self.socket}", "--max-per-uid=200", *options
        )

    def connect(self, tls: ssl.SSLContext | None = None) -> socket.socket:
        """Connect to the server."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.socket)  # Without a timeout, this waits for a place in the queue.
        connection.settimeout(DEADLINE)
        return tls.wrap_socket(connection) if tls is not None else connection

    def check(self, query: bytes, end: bytes, adapter: str, tls: ssl.SSLContext | None = None) -> None:
        """Let many clients send a query and read nothing; check the memory, and then one client's answer."""
        with ExitStack() as stack:
            first = stack.enter_context(self.connect(tls))
            first.sendall(query)
            answer = receive(first)
            self.assertTrue(answer.endswith(end))
            before = residentKiB(self.server)
            clients = [stack.enter_context(self.connect(tls)) for _ in range(CLIENTS)]
            for client in clients:
                client.sendall(query)
            answered = f"{adapter} local"
            waitUntil(lambda: self.server.log.count(answered) == CLIENTS + 1, self.server.process)
            self.assertLess(residentKiB(self.server) - before, CLIENTS * EACH)
            self.assertGreater(len(answer), 4 * EACH * 1024)
            self.assertEqual(len(receive(clients[-1])), len(answer))
        self.assertNotIn("Traceback", self.server.log)

    def test_list(self) -> None:
        """The list of 100,000 users."""
        self.begin("fingerport", 100_000, "Some Name")
        self.check(b"/W\r\n", b"Plan:\r\nx\r\n", "finger")

    def test_page(self) -> None:
        """A long page."""
        self.begin("webport", 1000, "Some Name " * 100)
        self.check(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"</html>", "web")

    def test_securePage(self) -> None:
        """A long page over TLS."""
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        self.begin("httpsport", 1000, "Some Name " * 100, "--ssl")
        self.check(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"</html>", "web", tls)


class ShedTests(BlackBoxTestCase):
    """A server that has all its connections, and clients that have not received their answers yet."""

    def test_page(self) -> None:
        """New connections take the places of silent ones, but no page is cut, with and without TLS."""
        path = self.users(f"ada: {'weaving ' * 7000}\n")
        for option, host in product(("webport", "httpsport"), FAMILIES.values()):
            server = self.start(f"--file={path}", "--webport=0", "--httpsport=0", "--ssl", "--max-connections=4")
            self.check(server, option, host)

    def check(self, server: Server, option: str, host: str) -> None:
        """Check that a slow client's page is not cut."""
        with ExitStack() as stack:
            slow = stack.enter_context(self.connect(host, server.port(option), option == "httpsport"))
            slow.sendall(b"GET /ada HTTP/1.1\r\nHost: x\r\n\r\n")
            waitUntil(lambda: hasArrived(slow), server.process)
            for _ in range(3):
                stack.enter_context(socket.create_connection((host, server.port(option))))
            time.sleep(SILENCE + 0.1)
            stack.enter_context(socket.create_connection((host, server.port(option))))
            server.waitFor("Silent")
            self.assertIn(b"</html>", receiveUntil(slow, b"</html>"))

    def connect(self, host: str, port: int, isSecure: bool) -> socket.socket:
        """Connect with little room for an answer."""
        connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(DEADLINE)
        connection.connect((host, port))
        if not isSecure:
            return connection
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        return tls.wrap_socket(connection)


def hasArrived(connection: socket.socket) -> bool:
    """Return whether anything has arrived that is not read."""
    return bool(select.select([connection], [], [], 0)[0])


def receiveUntil(connection: socket.socket, end: bytes) -> bytes:
    """Receive data up to its end, or that of the connection."""
    received = b""
    while end not in received:
        data = connection.recv(65536)
        if not data:
            break
        received += data
    return received
