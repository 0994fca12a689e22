"""The length of the reactor's turns."""

from __future__ import annotations

import inspect
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from threading import Event, get_ident
from types import FrameType
from typing import Any

from twisted.internet import base
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from finger.ops import turns
from finger.ops.turns import BEAT, BURST, INTERVAL, LONG, LOOK, WINDOW, RecentMaximum, TurnWatch, Watcher, placeOf
from tests.support.typed import notNone


class RecentMaximumTests(SynchronousTestCase):
    """The maximum of a recent time."""

    def test_window(self) -> None:
        """A value is kept for one window at least and two at most, however often it is read."""
        clock = Clock()
        recent = RecentMaximum(clock)
        self.assertEqual(recent.value(), 0)
        recent.record(3)
        recent.record(2)
        clock.advance(WINDOW)
        recent.record(1)
        self.assertEqual((recent.value(), recent.value()), (3, 3))
        clock.advance(WINDOW)
        self.assertEqual(recent.value(), 1)
        clock.advance(2 * WINDOW)
        self.assertEqual(recent.value(), 0)


class WatchTests(SynchronousTestCase):
    """Turns of a reactor whose time passes as the test says, with the thread as a double."""

    def setUp(self) -> None:
        """Start a watch on a running reactor."""
        self.reactor = MemoryReactorClock()
        self.threads: list[Callable[[], None]] = []
        self.watch = TurnWatch(self.reactor, self.threads.append)
        self.watch.startService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.reactor.run()

    def turn(self, seconds: float, *places: str) -> list[str]:
        """Run a turn of some length, in which a thread sees places; return the warnings."""
        self.reactor.advance(BEAT)
        self.watch._samples.update(places)
        with capturedLogs() as logs:
            self.reactor.advance(seconds)
        self.assertTrue(all(event["log_level"] is LogLevel.warn for event in logs))
        return [formatEvent(event) for event in logs]

    def test_quiet(self) -> None:
        """Short turns are measured, and not logged."""
        self.assertEqual(self.turn(BEAT + 0.03, "x.y"), [])
        self.assertAlmostEqual(self.watch.longest.value(), 0.03)
        self.turn(BEAT + 0.02)
        self.assertAlmostEqual(self.watch.longest.value(), 0.03)

    def test_long(self) -> None:
        """A long turn is logged with what ran; the next one has nothing of it."""
        self.assertEqual(
            self.turn(0.7, "a.rare", "a.b", "a.b"), ["a turn of the reactor took at least 0.65 s in a.b"]
        )
        self.assertEqual(self.turn(LONG + 0.01, "c.d"), ["a turn of the reactor took at least 0.16 s in c.d"])
        self.assertAlmostEqual(self.watch.longest.value(), 0.65)

    def test_unseen(self) -> None:
        """If nothing ran, the process was stopped, or the machine is overloaded: that is not logged."""
        self.assertEqual(self.turn(7), [])

    def test_flood(self) -> None:
        """Many long turns are a few warnings, and the number of the others."""
        lines = [line for _ in range(100) for line in self.turn(0.7, "a.b")]
        self.assertLess(len(lines), BURST + 2 * (100 / INTERVAL + 1) + 10)
        self.assertTrue(any("events not logged" in line for line in lines))

    def test_stop(self) -> None:
        """A service that stops, even before the reactor runs, leaves no call and no thread."""
        self.watch.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        for work in self.threads:
            work()
        watch = TurnWatch(reactor := MemoryReactorClock(), self.threads.append)
        watch.startService()
        watch.stopService()
        reactor.run()
        self.assertEqual((len(self.threads), reactor.getDelayedCalls()), (1, []))

    def test_thread(self) -> None:
        """The thread is a daemon: it keeps no process from ending."""
        ended = Event()
        daemons: list[bool] = []

        def work() -> None:
            daemons.append(threading.current_thread().daemon)
            ended.set()

        turns.startThread(work)
        self.assertTrue(ended.wait(60))
        self.assertEqual(daemons, [True])


class WatcherTests(SynchronousTestCase):
    """What a thread sees of another."""

    def watch(self, *lateness: float) -> Counter[str]:
        """Look at this thread, as late as said at each look."""
        samples: Counter[str] = Counter()
        late = iter([value for each in lateness for value in (each, each)] + [0.0])

        class Stopped(Event):
            waits = 0

            def wait(self, timeout: float | None = None) -> bool:
                self.waits += 1
                assert timeout is not None and LOOK / 2 <= timeout <= LOOK + BEAT
                return self.waits > len(lateness)

        Watcher(Stopped(), get_ident(), lambda: next(late), samples).run()
        return samples

    def test_look(self) -> None:
        """The thread notes what runs only while that is late."""
        self.assertEqual(self.watch(-BEAT, 0.01, LOOK, 3.0), {f"{turns.__name__}.Watcher.look": 2})

    def test_waiting(self) -> None:
        """A reactor that waits for events is not noted."""
        samples: Counter[str] = Counter()
        frame: Any = type("Frame", (), {"f_globals": {"__name__": base.__name__}})()
        self.patch(sys, "_current_frames", lambda: {7: frame})
        Watcher(Event(), 7, lambda: 1.0, samples).look()
        self.assertEqual(samples, {})


class PlaceTests(SynchronousTestCase):
    """The name of what runs."""

    def test_ours(self) -> None:
        """A function of ours is named alone, another with the function of ours that called it."""
        seen: list[str] = []

        def look(frame: FrameType | None) -> None:
            seen.append(placeOf(notNone(frame)))

        class Recent(RecentMaximum):
            def _advance(self) -> None:
                json.loads("{}", object_hook=lambda value: look(notNone(inspect.currentframe()).f_back))
                look(notNone(notNone(inspect.currentframe()).f_back))

        Recent(Clock()).value()
        self.assertEqual(seen[1], "finger.ops.turns.RecentMaximum.value")
        self.assertIn("json.decoder.", seen[0])
        self.assertTrue(seen[0].endswith(", called by finger.ops.turns.RecentMaximum.value"), seen[0])

    def test_others(self) -> None:
        """Without a function of ours, the innermost one is named."""
        name = f"{__name__}.PlaceTests.test_others"
        self.assertEqual(placeOf(notNone(inspect.currentframe())), name)
