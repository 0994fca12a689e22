"""
A TCP port that answers a connection in one turn of the reactor, where that is possible.

Twisted gives each connection a transport, a protocol and a place in the reactor's list of descriptors, and waits for
the reactor to report its data.  A finger query fits in one packet, which has usually arrived by the time that the
connection is accepted, and its answer is often in memory.  This port then reads the query, sends the answer and
closes the connection at once.  Any other connection continues in the ordinary way, with the data read so far.
"""

from __future__ import annotations

import errno
import socket
from socket import SocketType
from typing import Any, Final

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.interfaces import IImmediateFactory, IRoomyFactory
from finger.log.failures import FailureLog
from finger.log.peerlog import PeerLog
from finger.timing import Timer

MOST_ACCEPTS: Final = 64
"""The connections accepted in one turn; then other descriptors have theirs."""

FULL_TURNS: Final = 32
"""
The turns in a row with as many connections as expected after which more are expected.  Each unsuccessful attempt to
accept a connection costs a system call, which is one in seven if peers come one by one.
"""

PAUSE: Final = 1.0
"""Seconds until the port accepts connections again if this process was out of descriptors or memory."""

_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

MOST_RECEIVED: Final = 2048
"""The bytes received at once.  A longer query continues in the ordinary way."""


class OneTurnPort(Port):
    """
    A TCP port whose factory may provide L{IImmediateFactory}, and L{IRoomyFactory} for when descriptors run out.
    With any other factory, it is an ordinary port.

    Its IPv6 sockets are for IPv6 only (RFC 3493, section 5.3), unlike Twisted's.

    @cvar isShared: whether other processes accept connections of the same socket, or will.
    """

    factory: Any
    reactor: Any
    log = Logger()
    isShared = False

    def __init__(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = "", reactor: Any = None
    ) -> None:
        super().__init__(port, factory, backlog, interface, reactor)
        self._immediate = IImmediateFactory(factory, None)
        self._roomy = IRoomyFactory(factory, None)
        self._failures = FailureLog(reactor)
        self._events = PeerLog(reactor, burst=1)
        self._pause = Timer(reactor)
        self._expected = MOST_ACCEPTS
        self._fullTurns = 0
        self._late: list[tuple[SocketType, Any]] = []

    def createInternetSocket(self) -> socket.socket:
        """Make the socket."""
        sock: socket.socket = super().createInternetSocket()
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return sock

    def doRead(self) -> None:
        """Accept connections, and answer those that can be answered at once."""
        for accepted in range(self._expected):
            try:
                descriptor, address = _accept(self.socket)
            except BlockingIOError:
                self._expect(max(1, accepted))
                return
            except OSError as error:
                self._notAccepted(error)
                return
            sock = SocketType(self.addressFamily, self.socketType, 0, descriptor)
            self._serve(sock, address if len(address) == 2 else _withScope(address))
        self._fullTurns += 1
        if self._fullTurns == FULL_TURNS:
            self._expect(min(2 * self._expected, MOST_ACCEPTS))

    def connectionLost(self, reason: Failure) -> None:
        """
        Close the port, and go on with the connections that were about to be served, or accepted: closing the socket
        would reset them.
        """
        if not self.isShared:
            self._expected = self.backlog
            self.doRead()
        self._pause.cancel()
        super().connectionLost(reason)
        self._serveLate()

    def _notAccepted(self, error: OSError) -> None:
        """
        Handle an error of C{accept}: of one connection (accept(2), "Error handling"), or of this machine.  If there
        are no descriptors left, the factory makes room; if it cannot, the port waits, and connections with it.
        """
        if error.errno not in _NO_ROOM:
            return
        self._events.warn(self.log, "connections wait to be accepted: {why}", why=error.strerror)
        if not (self._roomy is not None and self._roomy.makeDescriptor()):
            self.stopReading()
            self._pause.start(PAUSE, self._resume)

    def _resume(self) -> None:
        if self.connected and not self.disconnecting:
            self.startReading()

    def _expect(self, connections: int) -> None:
        """Set the number of connections that are accepted in one turn."""
        self._expected, self._fullTurns = connections, 0

    def _serve(self, sock: SocketType, address: Any) -> None:
        """
        Serve a connection, or let it wait for another turn if nothing has arrived: the data often comes just after
        the connection.
        """
        received = _receive(sock) if self._immediate is not None else b""
        if received or self._immediate is None:
            self._respond(sock, address, received)
            return
        if not self._late:
            self.reactor.callLater(0, self._serveLate)
        self._late.append((sock, address))

    def _serveLate(self) -> None:
        late, self._late = self._late, []
        for sock, address in late:
            self._respond(sock, address, _receive(sock))

    def _respond(self, sock: SocketType, address: Any, received: bytes) -> None:
        try:
            answer = self._immediate.answerNow(received, address[0]) if received else None
            if answer is None:
                self._continue(sock, address, received)
                return
            sent = _send(sock, answer)
            if sent < len(answer):
                self._continue(sock, address, b"", answer[sent:])
                return
        except BaseException:  # The reactor would close the port.
            self._failures.report(self.log, "a connection could not be served")
        sock.close()

    def _continue(self, sock: SocketType, address: Any, received: bytes, rest: bytes = b"") -> None:
        """Continue in the ordinary way, as in L{Port.doRead}, with the data received, or the rest of the answer."""
        protocol = self.factory.buildProtocol(self._buildAddr(address))
        if protocol is None:
            sock.close()
            return
        self.sessionno += 1
        whole = socket.socket(self.addressFamily, self.socketType, 0, sock.detach())
        transport = self.transport(whole, protocol, address, self, self.sessionno, self.reactor)
        try:
            protocol.makeConnection(transport)
            if rest:
                transport.write(rest)
                transport.loseConnection()
            elif received and not transport.disconnecting:
                protocol.dataReceived(received)
        except BaseException:
            transport.abortConnection()
            raise


def _accept(listening: Any) -> tuple[int, Any]:
    """
    Accept a connection, and return its descriptor and its peer's address.

    C{socket.accept} makes a second object around the first, and converts the family to an enumeration, all of which
    takes as long as the system calls.
    """
    accepted: tuple[int, Any] = listening._accept()
    return accepted


def _withScope(address: Any) -> Any:
    """Return an IPv6 address whose host includes the scope, as in C{fe80::1%eth0}, if it has one (RFC 4007)."""
    if address[3]:
        host, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        return (host, *address[1:])
    return address


def _receive(sock: SocketType) -> bytes:
    """Return the data that has arrived; nothing if there is none, or the connection is lost."""
    try:
        return sock.recv(MOST_RECEIVED, socket.MSG_DONTWAIT)
    except OSError:
        return b""


def _send(sock: SocketType, data: bytes) -> int:
    """Send as much data as possible without waiting, and return its length.  If the peer is gone, that is all."""
    try:
        return sock.send(data, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return 0
    except OSError:
        return len(data)
