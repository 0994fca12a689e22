"""
What systemd passes to a service, and what it wants to hear from one.  No Twisted; what could be asked of the process
comes in as an argument.

systemd gives listening sockets as descriptors from 3 on, and says in the environment how many, what they are called,
and which process they are for.  It hears of the service's state in datagrams.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FIRST = 3
"""The first descriptor that is passed, C{SD_LISTEN_FDS_START} in sd_listen_fds(3)."""

MAX_SOCKETS = 65_536
"""How many sockets can be passed.  Whoever says there are more is not systemd."""

MAX_WATCHDOG = 10**15
"""How long a watchdog can wait, in microseconds: thirty years."""

SEND_TIMEOUT = 1.0
"""How long the service manager may take to make room for what it is told, in seconds."""


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    """
    What was passed as a listening socket; whether it is one has not been looked at.

    @ivar descriptor: the file descriptor.
    @ivar name: the unit's C{FileDescriptorName=}, or empty if there are no names.
    """

    descriptor: int
    name: str = ""


def startEnvironment(environment: Mapping[str, str], block: Path = Path("/proc/self/environ")) -> dict[str, str]:
    """
    The environment with what this process was started with and has lost since.  L{twisted.internet.endpoints}, when
    it is imported, takes C{LISTEN_PID} and C{LISTEN_FDS} away, also where it has no use for them.

    @param environment: as it is now; it counts where both have something.
    @param block: where the kernel shows the environment of the start (proc(5)).
    """
    with suppress(OSError):
        lines = block.read_bytes().decode("utf-8", "surrogateescape").split("\0")
        return {**dict(line.split("=", 1) for line in lines if "=" in line), **environment}
    return dict(environment)


def inheritedSockets(environment: Mapping[str, str], pid: int) -> tuple[InheritedSocket, ...]:
    """
    The sockets that systemd has passed (sd_listen_fds(3)), in its order.

    @param environment: C{LISTEN_PID}, C{LISTEN_FDS} and, with systemd 227 and newer, C{LISTEN_FDNAMES}.
    @param pid: this process.
    """
    if environment.get("LISTEN_PID") != str(pid):
        return ()
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    count = _natural(environment.get("LISTEN_FDS"), MAX_SOCKETS)
    names += [""] * (count - len(names))
    return tuple(InheritedSocket(FIRST + number, names[number]) for number in range(count))


def notifyAddress(environment: Mapping[str, str]) -> str | None:
    """
    Where the service manager wants to be told (sd_notify(3)), as a UNIX socket's address; L{None} if it does not.

    @param environment: C{NOTIFY_SOCKET}: a path, or an abstract address that begins with C{@}.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if address.startswith("@"):
        return "\0" + address[1:]
    return address if address.startswith("/") else None


def watchdogSeconds(environment: Mapping[str, str], pid: int) -> float | None:
    """
    How often the watchdog wants to hear something, at the least (sd_watchdog_enabled(3)); L{None} if there is none.

    @param environment: C{WATCHDOG_USEC} and, perhaps, C{WATCHDOG_PID}.
    @param pid: this process.
    """
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return _natural(environment.get("WATCHDOG_USEC"), MAX_WATCHDOG) / 1_000_000 or None


def notify(address: str, assignments: Iterable[str]) -> None:
    """
    Tell the service manager (sd_notify(3)), all in one datagram.

    @param address: from L{notifyAddress}.
    @param assignments: such as C{READY=1}.
    @raise OSError: if it cannot be told.
    """
    lines = [assignment.replace("\n", " ") for assignment in assignments]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SEND_TIMEOUT)
        sock.connect(address)
        sock.send("\n".join(lines).encode("utf-8", "surrogateescape"))


def _natural(text: str | None, most: int) -> int:
    """A number as systemd writes it; 0 for anything else, and for more than there can be."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > len(str(most)):
        return 0
    number = int(text)
    return number if number <= most else 0
