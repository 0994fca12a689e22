"""
Streams of HTTP requests, and a strict reader of them to compare with the server.

The reader is written in the plainest way from the grammar of RFC 9112, and has nothing of the server but its limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from hypothesis import strategies as st

from finger.net.http import MAX_REQUESTS
from finger.net.httphead import MAX_DIGITS, MAX_FIELD_NAME, MAX_FIELDS, MAX_FIELDS_SIZE, MAX_REQUEST_LINE
from finger.net.httprequest import MAX_BODY
from tests.fuzz.inputs import HEADERS, mutated
from tests.support.httprules import PLAIN_RULES, PROBE, RULES

MAX_CHUNK_LINE = 1024
"""The longest line before a chunk, in bytes: Twisted's C{maxChunkSizeLineLength}."""

LONG = 1000
"""The length from which an incomplete request may be refused, in bytes: the longest line before a chunk."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(%b) ([!-\"$-~]+) HTTP/1\.([0-9])" % _TOKEN)
_URL = re.compile(rb"(https?)://([^/?]+)([^?]*)(.*)", re.IGNORECASE)
_FIELD = re.compile(rb"(%b):([\t -~\x80-\xff]*)" % _TOKEN)
_NAMED_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*(?::([0-9]{0,5}))?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)(?:;[\t -~\x80-\xff]*)?")


class _Invalid(Exception):
    """A request that a server must refuse, or that ours refuses by its limits."""


class _Incomplete(Exception):
    """The stream ends within a request."""


@dataclass
class Stream:
    """
    What a stream contains.

    @ivar requests: the method and the target of each request, in order.
    @ivar isInvalid: whether an invalid one follows.
    @ivar rest: an incomplete request at the end.
    """

    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    isInvalid: bool = False
    rest: bytes = b""

    @property
    def mayBeRefused(self) -> bool:
        """Whether the lines of the incomplete request suffice to refuse it, or it is very long."""
        head = self.rest[: self.rest.rfind(b"\n") + 1]
        if not head or b"\r\n\r\n" in head:
            return len(self.rest) > LONG
        hosts = b"" if re.search(rb"\nhost:", head, re.IGNORECASE) else b"Host: x\r\n"
        return len(self.rest) > LONG or readStream(head + hosts + b"\r\n").isInvalid


def readStream(data: bytes, isTLS: bool = True) -> Stream:
    """
    Read all requests that a server answers on one connection.

    @param isTLS: whether the connection uses TLS, and so may request URLs of C{https}.
    """
    stream, reader = Stream(), _Reader(data, isTLS)
    try:
        stays = True
        while stays and reader.skipEmptyLine():
            start = reader.position
            request, stays = reader.request()
            stream.requests.append(request)
            stays = stays and len(stream.requests) < MAX_REQUESTS
    except _Invalid:
        stream.isInvalid = True
    except _Incomplete:
        stream.rest = data[start:]
    return stream


class _Reader:
    """Reads requests, one by one."""

    def __init__(self, data: bytes, isTLS: bool) -> None:
        self._data = data
        self._isTLS = isTLS
        self.position = 0

    def skipEmptyLine(self) -> bool:
        """Skip an empty line before a request (RFC 9112 section 2.2), and return whether more follows."""
        if self._data.startswith(b"\r\n", self.position):
            self.position += 2
        return self.position < len(self._data)

    def request(self) -> tuple[tuple[bytes, bytes], bool]:
        """Read a request, and return its method and target, and whether the connection stays afterwards."""
        line = self._line(MAX_REQUEST_LINE)
        match = _REQUEST_LINE.fullmatch(line)
        _check(match is not None)
        assert match is not None
        method, isOld = match[1], match[3] == b"0"
        target = _target(method, match[2], self._isTLS)
        fields = self._fields()
        _checkHosts(fields.get(b"host", []), isOld)
        if not isOld:
            _check(set(_elements(fields.get(b"expect", []))) <= {b"100-continue"})
        self._body(fields, isOld)
        options = _elements(fields.get(b"connection", []))
        return (method, target), b"close" not in options and (not isOld or b"keep-alive" in options)

    def _line(self, most: int) -> bytes:
        end = self._data.find(b"\n", self.position)
        if end < 0:
            raise _Incomplete
        line = self._data[self.position : end]
        self.position = end + 1
        _check(line.endswith(b"\r") and len(line) <= most + 1)
        return line[:-1]

    def _fields(self, mostNumber: int = MAX_FIELDS, mostSize: int = MAX_FIELDS_SIZE) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        size = number = 0
        while line := self._line(mostSize):
            size, number = size + len(line), number + 1
            match = _FIELD.fullmatch(line)
            _check(match is not None and size <= mostSize and number <= mostNumber)
            assert match is not None
            _check(len(match[1]) <= MAX_FIELD_NAME)
            found.setdefault(match[1].lower(), []).append(match[2].strip(b" \t"))
        return found

    def _body(self, fields: dict[bytes, list[bytes]], isOld: bool) -> None:
        lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
        if codings:
            _check(not isOld and not lengths and [coding.lower() for coding in codings] == [b"chunked"])
            self._chunks()
        elif lengths:
            _check(len(lengths) == 1 and lengths[0].isdigit())
            digits = lengths[0].lstrip(b"0") or b"0"
            _check(len(digits) <= MAX_DIGITS and int(digits) <= MAX_BODY)
            self._skip(int(digits))

    def _chunks(self) -> None:
        whole = 0
        while True:
            match = _CHUNK.fullmatch(self._line(MAX_CHUNK_LINE))
            _check(match is not None)
            assert match is not None
            size = int(match[1], 16)
            whole += size
            if not size:
                break
            _check(whole <= MAX_BODY)
            self._skip(size)
            _check(b"\r\n".startswith(self._data[self.position : self.position + 2]))
            self._skip(2)
        for name, values in self._fields(10**6, 2**16).items():
            _checkTrailer(name, values)

    def _skip(self, length: int) -> None:
        if self.position + length > len(self._data):
            raise _Incomplete
        self.position += length


def _check(isRight: bool) -> None:
    if not isRight:
        raise _Invalid


def _elements(values: Sequence[bytes]) -> list[bytes]:
    return [item for value in values for part in value.split(b",") if (item := part.strip(b" \t").lower())]


def _target(method: bytes, target: bytes, isTLS: bool) -> bytes:
    """Return a target in origin-form or asterisk-form (RFC 9112 section 3.2)."""
    _check(method != b"CONNECT")
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target
    match = _URL.fullmatch(target)
    _check(match is not None)
    assert match is not None
    _check(isTLS or match[1].lower() == b"http")
    _checkHost(match[2])
    _check(not match[2].startswith(b":"))
    return (match[3] or (b"*" if method == b"OPTIONS" and not match[4] else b"/")) + match[4]


def _checkHosts(hosts: Sequence[bytes], isOld: bool) -> None:
    _check(len(hosts) == 1 or (isOld and not hosts))
    for host in hosts:
        _checkHost(host)


def _checkHost(host: bytes) -> None:
    if host.startswith(b"["):
        address, bracket, port = host[1:].decode("latin-1").partition("]")
        try:
            IPv6Address(address)
        except ValueError:
            raise _Invalid from None
        _check(bool(bracket) and "%" not in address)
        host = port.encode("latin-1")
        _check(not host or host.startswith(b":"))
    match = _NAMED_HOST.fullmatch(host)
    _check(match is not None and int(match[1] or b"0") <= 65535)


def _checkTrailer(name: bytes, values: Sequence[bytes]) -> None:
    """Check fields after chunks, which have no effect, but must be valid where they have a grammar."""
    for value in values:
        if name == b"host":
            _checkHost(value)
        elif name == b"content-length":
            _check(value.isdigit() and len(value.lstrip(b"0")) <= MAX_DIGITS)
        elif name == b"transfer-encoding":
            _check(value.lower() == b"chunked")


# Streams.

_EDITS: tuple[Callable[[bytes, bytes], bytes], ...] = (
    lambda line, other: line + b"\r\n" + line,
    lambda line, other: b"",
    lambda line, other: line + b"\r\n" + other,
    lambda line, other: other + b"\r\n" + line,
    lambda line, other: line.swapcase(),
    lambda line, other: line.replace(b": ", b":\t ", 1) + b" ",
    lambda line, other: line.replace(b":", b" :", 1),
    lambda line, other: b" " + line,
    lambda line, other: line + b"\r",
    lambda line, other: line.replace(b" ", b"  ", 1),
    lambda line, other: line.replace(b"/", b"%2f/", 1),
    lambda line, other: line.replace(b"5", b"6", 1),
    lambda line, other: line.replace(b"1.1", b"1.0", 1),
    lambda line, other: line.partition(b":")[0],
)
_FIELDS = (
    *(line for line in HEADERS if len(line) < 100),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", b"Content-Length: 5", b"Content-Length: 41"),
    *(b"TE: trailers", b"Trailer: A", b"Upgrade: h2c", b"Connection: upgrade", b"Host: y", b"5", b"0", b"5;a=b", b""),
    *(b"hello", PROBE.partition(b"\r\n")[0], b"A: b", b"Connection: close", b"Connection: keep-alive"),
)


def _edited(data: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    lines = data.split(b"\r\n")
    for place, edit, other in edits:
        lines[place % len(lines)] = _EDITS[edit](lines[place % len(lines)], other)
    return b"\r\n".join(lines)


_short = [rule for rule in RULES + PLAIN_RULES if len(rule.request) < 2500]
_rules = st.sampled_from([rule.request for rule in _short])
_valid = st.sampled_from([rule.request for rule in _short if rule.stays])
_edits = st.tuples(st.integers(0, 200), st.integers(0, len(_EDITS) - 1), st.sampled_from(_FIELDS))
_one = st.one_of(
    st.just(PROBE), _rules, _valid, _valid, st.builds(_edited, _valid, st.lists(_edits, min_size=1, max_size=2))
)
_several = st.one_of(
    st.lists(_one, min_size=1, max_size=3).map(b"".join),
    mutated(st.lists(_one, min_size=1, max_size=2).map(b"".join)),
    st.builds(_edited, st.lists(_one, min_size=1, max_size=3).map(b"".join), st.lists(_edits, max_size=4)),
)
_whole = _several.map(lambda data: data + PROBE)
streams = st.one_of(
    _whole, _whole, _whole, st.builds(lambda data, end: data[: end % len(data)], _whole, st.integers(1, 4000))
)
"""The rules of HTTP, one after the other, with errors, and a valid request at the end, or without the end."""


@dataclass(frozen=True)
class Sent:
    """
    A valid request.

    @ivar data: its bytes.
    @ivar method: its method.
    @ivar target: its target.
    """

    data: bytes
    method: bytes
    target: bytes


def _sent(method: bytes, target: bytes, body: bytes, size: int) -> Sent:
    head = b"%b %b HTTP/1.1\r\nHost: x\r\n" % (method, target)
    if size:
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        data = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    else:
        data = head + (b"Content-Length: %d\r\n\r\n" % len(body) if body else b"\r\n") + body
    return Sent(data, method, target)


pipelines = st.lists(
    st.builds(
        _sent,
        st.sampled_from((b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"BREW", b"OPTIONS")),
        st.sampled_from((b"/", b"/moshez", b"/?page=2", b"/" + b"x" * 300)),
        st.sampled_from((b"", b"hello", b"\r\n\r\n", PROBE, b"0\r\n\r\n", b"x" * 3000)),
        st.sampled_from((0, 0, 1000, 3)),
    ),
    min_size=1,
    max_size=6,
)
"""Valid requests, some of whose bodies look like requests."""
