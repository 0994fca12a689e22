"""Writes the lines of an IRC bot, as long as the server reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from finger.timing import Timer

READ_WITHIN = 60.0
"""Time limit for the server to read what was sent, once the transport holds too much, in seconds."""

MAX_HELD = 16 * 1024
"""Maximum length of the lines written while the transport asks for a pause, in bytes."""


@implementer(IPushProducer)
class BoundedWriter:
    """
    Writes lines to a transport.  When the transport asks for a pause, only L{MAX_HELD} bytes more are written, and
    further lines are dropped: a server that sends pings and reads no answers would otherwise fill the memory.

    Some lines must be written during a pause, because TLS asks for one until its handshake is done.

    @param transport: the transport, without a producer.
    @param clock: the clock for the time limit.
    @param giveUp: called when the pause has lasted for L{READ_WITHIN}.
    """

    def __init__(self, transport: Any, clock: IReactorTime, giveUp: Callable[[], object]) -> None:
        self._transport = transport
        self._giveUp = giveUp
        self._timer = Timer(clock)
        self._isPaused = False
        self._held = 0
        transport.registerProducer(self, True)

    def write(self, line: bytes) -> None:
        """Write a line, or drop it."""
        if self._isPaused:
            self._held += len(line)
        if self._held <= MAX_HELD:
            self._transport.write(line)

    def pauseProducing(self) -> None:
        """See L{IPushProducer.pauseProducing}.  A full transport calls this for each further line."""
        if not self._isPaused:
            self._isPaused = True
            self._timer.start(READ_WITHIN, self._giveUp)

    def resumeProducing(self) -> None:
        """See L{IPushProducer.resumeProducing}."""
        self._isPaused = False
        self._held = 0
        self._timer.cancel()

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._timer.cancel()
