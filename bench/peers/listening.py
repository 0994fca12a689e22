"""What the servers on Twisted share."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.web.server import Site

BACKLOG = 4096
"""With Twisted's 50, many clients at once wait a second until their system tries again to connect."""


class QuietSite(Site):
    """A site without a log of requests."""

    def log(self, request: Any) -> None:
        """Log nothing."""


def serve(factory: Any) -> None:
    """Listen on a free port, print it, and run."""
    factory.noisy = False
    port: Any = reactor.listenTCP(0, factory, backlog=BACKLOG)
    print(port.getHost().port, flush=True)
    reactor.run()
