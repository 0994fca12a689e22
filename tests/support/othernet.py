"""Other people's servers, as doubles: a network in memory, and servers on loopback that do as they are told."""

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
    Knows the names it is given, and answers when it is told to.

    @ivar asked: the names it was asked for.
    @ivar slow: does it wait for L{answer}?
    """

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._names = names
        self._waiting: list[Callable[[], None]] = []
        self.asked: list[str] = []
        self.slow = False

    def resolveHostName(
        self,
        resolutionReceiver: Any,  # What it is told is no L{IHostResolution}.
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
        """Answer the oldest question."""
        self._waiting.pop(0)()


class Network(MemoryReactorClock):
    """
    A reactor whose connections are made by the test.

    @ivar resolver: its L{ResolverDouble}.
    """

    def __init__(self, names: Mapping[str, Sequence[str]] = {}) -> None:
        super().__init__()
        self.resolver = self.nameResolver = ResolverDouble(names)

    @property
    def attempts(self) -> list[str]:
        """The addresses that were to be connected to."""
        return [host for host, *_ in self.tcpClients]

    def accept(self, attempt: int = -1) -> Connection:
        """Let an attempt to connect succeed."""
        host, port, factory, *_ = self.tcpClients[attempt]
        return Connection(factory.buildProtocol(_address(host, port)))

    def refuse(self, attempt: int = -1, error: Exception | None = None) -> None:
        """Let an attempt to connect fail."""
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
        """What was asked."""
        return asType(bytes, self.transport.value())

    @property
    def isAborted(self) -> bool:
        """Has the client hung up?"""
        return self.transport.disconnected

    def say(self, data: bytes) -> None:
        """Say something."""
        self._protocol.dataReceived(data)

    def close(self, reason: Exception | None = None) -> None:
        """End the connection."""
        self._protocol.connectionLost(Failure(reason or ConnectionDone()))

    def answer(self, data: bytes) -> None:
        """Answer as a finger server does."""
        self.say(data)
        self.close()


class ClientDouble(FingerClient):
    """
    A client that knows what is answered to whom.

    @ivar asked: the queries it was to ask.
    """

    def __init__(
        self, answers: Mapping[bytes, bytes | Answer | Exception], otherwise: bytes | Answer = b"No such user\r\n"
    ):
        self._answers = answers
        self._otherwise = otherwise
        self.asked: list[tuple[str, int, bytes]] = []
        self.allowed: Allowed | None = None

    def ask(self, host: str, port: int, query: bytes, allowed: Allowed | None = None) -> Deferred[Answer]:
        """See L{finger.client.client.FingerClient.ask}."""
        self.asked.append((host, port, query))
        self.allowed = allowed
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
    A server that does as it is told when a query comes.

    @param heard: called with the connection and what it was sent.
    """

    protocol = _Scripted
    noisy = False

    def __init__(self, heard: Callable[[Any, bytes], object]) -> None:
        self.heard = heard
        self.connections: list[Any] = []

    def allEnded(self) -> Deferred[Any]:
        """Fires when nobody is connected any more."""
        return gatherResults([connection.ended for connection in self.connections])
