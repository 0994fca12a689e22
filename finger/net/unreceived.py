"""What was sent on a connection and has not arrived, as the kernel reports it."""

from __future__ import annotations

import fcntl
import sys
import termios
from typing import Any

_NONE = bytes(4)


def hasUnreceived(transport: Any) -> bool:
    """
    Return whether a peer has not received all that was sent to it (tcp(7), unix(7): C{SIOCOUTQ}); not for a transport
    without a socket, or a system that does not report it.

    @param transport: the transport, or a wrapper of it.
    """
    getHandle = getattr(transport, "getHandle", None)
    if getHandle is None:
        return False
    try:
        return int.from_bytes(fcntl.ioctl(getHandle(), termios.TIOCOUTQ, _NONE), sys.byteorder) > 0
    except (OSError, ValueError):  # The socket may be closed already.
        return False
