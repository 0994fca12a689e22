"""The log of queries."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from finger.errors import NoSuchUser
from finger.log.querylog import QueryLog, finishQuery


class QueryLogTests(SynchronousTestCase):
    """One line for each query, with a rate limit."""

    def test_line(self) -> None:
        """A line has the adapter, the client, the query, the outcome and the duration."""
        clock = Clock()
        with capturedLogs() as logs:
            tell = QueryLog(clock).begin("finger", "192.0.2.1", "a\n\x1b")
            clock.advance(0.25)
            tell("ok")
        self.assertEqual(formatEvent(logs[0]), r"finger 192.0.2.1 'a\n\x1b' ok 250.0 ms")

    def test_peers(self) -> None:
        """An address is logged in canonical form; anything else, such as a nickname, is logged as it is."""
        with capturedLogs() as logs:
            for peer in ("::ffff:192.0.2.1", "0:0:0:0:0:0:0:1", "2001:DB8::0:79", "local", "ada!ada@example.org"):
                QueryLog().begin("finger", peer, "x")("ok")
        logged = ["192.0.2.1", "::1", "2001:db8::79", "local", "ada!ada@example.org"]
        self.assertEqual([event["peer"] for event in logs], logged)

    def test_flood(self) -> None:
        """The number of queries not logged is logged once the rate allows it."""
        clock = Clock()
        log = QueryLog(clock, burst=3, perSecond=1)
        with capturedLogs() as logs:
            for _ in range(10):
                log.begin("finger", "192.0.2.1", "x")("ok")
            clock.advance(1)
            log.begin("finger", "192.0.2.1", "x")("ok")
        self.assertEqual(len(logs), 5)
        self.assertEqual(formatEvent(logs[3]), "7 queries not logged (rate limit)")

    def test_listeners(self) -> None:
        """Listeners are called at the end of each query, logged or not."""
        clock = Clock()
        log = QueryLog(clock, burst=1, perSecond=1)
        reported: list[tuple[str, str, float]] = []
        log.listeners.append(lambda *query: reported.append(query))
        for _ in range(5):
            log.begin("finger", "192.0.2.1", "x")("ok")
        tell = log.begin("web", "192.0.2.1", "x")
        clock.advance(0.25)
        self.assertEqual(reported, [("finger", "ok", 0.0)] * 5)
        tell("NoSuchUser")
        self.assertEqual(reported[5:], [("web", "NoSuchUser", 0.25)])

    def test_noClock(self) -> None:
        """Without a clock, all queries are logged."""
        with capturedLogs() as logs:
            for _ in range(1000):
                QueryLog().begin("finger", "192.0.2.1", "x")("ok")
        self.assertEqual(len(logs), 1000)

    def test_outcome(self) -> None:
        """Results and failures are reported and passed on."""
        reported: list[str] = []
        failure = Failure(NoSuchUser())
        self.assertEqual(finishQuery("x", reported.append), "x")
        self.assertIs(finishQuery(failure, reported.append), failure)
        self.assertEqual(reported, ["ok", "NoSuchUser"])
