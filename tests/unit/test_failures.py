"""Failures that are the server's fault."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from finger.errors import BackendUnavailable, NoSuchUser
from finger.log.failures import BURST, INTERVAL, FailureLog
from tests.support.typed import Observer


def fail() -> Failure:
    """A bug, raised."""
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        return Failure()


class FailureLogTests(SynchronousTestCase):
    """The message for the peer, and the rate limit of the log."""

    def setUp(self) -> None:
        """Make a log, and record its events."""
        self.events: list[LogEvent] = []
        self.log = Logger(observer=Observer(self.events.append))
        self.clock = Clock()
        self.failures = FailureLog(self.clock)

    def test_words(self) -> None:
        """The peer gets no details; failures that are the peer's fault are not logged."""
        for failure, words, logged in (
            (Failure(NoSuchUser("ada")), "No such user", 0),
            (Failure(BackendUnavailable("it burns")), "Internal error in server", 1),
            (fail(), "Internal error in server", 2),
        ):
            self.assertEqual(self.failures.explain(failure, self.log), words)
            self.assertEqual(len(self.events), logged)

    def test_flood(self) -> None:
        """A burst of one kind of failure is logged, then one at an interval, with the number of the others."""
        for _ in range(1000):
            self.failures.explain(fail(), self.log)
        self.assertEqual(len(self.events), BURST)
        self.clock.advance(INTERVAL)
        for _ in range(10):
            self.failures.explain(fail(), self.log)
        self.assertEqual(len(self.events), BURST + 1)
        self.assertEqual(
            formatEvent(self.events[-1]), f"a query failed ({1000 - BURST} more since the last one logged)"
        )
        self.assertIsInstance(self.events[-1]["log_failure"].value, ZeroDivisionError)

    def test_others(self) -> None:
        """A flood of one kind of failure does not hide another."""
        for _ in range(1000):
            self.failures.explain(fail(), self.log)
        self.failures.explain(Failure(ValueError("another")), self.log)
        self.assertEqual([event["log_failure"].type for event in self.events[BURST:]], [ValueError])
        self.assertEqual(formatEvent(self.events[-1]), "a query failed")

    def test_noClock(self) -> None:
        """Without a clock, the rate is unlimited."""
        failures = FailureLog()
        for _ in range(BURST + 7):
            failures.explain(fail(), self.log)
        self.assertEqual(len(self.events), BURST + 7)
