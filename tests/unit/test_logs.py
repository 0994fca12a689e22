"""How the log is written."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from io import StringIO
from typing import Any
from unittest.mock import patch

from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python import log as legacyLog
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from finger.log.formats import formatJournalLine, formatJSONLine, jsonLog, makeObserver, showWarnings


class JSONLogTests(SynchronousTestCase):
    """Events, and the lines they are."""

    def setUp(self) -> None:
        """A log whose lines are kept."""
        self.out = StringIO()
        with patch.object(sys, "stdout", self.out):
            self.observer = jsonLog()
        self.log = Logger("finger.here", observer=LogPublisher(self.observer))

    def line(self) -> dict[str, Any]:
        """The one line there is, read."""
        text = self.out.getvalue()
        self.assertEqual(text.count("\n"), 1)
        self.assertTrue(text.isascii())
        line: dict[str, Any] = json.loads(text)
        return line

    def test_fields(self) -> None:
        """When, how bad, where and what; then the event's own fields, as far as JSON has words for them."""
        self.log.warn(
            "{peer} asked {count}", peer="192.0.2.1", count=2, took=0.5, isLast=True, other=object(), no=None
        )
        line = self.line()
        self.assertIsNotNone(datetime.fromisoformat(line.pop("time")).tzinfo)
        self.assertEqual(
            line,
            {
                "level": "warn",
                "source": "finger.here",
                "message": "192.0.2.1 asked 2",
                "peer": "192.0.2.1",
                "count": 2,
                "took": 0.5,
                "isLast": True,
            },
        )

    def test_time(self) -> None:
        """In UTC, to the millisecond, as RFC 3339 has it."""
        line = formatJSONLine({"log_time": 0.0625, "log_format": "x"})
        assert line is not None
        self.assertEqual(json.loads(line)["time"], "1970-01-01T00:00:00.062+00:00")

    def test_escaped(self) -> None:
        """Whatever a text holds, an event is one line, and no terminal obeys it."""
        query = "a\r\nb\x1b[2J\x9b\u202e\u2028☕\udcff"
        self.log.info("{query}", query=query)
        self.assertEqual(self.line()["query"], query)

    def test_pretending(self) -> None:
        """A field cannot pass for what every line has."""
        own = {"message": "something else", "level": "critical", "source": "elsewhere", "time": "never"}
        ours = {"log_time": 0, "log_level": LogLevel.info, "log_namespace": "finger.here"}
        self.observer({**ours, **own, "log_format": "what was said"})
        line = self.line()
        self.assertEqual((line["message"], line["level"], line["source"]), ("what was said", "info", "finger.here"))

    def test_failure(self) -> None:
        """A failure is told with its traceback, in the same line."""
        try:
            raise ZeroDivisionError("so it is")
        except ZeroDivisionError:
            self.log.failure("it {verb}", verb="broke")
        line = self.line()
        self.assertEqual(line["level"], "critical")
        self.assertTrue(line["message"].startswith("it broke\nTraceback (most recent call last):\n"))
        self.assertIn("ZeroDivisionError: so it is", line["message"])

    def test_failureAlone(self) -> None:
        """So is one of which nothing else is said."""
        self.observer({"log_time": 0, "log_level": LogLevel.critical, "log_failure": Failure(ValueError("x"))})
        self.assertTrue(self.line()["message"].startswith("Traceback"))

    def test_empty(self) -> None:
        """An event that says nothing is no line."""
        self.observer({"log_time": 0, "peer": "192.0.2.1"})
        self.assertEqual(self.out.getvalue(), "")

    def test_legacy(self) -> None:
        """An event of the log there was before is one like any other."""
        publisher = legacyLog.LogPublisher(publishPublisher=LogPublisher(self.observer))
        publisher.msg("from", "before", system="old", extra=1)
        line = self.line()
        self.assertEqual(line.pop("message"), "from before")
        self.assertEqual(line.pop("level"), "info")
        self.assertEqual(set(line), {"time", "source", "extra"})


class JournalTests(SynchronousTestCase):
    """Lines for systemd's journal."""

    def test_priorities(self) -> None:
        """Each line begins with its priority; the journal has the time itself."""
        for level, priority in (("debug", 7), ("info", 6), ("warn", 4), ("error", 3), ("critical", 2)):
            event = {"log_time": 0, "log_level": LogLevel.levelWithName(level), "log_format": "a\nb"}
            self.assertEqual(formatJournalLine(event), f"<{priority}>a\n<{priority}>b\n")

    def test_failure(self) -> None:
        """A traceback is of the same priority, all of it."""
        failure = Failure(ValueError("x"))
        lines = formatJournalLine(
            {"log_time": 0, "log_level": LogLevel.critical, "log_format": "it broke", "log_failure": failure}
        )
        assert lines is not None
        first, *rest = lines.splitlines()
        self.assertEqual(first, "<2>it broke")
        self.assertTrue(all(line.startswith("<2>") for line in rest))
        self.assertIn("ValueError: x", rest[-1])

    def test_empty(self) -> None:
        """An event that says nothing is no line."""
        self.assertIsNone(formatJournalLine({"log_time": 0}))


class ObserverTests(SynchronousTestCase):
    """Which of them is used."""

    def observer(self, format: str, **environment: str) -> Any:
        """What writes the log to a file."""
        path = self.mktemp()
        with open(path, "w") as out, patch.object(sys, "stdout", out):
            status = os.fstat(out.fileno())
            where = {"same": f"{status.st_dev}:{status.st_ino}", "other": f"{status.st_dev}:0"}
            observer = makeObserver(format, {name: where.get(value, value) for name, value in environment.items()})
            if observer is None:
                return None
            observer({"log_time": 0, "log_level": LogLevel.info, "log_format": "said"})
        with open(path) as written:
            return written.read()

    def test_formats(self) -> None:
        """What is asked for; text is twistd's own matter."""
        self.assertIsNone(self.observer("text", JOURNAL_STREAM="same"))
        self.assertEqual(self.observer("journal"), "<6>said\n")
        self.assertEqual(json.loads(self.observer("json"))["message"], "said")

    def test_auto(self) -> None:
        """The journal's, if standard output goes there."""
        self.assertEqual(self.observer("auto", JOURNAL_STREAM="same"), "<6>said\n")
        self.assertIsNone(self.observer("auto", JOURNAL_STREAM="other"))
        self.assertIsNone(self.observer("auto"))

    def test_noFile(self) -> None:
        """Standard output that is no file, or closed, goes nowhere."""
        for out in (StringIO(), None):
            with patch.object(sys, "stdout", out):
                self.assertIsNone(makeObserver("auto", {"JOURNAL_STREAM": "1:1"}))

    def test_warnings(self) -> None:
        """Who checks a configuration sees warnings, and no more than these."""
        out = StringIO()
        with patch("finger.log.formats.globalLogBeginner") as beginner:
            showWarnings(out)
        ((observers,), _) = beginner.beginLoggingTo.call_args
        log = Logger(observer=LogPublisher(*observers))
        log.info("fine")
        log.warn("not so fine")
        log.error("bad")
        self.assertEqual(out.getvalue(), "not so fine\nbad\n")
