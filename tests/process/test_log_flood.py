"""The log of a server that peers flood over real sockets, in every format."""

from __future__ import annotations

import json
import re
import shutil
import socket
import tempfile
import time
import unicodedata
from pathlib import Path

from tests.process.test_blackbox import BlackBoxTestCase
from tests.support.tools import DEADLINE, Server, ask

NASTY = "\x1b[2J\x9b\u202e\u2028 192.0.2.9 failed to log in\r"
"""Control and format characters, and what should not look like a line of the log."""

TIMES = 300
"""The connections of each flood."""

PORT = re.compile(r"--(\w+)=0: listening on [0-9.]+:(\d+)")
"""The ports in the log, in every format."""

KINDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


FLOODS = {"pb 127.0.0.1 refused: ": "pb ... refused: ...", " may not set 'x": "... may not set ..."}
"""What the lines of the floods hold, and what follows the number of those left out."""


def counted(log: str, flood: str) -> int:
    """Return how many events of a flood are in a log, as lines or in the numbers of those left out."""
    leftOut = re.findall(r"([0-9]+) events not logged \(rate limit\): " + re.escape(FLOODS[flood]), log)
    return log.count(flood) + sum(map(int, leftOut))


class FloodTests(BlackBoxTestCase):
    """Peers that fill the log."""

    def flood(self, log: str) -> Server:
        """Start a server with a log format, and flood it."""
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        directory.chmod(0o755)
        socketPath = directory / "set"
        server = self.start(
            *("--backend=memory", f"--setport=unix:{socketPath}", "--admin=boss", f"--log-format={log}"),
            *("--fingerport=0", "--pbport=0"),
        )
        ports = {option: int(port) for option, port in PORT.findall(server.log)}
        for number in range(TIMES):
            self.send(socket.AF_INET, ("127.0.0.1", ports["pbport"]), b"\x03\x82pb" + f"{number}\x88".encode())
            self.send(socket.AF_UNIX, str(socketPath), f"x{number}{'y' * 200}\nbusy".encode())
        self.send(socket.AF_UNIX, str(socketPath), f"ada{NASTY}\nbusy".encode())
        ask("127.0.0.1", ports["fingerport"], NASTY.encode() + b"\n")
        deadline = time.monotonic() + DEADLINE
        while not all(counted(server.log, kind) >= TIMES for kind in FLOODS) and time.monotonic() < deadline:
            time.sleep(0.1)
        server.stop()
        return server

    def send(self, family: int, address: object, data: bytes) -> None:
        """Send data on a new connection, and read until the server closes."""
        with socket.socket(family) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(address)  # type: ignore[arg-type]
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:
                pass  # The server has aborted the connection.

    def assertLimited(self, lines: list[str]) -> None:
        """Check that lines are few, short and safe, and count the events that are left out."""
        for kind in FLOODS:
            self.assertLess(len([line for line in lines if kind in line]), TIMES / 3)
            self.assertGreaterEqual(counted("\n".join(lines), kind), TIMES)
        for line in lines:
            self.assertLess(len(line), 3000)
            self.assertEqual([c for c in line if unicodedata.category(c) in KINDS], [], line)
            self.assertIsNone(re.search("192.0.2.9 failed to log in$", line), line)

    def test_text(self) -> None:
        """The log of twistd."""
        self.assertLimited(self.flood("text").log.split("\n"))

    def test_journal(self) -> None:
        """Lines for the journal."""
        self.assertLimited(self.flood("journal").log.split("\n"))

    def test_json(self) -> None:
        """JSON lines, of which also the messages are safe."""
        lines = self.flood("json").log.splitlines()
        self.assertLimited([json.loads(line)["message"] for line in lines if line.startswith("{")])
        self.assertTrue(all(line.isascii() for line in lines))
