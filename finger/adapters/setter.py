"""The setter: whoever connects says a user and a status.  There is no password: keep it on loopback."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.errors import BadQuery
from finger.failures import explain
from finger.interfaces import IFingerSetterFactory, IFingerSetterService
from finger.wire import cleanLine, encode

MAX_MESSAGE = 256 * 1024
"""The longest message taken, in bytes."""

USAGE = "Nothing was set: expected the user on the first line and the status from the second on"


def parseMessage(message: bytes) -> tuple[str, str]:
    """
    Read a message: the user on the first line, the status on those that follow.

    @raise BadQuery: if it is too long or not UTF-8, or a part is missing.
    """
    if len(message) > MAX_MESSAGE:
        raise BadQuery(f"Nothing was set: a message has at most {MAX_MESSAGE} bytes")
    try:
        text = message.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadQuery("Nothing was set: the message is not UTF-8") from None
    user, _, status = text.partition("\n")
    if not user.strip() or not status.strip():
        raise BadQuery(USAGE)
    return user.strip(), status.strip("\n")


@implementer(IHalfCloseableProtocol)
class FingerSetterProtocol(Protocol):
    """One connection: one message, applied when the peer ends its half, and one line that says what happened."""

    log = Logger()

    factory: FingerSetterFactory
    transport: ITCPTransport
    _limit: IDelayedCall | None = None

    def __init__(self) -> None:
        self._message = bytearray()

    def connectionMade(self) -> None:
        """Wait for the message."""
        if self.factory.clock is not None:
            self._limit = self.factory.clock.callLater(self.factory.timeout, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        """Collect the message, and one byte more than is taken, to know that it is too long."""
        room = MAX_MESSAGE + 1 - len(self._message)
        self._message += data[:room]

    def readConnectionLost(self) -> None:
        """The peer has said all."""
        self.factory.set(bytes(self._message)).addCallback(self._tell)

    def writeConnectionLost(self) -> None:
        """The peer does not want to hear; what it said still counts."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Over."""
        if self._limit is not None and self._limit.active():
            self._limit.cancel()

    def _tell(self, line: str) -> None:
        self.transport.write(encode(line))
        self.transport.loseConnection()


@implementer(IFingerSetterFactory)
class FingerSetterFactory(ServerFactory[FingerSetterProtocol]):
    """
    Makes L{FingerSetterProtocol}s.

    @ivar clock: for the time limit; without one there is none.
    @ivar timeout: seconds a connection may take.
    """

    protocol = FingerSetterProtocol
    noisy = False
    log = Logger()

    clock: IReactorTime | None = None
    timeout = 30.0

    def __init__(self, service: IFingerSetterService) -> None:
        self._service = service

    def set(self, message: bytes) -> Deferred[str]:
        """
        Do what a message says.

        @return: what to tell the peer; never fails.
        """
        return Deferred.fromCoroutine(self._set(message)).addErrback(self._refuse)

    async def _set(self, message: bytes) -> str:
        user, status = parseMessage(message)
        await self._service.setUser(user, status)
        self.log.info("set {user!r}", user=user)
        return f"Status of {cleanLine(user)} is set"

    def _refuse(self, failure: Failure) -> str:
        words = explain(failure, self.log)
        return str(failure.value) if failure.check(BadQuery) else words


registerAdapter(FingerSetterFactory, IFingerSetterService, IFingerSetterFactory)
