"""Notifications to the service manager: the server's state, its users and ports, and the watchdog's keep-alive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from finger.interfaces import IServerObserver
from finger.net.ports import formatAddress

if TYPE_CHECKING:
    from finger.ops.server import FingerServer

INTERVAL = 30.0
"""Seconds between checks for a new status; fewer if the watchdog's timeout requires it."""

Send = Callable[[Iterable[str]], None]


@implementer(IServerObserver)
class Notifier:
    """
    Notify systemd of the server's state (sd_notify(3)).

    @param server: the server.
    @param send: sends assignments such as C{READY=1} to systemd; may raise L{OSError}.
    @param clock: the clock for status checks and the watchdog.
    @param watchdog: the watchdog's timeout in seconds; L{None} without a watchdog.  Keep-alives are sent twice as
        often (sd_watchdog_enabled(3)), by the reactor, so that they stop if it hangs.
    @param monotonic: returns the system's monotonic clock, in nanoseconds.
    """

    log = Logger()

    def __init__(
        self,
        server: FingerServer,
        send: Send,
        clock: IReactorTime,
        watchdog: float | None = None,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._server = server
        self._send = send
        self._monotonic = monotonic
        self._feed = ["WATCHDOG=1"] if watchdog else []
        self._interval = min(INTERVAL, watchdog / 2) if watchdog else INTERVAL
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock
        self._isReady = self._isUnreachable = self._isUncountable = False
        self._status = ""
        self._reloads = 0

    def started(self) -> None:
        """See L{IServerObserver.started}."""
        self._isReady = True
        self._looking.start(self._interval, now=False)
        self._notify("READY=1", *self._changed())

    def reloading(self) -> None:
        """See L{IServerObserver.reloading}."""
        self._reloads += 1
        if self._isReady:
            self._notify("RELOADING=1", f"MONOTONIC_USEC={self._monotonic() // 1000}")

    def reloaded(self) -> None:
        """See L{IServerObserver.reloaded}.  After simultaneous reloads, the server is ready when the last ends."""
        self._reloads -= 1
        if self._isReady and not self._reloads:
            self._notify("READY=1", *self._changed())

    def stopping(self) -> None:
        """See L{IServerObserver.stopping}.  Keep-alives continue until the last connection has ended."""
        self._isReady = False
        self._notify("STOPPING=1")

    def stopped(self) -> None:
        """See L{IServerObserver.stopped}."""
        self._status = ""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        assignments = [*self._feed, *self._changed()]
        if assignments:
            self._notify(*assignments)

    def _changed(self) -> list[str]:
        status = formatStatus(self._server.openPorts(), self._countUsers())
        if status == self._status:
            return []
        self._status = status
        return [f"STATUS={status}"]

    def _countUsers(self) -> int | None:
        """Return the number of users, or L{None}.  A back end that fails to count must not stop the keep-alives."""
        if self._server.counted is None or self._isUncountable:
            return None
        try:
            return self._server.counted.countUsers()
        except Exception:
            self._isUncountable = True
            self.log.failure("users cannot be counted")
            return None

    def _notify(self, *assignments: str) -> None:
        try:
            self._send(assignments)
        except OSError as error:
            self._status = ""
            if not self._isUnreachable:
                notification = " ".join(assignments)
                self.log.error(
                    "could not send {notification} to systemd: {why}",
                    notification=notification,
                    why=error.strerror or error,
                )
            self._isUnreachable = True
        else:
            self._isUnreachable = False


def formatStatus(ports: Mapping[str, Sequence[IAddress]], users: int | None) -> str:
    """
    Format the status for C{systemctl status}: C{7 users; finger on 0.0.0.0:79, [::]:79; web on [::]:8000}.

    @param ports: the addresses of open ports, by option and value.
    @param users: the number of users; L{None} if it is unknown.
    """
    addresses: dict[str, list[str]] = {}
    for label, listening in ports.items():
        adapter = label.removeprefix("--").partition("=")[0].removesuffix("port")
        addresses.setdefault(adapter, []).extend(formatAddress(address) for address in listening)
    parts = [] if users is None else [f"{users} user" if users == 1 else f"{users} users"]
    parts += [f"{adapter} on {', '.join(there)}" for adapter, there in addresses.items() if there]
    return "; ".join(parts)
