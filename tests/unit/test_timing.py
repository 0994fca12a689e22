"""Deadlines and token buckets."""

from __future__ import annotations

from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from finger.timing import MAX_KEYS, Bucket, Buckets, Deadline


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
