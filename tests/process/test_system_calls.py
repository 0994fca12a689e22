"""The system calls for a query for a user in memory, counted by strace."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.process.test_blackbox import BlackBoxTestCase
from tests.support.tools import DEADLINE, FAMILIES, need

QUERIES = 20
"""The queries that wait to be accepted at once."""

EACH = ("getsockname", "recvfrom", "sendto", "close")
"""The system calls for a query after C{accept4}, each once: Python calls C{getsockname} for each new socket."""

REACTOR = {"epoll_wait", "futex", "write"}
"""The system calls of the reactor, its threads, and the log."""


class SystemCallTests(BlackBoxTestCase):
    """A server under strace."""

    def test_hotQuery(self) -> None:
        """A query that has arrived when its connection is accepted takes five system calls, besides the reactor's."""
        strace = need("strace", "strace")
        users = Path(self.mktemp())
        users.write_text("moshez: Happy and well\n")
        server = self.start(f"--file={users.absolute()}", "--fingerport=0")
        output = Path(self.mktemp())
        command = [strace, "-qq", "-p", str(server.process.pid), "-o", str(output)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            try:
                self.waitFor(output, "epoll_wait")
                for host in FAMILIES.values():
                    before = len(output.read_text())
                    self.ask(server.process.pid, host, server.port("fingerport"))
                    counts = self.count(output, before)
                    self.assertEqual([counts[name] for name in EACH], [QUERIES] * len(EACH), counts)
                    self.assertIn(counts["accept4"], range(QUERIES, QUERIES + 3))  # Some find no connection.
                    self.assertEqual(counts.keys() - {*EACH, "accept4", *REACTOR}, set())
            finally:
                tracer.terminate()

    def count(self, output: Path, before: int) -> Counter[str]:
        """Return the number of each system call in a part of the trace, once the last connection is closed."""
        deadline = time.monotonic() + DEADLINE
        while True:
            counts = Counter(re.findall(r"^(\w+)\(", output.read_text()[before:], re.MULTILINE))
            if counts["close"] >= QUERIES:
                return counts
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def waitFor(self, output: Path, text: str) -> None:
        """Wait until the trace contains a text."""
        deadline = time.monotonic() + DEADLINE
        while not output.exists() or text not in output.read_text():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def ask(self, server: int, host: str, port: int) -> None:
        """Send queries while the server is stopped, and read the answers when it continues."""
        os.kill(server, signal.SIGSTOP)
        peers = [socket.create_connection((host, port), DEADLINE) for _ in range(QUERIES)]
        for peer in peers:
            peer.sendall(b"moshez\r\n")
        os.kill(server, signal.SIGCONT)
        for peer in peers:
            with peer:
                self.assertEqual(b"".join(iter(partial(peer.recv, 4096), b"")), b"Happy and well\r\n")
