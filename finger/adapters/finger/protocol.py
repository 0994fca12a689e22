"""One connection of the finger protocol: its phases and their time limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.errors import BadQuery, PeerError
from finger.interfaces import IDrainable
from finger.log.querylog import lossOf
from finger.net.slices import sendInSlices
from finger.protocol.hosts import hostOf
from finger.protocol.telnet import TelnetFilter
from finger.protocol.wire import MAX_LINE
from finger.timing import DRAIN_GRACE, Timer

if TYPE_CHECKING:
    from finger.adapters.finger.factory import FingerFactory

MAX_DISCARDED = 64 * 1024
"""Maximum length of an overlong query that is read while waiting for its end, in bytes."""

MAX_LOGGED = 100
"""Maximum length of an overlong query in the log, in bytes."""


@implementer(IHalfCloseableProtocol, IDrainable)
class FingerProtocol(LineReceiver):
    """
    A connection, which carries one query and one answer; then the server closes it (section 2.1).

    Each of the three phases (receive the query, look up the answer, send the answer) has a time limit that the peer
    cannot extend.
    """

    delimiter = b"\n"  # The RFC requires CRLF, but nc sends LF alone.
    MAX_LENGTH = MAX_LINE + 1  # One byte for the CR.
    log = Logger()

    factory: FingerFactory
    transport: ITCPTransport
    _answering: Deferred[bytes] | None = None
    _deadline: Timer | None = None  # Not for the first phase: most connections that wait are idle, and need no more.
    _telnet: TelnetFilter | None = None
    _discarded = 0
    _isTooLong = False
    _loss: PeerError | None = None

    def connectionMade(self) -> None:
        """Wait for the query."""
        self.factory.waiting.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Remove telnet's part of the query."""
        if self.line_mode:
            self._telnet = self._telnet or TelnetFilter()
            data = self._telnet.feed(data)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Look up the answer.  Anything the peer sends after its query is discarded."""
        self.setRawMode()
        self._limit(self.factory.answerTimeout, self.transport.abortConnection)
        self._answering = self.factory.answer(line, self._peer(), lambda: self._loss)
        self._answering.addBoth(self._answer)

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Refuse the query, and close the connection at the end of its line.  Closing it earlier, with bytes unread,
        would reset it, and the peer would lose the reply.
        """
        self.setRawMode()
        self._isTooLong = True
        self.factory.queries.begin("finger", self._peer(), escapedQuery(line[:MAX_LOGGED]))("BadQuery")
        self.transport.write(self.factory.encode(BadQuery.words))
        self._limit(self.factory.discardTimeout, self._close)
        self.rawDataReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        """Discard what follows the query."""
        self._discarded += len(data)
        if self._isTooLong and (b"\n" in data or self._discarded > MAX_DISCARDED):
            self._close()

    def readConnectionLost(self) -> None:
        """Take the end of the input for the end of a query, which in.fingerd and others do, too."""
        if self.line_mode:
            self._endQuery()
        elif self._isTooLong:
            self._close()

    def writeConnectionLost(self) -> None:
        """Do nothing: this server does not close its side alone."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Cancel the lookup."""
        self._loss = lossOf(reason)
        self.factory.waiting.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._answering is not None:
            self._answering.cancel()

    @property
    def owesAnswer(self) -> bool:
        """See L{IDrainable}."""
        return not self.line_mode

    def drain(self) -> None:
        """See L{IDrainable.drain}.  A query may be on its way, so a silent peer still has a moment to send it."""
        if self.line_mode:
            self._limit(DRAIN_GRACE, self.transport.loseConnection)

    def _endQuery(self) -> None:
        line = self.clearLineBuffer()
        line += self._telnet.end() if self._telnet is not None else b""
        if line:
            self.lineReceived(line)
        else:
            self._close()

    def _answer(self, result: bytes | Failure) -> None:
        self._answering = None
        if self._loss is None:
            if isinstance(result, Failure):
                result = self.factory.encode(self.factory.queries.failures.explain(result, self.log))
            self._limit(self.factory.closeTimeout, self.transport.abortConnection)
            sendInSlices(self.transport, result, self.transport.loseConnection)

    def _close(self) -> None:
        self._limit(self.factory.closeTimeout, self.transport.abortConnection)
        self.transport.loseConnection()

    def _limit(self, seconds: float, end: Callable[[], object]) -> None:
        """Limit the time of another phase."""
        self.factory.waiting.discard(self)
        self._deadline = self._deadline or Timer(self.factory.clock)
        self._deadline.start(seconds, end)

    def _peer(self) -> str:
        return hostOf(self.transport.getPeer())


def escapedQuery(line: bytes) -> str:
    """Return a query as text for the log, with bytes that are not UTF-8 escaped.  The log escapes the rest."""
    return line.decode("utf-8", "backslashreplace")
