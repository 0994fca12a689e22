"""How many connections an adapter takes, in all and from one address."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import alsoProvides

MAX_CONNECTIONS = 500
"""In all, for one adapter.  Together the adapters stay below the 1024 descriptors a process usually has."""

MAX_CONNECTIONS_PER_ADDRESS = 20
"""From one IPv4 address, or one IPv6 /64, which is what one subscriber has (RFC 6177)."""


def origin(host: str) -> str:
    """
    Whom an address belongs to, as far as limits go: itself, or its /64 if it is IPv6.

    @param host: the address; anything else, such as a UNIX socket's path, stands for itself.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address) or address.is_loopback:
        return str(address)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def _host(address: object) -> str:
    return str(getattr(address, "host", "local"))


def _isLoopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class LimitedProtocol(ProtocolWrapper):
    """One connection of a L{LimitedFactory}: passes everything on, and gives its place back at its end."""

    factory: LimitedFactory

    def makeConnection(self, transport: Any) -> None:
        """Take a place.  Half-closed connections are passed on, too, which L{ProtocolWrapper} alone does not."""
        self._place = origin(_host(transport.getPeer()))
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
        self.factory.giveBack(self._place)
        super().connectionLost(reason)


class _Refusal(Protocol):
    """Says why, and closes."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._words)
        self.transport.loseConnection()


class LimitedFactory(WrappingFactory):
    """
    A factory that takes only so many connections at once.

    @param wrappedFactory: what answers the connections taken.
    @param label: the adapter's name, for the log.
    @param most: how many connections, in all.
    @param mostPerAddress: how many from one L{origin}; this machine itself is not counted so.
    @param refusal: what one connection too many is told, in its own protocol; with nothing to say it is closed.
    """

    protocol = LimitedProtocol
    noisy = False
    log = Logger()

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        label: str,
        most: int = MAX_CONNECTIONS,
        mostPerAddress: int = MAX_CONNECTIONS_PER_ADDRESS,
        refusal: bytes = b"",
    ) -> None:
        super().__init__(wrappedFactory)
        self._label = label
        self._most = most
        self._mostPerAddress = mostPerAddress
        self._refusal = refusal
        self._taken = 0
        self._takenBy: Counter[str] = Counter()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See L{IProtocolFactory.buildProtocol}."""
        host = _host(addr)
        if self._isFull(host):
            self.log.info("{label}: {host} has too many connections, or all have", label=self._label, host=host)
            return _Refusal(self._refusal) if self._refusal else None
        return super().buildProtocol(addr)

    def take(self, place: str) -> None:
        """A connection of this L{origin} has begun."""
        self._taken += 1
        self._takenBy[place] += 1

    def giveBack(self, place: str) -> None:
        """A connection of this L{origin} has ended."""
        self._taken -= 1
        self._takenBy[place] -= 1
        if not self._takenBy[place]:
            del self._takenBy[place]

    def _isFull(self, host: str) -> bool:
        if self._taken >= self._most:
            return True
        return not _isLoopback(host) and self._takenBy[origin(host)] >= self._mostPerAddress
