"""The log as JSON lines, for machines to read; twistd itself writes the text for people."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from twisted.logger import FileLogObserver, LogEvent, formatEvent


def formatJSONLine(event: LogEvent) -> str | None:
    """
    Write an event as a line of JSON: C{time} (RFC 3339), C{level}, C{source}, C{message}, and the event's own fields.

    @return: the line, or L{None} for an event that says nothing.
    """
    message = formatEvent(event)
    failure = event.get("log_failure")
    if failure is not None:
        message = f"{message}\n{failure.getTraceback()}".strip()
    if not message:
        return None
    line = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": event["log_level"].name if "log_level" in event else "info",
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


def jsonLog() -> FileLogObserver:
    """
    A log observer that writes to standard output, for C{twistd --nodaemon --logger=finger.logs.jsonLog finger}: under
    systemd or in a container, whoever started us takes the lines from there.
    """
    return FileLogObserver(sys.stdout, formatJSONLine)
