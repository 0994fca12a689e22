"""Tests of HTTP requests that are sent before earlier ones are answered, over real sockets."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import time

from tests.process.test_blackbox import BlackBoxTestCase, cpuSeconds
from tests.support.tools import DEADLINE, FAMILIES, Server, ask, receive

COUNT = 100
"""The most requests that one connection may have."""

MOST_SECONDS = 1.0
"""
The CPU time, in seconds, that a server may use from a flood of requests to the answer for another client.  All
requests of the flood together take several times as long, unless their answers are cached.
"""


class PipelineTests(BlackBoxTestCase):
    """A server with a thousand users, whose list fills one page."""

    def setUp(self) -> None:
        """Start the server."""
        path = self.users("".join(f"user{number} (Name {number} of a Thousand): x\n" for number in range(1000)))
        self.server = self.start(f"--file={path}", "--fingerport=0", "--webport=0", "--ssl", "--httpsport=0")

    def connect(self, adapter: str = "webport", host: str = "127.0.0.1") -> socket.socket:
        """Connect to the server."""
        connection = connect(self.server, adapter, host)
        self.addCleanup(connection.close)
        return connection

    def test_order(self) -> None:
        """All requests of a connection are answered, in order, with and without TLS, sent at once or one by one."""
        requests = [b"GET /user%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(COUNT)]
        for host in FAMILIES.values():
            for adapter in ("webport", "httpsport"):
                for pieces in ([b"".join(requests)], requests, [bytes([byte]) for byte in b"".join(requests[:9])]):
                    connection = self.connect(adapter, host)
                    for piece in pieces:
                        connection.sendall(piece)
                    count = 9 if len(pieces) > COUNT else COUNT
                    connection.sendall(b"GET /nobody HTTP/1.0\r\n\r\n" if count < COUNT else b"")
                    heads = re.findall(rb"<title>Name (\d+) ", receive(connection))
                    self.assertEqual(heads, [b"%d" % number for number in range(count)])

    def test_halfClosed(self) -> None:
        """A client that closes its sending side gets all its answers."""
        flood = b"GET /user1 HTTP/1.1\r\nHost: x\r\n\r\n" * 50
        for host in FAMILIES.values():
            self.assertEqual(ask(host, self.server.port("webport"), flood, half=True).count(b"HTTP/1.1 200 "), 50)

    def test_innocent(self) -> None:
        """While one client floods the server, others wait for a few of its requests, and not for all."""
        for flood in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * COUNT,
            (b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(BOMB), BOMB)) * 3,
        ):
            before = cpuSeconds(self.server)
            greedy = self.connect()
            greedy.sendall(flood)
            self.assertTrue(greedy.recv(1))
            self.assertIn(b"user7", ask("::1", self.server.port("fingerport"), b"user7\r\n"))
            self.assertLess(cpuSeconds(self.server) - before, MOST_SECONDS)

    def test_signal(self) -> None:
        """SIGTERM does not wait for the requests that are left."""
        greedy = self.connect()
        before = cpuSeconds(self.server)
        greedy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * COUNT)
        self.assertTrue(greedy.recv(1))
        self.server.process.send_signal(signal.SIGTERM)
        self.assertLess(self.lastCPUSeconds(self.server) - before, MOST_SECONDS)
        self.assertEqual(self.server.process.wait(DEADLINE), -signal.SIGTERM)

    def lastCPUSeconds(self, server: Server) -> float:
        """Wait until a server has closed its ports, and return the CPU time that it has used."""
        seconds = cpuSeconds(server)
        while "Closed" not in server.log:
            self.assertIsNone(server.process.poll())
            seconds = cpuSeconds(server)
            time.sleep(0.01)
        return seconds


class RateTests(BlackBoxTestCase):
    """The rate of requests on kept connections."""

    def test_rate(self) -> None:
        """Loopback addresses have no limit of requests, with and without TLS; unit tests cover other addresses."""
        path = self.users("moshez: Happy and well\n")
        server = self.start(f"--file={path}", "--ssl", "--webport=0", "--httpsport=0", "--rate=0.01", "--burst=5")
        flood = b"GET /moshez HTTP/1.1\r\nHost: x\r\n\r\n" * 20
        for host in FAMILIES.values():
            for adapter in ("webport", "httpsport"):
                with connect(server, adapter, host) as connection:
                    connection.sendall(flood + b"GET / HTTP/1.0\r\n\r\n")
                    answer = receive(connection)
                self.assertEqual(answer.count(b"HTTP/1.1 200 "), 21)
        self.assertNotIn("TooManyRequests", server.log)


def connect(server: Server, adapter: str, host: str) -> socket.socket:
    """Connect to a server, with TLS for HTTPS."""
    connection = socket.create_connection((host, server.port(adapter)), timeout=DEADLINE)
    if adapter != "httpsport":
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


BOMB = b"<!DOCTYPE x [<!ENTITY a '%s'>]><methodCall><methodName>%s</methodName></methodCall>" % (
    b"ha" * 500,
    b"&a;" * 3000,
)
"""A call that would be expanded to three megabytes."""
