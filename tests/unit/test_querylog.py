"""The log of queries."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from finger.errors import NoSuchUser
from finger.log.querylog import QueryLog, finishQuery


class QueryLogTests(SynchronousTestCase):
    """One line each, and no flood."""

    def test_line(self) -> None:
        """Who asked what by which way, with what outcome, and how long it took."""
        clock = Clock()
        with capturedLogs() as logs:
            tell = QueryLog(clock).begin("finger", "192.0.2.1", "a\n\x1b")
            clock.advance(0.25)
            tell("ok")
        self.assertEqual(formatEvent(logs[0]), r"finger 192.0.2.1 'a\n\x1b' ok 250.0 ms")

    def test_peers(self) -> None:
        """An address is written in the one way that people look for; what is none, as a nickname, is left alone."""
        with capturedLogs() as logs:
            for peer in ("::ffff:192.0.2.1", "0:0:0:0:0:0:0:1", "2001:DB8::0:79", "local", "ada!ada@example.org"):
                QueryLog().begin("finger", peer, "x")("ok")
        told = ["192.0.2.1", "::1", "2001:db8::79", "local", "ada!ada@example.org"]
        self.assertEqual([event["peer"] for event in logs], told)

    def test_flood(self) -> None:
        """Of too many, the number is logged as soon as there is room."""
        clock = Clock()
        log = QueryLog(clock, burst=3, perSecond=1)
        with capturedLogs() as logs:
            for _ in range(10):
                log.begin("finger", "192.0.2.1", "x")("ok")
            clock.advance(1)
            log.begin("finger", "192.0.2.1", "x")("ok")
        self.assertEqual(len(logs), 5)
        self.assertEqual(formatEvent(logs[3]), "7 more queries came than are logged")

    def test_listeners(self) -> None:
        """Who listens is told of each query when it ends, also of those that are left out of the log."""
        clock = Clock()
        log = QueryLog(clock, burst=1, perSecond=1)
        told: list[tuple[str, str, float]] = []
        log.listeners.append(lambda *query: told.append(query))
        for _ in range(5):
            log.begin("finger", "192.0.2.1", "x")("ok")
        tell = log.begin("web", "192.0.2.1", "x")
        clock.advance(0.25)
        self.assertEqual(told, [("finger", "ok", 0.0)] * 5)
        tell("NoSuchUser")
        self.assertEqual(told[5:], [("web", "NoSuchUser", 0.25)])

    def test_noClock(self) -> None:
        """Without a clock, each is logged."""
        with capturedLogs() as logs:
            for _ in range(1000):
                QueryLog().begin("finger", "192.0.2.1", "x")("ok")
        self.assertEqual(len(logs), 1000)

    def test_outcome(self) -> None:
        """Results and failures are told and passed on."""
        told: list[str] = []
        failure = Failure(NoSuchUser())
        self.assertEqual(finishQuery("x", told.append), "x")
        self.assertIs(finishQuery(failure, told.append), failure)
        self.assertEqual(told, ["ok", "NoSuchUser"])
