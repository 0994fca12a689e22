"""The gate for log events that hold values from peers: values are cut and escaped, and each kind has a rate limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from string import Formatter
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.timing import Bucket, Timer

BURST: Final = 20
"""The events of one kind that are logged at once."""

INTERVAL: Final = 1.0
"""Seconds until one more event of that kind is logged, with the number of those not logged."""

REPORT_AFTER: Final = 10.0
"""Seconds until the number of events not logged is logged if no other event of their kind follows."""

MAX_VALUE: Final = 200
"""The characters of a value that are logged."""

MAX_MESSAGE: Final = 2000
"""The characters of an exception's message that are logged."""

MAX_TRACEBACK: Final = 8000
"""The characters logged of each end of a traceback."""

_FIELD: Final = re.compile(r"\{[^}]*\}")


def cut(value: object, most: int = MAX_VALUE) -> str:
    """
    Return a value as text of a bounded length.

    @param value: the value; anything but a string is converted.
    @param most: the most characters.
    """
    return str(value)[:most]


def escape(value: object, most: int = MAX_VALUE) -> str:
    """
    Cut a value, and escape it.

    Every character that a terminal or a parser of logs might interpret, such as a control character, a line end, or a
    character that changes the direction of text, is escaped as in a Python string.  So is the backslash, which keeps
    the text unambiguous.

    @param value: as for L{cut}.
    @param most: as for L{cut}; escaping adds to it.
    """
    return repr(cut(value, most))[1:-1]


class EscapedFailure(Failure):
    """
    A failure for the log, whose message may come from a peer: it is cut and escaped, so that it stays on one line.

    @param failure: the failure.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)

    def getErrorMessage(self) -> str:
        """See L{Failure.getErrorMessage}."""
        return escape(super().getErrorMessage(), MAX_MESSAGE)

    def getTraceback(self, elideFrameworkCode: int = 0, detail: str = "default") -> str:
        """See L{Failure.getTraceback}.  Of a long one, such as that of a recursion, the middle is omitted."""
        message = super().getErrorMessage()
        frames = super().getTraceback(elideFrameworkCode, detail).removesuffix(f"{message}\n")
        if len(frames) > 2 * MAX_TRACEBACK:
            frames = f"{frames[:MAX_TRACEBACK]}\n...\n{frames[-MAX_TRACEBACK:]}"
        return f"{frames}{escape(message, MAX_MESSAGE)}\n"


class Limit:
    """
    The rate limit of one kind of event.

    @param clock: the clock; L{None} for no limit.
    @param burst: the events at once.
    @param interval: seconds until one more event.
    @param report: called with the number of events that were not admitted: before the next one that is, or after
        L{REPORT_AFTER} seconds.
    """

    def __init__(
        self, clock: IReactorTime | None, burst: int, interval: float, report: Callable[[int], object]
    ) -> None:
        self._bucket = Bucket(clock, burst, interval) if clock is not None else None
        self._timer = Timer(clock)
        self._report = report
        self._leftOut = 0

    def admits(self) -> bool:
        """Count an event, and return whether it is within the limit."""
        if self._bucket is None or self._bucket.tryTake():
            self._tell()
            return True
        if not self._leftOut:
            self._timer.start(REPORT_AFTER, self._tell)
        self._leftOut += 1
        return False

    def _tell(self) -> None:
        if self._leftOut:
            count, self._leftOut = self._leftOut, 0
            self._report(count)


class PeerLog:
    """
    The log for events that hold values from peers, or that peers can cause as often as they like.

    Values are cut, and L{escaped <escape>} unless they are numbers.  A field that the format shows only with C{!r}
    is cut alone, because its C{repr} is escaped.  Events with one format are one kind, and each kind has its own rate
    limit, so that no flood hides another kind.  The number of events not logged is logged, too.

    @param clock: the clock for the rate limits; L{None} for no limits.
    @param burst: the events of one kind at once.
    @param interval: seconds until one more event of that kind.
    @param most: the most characters of a value.
    @param leftOut: the format of the number of events not logged, with the fields C{count} and C{kind}.
    """

    def __init__(
        self,
        clock: IReactorTime | None = None,
        burst: int = BURST,
        interval: float = INTERVAL,
        most: int = MAX_VALUE,
        leftOut: str = "{count} events not logged (rate limit): {kind}",
    ) -> None:
        self._clock = clock
        self._burst = burst
        self._interval = interval
        self._most = most
        self._leftOut = leftOut
        self._limits: dict[str, Limit] = {}

    def info(self, log: Logger, format: str, **values: object) -> None:
        """
        Log an event.

        @param log: the logger to use.
        @param format: a constant format, as of L{Logger.info}.
        @param values: the values of its fields.
        """
        self._emit(log.info, log, format, values)

    def warn(self, log: Logger, format: str, **values: object) -> None:
        """Log a warning; see L{info}."""
        self._emit(log.warn, log, format, values)

    def error(self, log: Logger, format: str, **values: object) -> None:
        """Log an error; see L{info}."""
        self._emit(log.error, log, format, values)

    def _emit(self, emit: Callable[..., object], log: Logger, format: str, values: dict[str, object]) -> None:
        limit = self._limits.get(format)
        if limit is None:
            report = partial(self._report, log, format)
            limit = self._limits[format] = Limit(self._clock, self._burst, self._interval, report)
        if limit.admits():
            emit(format, **bounded(format, values, self._most))

    def _report(self, log: Logger, format: str, count: int) -> None:
        log.warn(self._leftOut, count=count, kind=_FIELD.sub("...", format))


def bounded(format: str, values: Mapping[str, object], most: int = MAX_VALUE) -> dict[str, Any]:
    """
    Return values that are safe to log.

    @param format: the event's format.
    @param values: the values of its fields.
    @param most: the most characters of a value.
    """
    fields = [(field, conversion == "r") for _, field, _, conversion in Formatter().parse(format)]
    plain = {field for field, isQuoted in fields if not isQuoted}
    quoted = {field for field, isQuoted in fields if isQuoted} - plain
    return {name: _bounded(value, name in quoted, most) for name, value in values.items()}


def _bounded(value: object, isQuoted: bool, most: int) -> object:
    if isinstance(value, int | float):
        return value
    return cut(value, most) if isQuoted else escape(value, most)
