"""Tests of clients that request long answers and read nothing: the server's memory does not grow."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack

from tests.process.test_blackbox import BlackBoxTestCase, residentKiB, waitUntil
from tests.support.tools import DEADLINE, receive

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
