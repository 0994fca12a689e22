"""Inputs: almost valid bytes of each protocol, and unusual texts."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.spread.pb import respond

EXAMPLES = int(os.environ.get("FINGER_FUZZ", "0"))
"""The number of inputs for each test; C{0} for a few inputs, the same each time."""


def tries(few: int = 60, *kinds: str) -> Callable[[Callable[..., None]], Callable[[Any], None]]:
    """
    Return a decorator that runs a test with many inputs, and adds a failing input to the failure.

    @param few: the number of inputs, unless C{FINGER_FUZZ} sets another.
    @param kinds: the kinds of inputs, by what became of them, that the test must have seen afterwards; see
        C{FuzzTestCase.saw}.  Without them, a test could pass because its inputs are all alike.
    """
    often = settings(
        max_examples=EXAMPLES or few,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,  # Trial shows only one.
        suppress_health_check=list(HealthCheck),
    )

    def decorate(test: Callable[..., None]) -> Callable[[Any], None]:
        repeated = often(test)

        @wraps(test)
        def run(case: Any) -> None:
            try:
                repeated(case)
            except Exception as error:
                error.args = ("\n".join([str(error), *getattr(error, "__notes__", [])]),)  # Trial shows no notes.
                raise
            unseen = {kind for kind in kinds if case.seen[kind] * 100 < (EXAMPLES or few)}
            case.assertEqual(unseen, set(), f"too few inputs of a kind: {dict(case.seen)}")

        return run

    return decorate


# Texts.

NASTY = (
    "\r\n\t\0\x0b\x0c\x1b\x1c\x7f\x85\x9b\xa0\xad\u0301\u0323\u061c\u115f\u200b\u200d\u200f\u2028\u202e\u2066\u2800"
    "\u3000\u3164\ud800\ufdfa\ufe0f\ufeff\ufffe\U000e0041"
)
PLAIN = "aW/@:(.-_1é☃ "

texts = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text(st.sampled_from(NASTY + PLAIN), max_size=40),
    st.text(st.sampled_from(NASTY + PLAIN), min_size=1, max_size=8).map(lambda text: text * 300),
)
"""Any text, including lone surrogates."""

labels = st.text(st.sampled_from(NASTY + PLAIN), max_size=12)
"""Short texts."""


# Bytes.


def tokens(*alphabet: bytes, most: int = 24) -> st.SearchStrategy[bytes]:
    """Return tokens of a protocol in any order, some of them repeated many times, with noise between them."""
    token = st.sampled_from(alphabet)
    many = st.builds(
        lambda token, size: token * (2 + size // len(token)), token, st.sampled_from([0, 60, 1100, 20_000])
    )
    return st.lists(st.one_of(token, token, token, st.binary(max_size=6), many), max_size=most).map(b"".join)


_change = st.tuples(st.integers(0, 4), st.integers(0, 4000), st.integers(0, 40), st.binary(min_size=1, max_size=4))


def mutated(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return valid data with a few changes."""
    return st.builds(_mutate, whole, st.lists(_change, max_size=3))


def _mutate(data: bytes, changes: Sequence[tuple[int, int, int, bytes]]) -> bytes:
    for kind, place, length, noise in changes:
        start = place % (len(data) + 1)
        end = start + length
        match kind:
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:start] + noise + data[start:]
            case 2:
                data = data[:start] + noise + data[start + len(noise) :]
            case 3:
                data = data[:end] + data[start:]
            case _:
                data = data[:start]
    return data


# Finger.

queries = st.one_of(
    tokens(
        *(b"\r", b"\n", b"\r\n", b" ", b"\t", b"/W", b"/w", b"@", b"moshez", b"nasty", b"h", b"\xc3\xab", b"\x1b"),
        *(b"\xff", b"\xff\xfb", b"\xff\xfa", b"\xff\xf0", b"\xff\xf4", b"\x1f", b"\0", b"\r\0", b"\xef\xbb\xbf"),
        *(b"MOSHEZ", b"e\xcc\x88"),
    ),
    mutated(st.just(b"\xff\xfb\x1f\xff\xfa\x1f\0\x50\0\x18\xff\xf0moshez\xff\xf4\xff\xfd\x06\r\0")),
    mutated(st.sampled_from([b"moshez\r\n", b"/W nasty\r\n", b"\r\n", b"/W u@h\r\n", b"@h1@h2\r\n", b"a b c\n"])),
)

# The setter.

messages = st.one_of(
    tokens(
        *(b"moshez", b"\r\n", b"\n", b" ", b"@", b"x", b"\xff", b"\x1b", b"\xc3\xab", b"\t\r\n", b"\t", b"/x"),
        *(b"POST", b"HTTP/1.1"),
        most=12,
    ),
    mutated(st.sampled_from([b"moshez\nHappy and well\n", b"moshez\t\r\nHappy\nand well\r\n"])),
    mutated(st.just(b"POST /x HTTP/1.1\r\nHost: h\r\n\r\nmoshez\nhere\n")),
    st.builds(
        lambda size, tail: b"moshez\n" + b"x" * size + tail, st.integers(262100, 262200), st.binary(max_size=9)
    ),
)

# HTTP.

METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"CONNECT", b"BREW", b"get", b"G\xcb")
PATHS = (
    *(b"/", b"/moshez", b"/nasty", b"/a%2Fb", b"/..", b"//", b"/moshez/x", b"*", b"", b"http://h/moshez", b"/\xff"),
    *(b"/robots.txt", b"/.well-known/x"),
    *(
        b"/RPC2",
        b"/RPC2/",
        b"/RPC2?\xff",
        b"/?user=%00",
        b"/?user=moshez&user=",
        b"/?page=2",
        b"/?page=%d9%a1",
        b"/%",
    ),
    *(
        b"http://h",
        b"https://h/moshez",
        b"http://[::1]:80/?page=2",
        b"http://@/",
        b"h:80",
        b"/#x",
        b"/" + b"x" * 9000,
    ),
)
VERSIONS = (b"HTTP/1.1",) * 4 + (b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/2", b"")
HOSTS = ((b"Host: h",),) * 6 + ((), (b"Host: [::1]:80",), (b"Host:",), (b"Host: a b",), (b"Host: h", b"Host: h"))
NODES = (
    *(b"192.0.2.43", b'"[2001:db8::1]:4711"', b"[2001:db8::1]", b"unknown", b"_x", b"192.0.2.7", b"192.0.2.256"),
    *(b'"', b'"\\"', b"\xff", b"", b"192.0.2.43;proto=https", b"192.0.2.43;for=192.0.2.43", b"192.0.2.43, for="),
)
HEADERS = (
    *(b"Forwarded: for=" + node for node in NODES),
    *(b"X-Forwarded-For: " + node for node in NODES),
    *(b"X-Forwarded-Proto: https", b"X-Forwarded-Proto: http, x"),
    *(b"Host: h", b"Connection: close", b"Connection: keep-alive", b"Expect: 100-continue", b"Cookie: a=b; c"),
    *(b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: -1", b"Content-Length: 65537"),
    *(b"Content-Length: " + b"9" * 5000, b"Content-Length:", b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"),
    *(b"Content-Length: " + b"5".zfill(30), b"Content-Length: 5, 5", b"Transfer-Encoding: x, chunked", b"Expect: x"),
    *(b"A" * 200 + b": b", b"A: " + b"b" * 9000, b"X: y\nZ: z", b"Connection: te, close"),
    *(b"Authorization: Basic bW9zaGV6OnNlY3JldA==", b"Authorization: Basic bW9", b"Authorization: Basic /w==", b"X"),
    *(
        b"Content-Type: text/xml",
        b"Range: bytes=0-",
        b"If-None-Match: *",
        b": x",
        b" folded",
        b"X: a\0b",
        b"X\xff: y",
    ),
)
BODIES = (
    b"",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\nC\n\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"fffffff\r\n",
    b"-1\r\n",
    b"5;x=\xff\r\n",
    b"x" * 70000,
)


def _request(
    method: bytes, path: bytes, version: bytes, hosts: Sequence[bytes], headers: Sequence[bytes], body: bytes
) -> bytes:
    return b"\r\n".join([method + b" " + path + b" " + version, *hosts, *headers, b"", body])


_requests = st.builds(
    _request,
    st.sampled_from(METHODS),
    st.sampled_from(PATHS),
    st.sampled_from(VERSIONS),
    st.sampled_from(HOSTS),
    st.lists(st.sampled_from(HEADERS), max_size=4),
    st.sampled_from(BODIES),
)
requests = st.one_of(
    st.lists(_requests, min_size=1, max_size=3).map(b"".join),
    mutated(st.lists(_requests, min_size=1, max_size=2).map(b"".join)),
    tokens(
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"X: y\r\n",
        b" ",
        b":",
        b"\r",
        *HEADERS,
    ),
)

_STATUS = (b"GET /metrics HTTP/1.1", b"GET /healthz HTTP/1.1", b"HEAD /metrics HTTP/1.1", b"POST /metrics HTTP/1.0")
_ACCEPT = tokens(b"application/openmetrics-text", b"text/plain", b";", b",", b"=", b"version", b"1.0.0", b"q", b"*/*")
statusRequests = st.one_of(
    st.builds(
        lambda line, accept: line + b"\r\nHost: localhost\r\nAccept: " + accept + b"\r\n\r\n",
        st.sampled_from(_STATUS),
        _ACCEPT,
    ),
    requests,
)

# TLS, up to its first message.


def _clientHello() -> bytes:
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    client.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        client.do_handshake()
    return bytes(client.bio_read(65536))


handshakes = st.one_of(
    mutated(st.just(_clientHello())),
    tokens(
        b"\x16\x03\x01", b"\x16\x03\x03\0\x05", b"\x15\x03\x03\0\x02\x02\x28", b"\x17\x03\x03", b"\x80\x2e\x01", b"\0"
    ),
    st.sampled_from((b"GET / HTTP/1.1\r\n\r\n", b"\x15\x03\x03\0\x02\x01\0", _clientHello())),
)

# XML-RPC.

_ITEM = (
    b"<struct><member><name>methodName</name><value>getUser</value></member>"
    b"<member><name>params</name><value><array><data><value>moshez</value></data></array></value></member></struct>"
)
"""A call in C{system.multicall}."""
_leaf = st.sampled_from(
    (
        *(b"<string>moshez</string>", b"<int>1</int>", b"<int>" + b"9" * 5000 + b"</int>", b"<nil/>", b"moshez", b""),
        *(
            b"<string>&#27;</string>",
            b"<string>\xc3\xab&amp;</string>",
            b"<boolean>2</boolean>",
            b"<double>x</double>",
        ),
        *(
            b"<array><data><value>%s</value></data></array>" % _ITEM,
            b"<base64>!</base64>",
            b"<dateTime.iso8601>x</dateTime.iso8601>",
            b"<struct></struct>",
            b"<string>&x;</string>",
        ),
    )
)
_value = st.recursive(
    _leaf,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(
            lambda v: b"<array><data>%s</data></array>" % b"".join(b"<value>%s</value>" % x for x in v)
        ),
        inner.map(lambda v: b"<struct><member><name>a</name><value>%s</value></member></struct>" % v),
    ),
    max_leaves=4,
)
METHOD_NAMES = (
    *(b"getUser", b"getUsers", b"system.listMethods", b"system.methodHelp", b"system.methodSignature", b"nothing"),
    *(
        b"system.multicall",
        b"",
        b".",
        b"system.",
        b"system.system.listMethods",
        b"__class__",
        b"getUser.x",
        b"\xc3\xab",
        b"a&lt;b",
    ),
)


def _call(start: bytes, name: bytes | None, values: Sequence[bytes], root: bytes) -> bytes:
    method = b"" if name is None else b"<methodName>%s</methodName>" % name
    params = b"".join(b"<param><value>%s</value></param>" % value for value in values)
    return start + b"<%s>%s<params>%s</params></%s>" % (root, method, params, root)


calls = mutated(
    st.builds(
        _call,
        st.sampled_from(
            (
                *(b"", b"<?xml version='1.0'?>", b"<?xml version='1.0' encoding='utf-7'?>", b"\xef\xbb\xbf"),
                *(
                    b"<?xml version='1.0' encoding='iso-8859-1'?>",
                    b"<!DOCTYPE methodCall [<!ENTITY x 'ha'>]>",
                    b"\xff\xfe",
                ),
            )
        ),
        st.one_of(st.sampled_from(METHOD_NAMES), st.none()),
        st.lists(_value, max_size=2),
        st.sampled_from((b"methodCall", b"methodCall", b"methodCall", b"methodResponse", b"fault", b"x")),
    )
)

# Perspective Broker.

_names = st.sampled_from(
    (
        *(b"message", b"cachemessage", b"answer", b"error", b"decref", b"decache", b"uncache", b"version"),
        *(b"didNotUnderstand", b"login", b"x", b"\xff", b"lcache", b"remote", b"local", b"unjelly"),
    )
)
_jellyNames = st.sampled_from(
    (
        *(b"list", b"tuple", b"dictionary", b"set", b"frozenset", b"None", b"boolean", b"unicode", b"reference"),
        *(
            b"dereference",
            b"instance",
            b"class",
            b"function",
            b"module",
            b"method",
            b"persistent",
            b"remote",
            b"local",
        ),
        *(b"copy", b"cache", b"cached", b"lcache", b"datetime", b"date", b"time", b"timedelta", b"decimal", b"x"),
        *(b"unpersistable", b"exceptions.Exception", b"twisted.spread.pb.RemoteReference", b"finger.profile.Profile"),
    )
)
_numbers = st.one_of(st.integers(-3, 8), st.integers(-(2**70), 2**70), st.floats())
_atoms: st.SearchStrategy[Any] = st.one_of(
    _jellyNames, _names, st.binary(max_size=8), _numbers, st.just(b"moshez"), st.just(b"true"), st.just(b"root")
)
_jelly: st.SearchStrategy[Any] = st.recursive(
    st.one_of(_atoms, st.binary(max_size=6).map(lambda text: [b"unicode", text]), st.just([b"unicode", b"moshez"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.builds(lambda name, values: [name, *values], _jellyNames, st.lists(inner, max_size=3)),
    ),
    max_leaves=6,
)
_objects = st.one_of(st.sampled_from([b"root", b"root", b"root", b"x", 1, 1, 2, 3, -1, 1.5, [], b"\xff"]), _jelly)
_methods = st.sampled_from(
    (
        *(b"getUser", b"getUsers", b"login", b"loginAnonymous", b"respond", b"setStatus", b"nothing", b"\xff"),
        *(b"__class__", b"", 1, []),
    )
)
_arguments: st.SearchStrategy[Any] = st.one_of(
    st.lists(_jelly, max_size=2).map(lambda values: [b"tuple", *values]),
    st.sampled_from([[b"tuple", [b"unicode", b"moshez"]], [b"tuple", b"moshez"], [b"tuple", b"x", [b"None"]]]),
    _jelly,
)
_expressions: st.SearchStrategy[Any] = st.one_of(
    st.builds(
        lambda name, request, thing, method, answer, arguments, keywords: [
            *(name, request, thing, method, answer, arguments, keywords)
        ],
        st.sampled_from([b"message", b"message", b"message", b"message", b"cachemessage"]),
        st.one_of(st.integers(0, 3), st.integers(0, 3), _jelly),
        _objects,
        _methods,
        st.one_of(st.integers(0, 1), _jelly),
        _arguments,
        st.one_of(st.just([b"dictionary"]), _jelly),
    ),
    st.builds(lambda name, values: [name, *values], _names, st.lists(_jelly, max_size=3)),
    _jelly,
)


def banana(expression: Any) -> bytes:
    """Encode an expression as L{twisted.spread.banana} does, but with numbers of any size."""
    if isinstance(expression, list):
        return _prefix(len(expression)) + b"\x80" + b"".join(map(banana, expression))
    if isinstance(expression, bytes):
        return _prefix(len(expression)) + b"\x82" + expression
    if isinstance(expression, float):
        return b"\x84" + struct.pack("!d", expression)
    small = -(2**31) <= expression < 2**31
    kind = (b"\x81" if small else b"\x85") if expression >= 0 else (b"\x83" if small else b"\x86")
    return _prefix(abs(expression)) + kind


def _prefix(number: int) -> bytes:
    digits = bytearray()
    while number or not digits:
        digits.append(number & 0x7F)
        number >>= 7
    return bytes(digits)


DIALECT = b"\x02\x82pb"
CHALLENGE = b"challenge"


def message(request: int, thing: object, method: bytes, *arguments: object) -> list[Any]:
    return [b"message", request, thing, method, 1, [b"tuple", *arguments], [b"dictionary"]]


_steps = st.sampled_from(
    (
        message(1, b"root", b"login", [b"unicode", b"moshez"]),
        message(1, b"root", b"login", b"moshez"),
        message(2, 1, b"respond", respond(CHALLENGE, b"secret"), [b"None"]),
        message(2, 1, b"respond", b"wrong", [b"None"]),
        message(3, 2, b"setStatus", [b"unicode", b"new"]),
        message(4, b"root", b"getUser", [b"unicode", b"moshez"]),
        message(5, b"root", b"getUsers"),
        [b"decref", 1],
        [b"decref", b"root"],
    )
)
_bananas = st.builds(
    lambda steps, all: DIALECT + b"".join(map(banana, [*steps, *all])),
    st.lists(_steps, max_size=5),
    st.lists(_expressions, max_size=3),
)
broker = st.one_of(
    _bananas,
    _bananas,
    mutated(_bananas),
    tokens(
        *(DIALECT, b"\x04\x82none", b"\x01\x80", b"\x00\x80", b"\x7f\x7f\x7f\x82", b"\x01\x81", b"\x84", b"\x87\x01")
    ),
)

# IRC.

_prefixes = st.sampled_from(
    (
        *(b"", b":irc.example.org ", b":joe!u@example.net ", b":joe!u@example.net ", b":fingerbot!u@h ", b":!@ "),
        *(b"@time=1 :joe!u@h ", b":j\xff\x1b!u@\xe2\x80\xae "),
    )
)
_commands = st.sampled_from(
    (
        *(b"PRIVMSG", b"PRIVMSG", b"PRIVMSG", b"NOTICE", b"PING", b"ERROR", b"001", b"005", b"433", b"432", b"436"),
        *(b"437", b"471", b"473", b"474", b"403", b"NICK", b"QUIT", b"JOIN", b"KICK", b"PART", b"WHATEVER", b"p\xff"),
    )
)
_params = st.lists(
    st.sampled_from(
        (
            *(
                b"fingerbot",
                b"fingerbot",
                b"#twisted",
                b"#twisted",
                b"joe",
                b"*",
                b":moshez",
                b":nasty",
                b":fingerbot: m",
            ),
            *(
                b":\x01VERSION\x01",
                b":\x01FINGER",
                b":\x03\x02\x04",
                b":help",
                b":nobody here",
                b":\x1b\x9b",
                b":",
                b"",
            ),
            *(
                b"NICKLEN=30",
                b"NICKLEN=" + b"9" * 5000,
                b"CASEMAPPING=ascii",
                b"CASEMAPPING=",
                b"CHANTYPES=",
                b"\xff",
            ),
            *(b"@#twisted", b"x" * 600),
        )
    ),
    max_size=4,
)
_ircLines = st.builds(
    lambda prefix, command, params, end: prefix + b" ".join([command, *params]) + end,
    _prefixes,
    _commands,
    _params,
    st.sampled_from((b"\r\n", b"\r\n", b"\n", b"\r", b"\0\r\n")),
)
_welcome = st.sampled_from((b":irc.example.org 001 fingerbot :Welcome\r\n", b""))
ircSession = st.one_of(
    st.builds(lambda first, lines: first + b"".join(lines), _welcome, st.lists(_ircLines, max_size=8)),
    mutated(st.builds(lambda first, lines: first + b"".join(lines), _welcome, st.lists(_ircLines, max_size=4))),
    tokens(b":", b"!", b"@", b" ", b"PRIVMSG", b"fingerbot", b"\r\n", b"\n", b"001", b"\x01", b"\0", b"x"),
)

# Other finger servers.

answers = st.one_of(
    tokens(
        *(
            b"Login",
            b"moshez",
            b"  ",
            b" ",
            b"\t",
            b"\r\n",
            b"\n",
            b"No such user",
            b"Login: ",
            b"Name: ",
            b"\x1b[2J",
        ),
        *(b"\xff", b"\xc3\xab", b"???", b"In real life:", b"finger: moshez: no such user."),
    ),
    mutated(
        st.sampled_from((b"No such user\r\n", b"moshez           Moshe Zadka\r\n", b"Internal error in server\r\n"))
    ),
)

# Users files.

USER_LINES = (
    *("m: a", "n: b", "m (M. Z.): ", "zoë: c", "zoe\u0308 (Zoë): d", "v(w) : x\r", "a:b:c", f"{'a' * 255}:"),
    *("e f: g", "(): h", "-i: j", "k@l: x", "o", "#: p", f"{'a' * 256}:", "\udcff: y", "z: \udcff", "\ufeffm: 1"),
    *("  q", "\tr", "\u3000s", "\x0bt", " # u", "  \udcff"),
    *("# t", "#\udcff", "", "   ", "\x1c", "\r", "\xa0", "\ufeff"),
)
"""Lines of users files: valid, invalid, continuing and neither.  A lone surrogate is a byte that is not UTF-8."""

usersFiles = st.one_of(
    tokens(
        *(b"moshez", b": ", b":", b"\n", b"\r\n", b"  ", b"#", b"(", b")", b"@", b"\xff", b"\x1b", b"\xef\xbb\xbf")
    ),
    st.lists(st.sampled_from(USER_LINES), max_size=12)
    .map("\n".join)
    .map(lambda text: text.encode("utf-8", "surrogateescape")),
    mutated(st.just(b"# x\nmoshez: Happy\n  and well\nada (Ada Lovelace): Working.\n")),
    st.binary(max_size=60),
)


MOST_PIECES = 200


def pieces(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Split data into pieces of these sizes, repeated.  Without sizes, or after too many pieces, the rest is one."""
    found: list[bytes] = []
    while data:
        if not sizes or len(found) == MOST_PIECES:
            return [*found, data]
        size = sizes[len(found) % len(sizes)]
        found.append(data[:size])
        data = data[size:]
    return found


chunkings = st.lists(st.sampled_from([1, 2, 3, 7, 50, 1000]), max_size=3)
"""Sizes for L{pieces}."""
