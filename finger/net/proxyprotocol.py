"""
The PROXY protocol: a peer in front of us that says for whom it connects.

Who may say so may claim any address.  So only those who are trusted may connect at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

from finger.errors import ConfigError
from finger.log.querylog import QueryLog
from finger.protocol.hosts import LOCAL, IPNetwork, hostOf, parseAddress, parseNetwork

PREFIX = "haproxy:"
"""How the string of such an endpoint begins; the rest is where it listens."""


MAX_LINE: Final = 107
"""How long a header of version 1 is at most, with the end of its line."""

MAX_HEADER: Final = 4096
"""How long one of version 2 may be.  Addresses take 232 bytes at most; the rest is for what a proxy adds."""

_LINE: Final = b"PROXY "
_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = len(_SIGNATURE) + 4
_VERSIONS: Final = {"TCP4": 4, "TCP6": 6}


def parseTrusted(values: Iterable[str]) -> tuple[IPNetwork, ...]:
    """
    Read the values of C{--trust-proxy}.

    @raise ConfigError: if one is neither an address nor a network.
    """
    networks = []
    for value in values:
        try:
            networks.append(parseNetwork(value))
        except ValueError as error:
            raise ConfigError(f"--trust-proxy={value}: {error}") from error
    return tuple(networks)


def completeHeader(received: bytes) -> bytes | None:
    """
    Look whether a connection begins with a header that can be understood.  Twisted, which reads it then, wants the
    beginning in one piece, takes any text of version 1 for an address, and does not know C{PROXY UNKNOWN} alone.

    @param received: all that has come.
    @return: the same, for Twisted; L{None} if the header is not complete.
    @raise ValueError: if it is none.
    """
    if received.startswith(_SIGNATURE) or _SIGNATURE.startswith(received):
        size = _FIXED + int.from_bytes(received[_FIXED - 2 : _FIXED], "big")
        if size > MAX_HEADER:
            raise ValueError("too long")
        return received if len(received) >= size else None
    line, newline, rest = received.partition(b"\r\n")
    if not (received.startswith(_LINE) or _LINE.startswith(received)) or len(line + newline) > MAX_LINE:
        raise ValueError("no header")
    if not newline:
        return None
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        return b"PROXY UNKNOWN \r\n" + rest
    _, protocol, source, destination, *ports = (word.decode("ascii") for word in words)
    for address in (source, destination):
        if ip_address(address).version != _VERSIONS.get(protocol) or "%" in address:
            raise ValueError("no address of that family")
    if len(ports) != 2 or not all(port.isdigit() and int(port) <= 65535 for port in ports):
        raise ValueError("no ports")
    return received


class _HeadedProtocol(ProtocolWrapper):
    """One connection: keeps what comes until its header is complete."""

    factory: TrustingFactory
    _received = b""
    _isComplete = False

    def dataReceived(self, data: bytes) -> None:
        """See L{ProtocolWrapper.dataReceived}."""
        if self._isComplete:
            super().dataReceived(data)
        elif not self.disconnecting:
            self._received += data
            self._look()

    def _look(self) -> None:
        try:
            complete = completeHeader(self._received)
        except ValueError:
            self.factory.refuse(self.getPeer(), self._received[: MAX_LINE + 1], "BadProxyHeader")
            self.loseConnection()
            return
        if complete is not None:
            self._isComplete, self._received = True, b""
            super().dataReceived(complete)


class TrustingFactory(WrappingFactory):
    """
    Lets those connect who are trusted, and whoever comes by a UNIX socket, which has permissions of its own.

    @param wrappedFactory: what answers them.
    @param trusted: the networks they are in.
    @param queries: where those are logged who are not, or who say nothing of the kind.
    """

    noisy = False
    protocol = _HeadedProtocol

    def __init__(self, wrappedFactory: IProtocolFactory, trusted: Iterable[IPNetwork], queries: QueryLog) -> None:
        super().__init__(wrappedFactory)
        self._trusted = tuple(trusted)
        self._queries = queries

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See L{IProtocolFactory.buildProtocol}."""
        if self._isTrusted(hostOf(addr)):
            return super().buildProtocol(addr)
        self.refuse(addr, b"", "UntrustedProxy")
        return None

    def refuse(self, peer: IAddress | None, said: bytes, why: str) -> None:
        """Log somebody whom nobody answers."""
        self._queries.begin("haproxy", hostOf(peer), said.decode("utf-8", "backslashreplace"))(why)

    def _isTrusted(self, host: str) -> bool:
        address = parseAddress(host)
        return any(address in network for network in self._trusted) if address is not None else host == LOCAL


@implementer(IStreamServerEndpoint)
class _TrustingEndpoint:
    def __init__(self, endpoint: IStreamServerEndpoint, trusted: tuple[IPNetwork, ...], queries: QueryLog) -> None:
        self._endpoint = endpoint
        self._trusted = trusted
        self._queries = queries

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return self._endpoint.listen(TrustingFactory(protocolFactory, self._trusted, self._queries))


def trustingProxyEndpoint(
    endpoint: IStreamServerEndpoint, trusted: tuple[IPNetwork, ...], queries: QueryLog
) -> IStreamServerEndpoint:
    """
    Make an endpoint whose peers begin with a header of the PROXY protocol, version 1 or 2.

    @param endpoint: where it listens.
    @param trusted: the networks that peers may connect from.
    @param queries: where those from elsewhere are logged, and those who begin otherwise.
    """
    trusting: IStreamServerEndpoint = proxyEndpoint(_TrustingEndpoint(endpoint, trusted, queries))
    return trusting
