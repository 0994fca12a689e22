"""Error messages for ports that cannot be opened."""

from __future__ import annotations

import errno
import os

from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure


def errnoOf(failure: Failure) -> int | None:
    """Return the errno of a failure, or L{None} if it is not a system error."""
    error = failure.value
    return getattr(error.socketError if isinstance(error, CannotListenError) else error, "errno", None)


def whyNot(failure: Failure) -> str:
    """Return one line that says why the port could not be opened, and what to do."""
    port = getattr(failure.value, "port", None)
    match errnoOf(failure):
        case errno.EADDRINUSE:
            return f"port {port} is taken by another program; end that one, or choose another port"
        case errno.EACCES:
            return (
                f"port {port} requires root: start as root (the server then drops privileges), grant "
                "CAP_NET_BIND_SERVICE, have systemd open it, or choose a port above 1023"
            )
        case None:
            return failure.getErrorMessage()
        case number:
            where = f"port {port}" if isinstance(port, int) else "it"
            return f"{where} cannot be opened: {os.strerror(number)}"
