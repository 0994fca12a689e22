"""Perspective Broker for untrusted peers, with limits on what they send and how long they take."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.spread.jelly import SecurityOptions, globalSecurity, unjelly
from zope.interface import implementer

from finger.interfaces import IDrainable
from finger.log.peerlog import PeerLog
from finger.protocol.hosts import hostOf
from finger.timing import Timer

MAX_MESSAGE = 64 * 1024
"""Maximum length of a message, in bytes.  A call of our methods takes less than a hundred."""

MAX_DEPTH = 32
"""Maximum depth of nested lists in a message."""

MAX_CONNECTION = 16 * 1024 * 1024
"""Maximum data received on a connection, in bytes.  It bounds what a peer can leave in the broker's tables."""

PIECE = 4096
"""Size of the pieces in which received data is parsed, in bytes."""


class _Excess(Exception):
    """A peer has exceeded a limit."""


class _Stack(list[Any]):
    """Banana's stack of unfinished lists, with a maximum depth."""

    def append(self, item: Any) -> None:
        if len(self) >= MAX_DEPTH:
            raise _Excess("lists nested too deep")
        super().append(item)


class _Values(SecurityOptions):
    """
    The types a peer may send: strings, numbers, and collections of these.  The other types that L{SecurityOptions}
    allows create objects: a reference to a peer's object without a number, for example, causes a traceback when it is
    collected.
    """

    def __init__(self) -> None:
        super().__init__()
        self.allowTypes("list", "tuple", "dictionary")

    def isTypeAllowed(self, typeName: object) -> bool:
        return isinstance(typeName, bytes) and typeName in self.allowedTypes


_VALUES: Final = _Values()


@implementer(IHalfCloseableProtocol, IDrainable)
class BoundedBroker(pb.Broker):
    """
    A broker that limits the size, depth and duration of the messages it receives.

    @ivar clock: the clock for the time limits; with L{None} there are no limits.
    @ivar messageTimeout: time limit for a message to arrive completely, in seconds.
    @ivar idleTimeout: time limit between messages, in seconds.
    @ivar closeTimeout: time limit for the peer to receive what was sent, in seconds.
    @ivar events: the log for refused messages.
    """

    log = Logger()

    transport: Any  # An ITCPTransport, IConsumer and IPushProducer.
    clock: IReactorTime | None = None
    messageTimeout = 10.0
    idleTimeout = 300.0
    closeTimeout = 30.0

    def __init__(self, isClient: bool = False, security: Any = globalSecurity) -> None:
        super().__init__(isClient, security)
        self.events = PeerLog()
        self.listStack = _Stack()
        self._received = 0
        self._unfinished = 0
        self._unanswered = 0
        self._draining = False
        self._isPaused = False
        self._calls: deque[tuple[Any, ...]] = deque()

    def connectionMade(self) -> None:
        """Wait for the first message."""
        self._deadline = Timer(self.clock)
        self._reading = Timer(self.clock)
        self.transport.registerProducer(self, True)
        self._deadline.start(self.idleTimeout, self.transport.abortConnection)
        super().connectionMade()

    def dataReceived(self, chunk: bytes) -> None:
        """Parse data, up to the limits.  It is done in pieces, because Banana copies the rest after each item."""
        try:
            for start in range(0, len(chunk), PIECE):
                self._take(chunk[start : start + PIECE])
        except Exception as error:
            # Banana and Jelly raise many kinds of exceptions, all caused by the peer's data.
            self._refuse(error)

    def _take(self, piece: bytes) -> None:
        beginsMessage = not self._unfinished
        self._received += len(piece)
        self._unfinished += len(piece)
        if self._unfinished > MAX_MESSAGE or self._received > MAX_CONNECTION:
            raise _Excess("too much data")
        super().dataReceived(piece)
        if beginsMessage or not self._unfinished:
            isBetween = not self.buffer and not self.listStack
            self._deadline.start(
                self.idleTimeout if isBetween else self.messageTimeout, self.transport.abortConnection
            )

    def callExpressionReceived(self, expression: Any) -> None:
        """Handle a complete message."""
        self._unfinished = 0
        if not self.currentDialect and expression not in self.knownDialects:
            raise pb.ProtocolError("no dialect of ours")  # Banana would log each one, and continue.
        super().callExpressionReceived(expression)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Cancel the time limits."""
        self._deadline.cancel()
        self._reading.cancel()
        self._draining = False
        super().connectionLost(reason)

    def proto_message(self, requestID: int, objectID: int, message: bytes, answerRequired: int, *more: Any) -> None:
        """Handle a call.  An answer is always made, even if the peer wants none, so that each failure is handled."""
        self._unanswered += 1
        self._calls.append((requestID if answerRequired else None, objectID, message, True, *more))
        self._callNext()

    def proto_cachemessage(self, *call: Any) -> None:
        """Refuse a call of a cached copy: the server has none."""
        raise pb.ProtocolError("nothing is cached here")

    def proto_didNotUnderstand(self, command: object) -> None:
        """Refuse the message: the server sends no requests.  L{pb.Broker} would log each one."""
        raise pb.ProtocolError("nothing was asked")

    def unserialize(self, sexp: Any, perspective: object = None) -> Any:
        """See L{pb.Broker.unserialize}.  Accept plain values only, and no objects of the peer."""
        return unjelly(sexp, _VALUES, None, self)

    def localObjectForID(self, luid: object) -> Any:
        """See L{pb.Broker.localObjectForID}."""
        return super().localObjectForID(luid) if isinstance(luid, bytes | int) else None

    def sendCall(self, *expression: Any) -> None:
        """See L{pb.Broker.sendCall}.  Count the answers, to close a draining connection after the last one."""
        isAnswer = expression[0] in (b"answer", b"error")
        if not isAnswer or expression[1] is not None:
            super().sendCall(*expression)
        if isAnswer:
            self._unanswered -= 1
            self._closeIfDrained()

    @property
    def owesAnswer(self) -> bool:
        """See L{IDrainable}."""
        return self._unanswered > 0 or self._isPaused

    def drain(self) -> None:
        """See L{IDrainable.drain}."""
        self._draining = True
        self._closeIfDrained()

    def readConnectionLost(self) -> None:
        """Answer the calls that arrived completely, and close the connection."""
        self.drain()

    def writeConnectionLost(self) -> None:
        """Do nothing: this server does not close its side alone."""

    def pauseProducing(self) -> None:
        """Stop reading while the peer does not receive what was sent, and limit the time."""
        self._isPaused = True
        self.transport.pauseProducing()
        self._reading.start(self.closeTimeout, self.transport.abortConnection)

    def resumeProducing(self) -> None:
        """Resume reading, and make the calls that arrived meanwhile."""
        self._reading.cancel()
        self._isPaused = False
        self.transport.resumeProducing()
        try:
            self._callNext()
        except Exception as error:
            self._refuse(error)

    def stopProducing(self) -> None:
        """Cancel the time limit for receiving: the connection is lost."""
        self._reading.cancel()

    def _callNext(self) -> None:
        """Make the calls that have arrived, until the peer is too slow to receive the answers."""
        while self._calls and not self._isPaused:
            super().proto_message(*self._calls.popleft())

    def _closeIfDrained(self) -> None:
        if self._draining and self._unanswered <= 0:
            # A paused producer would keep the connection open.
            self.transport.unregisterProducer()
            self._deadline.start(self.closeTimeout, self.transport.abortConnection)
            self.transport.loseConnection()

    def _refuse(self, error: Exception) -> None:
        peer = hostOf(self.transport.getPeer())
        self.events.info(self.log, "pb {peer} refused: {reason}", peer=peer, reason=repr(error))
        self.dataReceived = lambda chunk: None  # type: ignore[method-assign]
        self.transport.abortConnection()


class BoundedPBServerFactory(pb.PBServerFactory):
    """
    A L{pb.PBServerFactory} that makes L{BoundedBroker}s.

    @param clock: the clock for their time limits.
    @ivar messageTimeout: see L{BoundedBroker}.
    @ivar closeTimeout: see L{BoundedBroker}.
    @ivar events: see L{BoundedBroker}.
    """

    protocol = BoundedBroker
    noisy = False
    messageTimeout = BoundedBroker.messageTimeout
    closeTimeout = BoundedBroker.closeTimeout

    def __init__(self, root: Any, clock: IReactorTime) -> None:
        super().__init__(root)
        self._clock = clock
        self.events = PeerLog(clock)

    def buildProtocol(self, addr: Any) -> BoundedBroker:
        """See L{pb.PBServerFactory.buildProtocol}."""
        broker: BoundedBroker = super().buildProtocol(addr)
        broker.clock = self._clock
        broker.events = self.events
        broker.messageTimeout = self.messageTimeout
        broker.closeTimeout = self.closeTimeout
        return broker
