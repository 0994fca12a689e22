"""Sending representations, and their headers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from twisted.web.server import Request

from finger.adapters.web.conditions import ConditionFailed, isListed, isRightVersion
from finger.adapters.web.representation import Representation, acceptsGzip, plainPage
from finger.net.slices import sendInSlices

HEADERS: Final = {
    b"content-type": b"text/html; charset=utf-8",
    b"content-security-policy": (
        b"default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-cache",
}
"""The headers of every page.  The pages load no other resources, so the policy allows none."""

ALLOWED: Final = (b"GET", b"HEAD")
"""The methods that are always allowed.  PUT is also allowed if users can log in."""


OTHER_VERSION: Final = plainPage(f"{ConditionFailed.words}\n".encode())
"""The content of a response of 412."""


def prefersGzip(request: Request) -> bool:
    """Return whether a request's client prefers gzip."""
    return acceptsGzip(request.requestHeaders.getRawHeaders(b"accept-encoding", ()))


def send(
    request: Request,
    page: Representation,
    headers: Mapping[bytes, bytes] = HEADERS,
    code: HTTPStatus = HTTPStatus.OK,
) -> None:
    """
    Send a page or a file, or 304 if the client has it already, or 412 if the request is for another version.

    Only a page that answers GET or HEAD has a tag: in a response to PUT, a tag would be that of the status as it was
    sent (RFC 9110 section 9.3.4).

    @param headers: its headers, which include C{Cache-Control}.
    """
    tags = page.tags if code == HTTPStatus.OK and request.method in ALLOWED else {}
    asked = request.requestHeaders.getRawHeaders
    if tags and not isRightVersion(asked(b"if-match", ()), {page.tag}):
        code, page, tags = HTTPStatus.PRECONDITION_FAILED, OTHER_VERSION, {}
        headers = {**headers, b"content-type": b"text/plain"}
    fields, body = {**headers, **page.headers}, page.body
    if tags and isListed(asked(b"if-none-match", ()), {page.tag}):
        code, fields, body = HTTPStatus.NOT_MODIFIED, {b"cache-control": headers[b"cache-control"]}, b""
    request.setResponseCode(code)
    for name, value in (fields | tags).items():
        request.setHeader(name, value)
    sendInSlices(request, body, request.finish)
