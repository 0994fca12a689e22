"""Pages as they are sent: their compressed form, their entity tags, and which form a client gets (RFC 9110)."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

MIN_COMPRESSED: Final = 1024
"""The length from which a page is compressed, in bytes; a shorter one fits a packet anyway."""

LEVEL: Final = 6
"""The level of compression: higher ones take much longer for a few bytes."""

MAX_ACCEPTED: Final = 1000
"""The length from which an C{Accept-Encoding} is ignored, in bytes; browsers send some 30."""

GZIP: Final = b"gzip"


@dataclass(frozen=True, slots=True)
class Representation:
    """
    A page as bytes.

    @ivar body: the bytes.
    @ivar coding: the content coding; empty for none.
    @ivar varies: whether a client that accepts other codings gets other bytes.
    @ivar tag: the strong entity tag, with its quotes (section 8.8.3).  It is made from the bytes, so it stays the
        same when the server restarts, and differs between codings.
    """

    body: bytes
    coding: bytes
    varies: bool
    tag: bytes

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers about the bytes."""
        coding = {b"content-encoding": self.coding} if self.coding else {}
        return {b"content-length": b"%d" % len(self.body)} | coding

    @property
    def tags(self) -> dict[bytes, bytes]:
        """The headers by which a cache knows the page again, also in a response of 304 (section 15.4.5)."""
        return {b"etag": self.tag} | ({b"vary": b"Accept-Encoding"} if self.varies else {})


def plainPage(html: bytes, varies: bool = False) -> Representation:
    """
    Return a page without a content coding.

    @param varies: see L{Representation}; a page too short to be compressed does not vary.
    """
    return Representation(html, b"", varies and len(html) >= MIN_COMPRESSED, _tagOf(html))


def compressedPage(page: Representation) -> Representation:
    """
    Return a page in gzip's coding; the page itself if that is too short.

    A compressed page's length can reveal a secret that is beside text of an attacker's choice (the BREACH attack).
    There is none: a page is the same for all clients, and contains nothing of a request.  Error pages, which repeat
    the name in a request, are not compressed.
    """
    if not page.varies:
        return page
    body = gzip.compress(page.body, LEVEL, mtime=0)
    return Representation(body, GZIP, True, _tagOf(body))


def acceptsGzip(fields: Iterable[bytes]) -> bool:
    """
    Return whether a client prefers gzip (section 12.5.3).

    @param fields: the request's C{Accept-Encoding} fields.
    """
    accepted = b",".join(fields).lower()
    if len(accepted) > MAX_ACCEPTED:
        return False
    weights = {match[1]: float(match[2] or 1) for match in map(_CODING.fullmatch, accepted.split(b",")) if match}
    other = weights.get(b"*", 0.0)
    weight = max(weights.get(b"gzip", other), weights.get(b"x-gzip", 0.0))
    return weight > 0 and weight >= weights.get(b"identity", 0.0)


_CODING: Final = re.compile(
    rb"[ \t]*([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*"
)


def _tagOf(body: bytes) -> bytes:
    return b'"%b"' % sha256(body).hexdigest()[:32].encode()
