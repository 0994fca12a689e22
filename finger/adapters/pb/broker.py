"""Perspective Broker for peers nobody knows: what they may send, and how long they may take."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.spread.jelly import SecurityOptions, globalSecurity, unjelly
from zope.interface import implementer

from finger.interfaces import IDrainable
from finger.protocol.hosts import hostOf
from finger.timing import Deadline

MAX_MESSAGE = 64 * 1024
"""The longest message, in bytes.  A call of ours has less than a hundred."""

MAX_DEPTH = 32
"""How deep a message may be nested."""

MAX_CONNECTION = 16 * 1024 * 1024
"""The most one connection may send, in bytes: what it leaves behind in our tables is bounded by that."""


PIECE = 4096
"""How much of what has come is read at once, in bytes."""


class _Excess(Exception):
    """A peer has sent more than it may."""


class _Stack(list[Any]):
    """Banana's stack of unfinished lists, which has an end here."""

    def append(self, item: Any) -> None:
        if len(self) >= MAX_DEPTH:
            raise _Excess("lists nested too deep")
        super().append(item)


class _Values(SecurityOptions):
    """
    What a peer may send: texts, numbers, and collections of these.  All that L{SecurityOptions} allows besides makes
    objects: a reference to one of theirs, that has no number, is a traceback when it is forgotten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.allowTypes("list", "tuple", "dictionary")

    def isTypeAllowed(self, typeName: object) -> bool:
        return isinstance(typeName, bytes) and typeName in self.allowedTypes


_VALUES: Final = _Values()


@implementer(IDrainable)
class BoundedBroker(pb.Broker):
    """
    A broker whose peer may send messages of so many bytes, so deeply nested, in so much time.

    @ivar clock: for the limits of time; without one there are none.
    @ivar messageTimeout: seconds for a message to arrive whole.
    @ivar idleTimeout: seconds without a message.
    @ivar closeTimeout: seconds for what was sent to be taken.
    """

    log = Logger()

    transport: Any  # An ITCPTransport, IConsumer and IPushProducer.
    clock: IReactorTime | None = None
    messageTimeout = 10.0
    idleTimeout = 300.0
    closeTimeout = 30.0

    def __init__(self, isClient: bool = False, security: Any = globalSecurity) -> None:
        super().__init__(isClient, security)
        self.listStack = _Stack()
        self._received = 0
        self._unfinished = 0
        self._unanswered = 0
        self._draining = False
        self._isPaused = False
        self._calls: deque[tuple[Any, ...]] = deque()

    def connectionMade(self) -> None:
        """Wait for the first message."""
        self._deadline = Deadline(self.clock)
        self._reading = Deadline(self.clock)
        self.transport.registerProducer(self, True)
        self._deadline.start(self.idleTimeout, self.transport.abortConnection)
        super().connectionMade()

    def dataReceived(self, chunk: bytes) -> None:
        """Take what has come, unless that is too much.  In pieces, as Banana copies all that is left at each item."""
        try:
            for start in range(0, len(chunk), PIECE):
                self._take(chunk[start : start + PIECE])
        except Exception as error:
            # Whatever it is that Banana and Jelly find wrong, it is the peer who sent it.
            self._refuse(error)

    def _take(self, piece: bytes) -> None:
        if not self._unfinished:
            self._deadline.start(self.messageTimeout, self.transport.abortConnection)
        self._received += len(piece)
        self._unfinished += len(piece)
        if self._unfinished > MAX_MESSAGE or self._received > MAX_CONNECTION:
            raise _Excess("too much data")
        super().dataReceived(piece)
        if not self._unfinished:
            isBetween = not self.buffer and not self.listStack
            self._deadline.start(
                self.idleTimeout if isBetween else self.messageTimeout, self.transport.abortConnection
            )

    def callExpressionReceived(self, expression: Any) -> None:
        """A message is complete."""
        self._unfinished = 0
        if not self.currentDialect and expression not in self.knownDialects:
            raise pb.ProtocolError("no dialect of ours")  # Banana would log a line for each, and go on.
        super().callExpressionReceived(expression)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Over."""
        self._deadline.cancel()
        self._reading.cancel()
        super().connectionLost(reason)

    def proto_message(self, requestID: int, objectID: int, message: bytes, answerRequired: int, *more: Any) -> None:
        """A call has come.  If no answer is wanted there is one all the same, so that no failure stays unhandled."""
        self._unanswered += 1
        self._calls.append((requestID if answerRequired else None, objectID, message, True, *more))
        self._callNext()

    def proto_cachemessage(self, *call: Any) -> None:
        """A call of our copy of an object of theirs: we have none."""
        raise pb.ProtocolError("nothing is cached here")

    def proto_didNotUnderstand(self, command: object) -> None:
        """We ask for nothing, so there is nothing to misunderstand; a L{pb.Broker} would log it each time."""
        raise pb.ProtocolError("nothing was asked")

    def unserialize(self, sexp: Any, perspective: object = None) -> Any:
        """See L{pb.Broker.unserialize}.  Our calls take values, and no object of the peer's."""
        return unjelly(sexp, _VALUES, None, self)

    def localObjectForID(self, luid: object) -> Any:
        """See L{pb.Broker.localObjectForID}."""
        return super().localObjectForID(luid) if isinstance(luid, bytes | int) else None

    def sendCall(self, *expression: Any) -> None:
        """See L{pb.Broker.sendCall}.  Answers are counted: when the last is sent, a connection can be closed."""
        isAnswer = expression[0] in (b"answer", b"error")
        if not isAnswer or expression[1] is not None:
            super().sendCall(*expression)
        if isAnswer:
            self._unanswered -= 1
            self._closeIfDrained()

    def drain(self) -> None:
        """See L{IDrainable.drain}."""
        self._draining = True
        self._closeIfDrained()

    def pauseProducing(self) -> None:
        """The peer does not take what we send: it has some time to do so, and is not listened to meanwhile."""
        self._isPaused = True
        self.transport.pauseProducing()
        self._reading.start(self.closeTimeout, self.transport.abortConnection)

    def resumeProducing(self) -> None:
        """It does: now for what it has asked meanwhile."""
        self._reading.cancel()
        self._isPaused = False
        self.transport.resumeProducing()
        try:
            self._callNext()
        except Exception as error:
            self._refuse(error)

    def stopProducing(self) -> None:
        """It is gone."""
        self._reading.cancel()

    def _callNext(self) -> None:
        """Make the calls that have come, until the answers are more than the peer takes."""
        while self._calls and not self._isPaused:
            super().proto_message(*self._calls.popleft())

    def _closeIfDrained(self) -> None:
        if self._draining and self._unanswered <= 0:
            # A producer that is paused would keep the connection from its end.
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def _refuse(self, error: Exception) -> None:
        peer = hostOf(self.transport.getPeer())
        self.log.info("pb {peer} refused: {reason}", peer=peer, reason=repr(error)[:200])
        self.dataReceived = lambda chunk: None  # type: ignore[method-assign]
        self.transport.abortConnection()


class BoundedPBServerFactory(pb.PBServerFactory):
    """
    A L{pb.PBServerFactory} of L{BoundedBroker}s.

    @param clock: for their limits of time.
    @ivar messageTimeout: see L{BoundedBroker}.
    @ivar closeTimeout: see L{BoundedBroker}.
    """

    protocol = BoundedBroker
    noisy = False
    messageTimeout = BoundedBroker.messageTimeout
    closeTimeout = BoundedBroker.closeTimeout

    def __init__(self, root: Any, clock: IReactorTime) -> None:
        super().__init__(root)
        self._clock = clock

    def buildProtocol(self, addr: Any) -> BoundedBroker:
        """See L{pb.PBServerFactory.buildProtocol}."""
        broker: BoundedBroker = super().buildProtocol(addr)
        broker.clock = self._clock
        broker.messageTimeout = self.messageTimeout
        broker.closeTimeout = self.closeTimeout
        return broker
