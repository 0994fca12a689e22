"""
The rules of HTTP (RFC 9110, RFC 9112 and others) as a table, and their check with any server of our users.

Each row is one request, or several, and what the server answers.  After that, the connection either stays, which is
shown by one more request, or closes without another answer, so nothing of a request can be taken for the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

USER: Final = b"moshez"
PLAN: Final = b"Happy and well"

PROBE: Final = b"GET /moshez HTTP/1.1\r\nHost: x\r\n\r\n"
"""The request that shows that a connection has stayed, and that the server knows where the one before ended."""

DATE: Final = re.compile(rb"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT")
"""RFC 9110 section 5.6.7."""


class HTTPPeer(Protocol):
    """A connection to the server."""

    def send(self, data: bytes) -> None:
        """Send data."""

    def receive(self) -> bytes:
        """Return what arrived; empty at the end."""


@dataclass(frozen=True)
class Response:
    """
    A response.

    @ivar code: the status code.
    @ivar fields: the values of the fields, by their names in lower case.
    @ivar body: the content.
    """

    code: int
    fields: dict[bytes, bytes]
    body: bytes


class Reader:
    """Reads the responses of a server."""

    def __init__(self, peer: HTTPPeer) -> None:
        self._peer = peer
        self._data = b""

    def read(self, method: bytes = b"GET") -> Response:
        """Read the response to a request with this method (RFC 9112 section 6.3)."""
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        match = re.fullmatch(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\x20-\x7e]+", status)
        assert match, status
        fields = dict(line.split(b": ", 1) for line in lines)
        response = Response(int(match[1]), {name.lower(): value for name, value in fields.items()}, b"")
        assert len(response.fields) == len(lines), head
        if response.code == 100:
            assert not lines, head
            return response
        assert DATE.fullmatch(response.fields[b"date"]), head
        length = 0 if method == b"HEAD" or response.code == 304 else int(response.fields[b"content-length"])
        while len(self._data) < length:
            self._more()
        body, self._data = self._data[:length], self._data[length:]
        return Response(response.code, response.fields, body)

    def readEnd(self) -> bytes:
        """Return all that follows until the server closes."""
        while more := self._peer.receive():
            self._data += more
        return self._data

    def _more(self) -> None:
        more = self._peer.receive()
        assert more, f"the connection ends after {self._data!r}"
        self._data += more


@dataclass(frozen=True)
class Rule:
    """
    One rule.

    @ivar section: the RFC and the section.
    @ivar words: the rule.
    @ivar request: the bytes of the requests.
    @ivar code: the status code of the last response.
    @ivar stays: whether the connection stays open.
    @ivar method: the method.
    @ivar before: the status codes of the responses before.
    @ivar fields: fields that the last response has, with their values.
    """

    section: str
    words: str
    request: bytes
    code: int
    stays: bool = False
    method: bytes = b"GET"
    before: tuple[int, ...] = ()
    fields: tuple[tuple[bytes, bytes], ...] = ()

    def check(self, peer: HTTPPeer) -> None:
        """Send the requests, and check the responses."""
        reader = Reader(peer)
        peer.send(self.request)
        responses = [reader.read(self.method) for _ in range(len(self.before) + 1)]
        assert [response.code for response in responses] == [*self.before, self.code], responses
        last = responses[-1]
        for name, value in self.fields:
            assert last.fields.get(name) == value, responses
        if self.stays:
            assert last.fields.get(b"connection") in (None, b"keep-alive"), last
            peer.send(PROBE)
            assert PLAN in reader.read().body
        else:
            assert last.fields[b"connection"] == b"close", last
            rest = reader.readEnd()
            assert not rest, rest


def head(*lines: bytes, method: bytes = b"GET", target: bytes = b"/moshez", version: bytes = b"HTTP/1.1") -> bytes:
    """Return a request with these fields besides C{Host}, without content."""
    return b"%b %b %b\r\nHost: x\r\n%b\r\n" % (method, target, version, b"".join(line + b"\r\n" for line in lines))


def post(*lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """Return a request with content.  Users' pages do not allow it, which the server says once it has read all."""
    return head(*lines, method=b"POST", version=version) + body


CHUNKED: Final = b"Transfer-Encoding: chunked"
SMUGGLED: Final = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def _lines() -> Iterator[Rule]:
    """Lines and versions."""
    yield Rule("9112 2.2", "an empty line before a request is ignored", b"\r\n" + PROBE, 200, stays=True)
    for words, request in (
        ("all lines end in LF", PROBE.replace(b"\r\n", b"\n")),
        ("a field ends in LF", head(b"A: b\nC: d")),
        ("the head ends in LF", PROBE[:-2] + b"\n" + SMUGGLED),
        ("a CR in the request line", head(target=b"/\rmoshez")),
        ("a CR in a field", head(b"A: b\rC: d")),
        ("two CRs before a LF", head(b"A: b\r")),
        ("white space before the first field", PROBE.replace(b"Host", b" A: b\r\nHost")),
        ("two empty lines before a request", b"\r\n\r\n" + PROBE),
    ):
        yield Rule("9112 2.2", words, request, 400)
    for version in (b"HTTP/1.2", b"HTTP/1.9"):
        yield Rule("9110 2.5", f"{version!r} is treated as HTTP/1.1", head(version=version), 200, stays=True)
    for version in (b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9"):
        yield Rule("9110 15.6.6", f"{version!r} is not supported", head(version=version), 505)
    yield Rule("9113 3.4", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
    for version in (
        *(b"http/1.1", b"Http/1.1", b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/10.1"),
        *(
            b"HTTP/1,1",
            b"HTTP/1.1x",
            b"HTTP/-1.1",
            b"HTTP/+1.1",
            b"HTTP/1. 1",
            b"HTTP 1.1",
            b"HTTPS/1.1",
            b"1.1",
            b"x",
        ),
        *(b"HTTP/0.9", b"HTTP/2", b"HTTP/\xd9\xa1.1", b""),
    ):
        yield Rule("9112 2.3", f"{version!r} is not a version", head(version=version), 400)


def _requestLines() -> Iterator[Rule]:
    """Request lines: methods and targets."""
    for line in (
        *(b"GET /moshez", b"GET  /moshez HTTP/1.1", b"GET\t/moshez HTTP/1.1", b"GET /moshez\tHTTP/1.1"),
        *(b"GET /moshez HTTP/1.1 ", b" GET /moshez HTTP/1.1", b"GET HTTP/1.1", b"GET", b"x", b"/moshez", b"\0"),
        *(b"GET /mos hez HTTP/1.1", b"GET /moshez  HTTP/1.1", b" / HTTP/1.1", b"GET\x0b/moshez\x0cHTTP/1.1"),
    ):
        yield Rule("9112 3", f"{line!r} is not a request line", line + b"\r\nHost: x\r\n\r\n", 400)
    for method in (b"G(T", b"G\0T", b"G\xffT", b"G:T", b'"GET"'):
        yield Rule("9112 3.1", f"{method!r} is not a method", head(method=method), 400)
    for method in (b"get", b"Get", b"BREW", b"X-Y_Z", b"GETGET"):
        yield Rule("9110 9.1", f"the method {method!r} is unknown", head(method=method), 501, stays=True)
    for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH"):
        allow = ((b"allow", b"GET, HEAD"),)
        yield Rule("9110 15.5.6", f"{method!r} is not allowed", head(method=method), 405, stays=True, fields=allow)
    yield Rule("9112 3", "the method is too long", head(method=b"X" * 20_000), 501)
    yield Rule("9112 3", "8,000 bytes are supported", head(target=b"/moshez?" + b"x" * 7950), 200, stays=True)
    for size in (9_000, 20_000, 100_000):
        yield Rule("9110 15.5.15", f"a target of {size} bytes is too long", head(target=b"/" + b"x" * size), 414)
    yield Rule("9112 3", "nothing but letters", b"(" * 20_000, 400)
    for target in (
        b"moshez",
        b"x/moshez",
        b"/moshez#x",
        b"/mosh\xffez",
        b"/zo\xc3\xab",
        b"/\x7f",
        b"?x",
        b"x:80",
        b"http:",
    ):
        yield Rule("9112 3.2", f"{target!r} is not a target", head(target=target), 400)
    for target in (
        b"http://x/moshez",
        b"HTTP://other.example:8080/moshez",
        b"http://[::1]/moshez",
        b"http://x/moshez?y",
    ):
        yield Rule("9112 3.2.2", f"the absolute form {target!r}", head(target=target), 200, stays=True)
    for target in (b"http://x", b"http://x?page=1", b"http://x/?page=1"):
        yield Rule("9112 3.2.2", f"{target!r} has the path /", head(target=target), 200, stays=True)
    for target in (
        b"http:///moshez",
        b"http://:80/moshez",
        b"http://moshez@x/",
        b"http://x:y/",
        b"http://[::1/",
        b"ftp://x/",
    ):
        yield Rule("9110 4.2", f"{target!r} is not a URL of HTTP", head(target=target), 400)
    yield Rule(
        "9112 3.2.2",
        "the absolute form replaces Host, which must be there",
        PROBE.replace(b"/moshez", b"http://x/moshez").replace(b"Host: x\r\n", b""),
        400,
    )
    yield Rule("9112 3.2.3", "the authority form", head(method=b"CONNECT", target=b"x:443"), 501)
    yield Rule("9110 9.3.6", "CONNECT with a path", head(method=b"CONNECT"), 501)
    for target in (b"*", b"http://x"):
        empty = ((b"content-length", b"0"),)
        yield Rule(
            "9112 3.2.4", f"OPTIONS {target!r}", head(method=b"OPTIONS", target=target), 200, stays=True, fields=empty
        )
    yield Rule("9112 3.2.4", "the asterisk form is for OPTIONS", head(target=b"*"), 400)


def _hosts() -> Iterator[Rule]:
    """C{Host}."""
    for version in (b"HTTP/1.1", b"HTTP/1.2"):
        yield Rule("9112 3.2", f"{version!r} needs Host", b"GET /moshez %b\r\n\r\n" % version, 400)
    yield Rule("9112 3.2", "HTTP/1.0 does not", b"GET /moshez HTTP/1.0\r\n\r\n", 200)
    for version in (b"HTTP/1.0", b"HTTP/1.1"):
        for field in (b"Host: x", b"host: y", b"HOST:"):
            yield Rule("9112 3.2", f"two Hosts, {version!r} and {field!r}", head(field, version=version), 400)
        for host in (
            *(
                b"x y",
                b"x, y",
                b"x/y",
                b"http://x",
                b"a@x",
                b"x:y",
                b"x:-1",
                b"x:99999",
                b"x:1:2",
                b"::1",
                b"[::1",
                b"[x]",
            ),
            *(
                b"[1.2.3.4]",
                b"[::1]x",
                b"[]",
                b"x%",
                b"x%2",
                b"x?",
                b"x#",
                b"\xc3\xab",
                b"x\x01",
                b"<x>",
                b'"x"',
                b"x\\y",
            ),
            *(b"[::1%25eth0]", b"x:" + b"1" * 5000),
        ):
            request = head(version=version).replace(b"Host: x", b"Host: " + host)
            yield Rule("9112 3.2", f"{version!r} and the invalid host {host[:20]!r}", request, 400)
    for host in (
        b"",
        b"x:",
        b"X.example",
        b"x:65535",
        b"127.0.0.1:1",
        b"[::1]",
        b"[::FFFF:127.0.0.1]:80",
        b"x_y.~%41!$&'()*+;=",
    ):
        request = PROBE.replace(b"Host: x", b"Host:" + host)
        yield Rule("9110 7.2", f"the valid host {host!r}", request, 200, stays=True)


def _fields() -> Iterator[Rule]:
    """The syntax and the size of fields."""
    for words, line in (
        ("no colon", b"A"),
        ("a space before the colon", b"A : b"),
        ("a tab before the colon", b"A\t: b"),
        ("a space in the name", b"A b: c"),
        ("an empty name", b": b"),
        ("a byte that no name has", b"A\xff: b"),
        ("a bracket in the name", b"A(b): c"),
        ("a folded line", b"A: b\r\n c"),
        ("a line folded with a tab", b"A: b\r\n\tc"),
        ("NUL in the value", b"A: b\0c"),
        ("NUL in the name", b"A\0: b"),
        ("a control character in the value", b"A: \x1b[2J"),
        ("DEL in the value", b"A: \x7f"),
        ("a length before a space and the colon", b"Content-Length : 5"),
    ):
        yield Rule("9112 5", words, head(line, b"Z: z"), 400)
    for words, line in (
        ("no space after the colon", b"A:b"),
        ("tabs and spaces around the value", b"A:\t b \t"),
        ("an empty value", b"A:"),
        ("bytes above ASCII in the value", b"A: \xc3\xab\xff"),
        ("all characters of names", b"!#$%&'*+-.^_`|~09azAZ: b"),
    ):
        yield Rule("9110 5.5", words, head(line), 200, stays=True)
    yield Rule("6585 5", "99 fields", head(*[b"A: b"] * 99), 200, stays=True)
    for words, lines in (
        ("101 fields", [b"A: b"] * 100),
        ("1,000 fields", [b"A: b"] * 1000),
        ("17 kB of fields", [b"A: " + b"b" * 1000] * 17),
        ("a long line", [b"A: " + b"b" * 20_000]),
        ("a very long line", [b"A: " + b"b" * 200_000]),
        ("a long name", [b"A" * 1000 + b": b"]),
        ("a cookie of 100 kB", [b"Cookie: a=" + b"b" * 100_000]),
    ):
        yield Rule("6585 5", words, head(*lines), 431)


def _codings() -> Iterator[Rule]:
    """C{Transfer-Encoding} and chunks."""
    for value, code in (
        *((b"gzip", 400), (b"identity", 400), (b"chunked, gzip", 400), (b"chunked, chunked", 400), (b"", 400)),
        *((b",chunked", 400), (b"chunked,", 400), (b"chunked;a=b", 400), (b"xchunked", 400), (b'"chunked"', 400)),
        *((b"chunked chunked", 400), (b"\x0bchunked", 400), (b"gzip, chunked", 501), (b"identity, chunked", 501)),
    ):
        request = post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n" + SMUGGLED)
        yield Rule("9112 6.1", f"Transfer-Encoding: {value!r}", request, code)
    for value in (b"chunked", b"Chunked", b"\tCHUNKED "):
        request = post(b"Transfer-Encoding:" + value, body=b"5\r\nhello\r\n0\r\n\r\n")
        yield Rule("9112 6.1", f"Transfer-Encoding: {value!r}", request, 405, stays=True)
    for words, lines, version in (
        ("twice", (CHUNKED, CHUNKED), b"HTTP/1.1"),
        ("with identity", (CHUNKED, b"Transfer-Encoding: identity"), b"HTTP/1.1"),
        ("after identity", (b"Transfer-Encoding: identity", CHUNKED), b"HTTP/1.1"),
        ("after a length", (b"Content-Length: 5", CHUNKED), b"HTTP/1.1"),
        ("before a length", (CHUNKED, b"Content-Length: 5"), b"HTTP/1.1"),
        ("before a length of 0", (CHUNKED, b"Content-Length: 0"), b"HTTP/1.1"),
        ("in HTTP/1.0", (CHUNKED,), b"HTTP/1.0"),
        ("in HTTP/1.0, with a length", (b"Content-Length: 5", CHUNKED), b"HTTP/1.0"),
    ):
        request = post(*lines, body=b"0\r\n\r\n" + SMUGGLED, version=version)
        yield Rule("9112 6.3", f"Transfer-Encoding {words}", request, 400)
    for body in (
        *(
            b"0\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"00005\r\nhello\r\n000\r\n\r\n",
            b"A\r\n0123456789\r\n0\r\n\r\n",
        ),
        *(b"5;a\r\nhello\r\n0\r\n\r\n", b'5;a="b;c"\r\nhello\r\n0;d\r\n\r\n', b"1\r\n\n\r\n0\r\n\r\n"),
        *(b"5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"),
    ):
        yield Rule("9112 7.1", f"the chunks {body!r}", post(CHUNKED, body=body), 405, stays=True)
    for body in (
        *(
            b"0x5\r\nhello\r\n",
            b"+5\r\nhello\r\n",
            b"-5\r\nhello\r\n",
            b" 5\r\nhello\r\n",
            b"5 \r\nhello\r\n",
            b"g\r\n",
        ),
        *(
            b"\r\n",
            b";a\r\n",
            b"5_0\r\n",
            b"5,5\r\n",
            b"5\r\nhelloworld\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\nhello\n0\n\n",
        ),
        *(b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r\n0\n\n", b"5\rhello\r\n0\r\n\r\n", b"5;\0\r\n", b"5;a\nb\r\n"),
        *(b"5;" + b"a" * 2000 + b"\r\n", b"1" * 2000 + b"\r\n", b"0\r\nA: b\n\r\n", b"0\r\nA: " + b"b" * 70_000),
    ):
        request = post(CHUNKED, body=body + SMUGGLED)
        yield Rule("9112 7.1", f"the invalid chunks {body[:20]!r}", request, 400)
    for body in (b"5\nhello\n0\n\n", b"5\r\nhello\r\n0\n\n", b"0\r\nA: b\n\n", b"5;a\n"):
        yield Rule("9112 7.1", f"nothing but LF from {body!r} on", post(CHUNKED, body=body), 400)
    for words, body in (
        ("one chunk", b"20000\r\n" + b"x" * 0x20000),
        ("many chunks", b"2000\r\n%b\r\n" % (b"x" * 0x2000) * 9),
        ("an announced chunk", b"10001\r\n"),
        ("a chunk announced with 40 digits", b"f" * 40 + b"\r\n"),
        ("a second chunk that is announced", b"8000\r\n%b\r\n8001\r\n" % (b"x" * 0x8000)),
    ):
        yield Rule("9110 15.5.14", f"too long content in {words}", post(CHUNKED, body=body), 413)


def _lengths() -> Iterator[Rule]:
    """C{Content-Length}."""
    for value in (
        *(b"+5", b"-1", b"-0", b"0x5", b"5.0", b"5e0", b"5_0", b"5 5", b"5, 5", b"5,5", b"5,6", b"", b"x", b"0,"),
        *(b"\xd9\xa5", b"5\x0b", b"0b1", b"9" * 30 + b"x", b"Infinity"),
    ):
        request = post(b"Content-Length: " + value, body=b"hello")
        yield Rule("9110 8.6", f"Content-Length: {value!r}", request, 400)
    for first, second in ((b"5", b"6"), (b"5", b"5"), (b"0", b"5"), (b"5", b"x"), (b"5", b"05")):
        request = post(b"Content-Length: " + first, b"content-length: " + second, body=b"hello")
        yield Rule("9112 6.3", f"two lengths, {first!r} and {second!r}", request, 400)
    for value in (b"5", b"005", b"\t5 ", b"5".zfill(30), b"5".zfill(5000)):
        request = post(b"Content-Length:" + value, body=b"hello")
        yield Rule("9110 8.6", f"a length of 5 in {len(value)} bytes", request, 405, stays=True)
    for value in (b"0", b"0" * 30):
        yield Rule("9110 8.6", f"Content-Length: {value!r}", post(b"Content-Length: " + value), 405, stays=True)
    yield Rule("9112 6.3", "without a length, there is no content", post(), 405, stays=True)
    yield Rule("9110 9.3.1", "content of GET is ignored", head(b"Content-Length: 5") + b"hello", 200, stays=True)
    for value in (b"65537", b"9" * 18, b"9" * 30, b"9" * 5000):
        request = post(b"Content-Length: " + value, body=b"x" * 100_000)
        yield Rule("9110 15.5.14", f"a length with {len(value)} digits is too long", request, 413)


def _conditions() -> Iterator[Rule]:
    """C{If-Match} and C{If-None-Match}; the tests of pages try tags that match."""
    for value in (b'"x"', b'W/"x"', b'"*"', b"x", b'"x", "y"', b'"x"\r\nIf-Match: "y"'):
        request = head(b"If-Match: " + value, b"If-None-Match: *")
        yield Rule("9110 13.1.1", f"If-Match: {value!r}", request, 412, stays=True)
    yield Rule("9110 13.1.1", "If-Match: *", head(b"If-Match: *"), 200, stays=True)
    yield Rule("9110 13.1.2", "If-None-Match: *", head(b"If-None-Match: *"), 304, stays=True)
    yield Rule("9110 13.1.2", 'If-None-Match: "x"', head(b'If-None-Match: "x"'), 200, stays=True)
    request = head(b"If-Match: *", b"If-None-Match: *", target=b"/nobody")
    yield Rule("9110 13.2.1", "no page, no condition", request, 404, stays=True)
    request = head(b'If-Match: "x"', method=b"DELETE")
    yield Rule("9110 13.2.1", "a method that is not allowed has no condition", request, 405, stays=True)


def _connections() -> Iterator[Rule]:
    """C{Expect}, C{Connection} and several requests."""
    five = b"Content-Length: 5"
    for value in (b"100-continue", b"100-Continue"):
        request = post(b"Expect: " + value, five, body=b"hello")
        yield Rule("9110 10.1.1", f"Expect: {value!r}", request, 405, stays=True, before=(100,))
    yield Rule("9110 10.1.1", "no content to expect", head(b"Expect: 100-continue"), 200, stays=True)
    request = post(b"Expect: 100-continue", five, body=b"hello", version=b"HTTP/1.0")
    yield Rule("9110 10.1.1", "HTTP/1.0 has no expectations", request, 405)
    yield Rule(
        "9110 10.1.1",
        "too long content is not continued",
        post(b"Expect: 100-continue", b"Content-Length: 70000"),
        413,
    )
    for value in (b"200-ok", b"100-continue, x", b"x"):
        yield Rule("9110 15.5.18", f"Expect: {value!r}", post(b"Expect: " + value, five, body=b"hello"), 417)
    for value in (
        b"close",
        b"Close",
        b"te, close",
        b"close,te",
        b" , close",
        b"keep-alive, close",
        b"a\r\nConnection: close",
    ):
        yield Rule("9112 9.6", f"Connection: {value!r}", head(b"Connection: " + value) + SMUGGLED, 200)
    for value in (b"keep-alive", b"TE", b"closed", b"x close"):
        yield Rule("9112 9.3", f"Connection: {value!r}", head(b"Connection: " + value), 200, stays=True)
    for value in (b"keep-alive", b"Keep-Alive", b"te, keep-alive"):
        alive = ((b"connection", b"keep-alive"),)
        request = head(b"Connection: " + value, version=b"HTTP/1.0")
        yield Rule("9112 9.3", f"HTTP/1.0 and {value!r}", request, 200, stays=True, fields=alive)
    for value in (b"close", b"keep-alive, close", b"x"):
        request = head(b"Connection: " + value, version=b"HTTP/1.0")
        yield Rule("9112 9.3", f"HTTP/1.0 and {value!r}", request, 200)
    yield Rule("9112 9.3.2", "requests in one piece", PROBE * 3, 200, stays=True, before=(200, 200))
    yield Rule("9112 9.3.2", "an invalid request after others", PROBE * 2 + b"x\r\n", 400, before=(200, 200))
    yield Rule("9112 9.3.2", "nothing after an invalid request", b"x\r\n" + SMUGGLED * 3000, 400)
    yield Rule(
        "9112 9.3.2", "nothing after a head without Host", head().replace(b"Host: x", b"A: b") + SMUGGLED * 3000, 400
    )
    yield Rule("9112 9.3.2", "lines without end", b"\n" * 200_000, 400)
    for length in (200, 404):
        target = b"/moshez" if length == 200 else b"/nobody"
        yield Rule(
            "9110 9.3.2",
            f"HEAD of {target!r} has no content",
            head(method=b"HEAD", target=target),
            length,
            stays=True,
            method=b"HEAD",
        )
    request = head(b"Host: y", method=b"HEAD")
    yield Rule("9110 9.3.2", "a refusal of HEAD has no content", request, 400, method=b"HEAD")


RULES: Final = tuple(
    rule
    for rules in (_lines, _requestLines, _hosts, _fields, _codings, _lengths, _conditions, _connections)
    for rule in rules()
)
"""All rules, besides those that depend on TLS."""

PLAIN_RULES: Final = (Rule("9110 7.4", "https needs TLS", head(target=b"https://x/moshez"), 421),)
"""Rules of ports without TLS."""

SECURE_RULES: Final = (Rule("9110 7.4", "https with TLS", head(target=b"https://x/moshez"), 200, stays=True),)
"""Rules of ports with TLS."""
