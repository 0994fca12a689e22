"""Peers that send too much: to PB, to the web, nested, chunked.  They are stopped, and the memory stays flat."""

from __future__ import annotations

import contextlib
import socket
from xmlrpc.client import ServerProxy

from tests.process.test_blackbox import USERS, BlackBoxTestCase, residentKiB, run, url
from tests.support.tools import DEADLINE, FAMILIES, ask, need, receive

MEBIBYTE = b"x" * 1024 * 1024
FLAT = 8 * 1024
"""How much more memory, in KiB, is none: what the allocator keeps of buffers that are free again."""


class SizeTests(BlackBoxTestCase):
    """A running server of every adapter."""

    def setUp(self) -> None:
        """The server, warmed up."""
        self.server = self.start(
            *(f"--file={USERS}", "--backend=file", "--backend=memory", "--ssl"),
            *(
                f"--{adapter}=0"
                for adapter in ("fingerport", "webport", "httpsport", "pbport", "setport", "statusport")
            ),
        )
        self.served()
        self.before = residentKiB(self.server)

    def served(self) -> None:
        """Others are served as ever, the log has no traceback, and the memory has not grown."""
        self.assertEqual(ask("::1", self.server.port("fingerport"), b"moshez\r\n"), b"Happy and well\r\n")
        with ServerProxy(url("::1", self.server.port("webport"), "RPC2")) as proxy:
            self.assertEqual(proxy.getUser("moshez"), "Happy and well")
        self.assertNotIn("Traceback", self.server.log)

    def flat(self) -> None:
        """The memory has not grown."""
        self.served()
        self.assertLess(residentKiB(self.server) - self.before, FLAT)

    def flood(self, adapter: str, beginning: bytes, piece: bytes = MEBIBYTE, most: int = 256) -> tuple[bytes, int]:
        """Send and send, until the server has had enough; what it says, and how many pieces that took."""
        with socket.create_connection(("127.0.0.1", self.server.port(adapter)), timeout=DEADLINE) as connection:
            sent, answer = 0, b""
            with contextlib.suppress(ConnectionError):
                connection.sendall(beginning)
                while sent < most:
                    connection.sendall(piece)
                    sent += 1
            with contextlib.suppress(ConnectionError):
                answer = receive(connection)
            return answer, sent

    def test_pb(self) -> None:
        """Before anybody has logged in: long strings, many strings, long lists, deep lists, and no Banana at all."""
        dialect = b"\x02\x82pb"  # "pb", as the client chooses.
        deep = b"\x01\x80" * 4096
        for beginning, piece in (
            (dialect + b"\x00\x00\x08\x82", MEBIBYTE),
            (dialect + b"\x7f\x7f\x80", b"\x04\x82xxxx" * 100_000),
            (dialect + b"\x00\x00\x08\x80", b"\x01\x81" * 500_000),
            (dialect, deep * 128),
            (b"", MEBIBYTE),
            (dialect + b"\x05\x80" + b"\x01\x81" * 5, b"\x01\x81" * 500_000),
        ):
            _, sent = self.flood("pbport", beginning, piece)
            self.assertLess(sent, 64)
        self.flat()

    def test_pbJelly(self) -> None:
        """What Jelly would make objects of is not made."""
        from twisted.spread.banana import encode

        dialect = b"\x02\x82pb"
        nested: list[object] = [b"list"]
        for _ in range(1000):
            nested = [b"list", nested]
        for arguments in (
            [b"tuple", [b"instance", [b"class", b"os.system"], [b"dictionary"]]],
            [b"tuple", [b"function", b"os.system"]],
            [b"tuple", [b"module", b"os"]],
            [b"tuple", [b"unheard-of", 1]],
            [b"tuple", [b"remote", b"x"]],
            [b"tuple", 1, 2, 3],
            b"x",
        ):
            call = [b"message", 1, b"root", b"getUser", 1, arguments, [b"dictionary"]]
            with socket.create_connection(("::1", self.server.port("pbport")), timeout=DEADLINE) as connection:
                connection.sendall(dialect + encode(call))
                connection.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionError):
                    self.assertNotIn(b"root:x:0:0", receive(connection))
        self.flat()

    def test_contentLength(self) -> None:
        """A body that is announced too long is refused before it comes, and not kept if it comes."""
        for adapter, path in (("webport", "RPC2"), ("webport", ""), ("webport", "moshez"), ("statusport", "metrics")):
            head = f"POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 536870912\r\n\r\n".encode()
            answer, _ = self.flood(adapter, head)
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 ") or not answer, answer)
        self.flat()

    def test_chunked(self) -> None:
        """So is one that is not announced."""
        head = b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        for adapter in ("webport", "statusport"):
            answer, _ = self.flood(adapter, head, b"100000\r\n" + MEBIBYTE + b"\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 ") or not answer, answer)
        self.flat()

    def test_curl(self) -> None:
        """A real client hears it: 413, over both families, encrypted or not."""
        curl = need("curl", package="curl")
        path = self.users("x" * (64 * 1024 + 1))
        for host in FAMILIES.values():
            for adapter, scheme in (("webport", "http"), ("httpsport", "https")):
                address = url(host, self.server.port(adapter), "RPC2", scheme)
                for more in ((), ("--header", "Transfer-Encoding: chunked")):
                    done = run(
                        *(curl, "--silent", "--insecure", "--globoff", "--output", "/dev/null"),
                        *("--write-out", "%{http_code}", "--data-binary", f"@{path}", *more, address),
                    )
                    self.assertEqual(done.stdout, "413", done.stderr)

    def test_headers(self) -> None:
        """Headers have their limits: one long, many, and no end of them."""
        for piece in (MEBIBYTE, b"X: x\r\n" * 10_000, b"X" * 1000 + b": x\r\n"):
            for adapter in ("webport", "statusport"):
                answer, _ = self.flood(adapter, b"GET / HTTP/1.1\r\n", piece, most=64)
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 ") or not answer, answer[:100])
        self.flat()

    def test_setter(self) -> None:
        """The setter does not keep what it cannot take."""
        self.flood("setport", b"moshez\n")
        self.flat()

    def test_finger(self) -> None:
        """Nor does finger."""
        answer, _ = self.flood("fingerport", b"")
        self.assertIn(answer, (b"Bad query\r\n", b""))
        self.flat()

    def test_deepXML(self) -> None:
        """XML-RPC nested as deep as fits into a body is answered with a Fault."""
        body = b"<methodCall><methodName>getUser</methodName><params><param>%s%s</param></params></methodCall>" % (
            b"<value><array><data>" * 1000,
            b"</data></array></value>" * 1000,
        )
        head = b"POST /RPC2 HTTP/1.0\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
        answer = ask("127.0.0.1", self.server.port("webport"), head % len(body) + body)
        self.assertIn(b"<fault>", answer)
        self.flat()
