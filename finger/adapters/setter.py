"""
The setter: whoever connects says a user and a status.

On a UNIX socket the kernel says who that is (SO_PEERCRED), and everybody sets their own.  On a TCP port nobody does:
it is for loopback, and for whoever trusts all who are there.
"""

from __future__ import annotations

import pwd
import socket
import struct
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
from finger.interfaces import IAdapterContext, IDrainable, IFingerAdapter, IFingerSetterFactory, IFingerSetterService
from finger.log.querylog import QueryLog, finishQuery
from finger.protocol.hosts import LOCAL, hostOf
from finger.protocol.setting import MAX_MESSAGE, TOO_LONG, formatReply, parseMessage
from finger.protocol.wire import encode
from finger.timing import Deadline


def peerUser(transport: object, users: Any = pwd) -> str | None:
    """
    Who is at the other end of a UNIX socket?

    @param users: where names are looked up.
    @return: the login; of somebody who has none, the uid, which nobody is called; L{None} if nobody can know, as on
        TCP.
    """
    getHandle = getattr(transport, "getHandle", None)
    handle = getHandle() if getHandle is not None else None
    if handle is None or handle.family != socket.AF_UNIX:
        return None
    _pid, uid, _gid = struct.unpack(
        "3i", handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    try:
        return str(users.getpwuid(uid).pw_name)
    except KeyError:
        return f"@{uid}"


@implementer(IHalfCloseableProtocol, IDrainable)
class FingerSetterProtocol(Protocol):
    """One connection: one message, applied when the peer ends its half, and one line that says what happened."""

    log = Logger()

    factory: FingerSetterFactory
    _isTooLong = False
    transport: ITCPTransport

    def __init__(self) -> None:
        self._message = bytearray()

    def connectionMade(self) -> None:
        """Wait for the message."""
        self._actor = peerUser(self.transport)
        self._deadline = Deadline(self.factory.clock)
        self._deadline.start(self.factory.timeout, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        """Collect the message.  One that is too long is refused at once; its peer has a moment to notice."""
        if self._isTooLong:
            return
        self._message += data
        if len(self._message) > MAX_MESSAGE:
            self._isTooLong = True
            self._message.clear()
            self.transport.write(encode(TOO_LONG))
            self._deadline.start(self.factory.discardTimeout, self._end)

    def readConnectionLost(self) -> None:
        """The peer has said all."""
        if self._isTooLong:
            self._end()
            return
        peer = hostOf(self.transport.getPeer())
        self.factory.set(bytes(self._message), self._actor, peer).addCallback(self._tell)

    def writeConnectionLost(self) -> None:
        """The peer does not want to hear; what it said still counts."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Over."""
        self._deadline.cancel()

    def drain(self) -> None:
        """See L{IDrainable.drain}.  Who has not said anything yet is not waited for."""
        if not self._message:
            self.transport.loseConnection()

    def _end(self) -> None:
        self._deadline.start(self.factory.discardTimeout, self.transport.abortConnection)
        self.transport.loseConnection()

    def _tell(self, line: str) -> None:
        self.transport.write(encode(line))
        self.transport.loseConnection()


@implementer(IFingerSetterFactory)
class FingerSetterFactory(ServerFactory[FingerSetterProtocol]):
    """
    Makes L{FingerSetterProtocol}s.

    @ivar clock: for the time limit; without one there is none.
    @ivar timeout: seconds a connection may take.
    @ivar discardTimeout: seconds a peer whose message is too long has to notice.
    @ivar authority: says who may set what.
    @ivar queries: where it is logged who sets whom.
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
        Do what a message says, and log it.

        @param actor: who says it, if that is known.
        @param peer: from where, for the log.
        @return: what to tell the peer; never fails.
        """
        finish = self.queries.begin("setter", peer, message.partition(b"\n")[0].decode("utf-8", "backslashreplace"))
        done = Deferred.fromCoroutine(self._set(message, actor))
        done.addBoth(finishQuery, finish)
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
    """C{--setport}."""

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
            help="Setting statuses, a number being on loopback.",
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
        context.listen("setport", factory)
