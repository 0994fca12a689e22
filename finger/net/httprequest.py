"""HTTP requests with limits, and methods that no resource knows."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from twisted.web.http import datetimeToString
from twisted.web.resource import IResource
from zope.interface import implementer

from finger.interfaces import ILimitedTransport, IRepeatableRequest
from finger.net.httphead import METHODS, HTTPRefusal
from finger.net.proxied import ProxiedRequest

if TYPE_CHECKING:
    from finger.net.http import BoundedChannel

MAX_BODY = 64 * 1024
"""The longest request body, in bytes, with or without chunks.  Legitimate bodies are about one line long."""

GONE = 1.0
"""The time, in seconds, that a call of a client that has left should wait, for an answer that nobody reads."""


@implementer(ILimitedTransport, IRepeatableRequest)
class BoundedRequest(ProxiedRequest):
    """A request whose body has at most L{MAX_BODY} bytes."""

    channel: BoundedChannel
    _bodySize = 0

    def gotLength(self, length: int | None) -> None:
        """Refuse a body whose announced length is too long."""
        if length is not None and length > MAX_BODY:
            raise HTTPRefusal(413)
        super().gotLength(min(length or MAX_BODY, MAX_BODY))  # Keeps the body in memory, not in a temporary file.

    def expectChunk(self, length: int) -> None:
        """Refuse a body whose chunk, of which these bytes have not arrived, is too long."""
        if self._bodySize + length > MAX_BODY:
            raise HTTPRefusal(413)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a chunk of the body, or refuse the body once it is too long."""
        self._bodySize += len(data)
        if self._bodySize > MAX_BODY:
            raise HTTPRefusal(413)
        super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Answer the complete request."""
        self.channel.beginAnswer()
        super().requestReceived(command, path, version)

    def process(self) -> None:
        """Answer C{OPTIONS *}, which asks whether the server is there (RFC 9110 section 9.3.7), or process a path."""
        if self.path == b"*":
            self.setHeader(b"date", datetimeToString())
            self.setHeader(b"content-length", b"0")
            self.finish()
        else:
            super().process()

    def render(self, resrc: IResource) -> None:
        """Render the resource, unless the method is unknown (RFC 9110 section 9.1)."""
        if self.method in METHODS or hasattr(resrc, f"render_{self.method.decode('ascii')}"):
            super().render(resrc)
            return
        body = b"Not Implemented: the method is unknown\n"
        self.setResponseCode(HTTPStatus.NOT_IMPLEMENTED)
        self.setHeader(b"content-type", b"text/plain")
        self.setHeader(b"content-length", b"%d" % len(body))
        self.write(body)
        self.finish()

    def allowRepeats(self, record: Callable[[str], object]) -> None:
        """See L{IRepeatableRequest.allowRepeats}."""
        if not self._disconnected:
            self.channel.allowRepeats(record)

    def admitRequest(self) -> float:
        """
        See L{ILimitedTransport.admitRequest}.  A request that makes several calls asks for each further one.  None is
        admitted once the client has left.
        """
        return GONE if self._disconnected else self.channel.admitCall()
