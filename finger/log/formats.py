"""How the log is written: as JSON lines, for the journal of systemd, or as text, which is twistd's own."""

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
"""What there is to choose from; C{auto} is C{journal} if standard output goes there, and else C{text}."""

PRIORITIES: Final = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
"""The levels, as the journal has them (sd-daemon(3))."""


def _message(event: LogEvent) -> str:
    """What an event says, with the traceback if there is one."""
    message = formatEvent(event)
    failure = event.get("log_failure")
    return message if failure is None else f"{message}\n{failure.getTraceback()}".strip()


def _level(event: LogEvent) -> str:
    return event["log_level"].name if "log_level" in event else "info"


def formatJSONLine(event: LogEvent) -> str | None:
    """
    Write an event as a line of JSON: C{time} (RFC 3339), C{level}, C{source}, C{message}, and the event's own fields.

    @return: the line, or L{None} for an event that says nothing.
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
    """The fields of the code that logged: those of Twisted's own begin with C{log_}, or are an old log's."""
    return {
        name: value
        for name, value in event.items()
        if isinstance(value, str | int | float) and not name.startswith("log_") and name not in _LEGACY
    }


_LEGACY = {"isError", "format", "system", "time"}


def formatJournalLine(event: LogEvent) -> str | None:
    """
    Write an event as lines for the journal: each begins with its priority (sd-daemon(3)), and none has a time, which
    the journal adds.

    @return: the lines, or L{None} for an event that says nothing.
    """
    prefix = f"<{PRIORITIES[_level(event)]}>"
    return "".join(f"{prefix}{line}\n" for line in _message(event).splitlines()) or None


def jsonLog() -> FileLogObserver:
    """
    A log observer that writes to standard output, for C{twistd --nodaemon --logger=finger.log.formats.jsonLog
    finger}: under systemd or in a container, whoever started us takes the lines from there.
    """
    return FileLogObserver(sys.stdout, formatJSONLine)


def makeObserver(format: str, environment: Mapping[str, str] = os.environ) -> FileLogObserver | None:
    """
    Make what writes the log to standard output.

    @param format: one of L{FORMATS}.
    @param environment: where systemd says what goes to its journal.
    @return: the observer; L{None} if twistd is to write as it always does.
    """
    if format == "json":
        return jsonLog()
    if format == "journal" or (format == "auto" and _isJournal(sys.stdout, environment)):
        return FileLogObserver(sys.stdout, formatJournalLine)
    return None


def _isJournal(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Does a stream go to the journal?  Its device and inode are in the environment (systemd.exec(5))."""
    if stream is None:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # It is no file, or closed.
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def showWarnings(out: TextIO) -> None:
    """
    Show warnings, and what is worse, to who checks a configuration.

    @param out: where, a line each.
    """
    observer = FileLogObserver(out, lambda event: f"{_message(event)}\n")
    warnings = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    globalLogBeginner.beginLoggingTo([FilteringLogObserver(observer, [warnings])], redirectStandardIO=False)
