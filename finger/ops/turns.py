"""
The longest turn of the reactor, and what ran in a long one.

While the reactor handles one event, all others wait.  A call every L{BEAT} seconds measures by how much it is late,
which is the length of the turn that delayed it, less at most L{BEAT}.  A thread looks at what the reactor runs while
that call is late, because afterwards nobody can tell.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from threading import Event, Thread, get_ident
from types import FrameType
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from finger.log.peerlog import PeerLog
from finger.timing import Timer

BEAT: Final = 0.05
"""Seconds between calls."""

LONG: Final = 0.2
"""
The length of a turn, in seconds, from which on a warning is logged.  A turn that is up to L{BEAT} shorter may be
logged, too.
"""

LOOK: Final = 0.15
"""The lateness, in seconds, from which on the thread notes what runs; the least time between its looks."""

WINDOW: Final = 60.0
"""Seconds for which the longest turn is kept at least, and half of those for which it is kept at most."""

BURST: Final = 3
"""The warnings logged at once."""

INTERVAL: Final = 60.0
"""Seconds until one more warning is logged, with the number of those not logged."""

PACKAGE: Final = __name__.partition(".")[0]


class RecentMaximum:
    """
    The maximum of the last one to two L{WINDOW}s.  Reading does not reset it, so that several readers see the same.

    @param clock: the clock.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._began = clock.seconds()
        self._previous = self._current = 0.0

    def record(self, value: float) -> None:
        """Take a value into account."""
        self._advance()
        self._current = max(self._current, value)

    def value(self) -> float:
        """Return the maximum."""
        self._advance()
        return max(self._previous, self._current)

    def _advance(self) -> None:
        past = self._clock.seconds() - self._began
        if past >= WINDOW:
            self._previous = self._current if past < 2 * WINDOW else 0.0
            self._current = 0.0
            self._began = self._clock.seconds()


def startThread(work: Callable[[], None]) -> None:
    """Start C{work} in a daemon thread."""
    Thread(target=work, name="finger-turns", daemon=True).start()


class TurnWatch(Service):
    """
    Measures the reactor's turns while the reactor runs, and logs the long ones.

    @param reactor: the reactor.
    @param start: starts a function in a thread.
    @ivar longest: the longest recent turn, in seconds.
    """

    log = Logger()

    def __init__(self, reactor: Any, start: Callable[[Callable[[], None]], None] = startThread) -> None:
        self._reactor = reactor
        self._start = start
        self._beat = Timer(reactor)
        self._due = float("inf")
        self._samples: Counter[str] = Counter()
        self._stopped = Event()
        self._events = PeerLog(reactor, BURST, INTERVAL)
        self.longest = RecentMaximum(reactor)

    def startService(self) -> None:
        """Begin when the reactor runs."""
        super().startService()
        self._reactor.callWhenRunning(self._begin)

    def stopService(self) -> None:
        """End the calls and the thread."""
        super().stopService()
        self._stopped.set()
        self._beat.cancel()

    def _begin(self) -> None:
        if self.running:
            self._stopped = Event()
            self._next()
            work = Watcher(self._stopped, get_ident(), self._lateness, self._samples)
            self._start(work.run)

    def _next(self) -> None:
        self._due = self._reactor.seconds() + BEAT
        self._beat.start(BEAT, self._measure)

    def _lateness(self) -> float:
        late: float = self._reactor.seconds() - self._due
        return late

    def _measure(self) -> None:
        late = self._lateness()
        self.longest.record(late)
        seen = self._samples.most_common(1)
        if seen and late > LONG - BEAT:
            self._warn(late, seen[0][0])
        self._samples.clear()
        self._next()

    def _warn(self, seconds: float, place: str) -> None:
        self._events.warn(
            self.log,
            "a turn of the reactor took at least {seconds:.2f} s in {place}",
            seconds=seconds,
            place=place,
        )


class Watcher:
    """
    The thread that notes what another thread runs while that one is late.

    @param stopped: is set to end this thread.
    @param thread: the other thread.
    @param lateness: returns by how many seconds it is late.
    @param samples: counts the places that were noted.
    """

    def __init__(self, stopped: Event, thread: int, lateness: Callable[[], float], samples: Counter[str]) -> None:
        self._stopped = stopped
        self._thread = thread
        self._lateness = lateness
        self._samples = samples

    def run(self) -> None:
        """Look until this is stopped."""
        while not self._stopped.wait(max(LOOK / 2, LOOK - self._lateness())):
            self.look()

    def look(self) -> None:
        """Note what the other thread runs if it is late."""
        if self._lateness() >= LOOK:
            frame = sys._current_frames()[self._thread]
            if not _isWaiting(frame):
                self._samples[placeOf(frame)] += 1


def _isWaiting(frame: FrameType) -> bool:
    """Return whether a reactor waits for events, which then is not late, but on a machine that is overloaded."""
    module = str(frame.f_globals.get("__name__", ""))
    return module.startswith("twisted.internet.") and module.endswith(("reactor", ".base"))


def placeOf(frame: FrameType) -> str:
    """
    Return the function that runs, and the function of ours that called it: C{json.decoder.raw_decode, called by
    finger.backends.memory.load}.
    """
    place, caller = _nameOf(frame), _ours(frame)
    return place if caller in ("", place) else f"{place}, called by {caller}"


def _ours(frame: FrameType | None) -> str:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == PACKAGE:
            return _nameOf(frame)
        frame = frame.f_back
    return ""


def _nameOf(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"
