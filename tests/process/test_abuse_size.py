"""Tests of peers that send too much: they are refused, and the server's memory does not grow."""

from __future__ import annotations

import contextlib
import socket
from xmlrpc.client import ServerProxy

from tests.process.test_blackbox import USERS, BlackBoxTestCase, cpuSeconds, residentKiB, run, url
from tests.support.tools import DEADLINE, FAMILIES, ask, need, receive

MEBIBYTE = b"x" * 1024 * 1024
FLAT = 8 * 1024
"""Tolerated growth of memory, in KiB: free buffers that the allocator keeps."""


class SizeTests(BlackBoxTestCase):
    """A running server with all adapters."""

    def setUp(self) -> None:
        """Start the server, and warm it up."""
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
        """Check that other clients are served, and that the log has no traceback."""
        self.assertEqual(ask("::1", self.server.port("fingerport"), b"moshez\r\n"), b"Happy and well\r\n")
        with ServerProxy(url("::1", self.server.port("webport"), "RPC2")) as proxy:
            self.assertEqual(proxy.getUser("moshez"), "Happy and well")
        self.assertNotIn("Traceback", self.server.log)

    def flat(self) -> None:
        """Check that other clients are served, and that the memory has not grown."""
        self.served()
        self.assertLess(residentKiB(self.server) - self.before, FLAT)

    def flood(self, adapter: str, beginning: bytes, piece: bytes = MEBIBYTE, most: int = 256) -> tuple[bytes, int]:
        """Send data until the server closes the connection; return its reply and the number of pieces sent."""
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
        """
        Before a login, Perspective Broker limits long strings, many strings, long lists, deep lists, and invalid
        data.
        """
        dialect = b"\x02\x82pb"  # The client's choice of dialect, "pb".
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
        """Perspective Broker makes no objects from a peer's data."""
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
        """A body that is announced as too long is refused before it arrives, and not kept in memory."""
        for adapter, path in (("webport", "RPC2"), ("webport", ""), ("webport", "moshez"), ("statusport", "metrics")):
            head = f"POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 536870912\r\n\r\n".encode()
            answer, _ = self.flood(adapter, head)
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 ") or not answer, answer)
        self.flat()

    def test_chunked(self) -> None:
        """A chunked body that becomes too long is refused."""
        head = b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        for adapter in ("webport", "statusport"):
            answer, _ = self.flood(adapter, head, b"100000\r\n" + MEBIBYTE + b"\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 ") or not answer, answer)
        self.flat()

    def test_curl(self) -> None:
        """curl gets 413 over both families, with and without TLS."""
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
        """Headers are limited in length and number."""
        for piece in (MEBIBYTE, b"X: x\r\n" * 10_000, b"X" * 1000 + b": x\r\n"):
            for adapter in ("webport", "statusport"):
                answer, _ = self.flood(adapter, b"GET / HTTP/1.1\r\nHost: x\r\n", piece, most=64)
                self.assertTrue(answer.startswith(b"HTTP/1.1 431 ") or not answer, answer[:100])
        self.flat()

    def test_setter(self) -> None:
        """The setter does not keep an overlong message in memory."""
        self.flood("setport", b"moshez\n")
        self.flat()

    def test_finger(self) -> None:
        """Finger does not keep an overlong query in memory."""
        answer, _ = self.flood("fingerport", b"")
        self.assertIn(answer, (b"Bad query\r\n", b""))
        self.flat()

    def test_deepXML(self) -> None:
        """XML-RPC data that is nested as deeply as a body allows gets a Fault."""
        body = b"<methodCall><methodName>getUser</methodName><params><param>%s%s</param></params></methodCall>" % (
            b"<value><array><data>" * 1000,
            b"</data></array></value>" * 1000,
        )
        head = b"POST /RPC2 HTTP/1.0\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
        answer = ask("127.0.0.1", self.server.port("webport"), head % len(body) + body)
        self.assertIn(b"<fault>", answer)
        self.flat()

    def call(self, start: bytes, text: bytes = b"moshez") -> bytes:
        """Call getUser by XML-RPC, and return the whole response."""
        param = b"<param><value>%s</value></param>" % text
        body = start + b"<methodCall><methodName>getUser</methodName><params>%s</params></methodCall>" % param
        head = b"POST /RPC2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
        return ask("127.0.0.1", self.server.port("webport"), head + body)

    def test_entities(self) -> None:
        """A call with entities gets a Fault at once: it is not expanded."""
        bomb = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a '%s'>]>" % (b"ha" * 500)
        nested = b"<!DOCTYPE x [<!ENTITY a0 'ha'>%s]>" % b"".join(
            b"<!ENTITY a%d '&a%d;&a%d;'>" % (number, number - 1, number - 1) for number in range(1, 30)
        )
        before = cpuSeconds(self.server)
        for _ in range(10):
            self.assertIn(b"this is not an XML-RPC call", self.call(bomb, b"&a;" * 10_000))
            self.assertIn(b"this is not an XML-RPC call", self.call(nested, b"&a20;"))
        self.assertLess(cpuSeconds(self.server) - before, 1.0)
        self.flat()

    def test_encodings(self) -> None:
        """Thousands of names of encodings leave nothing behind; the three that are known are read."""
        for name in (b"UTF-8", b"us-ascii", b"ISO-8859-1"):
            self.assertIn(b"Happy and well", self.call(b"<?xml version='1.0' encoding='%s'?>" % name))
        for number in range(1000):
            answer = self.call(b"<?xml version='1.0' encoding='x-%d'?>" % number)
            self.assertIn(b"this is not an XML-RPC call", answer)
        self.flat()
