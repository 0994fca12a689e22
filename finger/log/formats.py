"""Log formats: JSON lines, lines for systemd's journal, or twistd's own text."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
)

FORMATS: Final = ("auto", "text", "json", "journal")
"""The names of the formats; C{auto} is C{journal} if standard output is connected to it, otherwise C{text}."""

PRIORITIES: Final = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
"""The journal's priority for each log level (sd-daemon(3))."""


def _message(event: LogEvent) -> str:
    """Return an event's message, with the traceback if it has one."""
    message = formatEvent(event)
    failure = event.get("log_failure")
    return message if failure is None else f"{message}\n{failure.getTraceback()}".strip()


def _level(event: LogEvent) -> str:
    return event["log_level"].name if "log_level" in event else "info"


def formatJSONLine(event: LogEvent) -> str | None:
    """
    Format an event as a line of JSON: C{time} (RFC 3339), C{level}, C{source}, C{message} and the event's own fields.

    @return: the line, or L{None} for an event without a message.
    """
    message = _message(event)
    if not message:
        return None
    line = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": _level(event),
        "source": event.get("log_namespace", ""),
        "message": message,
    }
    return json.dumps(_ownFields(event) | line, ensure_ascii=True) + "\n"


def _ownFields(event: LogEvent) -> dict[str, Any]:
    """Return an event's fields without those that Twisted adds: C{log_...}, and fields of its legacy log."""
    return {
        name: value
        for name, value in event.items()
        if isinstance(value, str | int | float) and not name.startswith("log_") and name not in _LEGACY
    }


_LEGACY = {"isError", "format", "system", "time"}


def formatJournalLine(event: LogEvent) -> str | None:
    """
    Format an event as lines for the journal.  Each begins with the priority (sd-daemon(3)) and has no time, because
    the journal adds it.

    @return: the lines, or L{None} for an event without a message.
    """
    prefix = f"<{PRIORITIES[_level(event)]}>"
    return "".join(f"{prefix}{line}\n" for line in _message(event).splitlines()) or None


def jsonLog() -> FileLogObserver:
    """
    Make a log observer that writes JSON lines to standard output, where systemd or a container runtime collects them.
    Use it with C{twistd --nodaemon --logger=finger.log.formats.jsonLog finger}.
    """
    return FileLogObserver(sys.stdout, formatJSONLine)


def makeObserver(format: str, environment: Mapping[str, str] = os.environ) -> FileLogObserver | None:
    """
    Make the log observer for a format, which writes to standard output.

    @param format: one of L{FORMATS}.
    @param environment: holds C{JOURNAL_STREAM} if systemd connected standard output to its journal.
    @return: the observer; L{None} for twistd's own.
    """
    if format == "json":
        return jsonLog()
    if format == "journal" or (format == "auto" and _isJournal(sys.stdout, environment)):
        return FileLogObserver(sys.stdout, formatJournalLine)
    return None


def _isJournal(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Return whether a stream is the journal, whose device and inode are in the environment (systemd.exec(5))."""
    if stream is None:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # The stream is not a file, or is closed.
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def showWarnings(out: TextIO) -> None:
    """
    Write log events at the level of warnings and above to a stream, for C{--check-config}.

    @param out: the stream, which gets one line for each event.
    """
    observer = FileLogObserver(out, lambda event: f"{_message(event)}\n")
    warnings = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    globalLogBeginner.beginLoggingTo([FilteringLogObserver(observer, [warnings])], redirectStandardIO=False)
