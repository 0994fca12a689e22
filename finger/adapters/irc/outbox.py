"""What an IRC bot does with time: waits, and speaks no faster than servers like."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from finger.timing import Bucket

BURST = 4
"""How many lines are sent at once.  RFC 1459 section 8.10 lets a client be 10 seconds, or five lines, ahead."""

LINE_INTERVAL = 2.0
"""Seconds a line costs when there are more (RFC 1459 section 8.10)."""

ANSWERS_PER_SENDER = 3
"""How many answers may be under way to one sender."""

ANSWERS = 20
"""How many may be under way in all."""


class Outbox:
    """
    Lines on their way to the server, at its pace.  Senders take turns, an answer each; it never holds more answers
    than were reserved.

    @param clock: the time.
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
        """Send a line that cannot wait.  Those that can make up for it."""
        self._bucket.take()
        self._write(line)

    def reserve(self, sender: str) -> bool:
        """Reserve room for an answer that will be L{put}.  If there is none, the sender asks too much."""
        if self._reserved[sender] >= ANSWERS_PER_SENDER or self._reserved.total() >= ANSWERS:
            return False
        self._reserved[sender] += 1
        return True

    def put(self, sender: str, lines: Iterable[bytes]) -> None:
        """Send an answer when its turn comes."""
        if not self._isClosed:
            self._waiting.setdefault(sender, deque()).append(lines)
            self._send()

    def close(self) -> None:
        """Send nothing any more."""
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
        """Is there a line?  An answer is begun only when the one before is out, so that none are mixed."""
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
