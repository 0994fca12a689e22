"""
The PROXY protocol: a proxy in front of the server announces the client's address in a header.

The header can claim any address, so only trusted proxies may connect.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.policies import WrappingFactory
from zope.interface import implementer

from finger.errors import ConfigError
from finger.log.querylog import QueryLog
from finger.net.halfclose import HalfCloseWrapper
from finger.protocol.hosts import IPNetwork, hostOf, isTrusted, parseNetwork

PREFIX = "haproxy:"
"""The prefix of an endpoint string that selects the PROXY protocol; the rest is the endpoint to listen on."""


MAX_LINE: Final = 107
"""The longest version 1 header, in bytes, with its line end."""

MAX_HEADER: Final = 4096
"""The longest version 2 header accepted, in bytes.  Addresses take at most 232; proxies may append more fields."""

_LINE: Final = b"PROXY "
_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = len(_SIGNATURE) + 4
_VERSIONS: Final = {"TCP4": 4, "TCP6": 6}


def parseTrusted(values: Iterable[str]) -> tuple[IPNetwork, ...]:
    """
    Read the values of C{--trust-proxy}.

    @raise ConfigError: if a value is neither an address nor a network.
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
    Check the header at the start of a connection, and normalize it for Twisted's parser.

    That parser needs the start in one piece, accepts any text as an address in version 1, and rejects a bare
    C{PROXY UNKNOWN}.

    @param received: all bytes received so far.
    @return: the bytes to pass on to Twisted; L{None} if the header is incomplete.
    @raise ValueError: if the header is invalid.
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


class _HeadedProtocol(HalfCloseWrapper):
    """One connection, buffered until its header is complete."""

    factory: TrustingFactory
    _received = b""
    _isComplete = False

    def dataReceived(self, data: bytes) -> None:
        """See C{ProtocolWrapper.dataReceived}."""
        if self._isComplete:
            super().dataReceived(data)
        elif not self.disconnecting:
            self._received += data
            self._look()

    def halfCloseable(self) -> Any:
        """See L{HalfCloseWrapper.halfCloseable}.  Twisted's wrapper between them does not pass on half-closes."""
        return self.wrappedProtocol.wrappedProtocol  # type: ignore[attr-defined]

    def readConnectionLost(self) -> None:
        """Pass on the half-close, or close the connection if the header never arrived completely."""
        if self._isComplete:
            super().readConnectionLost()
        else:
            self.loseConnection()

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
    Accept connections from trusted proxies, and over UNIX sockets, which file permissions protect.

    @param wrappedFactory: the factory of the protocols that answer.
    @param trusted: the networks of trusted proxies.
    @param queries: the log for untrusted peers and invalid headers.
    """

    noisy = False
    protocol = _HeadedProtocol

    def __init__(self, wrappedFactory: IProtocolFactory, trusted: Iterable[IPNetwork], queries: QueryLog) -> None:
        super().__init__(wrappedFactory)
        self._trusted = tuple(trusted)
        self._queries = queries

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See L{IProtocolFactory.buildProtocol}."""
        if isTrusted(hostOf(addr), self._trusted):
            return super().buildProtocol(addr)
        self.refuse(addr, b"", "UntrustedProxy")
        return None

    def refuse(self, peer: IAddress | None, header: bytes, why: str) -> None:
        """
        Log a refused connection.

        @param header: the start of the header.
        @param why: the name of the error.
        """
        self._queries.begin("haproxy", hostOf(peer), header.decode("utf-8", "backslashreplace"))(why)


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
    Make an endpoint whose connections start with a header of the PROXY protocol, version 1 or 2.

    @param endpoint: the endpoint to listen on.
    @param trusted: the networks of trusted proxies.
    @param queries: the log for untrusted peers and invalid headers.
    """
    trusting: IStreamServerEndpoint = proxyEndpoint(_TrustingEndpoint(endpoint, trusted, queries))
    return trusting
