"""
The answers to HTTP requests that are repeated, byte for byte.

Parsing a request, finding its resource and formatting a response take Twisted several times as long as all the rest,
and most clients send the same bytes again and again.  So the bytes of some responses are kept by the bytes of their
requests.  Only a resource can know that a response depends on nothing else but the version of its data: it then calls
L{IRepeatableRequest.allowRepeats <finger.interfaces.IRepeatableRequest.allowRepeats>}.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from twisted.web.http import datetimeToString
from twisted.web.http_headers import Headers
from twisted.web.server import Request

from finger.net.answercache import AnswerCache
from finger.net.http import MAX_REQUESTS, BoundedChannel, BoundedSite
from finger.net.httphead import HTTPRefusal
from finger.protocol.hosts import hostOf, isTrusted

MAX_REQUEST: Final = 4096
"""The length of a request that is kept, in bytes.  It arrives at once."""

MAX_RESPONSE: Final = 80 * 1024
"""
The length of a response that is kept, in bytes.  It is sent as a whole, and this is as much as a connection holds of
a longer one, which is sent in slices (L{finger.net.slices}).
"""

KEEPING: Final = 600
"""The memory for keeping a response, in bytes, besides its own length and the request's."""

_DATE: Final = b"\r\nDate: "

Record = Callable[[str], object]
"""A function that logs a request from a host."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """
    A kept response.

    @ivar head: the bytes before the date.
    @ivar tail: the bytes after it.
    @ivar record: logs another request like this one.
    """

    head: bytes
    tail: bytes
    record: Record

    def format(self, date: bytes) -> bytes:
        """
        Return the response.

        @param date: the date (RFC 9110 section 6.6.1).
        """
        return b"%b%b%b" % (self.head, date, self.tail)


class Repeats:
    """
    The kept responses of a site.

    @param version: returns the version of all that responses are made from; L{None} if none may be kept at present.
    """

    def __init__(self, version: Callable[[], Hashable | None]) -> None:
        self.version = version
        self._kept: AnswerCache[Repeated] = AnswerCache()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, version: Hashable | None, request: bytes) -> Repeated | None:
        """
        Return the response to a request, if it is kept.

        @param version: the present version.
        """
        return self._kept.get(version, request)

    def keep(self, version: Hashable | None, request: bytes, response: bytes, record: Record) -> None:
        """
        Keep a response, unless it or its request is long.

        @param version: the version before the request was answered.
        @param request: the whole request.
        @param response: the whole response.
        @param record: logs another request like this one.
        """
        head, date, rest = response.partition(_DATE)
        if len(request) <= MAX_REQUEST and len(response) <= MAX_RESPONSE and date:
            _, end, tail = rest.partition(b"\r\n")
            kept = Repeated(head + date, end + tail, record)
            self._kept.put(version, request, kept, KEEPING + len(request) + len(response))


class RepeatingChannel(BoundedChannel):
    """
    A connection of a L{RepeatingSite}.  A request that arrives at once, while no other is in progress, may be
    answered with a kept response; and its own may be kept.  The limits, the time limits and the log are the same.
    """

    site: RepeatingSite
    _request = b""  # The request in progress, if it arrived at once.
    _dataVersion: Hashable | None = None
    _record: Record | None = None

    def connectionMade(self) -> None:
        """Note who the peer is.  The requests of a proxy have many clients, so none of them is repeated."""
        super().connectionMade()
        self._host = hostOf(self.transport.getPeer())
        self._isProxy = isTrusted(self._host, self.site.trusted)
        self._written: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """Take data; see L{BoundedChannel.dataReceived}."""
        if not self._isFree():
            self._request = b""
        elif self._repeat(data):
            return
        super().dataReceived(data)

    def _isFree(self) -> bool:
        """Return whether data that arrives now begins a request, and the connection stays open after it."""
        isBetween = self._head is None and not (self._isBusy or self._buffer or self._isAfterEmptyLine)
        isEnding = self.isRefused or self._isDraining or self._isHalfClosed or self._count >= MAX_REQUESTS - 1
        return isBetween and not (isEnding or self._isProxy or self._isUnread or self.transport.disconnecting)

    def _repeat(self, request: bytes) -> bool:
        """Answer a request with a kept response, and return whether there is one."""
        repeats = self.site.repeatsBy(self.isSecure())
        version = repeats.version()
        kept = repeats.find(version, request)
        if kept is None:
            self._request, self._dataVersion, self._record = request, version, None
            return False
        self._count += 1
        try:
            self._admit(self._host)
        except HTTPRefusal as refusal:
            self.refuse(refusal, isHead=request.lstrip().startswith(b"HEAD "))
            return True
        self._endLimit()
        self._deadline.start(self.requestTimeout, self.transport.abortConnection)
        self.transport.write(kept.format(_date(int(time.time()))))
        kept.record(self._host)
        return True

    def allowRepeats(self, record: Record) -> None:
        """See L{IRepeatableRequest.allowRepeats}."""
        if self._request:
            self._record = record
            self._written.clear()

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """See L{BoundedChannel.writeHeaders}.  Note the head for repetitions."""
        super().writeHeaders(version, code, reason, headers)
        if self._record is not None:
            self._written.append(b"HTTP/1.1 %b %b\r\n" % (code, reason))
            for name, values in headers.getAllRawHeaders():
                self._written += [b"%b: %b\r\n" % (name, value) for value in values]
            self._written.append(b"\r\n")

    def write(self, data: bytes) -> None:
        """See C{HTTPChannel.write}.  Note the content for repetitions."""
        if self._record is not None:
            self._written.append(data)
        super().write(data)

    def requestDone(self, request: Request) -> None:
        """Keep the response, if it may be repeated and the connection stays open."""
        if self._record is not None and self.persistent and _isWhole(self._request, request):
            repeats = self.site.repeatsBy(self.isSecure())
            repeats.keep(self._dataVersion, self._request, b"".join(self._written), self._record)
        self._request, self._record = b"", None
        self._written.clear()
        super().requestDone(request)


class RepeatingSite(BoundedSite):
    """
    A site that keeps responses for requests that are repeated.

    @ivar version: see L{Repeats}; by default, nothing is kept.
    """

    version: Callable[[], Hashable | None] = staticmethod(lambda: None)

    def makeChannel(self) -> RepeatingChannel:
        """See L{BoundedSite.makeChannel}."""
        return RepeatingChannel()

    def repeatsBy(self, isSecure: bool) -> Repeats:
        """Return the responses by HTTPS, or those by HTTP: they differ, for example in what they promise."""
        return self._repeats[isSecure]

    @cached_property
    def _repeats(self) -> tuple[Repeats, Repeats]:
        return Repeats(self.version), Repeats(self.version)


def _isWhole(received: bytes, request: Request) -> bool:
    """Return whether received data is one request, and nothing more."""
    length = request.requestHeaders.getRawHeaders(b"content-length", [b"0"])
    _, _, content = received.partition(b"\r\n\r\n")
    return not request.requestHeaders.hasHeader(b"transfer-encoding") and length == [b"%d" % len(content)]


@lru_cache(maxsize=1)
def _date(now: int) -> bytes:
    """Return a time, in seconds since 1970, as in C{Date}."""
    date: bytes = datetimeToString(now)
    return date
