"""Requests that apply on a condition only, and content of PUT that is not a whole status (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from twisted.web.server import Request

from finger.errors import BadQuery, PeerError

_TAG: Final = re.compile(rb'(?:W/)?"[^"]*"', re.IGNORECASE)


class ConditionFailed(PeerError):
    """The condition of the request is false."""

    words = "The page is not the one that the request is for"


class CodingRefused(PeerError):
    """The content has a coding."""

    words = "Content without a coding is expected"


def isRightVersion(fields: Iterable[bytes], tags: Collection[bytes]) -> bool:
    """
    Return whether a request applies: without C{If-Match}, or if it lists a tag of the page, or is C{*} and the page
    exists (section 13.1.1).  Tags are compared strongly, so one with a leading C{W/} never matches.

    @param fields: the request's C{If-Match} fields.
    @param tags: the tags of the page in all its codings; empty if there is no such page.
    """
    field = b",".join(fields)
    if not field.strip():
        return True
    return bool(tags) if field.strip() == b"*" else not set(_TAG.findall(field)).isdisjoint(tags)


def isListed(fields: Iterable[bytes], tags: Collection[bytes]) -> bool:
    """
    Return whether C{If-None-Match} lists a tag, or is C{*} and the page exists (section 13.1.2).  Tags are compared
    weakly, so a leading C{W/} makes no difference; within quotes, a tag cannot contain another.

    @param fields: the request's C{If-None-Match} fields.
    @param tags: see L{isRightVersion}.
    """
    return any(field.strip() == b"*" or any(tag in field for tag in tags) for field in fields if tags)


def hasCondition(request: Request) -> bool:
    """Return whether a request applies on a condition only."""
    return any(request.requestHeaders.hasHeader(name) for name in (b"if-match", b"if-none-match"))


def checkCondition(request: Request, tags: Collection[bytes]) -> None:
    """
    Check the condition of a request that sets a status.

    @param tags: see L{isRightVersion}.
    @raise ConditionFailed: if it is false.
    """
    fields = request.requestHeaders.getRawHeaders
    if not isRightVersion(fields(b"if-match", ()), tags) or isListed(fields(b"if-none-match", ()), tags):
        raise ConditionFailed


def checkWhole(request: Request) -> None:
    """
    Check that the content of a PUT is a whole status, as it is.

    @raise BadQuery: if it is a part (section 14.5).
    @raise CodingRefused: if it has a coding, such as gzip (section 8.4).
    """
    if request.requestHeaders.hasHeader(b"content-range"):
        raise BadQuery("a part of a status")
    codings = b",".join(request.requestHeaders.getRawHeaders(b"content-encoding", ()))
    if codings.strip().lower() not in {b"", b"identity"}:
        raise CodingRefused
