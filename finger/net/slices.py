"""
Sending a long answer in slices, as fast as the peer reads it.

A transport copies what is written to it, and TLS encrypts it at once.  So a peer that reads nothing would cost the
whole length of its answer, even if all peers get the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

SLICE = 16 * 1024
"""
The length of a slice, in bytes.  A transport asks for a pause when it holds more than 64 KiB, so a connection holds
at most that and one slice.
"""


def sendInSlices(consumer: Any, data: bytes, done: Callable[[], object]) -> None:
    """
    Send bytes.

    @param consumer: the L{IConsumer <twisted.internet.interfaces.IConsumer>}, such as a transport or a request,
        without a producer.
    @param done: called when all bytes are written and the consumer is ready for more.  It is not called if the
        connection is lost before.
    """
    if len(data) <= SLICE:
        consumer.write(data)
        done()
    else:
        _Slices(consumer, data, done).start()


@implementer(IPushProducer)
class _Slices:
    """The producer of slices."""

    def __init__(self, consumer: Any, data: bytes, done: Callable[[], object]) -> None:
        self._consumer = consumer
        self._data = data
        self._done = done
        self._sent = 0
        self._isPaused = False

    def start(self) -> None:
        """Send the first slices."""
        self._consumer.registerProducer(self, True)
        if not self._isPaused:  # Stopped, because the connection is lost.
            self.resumeProducing()

    def resumeProducing(self) -> None:
        """Send slices until the consumer asks for a pause."""
        self._isPaused = False
        while not self._isPaused and self._sent < len(self._data):
            piece = self._data[self._sent : self._sent + SLICE]
            self._sent += len(piece)
            self._consumer.write(piece)
        if not self._isPaused:
            self._consumer.unregisterProducer()
            self._done()

    def pauseProducing(self) -> None:
        """Send nothing until the consumer is ready for more."""
        self._isPaused = True

    def stopProducing(self) -> None:
        """Send nothing more: the connection is lost."""
        self._isPaused = True
        self._data = b""
