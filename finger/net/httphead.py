"""
The heads of HTTP requests: the syntax, and what is refused (RFC 9110, RFC 9112).  No I/O, no Twisted.

The grammar, from RFC 9112 sections 3 and 5, RFC 9110 sections 5.6.2 and 7.2, and RFC 3986 section 3.2.2::

    request-line  = method SP request-target SP HTTP-version
    method        = token
    HTTP-version  = "HTTP/" DIGIT "." DIGIT
    origin-form   = absolute-path [ "?" query ]
    absolute-form = scheme "://" authority path-abempty [ "?" query ]
    asterisk-form = "*"
    field-line    = token ":" OWS field-value OWS
    Host          = uri-host [ ":" port ]
    uri-host      = "[" IPv6address "]" / reg-name

Where the RFCs permit a server to repair what is invalid, it is refused instead: a proxy in front of the server may
have repaired it in another way, and would not agree with the server where a request ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from finger.protocol.hosts import parseAddress

MAX_REQUEST_LINE: Final = 8 * 1024
"""The longest request line, in bytes; 8,000 is the least that servers should support (RFC 9112 section 3)."""

MAX_FIELDS: Final = 100
"""The most fields in a head; browsers send some 20."""

MAX_FIELDS_SIZE: Final = 16 * 1024
"""The total length of the fields in a head, in bytes."""

MAX_FIELD_NAME: Final = 128
"""The longest name of a field, in bytes.  Twisted keeps up to 10,000 names for ever, whatever their lengths."""

MAX_DIGITS: Final = 18
"""The most digits in a C{Content-Length}, besides leading zeros."""

HTTP_1_0: Final = b"HTTP/1.0"
HTTP_1_1: Final = b"HTTP/1.1"

REASONS: Final = {
    400: "Bad Request",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    421: "Misdirected Request",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    505: "HTTP Version Not Supported",
}
"""The reason phrases, which not all versions of Python agree on."""

METHODS: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH"))
"""The methods that are known, if not always allowed (RFC 9110 section 9.3, RFC 5789).  C{CONNECT} is for proxies."""

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION: Final = re.compile(rb"HTTP/([0-9])\.([0-9])")
_TARGET: Final = re.compile(rb"[\x21\x22\x24-\x7e]+")  # Printable ASCII; "#" begins a fragment, which is not sent.
_ABSOLUTE: Final = re.compile(rb"(https?)://([^/?]+)([^?]*)(.*)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::([0-9]*))?")
_CONTROLS: Final = bytes(set(range(32)) - {9}) + b"\x7f"


class HTTPRefusal(Exception):
    """
    A request that is refused before any resource sees it.

    @param code: the status code, one of L{REASONS}.
    @param why: the reason, for people; empty if the status says it all.
    @param fields: further fields of the response, as lines without their ends.
    """

    def __init__(self, code: int, why: str = "", *fields: bytes) -> None:
        super().__init__(why)
        self.code = code
        self._text = f"{REASONS[code]}{': ' if why else ''}{why}\n".encode()
        self._fields = fields

    def format(self, *fields: bytes, hasBody: bool = True) -> bytes:
        """
        Return the response, after which the connection closes.

        @param fields: the fields that all responses of the server have.
        @param hasBody: whether the response has content, as any but that to C{HEAD} has.
        """
        lines = (
            b"HTTP/1.1 %d %b" % (self.code, REASONS[self.code].encode()),
            *fields,
            b"Connection: close",
            b"Content-Type: text/plain",
            b"Content-Length: %d" % len(self._text),
            *self._fields,
        )
        return b"\r\n".join(lines) + b"\r\n\r\n" + (self._text if hasBody else b"")


def _bad(why: str) -> HTTPRefusal:
    return HTTPRefusal(400, why)


@dataclass(frozen=True, slots=True)
class RequestLine:
    """
    A request line.

    @ivar method: the method.
    @ivar target: the path with the query, or C{*}.
    @ivar version: the version that the request is treated as: L{HTTP_1_0} or L{HTTP_1_1}.
    @ivar scheme: the scheme of a target in absolute-form, in lower case; otherwise empty.
    @ivar authority: the authority of such a target, which replaces that of C{Host} (RFC 9112 section 3.2.2).
    """

    method: bytes
    target: bytes
    version: bytes
    scheme: bytes = b""
    authority: bytes = b""

    def format(self) -> bytes:
        """Return the line in origin-form or asterisk-form, without its end."""
        return b" ".join((self.method, self.target, self.version))


def parseRequestLine(line: bytes) -> RequestLine:
    """
    Parse a request line (RFC 9112 section 3).

    @raise HTTPRefusal: if it is invalid, too long, or asks for what the server does not implement.
    """
    if len(line) > MAX_REQUEST_LINE:
        raise requestLineTooLong(line)
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]):
        raise _bad("the request line should be METHOD TARGET HTTP/1.1")
    method, target, version = parts
    version = _parseVersion(version)
    if method == b"CONNECT":
        raise HTTPRefusal(501, "this server is not a proxy")
    if not _TARGET.fullmatch(target):
        raise _bad("the target has characters that should be percent-encoded, or a fragment")
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return RequestLine(method, target, version)
    return _absolute(method, target, version)


def requestLineTooLong(line: bytes) -> HTTPRefusal:
    """
    Return the refusal of a request line that is too long.  A server that implements no method of that length answers
    501; if the target is too long, 414.

    @param line: the line, or its beginning.
    """
    method, space, _ = line[:MAX_REQUEST_LINE].partition(b" ")
    if not _TOKEN.fullmatch(method):
        return _bad("the request line should be METHOD TARGET HTTP/1.1")
    return HTTPRefusal(414) if space else HTTPRefusal(501, "no method has such a long name")


def _parseVersion(version: bytes) -> bytes:
    """Return the version that a request is treated as: the highest supported one of its major version."""
    match = _VERSION.fullmatch(version)
    if match is None or match[1] == b"0":
        raise _bad("the version should be HTTP/1.1")
    if match[1] != b"1":
        raise HTTPRefusal(505, "this server supports HTTP/1.1")
    return HTTP_1_0 if match[2] == b"0" else HTTP_1_1


def _absolute(method: bytes, target: bytes, version: bytes) -> RequestLine:
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise _bad("the target should be a path, or a URL of http or https")
    scheme, authority, path, query = match.groups()
    checkAuthority(authority)
    if authority.startswith(b":"):
        raise _bad("the target's host is empty")
    path = path or (b"*" if method == b"OPTIONS" and not query else b"/")
    return RequestLine(method, path + query, version, scheme.lower(), authority)


def checkAuthority(authority: bytes) -> bytes:
    """
    Check an authority: a host and, optionally, a port.  An empty host is valid (RFC 9110 section 7.2).

    @return: the authority.
    @raise HTTPRefusal: if it is invalid.
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None or len(match[2] or b"") > 5 or int(match[2] or b"0") > 65535:
        raise _bad("the host is invalid")
    if match[1].startswith(b"[") and (b":" not in match[1] or parseAddress(match[1][1:-1].decode()) is None):
        raise _bad("the host is not an IPv6 address")
    return authority


def hostOfAuthority(authority: bytes) -> str:
    """
    Return the host of a valid authority, in lower case, without its port, brackets and trailing dot.

    @param authority: the authority, as from L{checkAuthority}.
    """
    match = _AUTHORITY.fullmatch(authority)
    assert match is not None
    host = match[1].decode().lower()
    address = parseAddress(host.strip("[]"))
    return host.removesuffix(".") if address is None else str(address)


def elements(values: Iterable[bytes]) -> list[bytes]:
    """Return the elements of a list, in lower case, without the empty ones (RFC 9110 section 5.6.1)."""
    return [element for value in values for part in value.split(b",") if (element := part.strip(b" \t").lower())]


def _checkLength(value: bytes, version: bytes) -> bytes:
    """Return a C{Content-Length} without leading zeros (RFC 9110 section 8.6)."""
    if not value.isdigit():
        raise _bad("Content-Length should be a number")
    digits = value.lstrip(b"0") or b"0"
    if len(digits) > MAX_DIGITS:
        raise HTTPRefusal(413)
    return digits


def _checkCoding(value: bytes, version: bytes) -> bytes:
    """
    Check a C{Transfer-Encoding} (RFC 9112 sections 6.1, 6.3 and 7.1): the length of a request is only known if the
    last coding is C{chunked}, which is applied once and has no parameters.
    """
    codings = [coding.strip(b" \t").lower() for coding in value.split(b",")]
    if version == HTTP_1_0:
        raise _bad("HTTP/1.0 has no Transfer-Encoding")
    if codings[-1] != b"chunked" or b"chunked" in codings[:-1] or b"" in codings:
        raise _bad("Transfer-Encoding should be chunked")
    if len(codings) > 1:
        raise HTTPRefusal(501, "the only known Transfer-Encoding is chunked")
    return b"chunked"


_CHECKS: Final[dict[bytes, Callable[[bytes, bytes], bytes]]] = {
    b"content-length": _checkLength,
    b"host": lambda value, version: checkAuthority(value),
    b"transfer-encoding": _checkCoding,
}
"""The checks of fields, called with the value and the request's version.  Each returns the value in one form."""


def checkField(line: bytes, version: bytes) -> bytes:
    """
    Check the line of a field (RFC 9112 section 5, RFC 9110 section 5.5).

    @param version: the request's version.
    @return: the line, with its value in one form if there are several.
    @raise HTTPRefusal: if it is invalid or too large.
    """
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name):
        raise _bad("a line of the head should be NAME: VALUE, without spaces before the colon")
    if len(name) > MAX_FIELD_NAME:
        raise HTTPRefusal(431, f"a name has more than {MAX_FIELD_NAME} bytes")
    if len(value.translate(None, _CONTROLS)) != len(value):
        raise _bad("a value has control characters")
    check = _CHECKS.get(name.lower())
    return name + b": " + check(value.strip(b" \t"), version) if check else line


def checkHead(line: RequestLine, hosts: Sequence[bytes], expectations: Sequence[bytes]) -> None:
    """
    Check what a head says as a whole; L{checkField} checks each field.

    @param hosts: the values of C{Host} (RFC 9112 section 3.2).
    @param expectations: the values of C{Expect} (RFC 9110 section 10.1.1), which HTTP/1.0 does not have.
    @raise HTTPRefusal: if it is invalid.
    """
    if len(hosts) > 1:
        raise _bad("there is more than one Host")
    if line.version == HTTP_1_0:
        return
    if not hosts:
        raise _bad("there is no Host")
    if set(elements(expectations)) - {b"100-continue"}:
        raise HTTPRefusal(417, "the only known expectation is 100-continue")
