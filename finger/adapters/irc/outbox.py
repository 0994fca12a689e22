"""Sends the lines of an IRC bot, no faster than servers allow."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from finger.timing import Bucket

BURST = 4
"""Maximum number of lines sent at once.  RFC 1459 section 8.10 lets a client be 10 seconds, or five lines, ahead."""

LINE_INTERVAL = 2.0
"""Interval between further lines, in seconds (RFC 1459 section 8.10)."""

ANSWERS_PER_SENDER = 3
"""Maximum number of pending answers to one sender."""

ANSWERS = 20
"""Maximum number of pending answers in total."""


class Outbox:
    """
    A queue of lines, sent at the rate that servers allow.  Senders take turns, one answer each.  The queue holds at
    most as many answers as were reserved.

    @param clock: the clock for the rate.
    @param write: sends a line.
    """

    def __init__(self, clock: IReactorTime, write: Callable[[bytes], object]) -> None:
        self._clock = clock
        self._write = write
        self._bucket = Bucket(clock, BURST, LINE_INTERVAL)
        self._reserved: Counter[str] = Counter()
        self._waiting: dict[str, deque[Iterable[bytes]]] = {}
        self._lines: deque[bytes] = deque()
        self._call: IDelayedCall | None = None
        self._isClosed = False

    def sendNow(self, line: bytes) -> None:
        """Send an urgent line at once.  It counts towards the rate, and so delays the others."""
        self._bucket.take()
        self._write(line)

    def reserve(self, sender: str) -> bool:
        """Reserve room for an answer that will be L{put}, and return whether the limits allow it."""
        if self._reserved[sender] >= ANSWERS_PER_SENDER or self._reserved.total() >= ANSWERS:
            return False
        self._reserved[sender] += 1
        return True

    def put(self, sender: str, lines: Iterable[bytes]) -> None:
        """Queue an answer."""
        if not self._isClosed:
            self._waiting.setdefault(sender, deque()).append(lines)
            self._send()

    def close(self) -> None:
        """Drop all lines, and send no more."""
        self._isClosed = True
        self._waiting.clear()
        self._lines.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _send(self) -> None:
        while self._bucket.wait() == 0 and self._fetch():
            self.sendNow(self._lines.popleft())
        if self._call is None and (self._lines or self._waiting):
            self._call = self._clock.callLater(self._bucket.wait(), self._goOn)

    def _goOn(self) -> None:
        self._call = None
        self._send()

    def _fetch(self) -> bool:
        """Return whether a line is ready, after taking the next answer if the previous one is completely sent."""
        while not self._lines and self._waiting:
            sender = next(iter(self._waiting))
            answers = self._waiting.pop(sender)
            self._lines.extend(answers.popleft())
            if answers:
                self._waiting[sender] = answers  # Behind the others.
            self._release(sender)
        return bool(self._lines)

    def _release(self, sender: str) -> None:
        self._reserved[sender] -= 1
        if self._reserved[sender] <= 0:
            del self._reserved[sender]


class Timers:
    """
    What is to be done later, each under a name; a new one takes the place of an old one.

    @param clock: the time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: dict[str, IDelayedCall] = {}

    def set(self, name: str, seconds: float, do: Callable[..., object], *arguments: object) -> None:
        """Do something later, instead of what there was to do under that name."""
        self.cancel(name)
        self._calls[name] = self._clock.callLater(seconds, self._do, name, do, arguments)

    def isSet(self, name: str) -> bool:
        """Is there something to do under that name?"""
        return name in self._calls

    def cancel(self, name: str) -> None:
        """Do not do it, if there is anything to do under that name."""
        call = self._calls.pop(name, None)
        if call is not None:
            call.cancel()

    def cancelAll(self) -> None:
        """Do nothing any more."""
        for name in list(self._calls):
            self.cancel(name)

    def _do(self, name: str, do: Callable[..., object], arguments: tuple[object, ...]) -> None:
        del self._calls[name]
        do(*arguments)
