"""How many connections an adapter takes, in all and from one address."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from finger.interfaces import IDrainable
from finger.log.querylog import QueryLog
from finger.protocol.hosts import hostOf, isLocal, parseAddress
from finger.timing import Buckets, Timer

MAX_CONNECTIONS = 500
"""In all, for one adapter.  Together the adapters stay below the 1024 descriptors a process usually has."""

MAX_CONNECTIONS_PER_ADDRESS = 20
"""From one IPv4 address, or one IPv6 /64, which is what one subscriber has (RFC 6177)."""

RATE = 10.0
"""How many connections one address may open each second, in the long run."""

BURST = 100
"""How many it may open at once."""

MAX_REFUSING = 16
"""How many at once are told that there are too many; the rest of a flood is closed without a word."""

RESERVED_DESCRIPTORS = 64
"""How many file descriptors are wanted for what is not a connection: ports, files, other servers."""

LEAST_DESCRIPTORS = 24
"""How many of these are kept where descriptors are scarce."""


def fitDescriptors(most: int, adapters: int) -> int:
    """
    Make room for connections: raise this process's limit of file descriptors as far as it may, and say how many
    connections fit.  At the limit a server can accept nobody, not even to send them away.

    @param most: how many connections an adapter should take.
    @param adapters: how many adapters there are.
    @return: how many it can take: C{most}, or fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (most + MAX_REFUSING) * adapters + RESERVED_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most
    # A third of what there is goes to those who are told that there are too many.
    return max(1, min(most, (soft - LEAST_DESCRIPTORS) * 2 // (3 * max(1, adapters))))


def rateLimitKey(host: str) -> str:
    """
    Whom an address belongs to, as far as limits go: itself, or its /64 if it is IPv6.

    @param host: the address; anything else, such as a UNIX socket's path, stands for itself.
    """
    address = parseAddress(host.partition("%")[0])
    if address is None:
        return host
    if not isinstance(address, IPv6Address) or address.is_loopback:
        return str(address)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


class LimitedProtocol(ProtocolWrapper):
    """One connection of a L{LimitedFactory}: passes everything on, and gives its place back at its end."""

    factory: LimitedFactory

    def makeConnection(self, transport: Any) -> None:
        """Take a place.  Half-closed connections are passed on, too, which L{ProtocolWrapper} alone does not."""
        self._place = rateLimitKey(hostOf(transport.getPeer()))
        self.factory.take(self._place)
        super().makeConnection(transport)
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            alsoProvides(self, IHalfCloseableProtocol)

    def readConnectionLost(self) -> None:
        """See L{IHalfCloseableProtocol.readConnectionLost}."""
        self.wrappedProtocol.readConnectionLost()  # type: ignore[attr-defined]

    def writeConnectionLost(self) -> None:
        """See L{IHalfCloseableProtocol.writeConnectionLost}."""
        self.wrappedProtocol.writeConnectionLost()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Give the place back."""
        super().connectionLost(reason)
        self.factory.giveBack(self._place)

    def drain(self) -> None:
        """Bring the connection to an end: a good one, if its protocol knows how."""
        protocol: Any = self.wrappedProtocol
        while not IDrainable.providedBy(protocol) and hasattr(protocol, "wrappedProtocol"):
            protocol = protocol.wrappedProtocol  # TLS stands between.
        if IDrainable.providedBy(protocol):
            protocol.drain()
        else:
            self.loseConnection()


class _Refusal(Protocol):
    """Says why, and closes."""

    def __init__(self, words: bytes, ended: Callable[[], object]) -> None:
        self._words = words
        self._ended = ended

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._words)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._ended()


class LimitedFactory(WrappingFactory):
    """
    A factory that takes only so many connections at once.

    @param wrappedFactory: what answers the connections taken.
    @ivar queries: where refusals are logged.
    @ivar label: the adapter's name, for the log.
    @ivar most: how many connections, in all.
    @ivar taken: how many there are now.
    @ivar needsProtocol: is there something between, as Twisted's wrapper for HAProxy is, that cannot do without a
        protocol even for a connection that is not taken?
    @param label: the adapter's name, for the log.
    @param most: how many connections, in all.
    @param mostPerAddress: how many from one L{rateLimitKey}; this machine itself is not counted so.
    @param buckets: the tokens of each L{rateLimitKey}, one a connection; this machine itself needs none.
    @param refusal: what one connection too many is told, in its own protocol; with nothing to say it is closed.
    """

    protocol = LimitedProtocol
    noisy = False
    log = Logger()
    needsProtocol = False

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        label: str,
        most: int = MAX_CONNECTIONS,
        mostPerAddress: int = MAX_CONNECTIONS_PER_ADDRESS,
        refusal: bytes = b"",
        buckets: Buckets | None = None,
    ) -> None:
        super().__init__(wrappedFactory)
        self.label = label
        self.most = most
        self._mostPerAddress = mostPerAddress
        self._refusal = refusal
        self._buckets = buckets
        self.queries = QueryLog()
        self._draining: Deferred[None] | None = None
        self.taken = 0
        self._refusing = 0
        self._takenBy: Counter[str] = Counter()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See L{IProtocolFactory.buildProtocol}."""
        host = hostOf(addr)
        if not self._isFull(host):
            return self._build(addr)
        self.queries.begin(self.label, host, "")("TooManyConnections")
        if not self._refusal or self._refusing >= min(MAX_REFUSING, self.most // 2):
            return self._hangUp()  # Too many even to be told so.
        self._refusing += 1
        return _Refusal(self._refusal, self._refused)

    def _build(self, addr: IAddress | None) -> Any:
        """If that fails the peer is let go: it would wait on a connection that nobody has."""
        try:
            return super().buildProtocol(addr)
        except Exception:
            self.log.failure("{label}: a connection could not be served", label=self.label)
            return self._hangUp()

    def _hangUp(self) -> Any:
        """What closes a connection: nothing at all, where that is understood."""
        return _Refusal(b"", lambda: None) if self.needsProtocol else None

    def _refused(self) -> None:
        self._refusing -= 1

    def take(self, place: str) -> None:
        """A connection of this L{rateLimitKey} has begun."""
        self.taken += 1
        self._takenBy[place] += 1

    def giveBack(self, place: str) -> None:
        """A connection of this L{rateLimitKey} has ended."""
        self.taken -= 1
        self._takenBy[place] -= 1
        if not self._takenBy[place]:
            del self._takenBy[place]
        if self._draining is not None and not self.taken:
            self._draining.callback(None)
            self._draining = None

    def drain(self, clock: IReactorTime, timeout: float) -> Deferred[None]:
        """
        Bring all connections to an end.

        @param timeout: seconds after which those that are still there are cut off.
        @return: fires when there are none.
        """
        if not self.taken:
            return succeed(None)
        drained = self._draining = Deferred()
        cutOff = Timer(clock)
        cutOff.start(timeout, self._abortAll)
        drained.addCallback(lambda _: cutOff.cancel())
        for protocol in list(self.protocols):
            protocol.drain()
        return drained

    def _abortAll(self) -> None:
        for protocol in list(self.protocols):
            protocol.abortConnection()

    def _isFull(self, host: str) -> bool:
        if self.taken >= self.most:
            return True
        if isLocal(host):
            return False
        place = rateLimitKey(host)
        if self._takenBy[place] >= self._mostPerAddress:
            return True
        return self._buckets is not None and not self._buckets.of(place).tryTake()
