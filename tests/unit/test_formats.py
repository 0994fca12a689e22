"""The log formats."""

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
    """JSON lines."""

    def setUp(self) -> None:
        """Make a log, and record its lines."""
        self.out = StringIO()
        with patch.object(sys, "stdout", self.out):
            self.observer = jsonLog()
        self.log = Logger("finger.here", observer=LogPublisher(self.observer))

    def line(self) -> dict[str, Any]:
        """Return the single line, parsed."""
        text = self.out.getvalue()
        self.assertEqual(text.count("\n"), 1)
        self.assertTrue(text.isascii())
        line: dict[str, Any] = json.loads(text)
        return line

    def test_fields(self) -> None:
        """A line has the time, level, source and message, and the event's own fields that JSON can represent."""
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
        """The time is in UTC, with milliseconds, in the format of RFC 3339."""
        line = formatJSONLine({"log_time": 0.0625, "log_format": "x"})
        assert line is not None
        self.assertEqual(json.loads(line)["time"], "1970-01-01T00:00:00.062+00:00")

    def test_escaped(self) -> None:
        """An event is one line, without control characters, whatever its text contains."""
        query = "a\r\nb\x1b[2J\x9b\u202e\u2028☕\udcff"
        self.log.info("{query}", query=query)
        self.assertEqual(self.line()["query"], query)

    def test_pretending(self) -> None:
        """An event's field cannot replace one of the standard fields."""
        own = {"message": "something else", "level": "critical", "source": "elsewhere", "time": "never"}
        ours = {"log_time": 0, "log_level": LogLevel.info, "log_namespace": "finger.here"}
        self.observer({**ours, **own, "log_format": "what was said"})
        line = self.line()
        self.assertEqual((line["message"], line["level"], line["source"]), ("what was said", "info", "finger.here"))

    def test_failure(self) -> None:
        """A failure is logged with its traceback, in the same line."""
        try:
            raise ZeroDivisionError("so it is")
        except ZeroDivisionError:
            self.log.failure("it {verb}", verb="broke")
        line = self.line()
        self.assertEqual(line["level"], "critical")
        self.assertTrue(line["message"].startswith("it broke\nTraceback (most recent call last):\n"))
        self.assertIn("ZeroDivisionError: so it is", line["message"])

    def test_failureAlone(self) -> None:
        """A failure without a message is logged, too."""
        self.observer({"log_time": 0, "log_level": LogLevel.critical, "log_failure": Failure(ValueError("x"))})
        self.assertTrue(self.line()["message"].startswith("Traceback"))

    def test_empty(self) -> None:
        """An event without a message makes no line."""
        self.observer({"log_time": 0, "peer": "192.0.2.1"})
        self.assertEqual(self.out.getvalue(), "")

    def test_legacy(self) -> None:
        """An event of Twisted's legacy log has the same fields."""
        publisher = legacyLog.LogPublisher(publishPublisher=LogPublisher(self.observer))
        publisher.msg("from", "before", system="old", extra=1)
        line = self.line()
        self.assertEqual(line.pop("message"), "from before")
        self.assertEqual(line.pop("level"), "info")
        self.assertEqual(set(line), {"time", "source", "extra"})


class JournalTests(SynchronousTestCase):
    """Lines for systemd's journal."""

    def test_priorities(self) -> None:
        """Each line begins with its priority, and has no time."""
        for level, priority in (("debug", 7), ("info", 6), ("warn", 4), ("error", 3), ("critical", 2)):
            event = {"log_time": 0, "log_level": LogLevel.levelWithName(level), "log_format": "a\nb"}
            self.assertEqual(formatJournalLine(event), f"<{priority}>a\n<{priority}>b\n")

    def test_failure(self) -> None:
        """All lines of a traceback have the same priority."""
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
        """An event without a message makes no line."""
        self.assertIsNone(formatJournalLine({"log_time": 0}))


class ObserverTests(SynchronousTestCase):
    """The choice of the log observer."""

    def observer(self, format: str, **environment: str) -> Any:
        """Make the observer for a format, with standard output connected to a file."""
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
        """C{json} and C{journal} have observers; C{text} is twistd's own."""
        self.assertIsNone(self.observer("text", JOURNAL_STREAM="same"))
        self.assertEqual(self.observer("journal"), "<6>said\n")
        self.assertEqual(json.loads(self.observer("json"))["message"], "said")

    def test_auto(self) -> None:
        """C{auto} is the journal's format if standard output is connected to it."""
        self.assertEqual(self.observer("auto", JOURNAL_STREAM="same"), "<6>said\n")
        self.assertIsNone(self.observer("auto", JOURNAL_STREAM="other"))
        self.assertIsNone(self.observer("auto"))

    def test_noFile(self) -> None:
        """Standard output that is closed, or not a file, is not the journal."""
        for out in (StringIO(), None):
            with patch.object(sys, "stdout", out):
                self.assertIsNone(makeObserver("auto", {"JOURNAL_STREAM": "1:1"}))

    def test_warnings(self) -> None:
        """In a check of the configuration, only warnings and errors are shown."""
        out = StringIO()
        with patch("finger.log.formats.globalLogBeginner") as beginner:
            showWarnings(out)
        ((observers,), _) = beginner.beginLoggingTo.call_args
        log = Logger(observer=LogPublisher(*observers))
        log.info("fine")
        log.warn("not so fine")
        log.error("bad")
        self.assertEqual(out.getvalue(), "not so fine\nbad\n")
