"""The service manager kept informed: of the server's state, of its users and ports, and that it is alive."""

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
"""How often it is looked whether the status is another, in seconds; more often if the watchdog wants to be fed so."""

Send = Callable[[Iterable[str]], None]


@implementer(IServerObserver)
class Notifier:
    """
    Tells systemd how the server fares (sd_notify(3)).

    @param server: whose users and ports the status is about.
    @param send: tells assignments such as C{READY=1} to systemd; may raise L{OSError}.
    @param clock: for the watchdog.
    @param watchdog: how often the watchdog wants to hear something, in seconds; L{None} if there is none.  It hears
        twice as often (sd_watchdog_enabled(3)), from the reactor: if that hangs, the server does.
    @param monotonic: nanoseconds since the machine started.
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
        self._isReady = self._isDeaf = self._isUncountable = False
        self._status = ""
        self._reloads = 0

    def started(self) -> None:
        """See L{IServerObserver.started}."""
        self._isReady = True
        self._looking.start(self._interval, now=False)
        self._tell("READY=1", *self._changed())

    def reloading(self) -> None:
        """See L{IServerObserver.reloading}."""
        self._reloads += 1
        if self._isReady:
            self._tell("RELOADING=1", f"MONOTONIC_USEC={self._monotonic() // 1000}")

    def reloaded(self) -> None:
        """See L{IServerObserver.reloaded}.  Of several reloads at once, only the last makes the server ready."""
        self._reloads -= 1
        if self._isReady and not self._reloads:
            self._tell("READY=1", *self._changed())

    def stopping(self) -> None:
        """See L{IServerObserver.stopping}.  The watchdog is fed until the last connection has ended."""
        self._isReady = False
        self._tell("STOPPING=1")

    def stopped(self) -> None:
        """See L{IServerObserver.stopped}."""
        self._status = ""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        told = [*self._feed, *self._changed()]
        if told:
            self._tell(*told)

    def _changed(self) -> list[str]:
        status = formatStatus(self._server.openPorts(), self._countUsers())
        if status == self._status:
            return []
        self._status = status
        return [f"STATUS={status}"]

    def _countUsers(self) -> int | None:
        """A back end of somebody else's that cannot count after all keeps nobody from feeding the watchdog."""
        if self._server.counted is None or self._isUncountable:
            return None
        try:
            return self._server.counted.countUsers()
        except Exception:
            self._isUncountable = True
            self.log.failure("users cannot be counted")
            return None

    def _tell(self, *assignments: str) -> None:
        try:
            self._send(assignments)
        except OSError as error:
            self._status = ""
            if not self._isDeaf:
                told = " ".join(assignments)
                self.log.error("systemd cannot be told {told}: {why}", told=told, why=error.strerror or error)
            self._isDeaf = True
        else:
            self._isDeaf = False


def formatStatus(ports: Mapping[str, Sequence[IAddress]], users: int | None) -> str:
    """
    Write what C{systemctl status} shows: C{7 users; finger on 0.0.0.0:79, [::]:79; web on [::]:8000}.

    @param ports: the addresses listened on, by option and value.
    @param users: how many there are; L{None} if that is not known.
    """
    addresses: dict[str, list[str]] = {}
    for label, listening in ports.items():
        adapter = label.removeprefix("--").partition("=")[0].removesuffix("port")
        addresses.setdefault(adapter, []).extend(formatAddress(address) for address in listening)
    parts = [] if users is None else [f"{users} user" if users == 1 else f"{users} users"]
    parts += [f"{adapter} on {', '.join(there)}" for adapter, there in addresses.items() if there]
    return "; ".join(parts)
