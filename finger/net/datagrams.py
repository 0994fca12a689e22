"""Datagram ports: UDP over IPv4 and IPv6 on one port number, with a rate limit for each address."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.log.querylog import QueryLog
from finger.protocol.hosts import isLocal, rateLimitKey
from finger.timing import Buckets

MakeProtocol = Callable[[], DatagramProtocol]


class _V6OnlyPort(Port):
    """A UDP port that, on an IPv6 address, does not receive over IPv4 (RFC 3493, section 5.3)."""

    def createInternetSocket(self) -> socket.socket:
        sock: socket.socket = super().createInternetSocket()
        if isIPv6Address(self.interface):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return sock


class UDPEndpoint:
    """
    A UDP port with the interface of a server endpoint.

    @param reactor: an L{IReactorFDSet <twisted.internet.interfaces.IReactorFDSet>}.
    @param port: the port number, or 0 for any free port.
    @param interface: the address to bind; empty for all IPv4 addresses.
    """

    def __init__(self, reactor: Any, port: int, interface: str) -> None:
        self._reactor = reactor
        self._port = port
        self._interface = interface

    def listen(self, makeProtocol: MakeProtocol) -> Deferred[IListeningPort]:
        """
        Open the port.

        @param makeProtocol: makes the protocol that receives the datagrams.
        @return: the port.  Fails with L{CannotListenError <twisted.internet.error.CannotListenError>}.
        """
        return maybeDeferred(self._listen, makeProtocol)

    def _listen(self, makeProtocol: MakeProtocol) -> IListeningPort:
        listening = _V6OnlyPort(self._port, makeProtocol(), self._interface, reactor=self._reactor)
        listening.startListening()
        return listening


class LimitedDatagramProtocol(DatagramProtocol):
    """
    Pass datagrams on, up to the rate limit of each address.

    Excess datagrams are dropped without a reply, so that forged addresses cannot direct a flood of replies at a third
    party.

    @param wrapped: the protocol that answers.
    @param label: the adapter's name in the log.
    @param buckets: the rate limit of each address; L{None} for no limit.
    @param queries: the log for dropped datagrams.
    """

    log = Logger()
    noisy = False

    def __init__(self, wrapped: DatagramProtocol, label: str, buckets: Buckets | None, queries: QueryLog) -> None:
        self._wrapped = wrapped
        self._label = label
        self._buckets = buckets
        self._queries = queries

    def startProtocol(self) -> None:
        """Start the wrapped protocol on the same port."""
        assert self.transport is not None
        self._wrapped.makeConnection(self.transport)

    def stopProtocol(self) -> None:
        """Stop the wrapped protocol."""
        self._wrapped.doStop()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Pass a datagram on, or drop it."""
        host = addr[0]
        if not self._isAllowed(host):
            self._queries.begin(self._label, host, "")("TooManyDatagrams")
            return
        try:
            self._wrapped.datagramReceived(datagram, addr)
        except Exception:
            self._queries.failures.explain(Failure(), self.log)

    def _isAllowed(self, host: str) -> bool:
        return self._buckets is None or isLocal(host) or self._buckets.of(rateLimitKey(host)).tryTake()
