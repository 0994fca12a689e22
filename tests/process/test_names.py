"""Tests of users' names, over real sockets."""

from __future__ import annotations

import re
import socket

from tests.process.test_blackbox import BlackBoxTestCase
from tests.support.tools import DEADLINE, FAMILIES, Server, ask, receive

NOISE = {
    "nothing": b"",
    "IAC WILL NAWS": b"\xff\xfb\x1f",
    "IAC SB NAWS with a line end": b"\xff\xfa\x1f\x00\x50\x00\x0a\xff\xf0",
    "IAC IP IAC DO TIMING-MARK": b"\xff\xf4\xff\xfd\x06",
    "NUL": b"\0",
    "CR NUL": b"\r\0",
    "a byte order mark": b"\xef\xbb\xbf",
    "a zero-width space": "\u200b".encode(),
}

TENT = r"""
ada: A tent:

      /\
     /  \
    /____\

bob: x
"""


def askInPieces(port: int, query: bytes) -> bytes:
    """Send a query byte by byte, and return the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in query:
            connection.sendall(bytes([byte]))
        return receive(connection)


class NamesTests(BlackBoxTestCase):
    """Names in queries, in the users file and at the setter."""

    def ask(self, server: Server, query: str | bytes) -> str:
        """Send a query, and return the answer without its line end."""
        line = query.encode() if isinstance(query, str) else query
        return ask("127.0.0.1", server.port("fingerport"), line + b"\r\n").decode().removesuffix("\r\n")

    def test_telnet(self) -> None:
        """What telnet and editors add before and after a name is ignored."""
        server = self.start(f"--file={self.users('moshez: Happy and well')}", "--fingerport=0")
        port = server.port("fingerport")
        for name, noise in NOISE.items():
            for query in (noise + b"moshez", b"moshez" + noise, noise + b"moshez" + noise):
                for host in FAMILIES.values():
                    self.assertEqual(ask(host, port, query + b"\r\n"), b"Happy and well\r\n", name)
                self.assertEqual(askInPieces(port, query + b"\n"), b"Happy and well\r\n", name)
        self.assertEqual(ask("::1", port, b"moshez\r\0"), b"Happy and well\r\n")
        self.assertEqual(ask("::1", port, b"\0" * 3000 + b"\r\n"), b"Bad query\r\n")

    def test_refused(self) -> None:
        """A name that cannot be queried is refused with the reason, in the users file and at the setter."""
        path = self.users("moshez: x\njohn smith: y\n\u3164: z\nzoe\u0308: composed\n")
        server = self.start(f"--backend=file:{path}", "--backend=memory", "--fingerport=0", "--setport=0")
        self.assertIn(
            f"{path}:2: skipped: a user name is 1 to 255 visible characters, without white space", server.log
        )
        self.assertIn(f"{path}:3: skipped: ", server.log)
        for name, why in {
            "jane doe": "white space",
            "\u2800": "white space",
            "\u3164\u115f": "visible",
            "/W": "begin",
        }.items():
            reply = ask("127.0.0.1", server.port("setport"), f"{name}\nx".encode(), half=True).decode()
            self.assertRegex(reply, f"^a user name is .*{why}")
        self.assertEqual(self.ask(server, ""), "moshez\r\nzoë")
        for name in ("zoë", "zoe\u0308", "zo\u200bë"):
            self.assertEqual(self.ask(server, name), "composed")
        done = ask("127.0.0.1", server.port("setport"), "ame\u0301lie\nset".encode(), half=True)
        self.assertEqual(done.decode(), "Status of amélie is set\r\n")
        self.assertEqual(self.ask(server, "amélie"), "set")

    def test_matchNames(self) -> None:
        """With --match-names, each person is listed once, and logins match in any case."""
        users = "moshez (Moshe Zadka): a\njohn.doe (John Doe): b\njsmith (John Smith): c\n"
        server = self.start(f"--file={self.users(users)}", "--match-names", "--fingerport=0")
        for query, logins in {
            "John Smith": ["john.doe", "jsmith"],
            "MOSHEZ": ["moshez"],
            "JOHN.DOE": ["john.doe"],
            "moshez MOSHEZ Moshe zadka": ["moshez"],
        }.items():
            self.assertEqual(re.findall(r"Login: (\S+)", self.ask(server, query)), logins, query)


class LongListTests(BlackBoxTestCase):
    """The long form of the list."""

    def test_memory(self) -> None:
        """/W lists the statuses that were set, as it does those of a users file."""
        path = self.users("ada: Weaving\n")
        server = self.start(f"--backend=file:{path}", "--backend=memory", "--fingerport=0", "--setport=0")
        ask("127.0.0.1", server.port("setport"), b"moshez\nHappy\nand well", half=True)
        answer = ask("::1", server.port("fingerport"), b"/W\r\n").decode()
        self.assertEqual(
            re.findall(r"Login: (\w+)[^\n]*\nPlan:\r\n(\w+)", answer), [("ada", "Weaving"), ("moshez", "Happy")]
        )

    def test_indentation(self) -> None:
        """Blank lines and pictures in a users file keep their form."""
        server = self.start(f"--file={self.users(TENT)}", "--fingerport=0")
        answer = ask("::1", server.port("fingerport"), b"ada\r\n").decode()
        self.assertEqual(answer, "A tent:\r\n\r\n  /\\\r\n /  \\\r\n/____\\\r\n")
