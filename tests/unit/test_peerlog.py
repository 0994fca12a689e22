"""The gate for log events that hold values from peers."""

from __future__ import annotations

import json
import unicodedata
from io import StringIO

from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, LogLevel, formatEvent, textFileLogObserver
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from finger.log.failures import FailureLog
from finger.log.formats import formatJournalLine, formatJSONLine
from finger.log.peerlog import (
    BURST,
    INTERVAL,
    MAX_MESSAGE,
    MAX_TRACEBACK,
    MAX_VALUE,
    REPORT_AFTER,
    EscapedFailure,
    PeerLog,
    escape,
)
from tests.support.typed import Observer

NASTY = "a\r\nb\x1b[2J\x9b\0\u202e\u2066\u2028\u200b\ufeff\udcff\U000e0041 '\\ ☕"
"""Control and format characters, line ends and a lone surrogate among others."""

KINDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""The categories of the characters that do not belong in a log."""


def safe(line: str) -> bool:
    """Return whether a line has no character that a terminal or a parser of logs might interpret."""
    return not any(unicodedata.category(character) in KINDS for character in line.removesuffix("\n"))


class PeerLogTestCase(SynchronousTestCase):
    """A log whose events are recorded."""

    def setUp(self) -> None:
        """Make a log, and record its events."""
        self.events: list[LogEvent] = []
        self.log = Logger("finger.here", observer=Observer(self.events.append))
        self.clock = Clock()
        self.peers = PeerLog(self.clock)

    def lines(self) -> list[str]:
        """Return the messages of the events."""
        return [formatEvent(event) for event in self.events]

    def written(self, event: LogEvent) -> list[str]:
        """Return an event in the formats C{text}, C{json} and C{journal}."""
        text = StringIO()
        textFileLogObserver(text)(event)
        return [text.getvalue(), str(formatJSONLine(event)), str(formatJournalLine(event))]


class ValueTests(PeerLogTestCase):
    """Values are cut and escaped, and stay fields."""

    def test_levels(self) -> None:
        """Events have their level, their logger, and their values as fields."""
        self.peers.info(self.log, "{peer} came", peer="192.0.2.1")
        self.peers.warn(self.log, "{peer} erred {times} times, {share}", peer="192.0.2.1", times=3, share=0.5)
        self.peers.error(self.log, "{why} broke", why=OSError("it"))
        self.assertEqual(self.lines(), ["192.0.2.1 came", "192.0.2.1 erred 3 times, 0.5", "it broke"])
        levels = [event["log_level"] for event in self.events]
        self.assertEqual(levels, [LogLevel.info, LogLevel.warn, LogLevel.error])
        self.assertEqual({event["log_namespace"] for event in self.events}, {"finger.here"})
        self.assertEqual((self.events[1]["times"], self.events[1]["share"]), (3, 0.5))

    def test_escaped(self) -> None:
        """No control, format or line end character is written in any format."""
        self.peers.warn(self.log, "{peer} sent {value} and {value!r}", peer="x", value=NASTY)
        self.peers.warn(self.log, "{peer} sent {value}", peer="x", value=NASTY)
        self.peers.warn(self.log, "{peer} sent {value!r}", peer="x", value=NASTY)
        for event in self.events:
            for line in self.written(event):
                self.assertEqual(line.count("\n"), 1)
                self.assertTrue(safe(line), line)

    def test_readable(self) -> None:
        """Other characters are readable, and the escape is unambiguous."""
        self.assertEqual(escape("zoë ☕ 王"), "zoë ☕ 王")
        self.assertNotEqual(escape("\n"), escape("\\n"))

    def test_quoted(self) -> None:
        """A value that the format quotes stays as it is in the field, for JSON, and is escaped in the message."""
        self.peers.info(self.log, "{query!r} came", query="a\x1b'b")
        self.assertEqual(self.events[0]["query"], "a\x1b'b")
        self.assertEqual(self.lines(), ['"a\\x1b\'b" came'])
        self.assertEqual(json.loads(str(formatJSONLine(self.events[0])))["query"], "a\x1b'b")

    def test_cut(self) -> None:
        """A value of a megabyte makes a short line, whatever its characters are."""
        for character in ("x", "\x1b", "\U000e0041"):
            self.peers.warn(
                self.log, "{actor!r} may not set {user!r}", actor=character * 10**6, user=character * 10**6
            )
            self.peers.warn(self.log, "{peer} failed to log in", peer=character * 10**6)
        self.assertEqual(self.lines()[1], "x" * MAX_VALUE + " failed to log in")
        self.assertLess(max(map(len, self.lines())), 21 * MAX_VALUE)


class RateTests(PeerLogTestCase):
    """Each kind of event has its own rate limit."""

    def flood(self, count: int = 1000) -> None:
        """Log many events of one kind."""
        for number in range(count):
            self.peers.warn(self.log, "{peer} failed to log in", peer=f"192.0.2.{number % 256}")

    def test_flood(self) -> None:
        """A flood is a few lines, and a line with the number of the others before the next one."""
        self.flood()
        self.assertEqual(len(self.events), BURST)
        self.clock.advance(INTERVAL)
        self.flood(1)
        self.assertEqual(
            self.lines()[BURST:],
            [
                f"{1000 - BURST} events not logged (rate limit): ... failed to log in",
                "192.0.2.0 failed to log in",
            ],
        )
        self.assertEqual(self.events[BURST]["count"], 1000 - BURST)

    def test_silence(self) -> None:
        """If nothing follows a flood, the number is logged after a while, once."""
        self.flood()
        self.clock.advance(REPORT_AFTER)
        self.assertEqual(self.events[-1]["count"], 1000 - BURST)
        self.clock.advance(2 * REPORT_AFTER)
        self.assertEqual(len(self.events), BURST + 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_long(self) -> None:
        """A flood that goes on is a few lines a second, and every event is logged or counted."""
        for _ in range(600):
            self.flood(100)
            self.clock.advance(0.1)
        self.clock.advance(REPORT_AFTER)
        self.assertLess(len(self.events), BURST + 2 * 60 / INTERVAL + 60 / REPORT_AFTER + 1)
        counts = [event["count"] for event in self.events if "count" in event]
        self.assertEqual(sum(counts) + len(self.events) - len(counts), 60_000)

    def test_others(self) -> None:
        """A flood of one kind hides no other kind."""
        self.flood()
        self.peers.warn(self.log, "{actor!r} may not set {user!r}", actor="ada", user="moshez")
        self.assertEqual(self.lines()[BURST:], ["'ada' may not set 'moshez'"])

    def test_noClock(self) -> None:
        """Without a clock, all events are logged."""
        self.peers = PeerLog()
        self.flood()
        self.assertEqual(len(self.events), 1000)


def failure(message: str, depth: int = 1) -> Failure:
    """Return a failure with this message, raised by a function that calls itself."""

    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise ValueError(message)

    try:
        fail(depth)
    except ValueError:
        return Failure()
    raise AssertionError


class FailureTests(PeerLogTestCase):
    """Failures, whose messages may hold what a peer sent."""

    def test_escaped(self) -> None:
        """The message is on one line, in every format; the traceback is kept."""
        FailureLog(self.clock).explain(failure(NASTY), self.log)
        (event,) = self.events
        self.assertIsInstance(event["log_failure"].value, ValueError)
        for written in self.written(event):
            lines = written.replace("\\n", "\n").splitlines() if written[0] == "{" else written.splitlines()
            self.assertEqual([line for line in lines if not safe(line.replace("\t", ""))], [])
            self.assertIn("raise ValueError(message)", written)
            self.assertEqual(len([line for line in lines if "b\\x1b" in line.replace("\\\\", "\\")]), 1)

    def test_cut(self) -> None:
        """A message of a megabyte, or a traceback of a thousand calls, is cut."""
        for each, most in (
            (failure("x" * 10**6), MAX_MESSAGE + 1000),
            (failure("x", 900), 2 * MAX_TRACEBACK + 100),
        ):
            text = EscapedFailure(each).getTraceback()
            self.assertLess(len(text), most)
            self.assertTrue(text.startswith("Traceback (most recent call last):\n"))
            self.assertTrue(text.endswith("x\n"))
        self.assertEqual(EscapedFailure(failure("a\nb" + "x" * 10**6)).getErrorMessage()[:5], "a\\nbx")

    def test_report(self) -> None:
        """A report has the values of its fields, and counts like other failures."""
        failures = FailureLog(self.clock)
        for _ in range(1000):
            failures.report(self.log, "{label} broke", failure("x"), label="web\n")
        self.assertEqual(self.lines(), ["web\\n broke"] * 3)
        self.clock.advance(60)
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            failures.report(self.log, "{label} broke", label="web")
        self.assertIsInstance(self.events[-1]["log_failure"].value, ZeroDivisionError)
