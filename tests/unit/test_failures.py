"""What is our fault: what the peer is told of it, and what the log."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from finger.errors import BackendUnavailable, NoSuchUser
from finger.log.failures import BURST, INTERVAL, FailureLog
from tests.support.typed import Observer


def fail() -> Failure:
    """A bug of ours."""
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        return Failure()


class FailureLogTests(SynchronousTestCase):
    """Words for the peer, and a log without floods."""

    def setUp(self) -> None:
        """A log whose events are kept."""
        self.events: list[LogEvent] = []
        self.log = Logger(observer=Observer(self.events.append))
        self.clock = Clock()
        self.failures = FailureLog(self.clock)

    def test_words(self) -> None:
        """The peer hears no details, and the log nothing of what is the peer's own fault."""
        for failure, words, logged in (
            (Failure(NoSuchUser("ada")), "No such user", 0),
            (Failure(BackendUnavailable("it burns")), "Internal error in server", 1),
            (fail(), "Internal error in server", 2),
        ):
            self.assertEqual(self.failures.explain(failure, self.log), words)
            self.assertEqual(len(self.events), logged)

    def test_flood(self) -> None:
        """The same failure is logged a few times at once, then once in a while, with the number of the others."""
        for _ in range(1000):
            self.failures.explain(fail(), self.log)
        self.assertEqual(len(self.events), BURST)
        self.clock.advance(INTERVAL)
        for _ in range(10):
            self.failures.explain(fail(), self.log)
        self.assertEqual(len(self.events), BURST + 1)
        self.assertEqual(
            formatEvent(self.events[-1]), f"a query failed, and {1000 - BURST} more did so, since the last"
        )
        self.assertIsInstance(self.events[-1]["log_failure"].value, ZeroDivisionError)

    def test_others(self) -> None:
        """A flood of one failure does not hide another."""
        for _ in range(1000):
            self.failures.explain(fail(), self.log)
        self.failures.explain(Failure(ValueError("another")), self.log)
        self.assertEqual([event["log_failure"].type for event in self.events[BURST:]], [ValueError])
        self.assertEqual(formatEvent(self.events[-1]), "a query failed")

    def test_noClock(self) -> None:
        """Without a clock there is no limit."""
        failures = FailureLog()
        for _ in range(BURST + 7):
            failures.explain(fail(), self.log)
        self.assertEqual(len(self.events), BURST + 7)
