"""
systemd's socket activation, service notification and watchdog.

This module does not use Twisted.  The environment and the process id come in as arguments.

systemd passes listening sockets as file descriptors from 3 on.  Environment variables give their number, their names
and the process they are for.  The service reports its state to systemd in datagrams.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FIRST = 3
"""The first descriptor passed, C{SD_LISTEN_FDS_START} in sd_listen_fds(3)."""

MAX_SOCKETS = 65_536
"""The most sockets accepted.  A larger C{LISTEN_FDS} cannot be from systemd."""

MAX_WATCHDOG = 10**15
"""The longest watchdog interval, in microseconds: thirty years."""

SEND_TIMEOUT = 1.0
"""Seconds to wait for the service manager to accept a notification."""


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    """
    A descriptor passed as a listening socket, not yet checked to be one.

    @ivar descriptor: the file descriptor.
    @ivar name: the unit's C{FileDescriptorName=}; empty if systemd passed no names.
    """

    descriptor: int
    name: str = ""


def startEnvironment(environment: Mapping[str, str], block: Path = Path("/proc/self/environ")) -> dict[str, str]:
    """
    Return the environment, with variables restored that were removed since the process started.  Importing
    L{twisted.internet.endpoints} removes C{LISTEN_PID} and C{LISTEN_FDS}.

    @param environment: the current environment, which takes precedence.
    @param block: the kernel's file with the initial environment (proc(5)).
    """
    with suppress(OSError):
        lines = block.read_bytes().decode("utf-8", "surrogateescape").split("\0")
        return {**dict(line.split("=", 1) for line in lines if "=" in line), **environment}
    return dict(environment)


def inheritedSockets(environment: Mapping[str, str], pid: int) -> tuple[InheritedSocket, ...]:
    """
    Return the sockets that systemd has passed (sd_listen_fds(3)), in its order.

    @param environment: holds C{LISTEN_PID}, C{LISTEN_FDS} and, since systemd 227, C{LISTEN_FDNAMES}.
    @param pid: the id of this process.
    """
    if environment.get("LISTEN_PID") != str(pid):
        return ()
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    count = _natural(environment.get("LISTEN_FDS"), MAX_SOCKETS)
    names += [""] * (count - len(names))
    return tuple(InheritedSocket(FIRST + number, names[number]) for number in range(count))


def notifyAddress(environment: Mapping[str, str]) -> str | None:
    """
    Return the address of the service manager's UNIX socket (sd_notify(3)); L{None} if it wants no notifications.

    @param environment: holds C{NOTIFY_SOCKET}: a path, or an abstract address that begins with C{@}.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if address.startswith("@"):
        return "\0" + address[1:]
    return address if address.startswith("/") else None


def watchdogSeconds(environment: Mapping[str, str], pid: int) -> float | None:
    """
    Return the watchdog's timeout in seconds (sd_watchdog_enabled(3)); L{None} if no watchdog is enabled.

    @param environment: may hold C{WATCHDOG_USEC} and C{WATCHDOG_PID}.
    @param pid: the id of this process.
    """
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return _natural(environment.get("WATCHDOG_USEC"), MAX_WATCHDOG) / 1_000_000 or None


def notify(address: str, assignments: Iterable[str]) -> None:
    """
    Notify the service manager (sd_notify(3)), with one datagram.

    @param address: the address from L{notifyAddress}.
    @param assignments: assignments such as C{READY=1}.
    @raise OSError: if the datagram cannot be sent.
    """
    lines = [assignment.replace("\n", " ") for assignment in assignments]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SEND_TIMEOUT)
        sock.connect(address)
        sock.send("\n".join(lines).encode("utf-8", "surrogateescape"))


def _natural(text: str | None, most: int) -> int:
    """Parse a natural number up to C{most}; return 0 for anything else."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > len(str(most)):
        return 0
    number = int(text)
    return number if number <= most else 0
