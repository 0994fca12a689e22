"""Perspective Broker for peers nobody knows: what they may send, and how long they may take."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.spread.jelly import globalSecurity
from zope.interface import implementer

from finger.interfaces import IDrainable
from finger.timing import Deadline

MAX_MESSAGE = 64 * 1024
"""The longest message, in bytes.  A call of ours has less than a hundred."""

MAX_DEPTH = 32
"""How deep a message may be nested."""

MAX_CONNECTION = 16 * 1024 * 1024
"""The most one connection may send, in bytes: what it leaves behind in our tables is bounded by that."""


class _Excess(Exception):
    """A peer has sent more than it may."""


class _Stack(list[Any]):
    """Banana's stack of unfinished lists, which has an end here."""

    def append(self, item: Any) -> None:
        if len(self) >= MAX_DEPTH:
            raise _Excess("lists nested too deep")
        super().append(item)


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

    transport: ITCPTransport
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

    def connectionMade(self) -> None:
        """Wait for the first message."""
        self._deadline = Deadline(self.clock)
        self._reading = Deadline(self.clock)
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined]
        self._idle()
        super().connectionMade()

    def dataReceived(self, chunk: bytes) -> None:
        """Take a piece of a message, unless that is too much."""
        if not self._unfinished:
            self._deadline.allow(self.messageTimeout, self.transport.abortConnection)
        self._received += len(chunk)
        self._unfinished += len(chunk)
        try:
            if self._unfinished > MAX_MESSAGE or self._received > MAX_CONNECTION:
                raise _Excess("too much data")
            super().dataReceived(chunk)
        except Exception as error:
            # Whatever it is that Banana and Jelly find wrong, it is the peer who sent it.
            self._refuse(error)
        else:
            if not self.buffer and not self.listStack:
                self._unfinished = 0
                self._idle()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Over."""
        self._deadline.cancel()
        self._reading.cancel()
        super().connectionLost(reason)

    def proto_message(self, requestID: int, objectID: int, message: bytes, answerRequired: int, *more: Any) -> None:
        """A call has come."""
        self._unanswered += bool(answerRequired)
        super().proto_message(requestID, objectID, message, answerRequired, *more)

    def sendCall(self, *expression: Any) -> None:
        """See L{pb.Broker.sendCall}.  Answers are counted: when the last is sent, a connection can be closed."""
        super().sendCall(*expression)
        if expression[0] in (b"answer", b"error"):
            self._unanswered -= 1
            self._closeIfDrained()

    def drain(self) -> None:
        """See L{IDrainable.drain}."""
        self._draining = True
        self._closeIfDrained()

    def pauseProducing(self) -> None:
        """The peer does not take what we send: it has some time to do so."""
        self._reading.allow(self.closeTimeout, self.transport.abortConnection)

    def resumeProducing(self) -> None:
        """It does."""
        self._reading.cancel()

    def stopProducing(self) -> None:
        """It is gone."""
        self._reading.cancel()

    def _idle(self) -> None:
        self._deadline.allow(self.idleTimeout, self.transport.abortConnection)

    def _closeIfDrained(self) -> None:
        if self._draining and self._unanswered <= 0:
            self.transport.loseConnection()

    def _refuse(self, error: Exception) -> None:
        peer = str(getattr(self.transport.getPeer(), "host", "local"))
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
