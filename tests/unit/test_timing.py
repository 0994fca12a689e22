"""Deadlines and token buckets."""

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
from finger.timing import MAX_KEYS, Bucket, Buckets, Deadline, followMonotonicClock


class TimingTestCase(SynchronousTestCase):
    """A test with a clock."""

    def setUp(self) -> None:
        """The clock."""
        self.clock = Clock()


class DeadlineTests(TimingTestCase):
    """One phase after the other."""

    def test_phases(self) -> None:
        """Each has its own time; when it is over, nothing of it is left."""
        ended: list[str] = []
        deadline = Deadline(self.clock)
        deadline.start(10, lambda: ended.append("first"))
        self.clock.advance(9)
        deadline.start(10, lambda: ended.append("second"))
        self.clock.advance(9)
        self.assertEqual(ended, [])
        self.clock.advance(1)
        self.assertEqual(ended, ["second"])
        deadline.cancel()
        deadline.start(10, lambda: ended.append("third"))
        deadline.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noClock(self) -> None:
        """Without a clock there is no end, not even of a phase of no time."""
        ended: list[str] = []
        deadline = Deadline(None)
        with patch.object(reactor, "callLater") as callLater:
            deadline.start(0, lambda: ended.append("phase"))
            deadline.cancel()
        self.assertEqual(ended, [])
        callLater.assert_not_called()


class WallClockReactor(MemoryReactorClock):
    """A reactor that follows the wall clock, as Twisted's own do."""

    seconds = staticmethod(runtime.seconds)


class MonotonicTests(SynchronousTestCase):
    """The clock of a server."""

    WAYS: tuple[Callable[[Config, Any], object], ...] = (makeServer, openService)

    def test_ways(self) -> None:
        """However a server is made, its reactor follows the monotonic clock, and setting the time changes nothing."""
        nowhere = dict.fromkeys(("fingerPorts", "webPorts", "pbPorts"), ("none",))
        for make in self.WAYS:
            reactor = WallClockReactor()
            make(Config(backends=("memory",), **nowhere), reactor)
            self.assertIs(reactor.seconds, time.monotonic)
            with patch("time.time", return_value=0.0):
                timer = reactor.callLater(1000, lambda: None)
            self.assertLess(abs(timer.getTime() - time.monotonic() - 1000), 60)

    def test_scheduled(self) -> None:
        """What was scheduled before keeps its delay."""
        reactor = WallClockReactor()
        timer = reactor.callLater(1000, lambda: None)
        for _ in range(2):
            followMonotonicClock(reactor)
            self.assertLess(abs(timer.getTime() - time.monotonic() - 1000), 60)

    def test_own(self) -> None:
        """A reactor with a clock of its own keeps it."""
        clock = Clock()
        timer = clock.callLater(10, lambda: None)
        followMonotonicClock(clock)
        self.assertEqual((clock.seconds(), timer.getTime()), (0, 10))


class BucketTests(TimingTestCase):
    """Tokens."""

    def test_bucket(self) -> None:
        """So many at once, then one at a time, never more than so many."""
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

    def test_tryTake(self) -> None:
        """Taken if there is one, and else not counted."""
        bucket = Bucket(self.clock, 1, 10.0)
        self.assertTrue(bucket.tryTake())
        self.assertFalse(bucket.tryTake())
        self.clock.advance(10)
        self.assertTrue(bucket.tryTake())

    def test_buckets(self) -> None:
        """Each key has its own; there is an end to how many are remembered, and the longest unused are forgotten."""
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
