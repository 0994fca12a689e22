"""Timers, token buckets and the monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python import runtime
from twisted.trial.unittest import SynchronousTestCase

from finger.config.model import Config
from finger.service import makeServer, openService
from finger.timing import MAX_KEYS, Bucket, Buckets, TimeoutQueue, Timer, followMonotonicClock


class TimingTestCase(SynchronousTestCase):
    """A test with a clock."""

    def setUp(self) -> None:
        """Make the clock."""
        self.clock = Clock()


class TimerTests(TimingTestCase):
    """One delayed call."""

    def test_phases(self) -> None:
        """Each start replaces the previous one, and no delayed call is left behind."""
        ended: list[str] = []
        timer = Timer(self.clock)
        timer.start(10, ended.append, "first")
        self.clock.advance(9)
        timer.start(10, lambda: ended.append("second"))
        self.clock.advance(9)
        self.assertEqual(ended, [])
        self.clock.advance(1)
        self.assertEqual(ended, ["second"])
        timer.cancel()
        timer.start(10, lambda: ended.append("third"))
        timer.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_isRunning(self) -> None:
        """A timer runs until its call begins or is cancelled."""
        running: list[bool] = []
        timer = Timer(self.clock)
        self.assertFalse(timer.isRunning)
        timer.start(1, lambda: running.append(timer.isRunning))
        timer.start(2, lambda: running.append(timer.isRunning))
        self.assertTrue(timer.isRunning)
        self.clock.pump([1, 1, 1])
        self.assertEqual(running, [False])
        self.assertFalse(timer.isRunning)
        timer.start(1, lambda: None)
        timer.cancel()
        self.assertFalse(timer.isRunning)

    def test_noClock(self) -> None:
        """Without a clock nothing is called, not even after zero seconds."""
        ended: list[str] = []
        timer = Timer(None)
        with patch.object(reactor, "callLater") as callLater:
            timer.start(0, lambda: ended.append("phase"))
            self.assertFalse(timer.isRunning)
            timer.cancel()
        self.assertEqual(ended, [])
        callLater.assert_not_called()


class WallClockReactor(MemoryReactorClock):
    """A reactor that uses the wall clock, as Twisted's own do."""

    seconds = staticmethod(runtime.seconds)


class MonotonicTests(SynchronousTestCase):
    """The clock of a server's reactor."""

    WAYS: tuple[Callable[[Config, Any], object], ...] = (makeServer, openService)

    def test_ways(self) -> None:
        """However a server is made, its reactor follows the monotonic clock, and setting the time has no effect."""
        nowhere = dict.fromkeys(("fingerPorts", "webPorts", "pbPorts"), ("none",))
        for make in self.WAYS:
            reactor = WallClockReactor()
            make(Config(backends=("memory",), **nowhere), reactor)
            self.assertIs(reactor.seconds, time.monotonic)
            with patch("time.time", return_value=0.0):
                timer = reactor.callLater(1000, lambda: None)
            self.assertLess(abs(timer.getTime() - time.monotonic() - 1000), 60)

    def test_scheduled(self) -> None:
        """A call that was scheduled before keeps its delay."""
        reactor = WallClockReactor()
        timer = reactor.callLater(1000, lambda: None)
        for _ in range(2):
            followMonotonicClock(reactor)
            self.assertLess(abs(timer.getTime() - time.monotonic() - 1000), 60)

    def test_own(self) -> None:
        """A reactor with its own clock keeps it."""
        clock = Clock()
        timer = clock.callLater(10, lambda: None)
        followMonotonicClock(clock)
        self.assertEqual((clock.seconds(), timer.getTime()), (0, 10))


class BucketTests(TimingTestCase):
    """Token buckets."""

    def test_bucket(self) -> None:
        """A bucket gives its tokens at once, then one for each interval, and never holds more than its size."""
        bucket = Bucket(self.clock, 2, 10.0)
        bucket.take()
        self.assertEqual(bucket.wait(), 0)
        bucket.take()
        self.assertEqual(bucket.wait(), 10)
        self.clock.advance(9)
        self.assertEqual(bucket.wait(), 1)
        bucket.take()
        self.assertEqual(bucket.wait(), 11)
        self.clock.advance(1000)
        bucket.take()
        bucket.take()
        self.assertEqual(bucket.wait(), 10)

    def test_rounding(self) -> None:
        """A full bucket gives all its tokens, and no more, whatever its interval and the time."""
        for size in (1, 3, 40, 100, 1000):
            for interval in (0.1, 1 / 3, 1 / 7, 0.01, 60.0):
                bucket = Bucket(self.clock, size, interval)
                self.assertEqual([bucket.tryTake() for _ in range(size + 1)], [True] * size + [False])
                self.clock.advance(interval)
                self.assertEqual([bucket.tryTake() for _ in range(2)], [True, False])

    def test_tryTake(self) -> None:
        """A token is taken only if one is available; a failed attempt does not count."""
        bucket = Bucket(self.clock, 1, 10.0)
        self.assertTrue(bucket.tryTake())
        self.assertFalse(bucket.tryTake())
        self.clock.advance(10)
        self.assertTrue(bucket.tryTake())

    def test_buckets(self) -> None:
        """Each key has its own bucket; beyond the limit, the least recently used bucket is dropped."""
        buckets = Buckets(self.clock, 1, 10.0)
        buckets.of("first").take()
        buckets.of("a").take()
        self.assertFalse(buckets.of("a").tryTake())
        self.assertTrue(buckets.of("b").tryTake())
        for number in range(MAX_KEYS - 1):
            buckets.of(str(number))
            buckets.of("a")
        self.assertFalse(buckets.of("a").tryTake())
        self.assertTrue(buckets.of("first").tryTake())


class TimeoutQueueTests(SynchronousTestCase):
    """One timeout for many objects."""

    def setUp(self) -> None:
        """Make a queue."""
        self.clock = Clock()
        self.ended: list[str] = []
        self.queue: TimeoutQueue[str] = TimeoutQueue(self.clock, 10.0, self.ended.append)

    def test_order(self) -> None:
        """Each object ends after its own time, and one delayed call is enough for all."""
        for item in "abc":
            self.queue.add(item)
            self.clock.advance(1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for expected in (["a"], ["a", "b"], ["a", "b", "c"]):
            self.clock.advance(1 if self.ended else 7)
            self.assertEqual(self.ended, expected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_discard(self) -> None:
        """An object that is discarded does not end, and without objects there is no delayed call."""
        for item in "ab":
            self.queue.add(item)
        for item in ("a", "other"):
            self.queue.discard(item)
        self.clock.advance(10)
        self.assertEqual(self.ended, ["b"])
        self.queue.add("c")
        self.queue.discard("c")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """The function may add and discard objects."""

        def end(item: str) -> None:
            self.ended.append(item)
            self.queue.add("new")

        self.queue = TimeoutQueue(self.clock, 10.0, end)
        self.queue.add("old")
        self.clock.advance(10)
        self.clock.advance(10)
        self.assertEqual(self.ended, ["old", "new"])

    def test_noClock(self) -> None:
        """Without a clock there is no timeout."""
        queue: TimeoutQueue[str] = TimeoutQueue(None, 10.0, self.ended.append)
        queue.add("a")
        queue.discard("a")
