"""Connection limits: total, per client address, and per user of this machine."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from finger.interfaces import IDrainable, IImmediateFactory, IRoomyFactory
from finger.log.querylog import QueryLog
from finger.net.clientlimits import ClientLimits, trustedBy
from finger.net.halfclose import GONE_INTERVAL, hasLeft
from finger.net.peercredentials import peerUID
from finger.net.refusal import Refusal
from finger.net.unreceived import hasUnreceived
from finger.protocol.hosts import hostOf, isLocal, isTrusted, rateLimitKey
from finger.timing import Buckets, Timer

MAX_CONNECTIONS = 500
"""The connections one adapter takes at once.  This keeps a usual set of adapters within 1024 file descriptors."""

MAX_CONNECTIONS_PER_ADDRESS = 20
"""The connections at once from one IPv4 address, or one IPv6 /64, which is one subscriber's (RFC 6177)."""

MAX_CONNECTIONS_PER_UID = 100
"""
The connections at once from one user of this machine at UNIX sockets.  All clients of a reverse proxy share its
user's.
"""

RATE = 10.0
"""The requests per second that one address may send in the long run.  A connection counts as its first request."""

BURST = 100
"""The requests that one address may send at once."""

BUSY_WAIT = 1.0
"""The time after which a client with too many requests in progress may try again, in seconds."""

MAX_REFUSING = 16
"""The refusals sent at once; further excess connections are closed without a reply."""


SILENCE = 1.0
"""Seconds of silence after which a connection may be closed to make room for another one."""


class LimitedProtocol(ClientLimits):
    """One connection of a L{LimitedFactory}, counted from its start to its end."""

    factory: LimitedFactory
    transport: ITCPTransport
    _isClosing = False
    _watch: Timer | None = None

    def makeConnection(self, transport: Any) -> None:
        """Count the connection, or refuse it if its user has too many; only the transport knows the user."""
        # Behind the PROXY protocol, the user is the proxy's.
        uid = None if isinstance(transport, ProtocolWrapper) else peerUID(transport)
        self._host = hostOf(transport.getPeer())
        self._place = rateLimitKey(self._host) if uid is None else f"uid {uid}"
        self._isCounted = uid is None or self.factory.hasRoomFor(self._place)
        if self._isCounted:
            self.factory.take(self._place)
        else:
            self.wrappedProtocol = self.factory.refuse(self._host, self._place)
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """Note that the peer is not silent."""
        self.factory.registerProtocol(self)
        super().dataReceived(data)

    def readConnectionLost(self) -> None:
        """Pass on the half-close, and watch whether the peer leaves before it is answered."""
        self._watch = Timer(self.factory.clock)
        self._watch.start(GONE_INTERVAL, self._checkPeer)
        super().readConnectionLost()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Stop counting the connection."""
        if self._watch is not None:
            self._watch.cancel()
        super().connectionLost(reason)
        self.endRequest()
        if self._isCounted:
            self.factory.giveBack(self._place)

    def drain(self) -> None:
        """Drain the protocol if it is L{IDrainable}; otherwise close the connection."""
        protocol = self._drainable()
        if protocol is not None:
            protocol.drain()
        else:
            self.loseConnection()

    def closeIfSilent(self) -> bool:
        """
        Close the connection if it waits for its peer, and return whether it did.  A peer that has still to receive
        what was sent is not silent, but slow: closing would cut its answer.
        """
        protocol = self._drainable()
        if self._isClosing or getattr(protocol, "owesAnswer", True) or hasUnreceived(self.transport):
            return False
        self._isClosing = True
        self.factory.queries.begin(self.factory.label, self._host, "")("Silent")
        self.abortConnection()
        return True

    def _drainable(self) -> Any:
        protocol: Any = self.wrappedProtocol
        while not IDrainable.providedBy(protocol) and hasattr(protocol, "wrappedProtocol"):
            protocol = protocol.wrappedProtocol  # Inside TLS.
        return protocol if IDrainable.providedBy(protocol) else None

    def _checkPeer(self) -> None:
        if hasLeft(self.transport):
            self.transport.loseConnection()
        else:
            assert self._watch is not None
            self._watch.start(GONE_INTERVAL, self._checkPeer)


@implementer(IRoomyFactory)
class LimitedFactory(WrappingFactory):
    """
    A factory with limits on connections.  It provides L{IImmediateFactory} if the wrapped factory does.

    @param wrappedFactory: the factory of the protocols that answer.
    @param label: the adapter's name, for the log.
    @param most: the most connections at once.
    @param mostPerAddress: the most connections at once with one L{rateLimitKey}; local connections are exempt.
    @param refusal: the bytes sent to a refused connection, in the adapter's protocol; if empty, it is just closed.
    @param buckets: the rate limit of each L{rateLimitKey}, in requests, of which each connection is one; local
        connections are exempt.
    @param mostPerUID: the most connections at once from one user of this machine at UNIX sockets.  A user never gets
        more than half of C{most}.
    @ivar queries: the log for refusals.
    @ivar clock: the clock for noticing that a half-closed peer has left; with L{None} that is not noticed.
    @ivar label: the adapter's name, for the log.
    @ivar most: the most connections at once.
    @ivar trusted: the networks of proxies whose requests count towards the limits of their clients' addresses.
    @ivar taken: the number of connections now.
    @ivar neighbours: all factories that share this process's file descriptors.
    @ivar needsProtocol: whether the caller, such as Twisted's wrapper for HAProxy, requires a protocol even for a
        refused connection.
    """

    protocol = LimitedProtocol
    noisy = False
    log = Logger()
    needsProtocol = False
    clock: IReactorTime | None = None

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        label: str,
        most: int = MAX_CONNECTIONS,
        mostPerAddress: int = MAX_CONNECTIONS_PER_ADDRESS,
        refusal: bytes = b"",
        buckets: Buckets | None = None,
        mostPerUID: int = MAX_CONNECTIONS_PER_UID,
    ) -> None:
        super().__init__(wrappedFactory)
        # The time at which each peer was last heard, the longest silent one first.
        self.protocols: OrderedDict[LimitedProtocol, float] = OrderedDict()
        self.neighbours: Sequence[LimitedFactory] = ()
        self.trusted = trustedBy(wrappedFactory)
        self.label = label
        self.most = most
        self._mostPerAddress = mostPerAddress
        self._refusal = refusal
        self._buckets = buckets
        self._mostPerUID = min(mostPerUID, max(1, most // 2))
        self.queries = QueryLog()
        self._draining: Deferred[None] | None = None
        self.taken = 0
        self._refusing = 0
        self._takenBy: Counter[str] = Counter()
        self._immediate: Any = IImmediateFactory(wrappedFactory, None)
        if self._immediate is not None:
            alsoProvides(self, IImmediateFactory)

    def answerNow(self, received: bytes, host: str) -> bytes | None:
        """
        See L{IImmediateFactory.answerNow}.  A protocol refuses a connection that its address may not have.  The
        number of all connections does not matter, since this one ends at once.
        """
        answerNow: Callable[[bytes, str], bytes | None] = self._immediate.answerNow
        if isLocal(host):
            return answerNow(received, host)
        place = rateLimitKey(host)
        bucket = self._buckets.of(place) if self._buckets is not None else None
        if self._takenBy[place] >= self._mostPerAddress or (bucket is not None and not bucket.tryTake()):
            return None
        answer = answerNow(received, host)
        if answer is None and bucket is not None:
            bucket.giveBack()
        return answer

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See L{IProtocolFactory.buildProtocol}."""
        host = hostOf(addr)
        if not self._isFull(host):
            return self._build(addr)
        refusal = self.refuse(host)
        return refusal if refusal.words or self.needsProtocol else None

    def _build(self, addr: IAddress | None) -> Any:
        """Build the protocol; if that fails, close the connection, which would otherwise stay open unserved."""
        try:
            return super().buildProtocol(addr)
        except Exception:
            self.queries.failures.report(self.log, "{label}: a connection could not be served", label=self.label)
            return Refusal() if self.needsProtocol else None

    def refuse(self, host: str, user: str = "") -> Refusal:
        """
        Log a connection that exceeds a limit.

        @param host: the peer's address.
        @param user: the user whose limit it is, for the log.
        @return: a protocol that closes it; without words, if it need not be served.
        """
        self.queries.begin(self.label, host, user)("TooManyConnections")
        if not self._refusal or self._refusing >= min(MAX_REFUSING, self.most // 2):
            return Refusal()
        self._refusing += 1
        return Refusal(self._refusal, self._refused)

    def _refused(self) -> None:
        self._refusing -= 1

    def admitRequest(self, host: str) -> float:
        """
        Count a further request on a connection; see L{ILimitedTransport.admitRequest}.

        @param host: the address of the connection's peer.
        """
        wait = self._takeToken(host)
        if wait:
            self.queries.begin(self.label, host, "")("TooManyRequests")
        return wait

    def makeRoom(self) -> bool:
        """
        Close the connection whose peer has been silent for the longest time, among those that owe it no answer.

        @return: whether there was one, silent for L{SILENCE}.
        """
        last = self._now() - SILENCE
        silent = takewhile(lambda protocol: self.protocols[protocol] <= last, self.protocols)
        return any(protocol.closeIfSilent() for protocol in silent)

    def makeDescriptor(self) -> bool:
        """See L{IRoomyFactory.makeDescriptor}.  It may be a connection of a neighbour."""
        return self.makeRoom() or any(neighbour.makeRoom() for neighbour in self.neighbours)

    def registerProtocol(self, p: Any) -> None:
        """Note that a peer has connected, or sent data."""
        self.protocols[p] = self._now()
        self.protocols.move_to_end(p)

    def _now(self) -> float:
        return self.clock.seconds() if self.clock is not None else 0.0

    def isProxy(self, host: str) -> bool:
        """Return whether a peer is a trusted proxy, and its connections have requests of many clients."""
        return bool(self.trusted) and isTrusted(host, self.trusted)

    def beginRequest(self, client: str, own: str) -> tuple[float, str]:
        """
        Count a request that a proxy has sent as a connection of the client; see L{ILimitedClients.beginRequest}.

        @param client: the client's address.
        @param own: the proxy's L{rateLimitKey}.  Its own requests and local ones do not count as connections.
        @return: 0 if the request may be answered, or else the time to wait, in seconds; and the place that is
            counted, if there is one.
        """
        place = rateLimitKey(client)
        if isLocal(client) or place == own:
            return self.admitRequest(client), ""
        if self._takenBy[place] >= self._mostPerAddress:
            self.queries.begin(self.label, client, "")("TooManyConnections")
            return BUSY_WAIT, ""
        wait = self.admitRequest(client)
        if wait:
            return wait, ""
        self._takenBy[place] += 1
        return 0.0, place

    def endRequest(self, place: str) -> None:
        """Stop counting a request that a proxy has sent; see L{beginRequest}."""
        self._takenBy[place] -= 1
        if not self._takenBy[place]:
            del self._takenBy[place]

    def hasRoomFor(self, user: str) -> bool:
        """
        Return whether a user of this machine may have one more connection.

        @param user: the place of that user's connections.
        """
        return self._takenBy[user] < self._mostPerUID

    def take(self, place: str) -> None:
        """
        Count a new connection.

        @param place: its L{rateLimitKey}, or its user on this machine.
        """
        self.taken += 1
        self._takenBy[place] += 1

    def giveBack(self, place: str) -> None:
        """
        Stop counting a connection that has ended.

        @param place: see L{take}.
        """
        self.taken -= 1
        self.endRequest(place)
        if self._draining is not None and not self.taken:
            self._draining.callback(None)
            self._draining = None

    def drain(self, clock: IReactorTime, timeout: float) -> Deferred[None]:
        """
        Drain all connections.

        @param clock: the clock for the timeout.
        @param timeout: seconds after which the remaining connections are aborted.
        @return: fires when no connections are left.
        """
        if not self.taken:
            return succeed(None)
        drained = self._draining = Deferred()
        cutOff = Timer(clock)
        cutOff.start(timeout, self._abortAll)
        drained.addCallback(lambda _: cutOff.cancel())
        for protocol in list(self.protocols):
            self._drain(protocol)
        return drained

    def _drain(self, protocol: Any) -> None:
        """Drain a connection.  One that fails must not keep the others from being drained."""
        try:
            protocol.drain()
        except Exception:
            self.queries.failures.report(self.log, "{label}: a connection could not be drained", label=self.label)
            protocol.abortConnection()

    def _abortAll(self) -> None:
        for protocol in list(self.protocols):
            protocol.abortConnection()

    def _isFull(self, host: str) -> bool:
        return (
            self._isAddressFull(host) or (not self.isProxy(host) and self._takeToken(host) > 0) or not self._hasRoom()
        )

    def _hasRoom(self) -> bool:
        """Return whether one more connection fits, perhaps in the place of one that is closed, but still counted."""
        if self.taken < self.most:
            return True
        return self.taken < self.most + min(MAX_REFUSING, self.most // 2) - self._refusing and self.makeRoom()

    def _isAddressFull(self, host: str) -> bool:
        isExempt = isLocal(host) or self.isProxy(host)
        return not isExempt and self._takenBy[rateLimitKey(host)] >= self._mostPerAddress

    def _takeToken(self, host: str) -> float:
        """Count a request towards its address's rate, or return the seconds until one is allowed."""
        if self._buckets is None or isLocal(host):
            return 0.0
        bucket = self._buckets.of(rateLimitKey(host))
        wait = bucket.wait()
        if not wait:
            bucket.take()
        return wait
