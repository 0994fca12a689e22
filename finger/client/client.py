"""
The finger client (RFC 1288), used by the proxy and C{python -m finger}.

Remote servers are untrusted, so the client limits the time to connect, the time of a whole query, the size of an
answer, and the number of simultaneous lookups.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from socket import gaierror
from typing import Any, Final, NoReturn, TypeAlias

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionDone
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from finger.client.resolver import ResolvedReactor, alternate, knownAddresses, lookUp
from finger.client.slots import FairFlight, Limits, Place
from finger.errors import BadQuery, ForwardingRefused, NoSuchUser, RemoteUnreachable, Stage
from finger.protocol.hosts import hostOf, parseHost
from finger.protocol.names import canonical, parseName
from finger.protocol.wire import decode, formatQuery
from finger.timing import Timer

FINGER_PORT: Final = 79

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for the lookup and all connection attempts together."""

TIMEOUT: Final = 20.0
"""Seconds for a whole query.  This is less than our server's timeout for back ends, so that the error names the
remote server."""

MAX_BYTES: Final = 256 * 1024
"""The longest answer accepted, in bytes: our longest status, at four bytes for each character."""

MAX_QUERIES: Final = 50
"""The most queries at once."""

MAX_QUERIES_PER_HOST: Final = 16
"""The most queries at once to one host, so that a silent one leaves room for others."""

MAX_QUERIES_PER_PEER: Final = 8
"""The most queries at once on behalf of one peer.  Further ones wait."""

MAX_QUERIES_PER_PEER_AND_HOST: Final = 4
"""The most queries at once to one host on behalf of one peer, such as those for the names in one query."""

MAX_WAITING: Final = 500
"""The most queries that wait for others to end."""

MAX_WAITING_PER_PEER: Final = 64
"""The most queries of one peer that wait."""

MAX_LOOKUPS: Final = 5
"""The most lookups at once: half of the reactor's threads, so that an unresponsive name server does not block reading
files."""

MAX_LOOKUPS_PER_PEER: Final = 2
"""The most lookups at once on behalf of one peer.  Further ones wait."""

LOOKUP_TIMEOUT: Final = 60.0
"""Seconds until a lookup is given up.  Twisted's resolver never reports a failure caused by a lack of file
descriptors."""

MAX_ADDRESSES: Final = 8
"""The most addresses tried for a host."""

LIMITS: Final = Limits(
    MAX_QUERIES,
    MAX_QUERIES_PER_HOST,
    MAX_QUERIES_PER_PEER,
    MAX_QUERIES_PER_PEER_AND_HOST,
    MAX_WAITING,
    MAX_WAITING_PER_PEER,
)
"""The limits of queries to many hosts."""

ONE_HOST: Final = replace(LIMITS, perHost=MAX_QUERIES)
"""The limits of queries to a single host."""

_LOOKUPS: Final = Limits(
    MAX_LOOKUPS, MAX_LOOKUPS, MAX_LOOKUPS_PER_PEER, MAX_LOOKUPS_PER_PEER, MAX_WAITING, MAX_WAITING_PER_PEER
)

Allowed: TypeAlias = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The answer of a remote server.

    @ivar content: the bytes as received, at least one.
    @ivar truncated: why the answer is incomplete; empty if it is complete.
    """

    content: bytes
    truncated: str = ""

    @property
    def text(self) -> str:
        """The answer, safe to display.  If it is truncated, a last line says so."""
        mark = f"\n[answer cut: {self.truncated}]" if self.truncated else ""
        return decode(self.content) + mark

    @property
    def wholeLines(self) -> str:
        """The answer without an incomplete last line, for parsing lists: a truncated name could be another user's."""
        end = self.content.rfind(b"\n") + 1 if self.truncated else len(self.content)
        return decode(self.content[:end])


@dataclass(frozen=True, slots=True)
class _Question:
    """What identical queries have in common."""

    host: str
    port: int
    query: bytes
    allowed: Allowed | None


def formatName(name: str, verbose: bool = False) -> bytes:
    """
    Format a query for one name.  Names that a server could read as another query are refused: with a space as two
    names, with a slash first as C{/W}, with a hyphen first as an option of a program that it runs, and line ends.
    Invisible characters, which our servers ignore, are not sent.

    @param name: C{user}, C{user@host} or C{@host}.
    @param verbose: whether to ask for more information (C{/W}).
    @raise NoSuchUser: if the name cannot be sent in a query.
    """
    visible = canonical(name)
    if visible.split() != [visible]:
        raise NoSuchUser(name)
    user, at, hosts = visible.partition("@")
    try:
        return formatQuery((parseName(user) if user else "") + at + hosts, verbose)
    except BadQuery as error:
        raise NoSuchUser(name) from error


class FingerClient:
    """
    A client for finger servers.

    Identical queries at the same time share one connection and its answer.  This also stops loops between two servers
    that forward to each other: a query that comes back joins the one under way, which then ends at its timeout.

    Queries are limited in all, for each host and for each peer (L{Limits}).  One that has to wait does so within its
    timeout.

    @param reactor: the reactor for connections, timeouts and name resolution.
    @param connectTimeout: seconds for the lookup and all connection attempts together.
    @param timeout: seconds for a whole query; no activity of the server extends it.
    @param maxBytes: the longest answer accepted, in bytes.
    @param limits: the most queries at once.
    """

    def __init__(
        self,
        reactor: Any,
        connectTimeout: float = CONNECT_TIMEOUT,
        timeout: float = TIMEOUT,
        maxBytes: int = MAX_BYTES,
        limits: Limits = LIMITS,
    ) -> None:
        self._reactor = reactor
        self._connectTimeout = min(connectTimeout, timeout)
        self._timeout = timeout
        self._maxBytes = maxBytes
        self._queries: FairFlight[Answer] = FairFlight(reactor, limits, timeout)
        # The thread of a lookup stays busy until the system gives up, even if the lookup is cancelled.
        self._lookups: FairFlight[list[IAddress]] = FairFlight(
            reactor, _LOOKUPS, self._connectTimeout, cancelAbandoned=False
        )

    def ask(
        self, host: str, port: int, query: bytes, allowed: Allowed | None = None, peer: str = ""
    ) -> Deferred[Answer]:
        """
        Query one server.  Its IPv6 and IPv4 addresses are tried alternately, 0.3 seconds apart, and the query is sent
        on the first connection (RFC 8305).

        @param host: the server's name or address, without brackets; an IPv6 address may have a scope
            (C{fe80::1%eth0}).
        @param port: the server's port.
        @param query: the query, with its line end (L{finger.protocol.wire.formatQuery}, L{formatName}).
        @param allowed: returns whether the client may connect to an address.  Connections are made to the addresses
            checked, without a second lookup.
        @param peer: the peer that the query is for, which the limits count it by; empty if for no peer.
        @return: the answer, marked as truncated if it exceeds the size limit or the timeout, or if the connection is
            lost.  Cancelling it closes the connection, unless others wait for the same answer.  Fails with
            L{RemoteUnreachable}, whose message has the reason, if no byte of an answer is received, and with
            L{ForwardingRefused} if the host has addresses but none of them is allowed.
        """
        try:
            host = parseHost(host)
        except ValueError as error:
            return fail(RemoteUnreachable(str(error), Stage.RESOLVING))
        question = _Question(host, port, query, allowed)
        deadline = self._reactor.seconds() + self._timeout
        return self._queries.join(
            question, Place(peer, host), lambda: Deferred.fromCoroutine(self._ask(question, peer, deadline))
        )

    async def _ask(self, question: _Question, peer: str, deadline: float) -> Answer:
        seconds = min(self._connectTimeout, self._until(deadline))
        connectedBy = self._reactor.seconds() + seconds
        addresses = await self._lookUp(question.host, question.port, peer).addTimeout(
            seconds, self._reactor, partial(_notResolved, seconds)
        )
        connecting = Deferred.fromCoroutine(self._connect(question, addresses))
        conversation = await connecting.addTimeout(
            self._until(connectedBy), self._reactor, partial(_notConnected, seconds)
        )
        limit = Timer(self._reactor)
        limit.start(self._until(deadline), conversation.cut, f"time limit of {self._timeout:g} s")
        try:
            return await conversation.answer
        finally:
            limit.cancel()

    def _until(self, deadline: float) -> float:
        seconds: float = deadline - self._reactor.seconds()
        return max(0.0, seconds)

    async def _connect(self, question: _Question, addresses: list[IAddress]) -> _Conversation:
        if not addresses:
            raise RemoteUnreachable("no address found", Stage.RESOLVING)
        allowed = question.allowed
        permitted = [address for address in addresses if allowed is None or allowed(hostOf(address))]
        if not permitted:
            raise ForwardingRefused(f"no address of {question.host} is allowed")
        reactor = ResolvedReactor(self._reactor, alternate(permitted)[:MAX_ADDRESSES])
        endpoint = HostnameEndpoint(reactor, hostOf(permitted[0]), question.port, self._connectTimeout)
        try:
            return await endpoint.connect(_Conversations(question.query, self._maxBytes))  # type: ignore[return-value]
        except (ConnectError, ConnectingCancelledError, OSError) as error:
            raise RemoteUnreachable(_reason(error)) from error

    def _lookUp(self, host: str, port: int, peer: str) -> Deferred[list[IAddress]]:
        known = knownAddresses(host, port)
        if known:
            return succeed(known)
        return self._lookups.join((host, port), Place(peer, host), lambda: self._resolve(host, port))

    def _resolve(self, host: str, port: int) -> Deferred[list[IAddress]]:
        found = lookUp(self._reactor.nameResolver, host, port)
        return found.addTimeout(LOOKUP_TIMEOUT, self._reactor, partial(_notResolved, LOOKUP_TIMEOUT))


def _notResolved(within: float, result: object, seconds: float) -> NoReturn:
    raise RemoteUnreachable(f"no address found within {within:g} s", Stage.RESOLVING)


def _notConnected(within: float, result: object, seconds: float) -> NoReturn:
    raise RemoteUnreachable(f"no connection within {within:g} s")


def _reason(error: Exception) -> str:
    if isinstance(error, gaierror):  # The address is known; only its scope can be wrong.
        return "this machine has no such network interface"
    number = getattr(error, "osError", None)
    return os.strerror(number) if isinstance(number, int) else getattr(error, "strerror", None) or str(error)


# The connection of one query.


class _Conversation(Protocol):
    """Sends a query and receives its answer."""

    transport: ITCPTransport
    _cut = ""

    def __init__(self, query: bytes, maxBytes: int) -> None:
        self.answer: Deferred[Answer] = Deferred(lambda answer: self.transport.abortConnection())
        self._query = query
        self._maxBytes = maxBytes
        self._received = bytearray()

    def connectionMade(self) -> None:
        self.transport.write(self._query)

    def dataReceived(self, data: bytes) -> None:
        room = self._maxBytes - len(self._received)
        self._received += data[:room]
        if len(data) > room:
            self.cut(f"size limit of {self._maxBytes} bytes")

    def cut(self, why: str) -> None:
        """End the answer here.  The connection is aborted, because the server may never stop sending."""
        self._cut = why
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.answer.called:
            return
        if not reason.check(ConnectionDone):
            self._cut = self._cut or "connection lost"
        if self._received:
            self.answer.callback(Answer(bytes(self._received), self._cut))
        elif self._cut:
            self.answer.errback(RemoteUnreachable(f"no answer: {self._cut}", Stage.WAITING))
        else:
            self.answer.errback(RemoteUnreachable("empty answer", Stage.EMPTY))


class _Conversations(Factory):
    noisy = False

    def __init__(self, query: bytes, maxBytes: int) -> None:
        self._query = query
        self._maxBytes = maxBytes

    def buildProtocol(self, addr: IAddress | None) -> _Conversation:
        return _Conversation(self._query, self._maxBytes)
