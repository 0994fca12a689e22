"""The protocol of a connection that exceeds a limit."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure


class Refusal(Protocol):
    """
    Sends a refusal and closes the connection.

    @param words: the refusal; empty for none.
    @param ended: called when the connection has ended.
    @ivar words: see above.
    """

    def __init__(self, words: bytes = b"", ended: Callable[[], object] = lambda: None) -> None:
        self.words = words
        self._ended = ended

    def connectionMade(self) -> None:
        """See C{Protocol.connectionMade}."""
        assert self.transport is not None
        self.transport.write(self.words)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See C{Protocol.connectionLost}."""
        self._ended()
