"""Doubles of other servers: a network in memory, and scripted servers on loopback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IAddress, IHostnameResolver
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.client.client import Allowed, Answer, FingerClient
from finger.errors import RemoteUnreachable
from tests.support.typed import asType


def _address(host: str, port: int) -> IPv4Address | IPv6Address:
    return (IPv4Address if ip_address(host).version == 4 else IPv6Address)("TCP", host, port)


@implementer(IHostnameResolver)
class ResolverDouble:
    """
    A resolver with a fixed set of names, which can answer with a delay.

    @ivar asked: the names of the queries.
    @ivar slow: whether it waits for L{answer} before it answers.
    """

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._names = names
        self._waiting: list[Callable[[], None]] = []
        self.asked: list[str] = []
        self.slow = False

    def resolveHostName(
        self,
        resolutionReceiver: Any,  # It receives L{None} in place of an L{IHostResolution}.
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        """See L{IHostnameResolver.resolveHostName}."""
        self.asked.append(hostName)
        resolutionReceiver.resolutionBegan(None)

        def finish() -> None:
            for host in self._names.get(hostName, ()):
                resolutionReceiver.addressResolved(_address(host, portNumber))
            resolutionReceiver.resolutionComplete()

        self._waiting.append(finish)
        if not self.slow:
            self.answer()

    def answer(self) -> None:
        """Answer the oldest query."""
        self._waiting.pop(0)()


class Network(MemoryReactorClock):
    """
    A reactor on which the test accepts or refuses connections.

    @ivar resolver: its resolver.
    """

    def __init__(self, names: Mapping[str, Sequence[str]] = {}) -> None:
        super().__init__()
        self.resolver = self.nameResolver = ResolverDouble(names)

    @property
    def attempts(self) -> list[str]:
        """The addresses of all attempts to connect."""
        return [host for host, *_ in self.tcpClients]

    def accept(self, attempt: int = -1) -> Connection:
        """Accept an attempt to connect."""
        host, port, factory, *_ = self.tcpClients[attempt]
        return Connection(factory.buildProtocol(_address(host, port)))

    def refuse(self, attempt: int = -1, error: Exception | None = None) -> None:
        """Refuse an attempt to connect."""
        error = error or ConnectionRefusedError(111)
        self.tcpClients[attempt][2].clientConnectionFailed(self.connectors[attempt], Failure(error))


class Connection:
    """The far end of a connection."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self.transport = StringTransport()
        protocol.makeConnection(self.transport)

    @property
    def query(self) -> bytes:
        """The data that the client sent."""
        return asType(bytes, self.transport.value())

    @property
    def isAborted(self) -> bool:
        """Whether the client has aborted the connection."""
        return self.transport.disconnected

    def say(self, data: bytes) -> None:
        """Send data to the client."""
        self._protocol.dataReceived(data)

    def close(self, reason: Exception | None = None) -> None:
        """Close the connection."""
        self._protocol.connectionLost(Failure(reason or ConnectionDone()))

    def answer(self, data: bytes) -> None:
        """Send an answer and close, as a finger server does."""
        self.say(data)
        self.close()


class ClientDouble(FingerClient):
    """
    A client with fixed answers to queries.

    @ivar asked: the queries: host, port and line.
    @ivar allowed: the check of addresses of the last query.
    @ivar peer: the peer of the last query.
    """

    def __init__(
        self, answers: Mapping[bytes, bytes | Answer | Exception], otherwise: bytes | Answer = b"No such user\r\n"
    ):
        self._answers = answers
        self._otherwise = otherwise
        self.asked: list[tuple[str, int, bytes]] = []
        self.allowed: Allowed | None = None
        self.peer = ""

    def ask(
        self, host: str, port: int, query: bytes, allowed: Allowed | None = None, peer: str = ""
    ) -> Deferred[Answer]:
        """See L{finger.client.client.FingerClient.ask}."""
        self.asked.append((host, port, query))
        self.allowed = allowed
        self.peer = peer
        answer = self._answers.get(query, self._otherwise)
        if isinstance(answer, Exception):
            return fail(answer)
        return succeed(Answer(answer) if isinstance(answer, bytes) else answer)


UNREACHABLE = RemoteUnreachable("Connection refused")


class _Scripted(Protocol):
    factory: ScriptedServer

    def dataReceived(self, data: bytes) -> None:
        self.factory.heard(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(None)

    def connectionMade(self) -> None:
        self.ended: Deferred[None] = Deferred()
        self.factory.connections.append(self)


class ScriptedServer(Factory[_Scripted]):
    """
    A server whose reaction to a query is a function.

    @param heard: the function, called with the connection and the received data.
    """

    protocol = _Scripted
    noisy = False

    def __init__(self, heard: Callable[[Any, bytes], object]) -> None:
        self.heard = heard
        self.connections: list[Any] = []

    def allEnded(self) -> Deferred[Any]:
        """Return a Deferred that fires when all connections are closed."""
        return gatherResults([connection.ended for connection in self.connections])
