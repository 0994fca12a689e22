"""
The setter, a port where clients set statuses.

On a UNIX socket the kernel identifies the client's user (SO_PEERCRED), and each user can set their own status.  On a
TCP port the client is anonymous: use one on loopback only, and only if all local users are trusted.
"""

from __future__ import annotations

import pwd
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.access.authority import Authority
from finger.config.options import PORTS, Option
from finger.config.types import Port
from finger.errors import BadQuery
from finger.interfaces import IDrainable, IFingerSetterFactory, IFingerSetterService
from finger.log.querylog import QueryLog, finishQuery
from finger.net.peercredentials import peerUID
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter
from finger.protocol.hosts import LOCAL, hostOf
from finger.protocol.setting import MAX_MESSAGE, TOO_LONG, formatReply, isSealed, markReply, parseMessage
from finger.protocol.wire import encode
from finger.timing import Timer

TOO_MANY = encode("Nothing was set: too many connections, try again later")
"""The reply to a connection that exceeds a limit."""


def peerUser(transport: object, users: Any = pwd) -> str | None:
    """
    Return the user at the other end of a UNIX socket.

    @param users: the password database.
    @return: the login; C{@uid}, which is not a valid login, if the user has none; L{None} if the transport does not
        identify users, as with TCP.
    """
    uid = peerUID(transport)
    if uid is None:
        return None
    try:
        return str(users.getpwuid(uid).pw_name)
    except KeyError:
        return f"@{uid}"


@implementer(IHalfCloseableProtocol, IDrainable)
class FingerSetterProtocol(Protocol):
    """A connection, which carries one message, applied when the peer closes its half, and one line of reply."""

    log = Logger()

    factory: FingerSetterFactory
    _isTooLong = False
    owesAnswer = False
    transport: ITCPTransport

    def __init__(self) -> None:
        self._message = bytearray()

    def connectionMade(self) -> None:
        """Wait for the message."""
        self._actor = peerUser(self.transport)
        self._deadline = Timer(self.factory.clock)
        self._deadline.start(self.factory.timeout, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        """Collect the message.  Refuse an overlong one at once, but leave its peer a moment to read the reply."""
        if self._isTooLong:
            return
        self._message += data
        if len(self._message) > MAX_MESSAGE:
            self._isTooLong = True
            self.transport.write(encode(markReply(TOO_LONG, False) if isSealed(bytes(self._message)) else TOO_LONG))
            self._message.clear()
            self._deadline.start(self.factory.discardTimeout, self._end)

    def readConnectionLost(self) -> None:
        """Apply the message, which is complete."""
        self.owesAnswer = True
        if self._isTooLong:
            self._end()
            return
        peer = hostOf(self.transport.getPeer())
        self.factory.set(bytes(self._message), self._actor, peer).addCallback(self._reply)

    def writeConnectionLost(self) -> None:
        """Do nothing: the peer will not read the reply, but its message is still applied."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Cancel the time limit."""
        self._deadline.cancel()

    def drain(self) -> None:
        """See L{IDrainable.drain}.  Close at once if no part of a message has arrived."""
        if not self._message:
            self.transport.loseConnection()

    def _end(self) -> None:
        self._deadline.start(self.factory.discardTimeout, self.transport.abortConnection)
        self.transport.loseConnection()

    def _reply(self, line: str) -> None:
        self.transport.write(encode(line))
        self.transport.loseConnection()


@implementer(IFingerSetterFactory)
class FingerSetterFactory(ServerFactory[FingerSetterProtocol]):
    """
    A factory of L{FingerSetterProtocol}s.

    @ivar clock: the clock for the time limits; with L{None} there are no limits.
    @ivar timeout: time limit for a connection, in seconds.
    @ivar discardTimeout: time for the peer to read the refusal of an overlong message, in seconds.
    @ivar authority: the rules for setting statuses.
    @ivar queries: the log of messages.
    """

    protocol = FingerSetterProtocol
    noisy = False
    log = Logger()

    clock: IReactorTime | None = None
    timeout = 30.0
    discardTimeout = 2.0

    def __init__(self, service: IFingerSetterService) -> None:
        self.authority = Authority(service)
        self.queries = QueryLog()

    def set(self, message: bytes, actor: str | None = None, peer: str = LOCAL) -> Deferred[str]:
        """
        Apply a message, and log it.

        @param actor: the sender's user name; L{None} if unknown.
        @param peer: the peer's address, for the log.
        @return: the reply, marked if the message is sealed; never fails.
        """
        user = message.partition(b"\n")[0].strip().decode("utf-8", "backslashreplace")
        finish = self.queries.begin("setter", peer, user)
        done = Deferred.fromCoroutine(self._set(message, actor))
        done.addBoth(finishQuery, finish)
        if isSealed(message):
            return done.addCallbacks(partial(markReply, isSet=True), lambda why: markReply(self._refuse(why), False))
        return done.addErrback(self._refuse)

    async def _set(self, message: bytes, actor: str | None) -> str:
        user, status = parseMessage(message)
        await self.authority.set(actor, user, status)
        return formatReply(user)

    def _refuse(self, failure: Failure) -> str:
        words = self.queries.failures.explain(failure, self.log)
        return str(failure.value) if failure.check(BadQuery) else words


registerAdapter(FingerSetterFactory, IFingerSetterService, IFingerSetterFactory)


@implementer(IFingerAdapter)
class SetterAdapter:
    """The adapter of C{--setport}."""

    name = "setter"
    options = (
        Option(
            name="setport",
            field="setterPorts",
            kind=Port(onlyLoopback=True),
            value="PORT",
            repeated=True,
            initial=(),
            group=PORTS,
            help="Ports for setting statuses; a number means loopback.",
        ),
    )
    queries = ("setter",)

    def build(self, context: IAdapterContext) -> None:
        """See L{IFingerAdapter.build}."""
        ports = context.ports("setport")
        if not ports:
            return
        authority = context.requireAuthority(f"--setport={ports[0]}")
        factory = FingerSetterFactory(authority.service)
        factory.clock = context.reactor
        factory.queries = context.queries
        factory.authority = authority
        factory.timeout = context.config.answerSeconds
        context.listen("setport", factory, refusal=TOO_MANY)
