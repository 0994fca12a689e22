"""
The finger client (RFC 1288): what the proxy and C{python -m finger} speak with.

The other server may be anybody's, so whatever it controls has a limit: how long a connection takes, how long all of
it takes, how much is said, and how many names are being looked up.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionDone
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from finger.client.resolver import ResolvedReactor, alternate, knownAddresses, lookUp
from finger.client.singleflight import SingleFlight
from finger.errors import BadQuery, ForwardingRefused, NoSuchUser, RemoteUnreachable
from finger.protocol.hosts import hostOf, parseHost
from finger.protocol.wire import decode, formatQuery
from finger.timing import Timer

FINGER_PORT: Final = 79

CONNECT_TIMEOUT: Final = 5.0
"""How long the lookup of a name and all attempts to connect may take together, in seconds."""

TIMEOUT: Final = 20.0
"""How long a query may take in all, in seconds: less than a server of ours waits for its back end, so that it is the
other server that is said not to answer."""

MAX_BYTES: Final = 256 * 1024
"""The longest answer taken, in bytes: the longest status we keep, if each of its characters takes four bytes."""

MAX_QUERIES: Final = 50
"""How many queries are under way at once."""

MAX_LOOKUPS: Final = 5
"""How many names are looked up at once: half of the threads a reactor has, so that a name server that does not answer
leaves some to those who read files."""

LOOKUP_TIMEOUT: Final = 60.0
"""How long a lookup is believed to be under way, in seconds: Twisted's resolver says nothing at all when it fails for
want of file descriptors."""

MAX_ADDRESSES: Final = 8
"""How many addresses of a host are tried."""

Allowed: TypeAlias = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What another server said.

    @ivar content: the bytes as they came, one at least.
    @ivar truncated: why they are not all of the answer; empty if they are.
    """

    content: bytes
    truncated: str = ""

    @property
    def text(self) -> str:
        """The answer, safe to show, with a last line that says so if it was cut: half a plan is better than none."""
        mark = f"\n[answer cut: {self.truncated}]" if self.truncated else ""
        return decode(self.content) + mark

    @property
    def wholeLines(self) -> str:
        """The answer as far as its lines are whole, for readers of a list: half a name is somebody else's."""
        end = self.content.rfind(b"\n") + 1 if self.truncated else len(self.content)
        return decode(self.content[:end])


def formatName(name: str, verbose: bool = False) -> bytes:
    """
    Write a query for one name, which cannot turn into another query: a space would make it two names, a slash
    C{/W}, a hyphen an option of the program some servers run, a line end who knows what.

    @param name: C{user} or C{user@host}.
    @raise NoSuchUser: if no server can be asked for that name.
    """
    if name.split() != [name] or name[0] in "-/":
        raise NoSuchUser(name)
    try:
        return formatQuery(name, verbose)
    except BadQuery as error:
        raise NoSuchUser(name) from error


class FingerClient:
    """
    Asks finger servers.

    Queries that are the same and under way at the same time share one connection and its answer.  So two servers
    that ask each other cannot multiply: the query that comes back finds itself under way, waits for itself, and ends
    with one answer, that nobody answered, at the time limit.

    @param reactor: for its connections, its clock and its name resolver.
    @param connectTimeout: how long looking a name up and connecting may take together, in seconds.
    @param timeout: how long a query may take in all, in seconds; nothing the other server does extends it.
    @param maxBytes: how much of an answer is taken, in bytes.
    @param maxQueries: how many queries may be under way.
    """

    def __init__(
        self,
        reactor: Any,
        connectTimeout: float = CONNECT_TIMEOUT,
        timeout: float = TIMEOUT,
        maxBytes: int = MAX_BYTES,
        maxQueries: int = MAX_QUERIES,
    ) -> None:
        self._reactor = reactor
        self._connectTimeout = min(connectTimeout, timeout)
        self._timeout = timeout
        self._maxBytes = maxBytes
        self._queries: SingleFlight[Answer] = SingleFlight(maxQueries, _tooMany)
        # A thread that looks a name up is not free before the system gives up, whoever still waits for it.
        self._lookups: SingleFlight[list[IAddress]] = SingleFlight(MAX_LOOKUPS, _tooMany, cancelAbandoned=False)

    def ask(self, host: str, port: int, query: bytes, allowed: Allowed | None = None) -> Deferred[Answer]:
        """
        Ask one server.  All its addresses, IPv6 and IPv4, are tried in turn, 0.3 seconds apart; the first that
        connects is asked (RFC 8305).

        @param host: its name or address, without brackets; an IPv6 address may have a scope (C{fe80::1%eth0}).
        @param port: its port.
        @param query: the query, with its line end (L{finger.protocol.wire.formatQuery}, L{formatName}).
        @param allowed: told an address, says whether it may be connected to.  What is connected to is that address,
            never the name again.
        @return: the answer; what there is of it, marked as cut, if it is too long, takes too long, or breaks off.
            Cancelling it ends the connection, unless others wait for the same answer.  Fails with
            L{RemoteUnreachable}, in whose message the reason is, if there is not a byte of an answer, with
            L{ForwardingRefused} if the host has addresses but none of them is allowed.
        """
        try:
            host = parseHost(host)
        except ValueError as error:
            return fail(RemoteUnreachable(str(error)))
        return self._queries.join(
            (host, port, query, allowed), lambda: Deferred.fromCoroutine(self._ask(host, port, query, allowed))
        )

    async def _ask(self, host: str, port: int, query: bytes, allowed: Allowed | None) -> Answer:
        deadline = self._reactor.seconds() + self._timeout
        connecting = Deferred.fromCoroutine(self._connect(host, port, query, allowed))
        conversation = await connecting.addTimeout(self._connectTimeout, self._reactor, self._notConnected)
        limit = Timer(self._reactor)
        limit.start(
            max(0, deadline - self._reactor.seconds()), conversation.cut, f"time limit of {self._timeout:g} s"
        )
        try:
            return await conversation.answer
        finally:
            limit.cancel()

    async def _connect(self, host: str, port: int, query: bytes, allowed: Allowed | None) -> _Conversation:
        addresses = await self._lookUp(host, port)
        if not addresses:
            raise RemoteUnreachable("it has no address")
        permitted = [address for address in addresses if allowed is None or allowed(hostOf(address))]
        if not permitted:
            raise ForwardingRefused(f"no address of {host} is allowed")
        reactor = ResolvedReactor(self._reactor, alternate(permitted)[:MAX_ADDRESSES])
        endpoint = HostnameEndpoint(reactor, hostOf(permitted[0]), port, self._connectTimeout)
        try:
            return await endpoint.connect(_Conversations(query, self._maxBytes))  # type: ignore[return-value]
        except (ConnectError, ConnectingCancelledError, OSError) as error:
            raise RemoteUnreachable(_reason(error)) from error

    def _lookUp(self, host: str, port: int) -> Deferred[list[IAddress]]:
        known = knownAddresses(host, port)
        if known:
            return succeed(known)
        return self._lookups.join((host, port), lambda: self._resolve(host, port))

    def _resolve(self, host: str, port: int) -> Deferred[list[IAddress]]:
        found = lookUp(self._reactor.nameResolver, host, port)
        return found.addTimeout(LOOKUP_TIMEOUT, self._reactor, self._notResolved)

    def _notResolved(self, result: object, seconds: float) -> list[IAddress]:
        raise RemoteUnreachable(f"no address found within {seconds:g} s")

    def _notConnected(self, result: object, seconds: float) -> _Conversation:
        raise RemoteUnreachable(f"no connection within {seconds:g} s")


def _tooMany() -> Exception:
    return RemoteUnreachable("too many others are being asked")


def _reason(error: Exception) -> str:
    number = getattr(error, "osError", None)
    return os.strerror(number) if isinstance(number, int) else str(error)


# One query's connection.


class _Conversation(Protocol):
    """Asks, and listens."""

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
        """Listen no more.  The end is not negotiated: who talks for ever would not listen."""
        self._cut = why
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.answer.called:
            return
        if not reason.check(ConnectionDone):
            self._cut = self._cut or "connection lost"
        if self._received:
            self.answer.callback(Answer(bytes(self._received), self._cut))
        else:
            self.answer.errback(RemoteUnreachable(f"no answer: {self._cut or 'connection closed'}"))


class _Conversations(Factory):
    noisy = False

    def __init__(self, query: bytes, maxBytes: int) -> None:
        self._query = query
        self._maxBytes = maxBytes

    def buildProtocol(self, addr: IAddress | None) -> _Conversation:
        return _Conversation(self._query, self._maxBytes)
