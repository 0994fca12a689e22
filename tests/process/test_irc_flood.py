"""A test of an IRC server that sends pings and reads no answers: the bot's memory does not grow."""

from __future__ import annotations

import socket

from tests.process.test_blackbox import USERS, BlackBoxTestCase, residentKiB
from tests.support.tools import DEADLINE, ask

FLOOD = 60 * 1024 * 1024
"""The length of the pings, in bytes."""

GROWTH = 8 * 1024
"""Tolerated growth of memory, in KiB."""


class FloodTests(BlackBoxTestCase):
    """A hostile server."""

    def test_pings(self) -> None:
        """60 MB of pings cost no memory, and finger still answers."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = self.start(
                *(f"--file={USERS}", "--fingerport=0", "--ircnick=fingerbot"),
                f"--ircserver=tcp:127.0.0.1:{listening.getsockname()[1]}",
            )
            listening.settimeout(DEADLINE)
            connection, _ = listening.accept()
        with connection:
            connection.settimeout(DEADLINE)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b":irc.example.org 001 fingerbot :Welcome\r\n")
            server.waitFor("registered at irc.example.org")
            before = residentKiB(server)
            pings = b"PING :" + b"x" * 400 + b"\r\n"
            for _ in range(FLOOD // (1000 * len(pings))):
                connection.sendall(pings * 1000)
            self.assertLess(residentKiB(server) - before, GROWTH)
            self.assertEqual(ask("127.0.0.1", server.port("fingerport"), b"moshez\r\n"), b"Happy and well\r\n")
        self.assertNotIn("Traceback", server.log)
