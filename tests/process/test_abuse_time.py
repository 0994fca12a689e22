"""Tests of slow peers: their connections are closed, and other clients are served."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

from tests.process.test_blackbox import USERS, BlackBoxTestCase
from tests.support.tools import DEADLINE, FAMILIES, ask, receive

QUERY, ANSWER = 1.0, 2.0
OPTIONS = (f"--query-timeout={QUERY}", f"--answer-timeout={ANSWER}", "--max-connections=100")


class TimeTests(BlackBoxTestCase):
    """All adapters, over both families."""

    def setUp(self) -> None:
        """Start a server with all adapters and short time limits."""
        self.server = self.start(
            *(f"--file={USERS}", "--backend=file", "--backend=memory", "--ssl", *OPTIONS),
            *(
                f"--{adapter}=0"
                for adapter in ("fingerport", "webport", "httpsport", "pbport", "setport", "statusport")
            ),
        )

    def connect(self, adapter: str, host: str) -> socket.socket:
        """Connect to an adapter, with TLS if it uses that."""
        connection = socket.create_connection((host, self.server.port(adapter)), timeout=DEADLINE)
        self.addCleanup(connection.close)
        if adapter == "httpsport":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)
            self.addCleanup(connection.close)
        return connection

    def ends(self, connection: socket.socket) -> None:
        """Wait until the server closes a connection."""
        with contextlib.suppress(ConnectionError):  # A reset closes it, too.
            receive(connection)

    def served(self) -> None:
        """Check that other clients are served."""
        self.assertEqual(ask("::1", self.server.port("fingerport"), b"moshez\r\n"), b"Happy and well\r\n")

    def test_silent(self) -> None:
        """Silent connections are closed, including those without a TLS handshake."""
        connections = [
            self.connect(adapter, host)
            for adapter in ("fingerport", "webport", "httpsport", "setport", "statusport")
            for host in FAMILIES.values()
        ]
        connections += [
            socket.create_connection((host, self.server.port("httpsport")), timeout=DEADLINE)
            for host in FAMILIES.values()
        ]
        self.served()
        for connection in connections:
            with contextlib.closing(connection):
                self.ends(connection)

    def test_dripping(self) -> None:
        """Single bytes do not extend the time limits."""
        began = time.monotonic()
        beginnings = {
            "fingerport": b"x",
            "webport": b"GET / HTTP/1.1\r\nx",
            "httpsport": b"GET / HTTP/1.1\r\nx",
            "pbport": b"\x7f\x7f\x80",
            "setport": b"moshez\nx",
            "statusport": b"GET / HTTP/1.1\r\nx",
        }
        connections = [self.connect(adapter, host) for adapter in beginnings for host in FAMILIES.values()]
        for connection, beginning in zip(
            connections, [b for b in beginnings.values() for _ in FAMILIES], strict=True
        ):
            connection.sendall(beginning)
        self.served()
        waiting = list(connections)
        while waiting and time.monotonic() - began < DEADLINE:
            for connection in list(waiting):
                try:
                    connection.sendall(b"\x01" if connection is connections[6] else b"x")
                    connection.settimeout(0.01)
                    while connection.recv(65536):
                        pass
                    waiting.remove(connection)
                except TimeoutError:
                    pass
                except OSError:
                    waiting.remove(connection)
        self.assertEqual(waiting, [])

    def test_bodyDripping(self) -> None:
        """The time for a request's body is limited."""
        for adapter in ("webport", "httpsport", "statusport"):
            connection = self.connect(adapter, "127.0.0.1")
            connection.sendall(b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
            self.ends(connection)

    def test_neverReading(self) -> None:
        """A client that does not read a long answer is disconnected after a time limit."""
        path = self.users("".join(f"user{number} (A Name of Some Length): x\n" for number in range(20_000)))
        server = self.start(f"--file={path}", "--fingerport=0", "--webport=0", *OPTIONS)
        for adapter, query in (
            ("fingerport", b"\r\n"),
            ("webport", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 30),
        ):
            connection = socket.socket()
            self.addCleanup(connection.close)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", server.port(adapter)))
            connection.settimeout(DEADLINE)
            connection.sendall(query)
            self.waitUntilAborted(server.port(adapter), connection)

    def waitUntilAborted(self, port: int, connection: socket.socket) -> None:
        """Wait until the server has closed a connection, by the kernel's table, without reading from it."""
        local = connection.getsockname()[1]
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            with open("/proc/net/tcp") as table:
                rows = [line.split() for line in table][1:]
            states = [row[3] for row in rows if row[1].endswith(f":{port:04X}") and row[2].endswith(f":{local:04X}")]
            if "01" not in states and "08" not in states:
                return
            time.sleep(0.05)
        self.fail(f"the connection is still there: {states}")
