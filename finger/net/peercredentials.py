"""The user at the other end of a UNIX socket, as the kernel reports it."""

from __future__ import annotations

import socket
import struct


def peerUID(transport: object) -> int | None:
    """
    Return the id of the user that has connected to a UNIX socket (SO_PEERCRED).

    @param transport: the transport of the connection.
    @return: the user's id; L{None} if the transport does not identify users, as with TCP.
    """
    getHandle = getattr(transport, "getHandle", None)
    handle = getHandle() if getHandle is not None else None
    if handle is None or handle.family != socket.AF_UNIX:
        return None
    credentials = handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", credentials)
    return int(uid)
