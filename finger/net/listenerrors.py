"""Why a port could not be opened, in words."""

from __future__ import annotations

import errno
import os

from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure


def errnoOf(failure: Failure) -> int | None:
    """The number of the system's error, or L{None} if it was not one."""
    error = failure.value
    return getattr(error.socketError if isinstance(error, CannotListenError) else error, "errno", None)


def whyNot(failure: Failure) -> str:
    """Say in one line why the port could not be opened, and what to do."""
    port = getattr(failure.value, "port", None)
    match errnoOf(failure):
        case errno.EADDRINUSE:
            return f"port {port} is taken by another program; end that one, or choose another port"
        case errno.EACCES:
            return (
                f"port {port} is for root: start as root (which is given up at once), grant CAP_NET_BIND_SERVICE, "
                "have systemd open it, or choose one above 1023"
            )
        case None:
            return failure.getErrorMessage()
        case number:
            where = f"port {port}" if isinstance(port, int) else "it"
            return f"{where} cannot be opened: {os.strerror(number)}"
