"""Sends the lines of an IRC bot, no faster than servers allow."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IReactorTime

from finger.timing import Bucket, Timer

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
        self._write = write
        self._bucket = Bucket(clock, BURST, LINE_INTERVAL)
        self._reserved: Counter[str] = Counter()
        self._waiting: dict[str, deque[Iterable[bytes]]] = {}
        self._lines: deque[bytes] = deque()
        self._timer = Timer(clock)
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
        """Queue an answer, whose lines are made when it is taken from the queue."""
        if not self._isClosed:
            self._waiting.setdefault(sender, deque()).append(lines)
            self._send()

    def close(self) -> None:
        """Drop all lines, and send no more."""
        self._isClosed = True
        self._waiting.clear()
        self._lines.clear()
        self._timer.cancel()

    def _send(self) -> None:
        while self._bucket.wait() == 0 and self._fetch():
            self.sendNow(self._lines.popleft())
        if not self._timer.isRunning and (self._lines or self._waiting):
            self._timer.start(self._bucket.wait(), self._send)

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
