"""The paths that programs request unasked, which are not users'."""

from __future__ import annotations

from typing import Final

from twisted.web.server import Request

from finger.adapters.web.representation import plainPage
from finger.adapters.web.response import send

ROBOTS: Final = "robots.txt"
"""The rules for crawlers (RFC 9309)."""

ICON: Final = "favicon.ico"
"""The site's icon.  Pages have it inside; feed readers, search engines and old browsers request this one."""

RESERVED: Final = frozenset(
    {ROBOTS, ICON, ".well-known", "apple-touch-icon.png", "apple-touch-icon-precomposed.png", "sitemap.xml"}
)
"""
The paths that are not users': those above, that of RFC 8615, and others that phones and crawlers try.  A user with
such a name has the page C{/?user=name}.
"""

_COMMON: Final = {b"x-content-type-options": b"nosniff", b"referrer-policy": b"no-referrer"}

_ROBOTS_HEADERS: Final = {
    b"content-type": b"text/plain; charset=utf-8",
    b"cache-control": b"public, max-age=3600",
} | _COMMON

_ICON_HEADERS: Final = {
    b"content-type": b"image/vnd.microsoft.icon",
    b"cache-control": b"public, max-age=86400",
} | _COMMON


def sendRobots(request: Request, isIndexed: bool) -> None:
    """
    Send the rules for crawlers.

    @param isIndexed: whether crawlers may request pages.
    """
    send(request, plainPage(b"User-agent: *\nDisallow:%b\n" % (b"" if isIndexed else b" /")), _ROBOTS_HEADERS)


def sendIcon(request: Request, icon: bytes) -> None:
    """Send the icon."""
    send(request, plainPage(icon), _ICON_HEADERS)
