"""Clients that send raw bytes to every listener, in all the ways in which bytes arrive and connections end."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self
from xmlrpc.client import dumps

from twisted.spread.banana import encode

PATIENCE: Final = 30.0
"""The time limit for an answer, in seconds."""

TELNET: Final = b"\xff\xfb\x1f\xff\xfd\x01"
"""Options that telnet offers before anything is typed: C{WILL NAWS}, C{DO ECHO} (RFC 854, RFC 1073)."""

PROXY: Final = b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 79\r\n"
"""What HAProxy sends before the client's data."""


# What is asked.


def fingerQuery(user: str) -> bytes:
    """Return a query of finger."""
    return f"{user}\r\n".encode()


def webRequest(user: str) -> bytes:
    """Return a request for a user's page."""
    return f"GET /{user} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def statusRequest(user: str) -> bytes:
    """Return a request for the health of the server."""
    return webRequest("healthz")


def xmlrpcRequest(user: str) -> bytes:
    """Return a call of XML-RPC."""
    body = dumps((user,), "getUser").encode()
    head = f"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def pbCall(user: str) -> bytes:
    """Return the choice of a dialect and a call of Perspective Broker."""
    arguments = [b"tuple", [b"unicode", user.encode()]]
    call = [b"message", 1, b"root", b"getUser", 1, arguments, [b"dictionary"]]
    return bytes(encode(b"pb") + encode(call))


PB_GREETING: Final = bytes(encode([b"pb", b"none"])) + b"\x02\x80\x13\x87\x06\x81"
"""What Perspective Broker sends first: the dialects, and the version once one is chosen."""


def setterMessage(user: str) -> bytes:
    """Return a message to the setter."""
    return f"{user}\nHappy and well\n".encode()


@dataclass(frozen=True)
class Listener:
    """
    A way to reach the server.

    @ivar name: its name.
    @ivar address: the host and port, or the path of a UNIX socket.
    @ivar ask: returns the bytes of a query for a user.
    @ivar header: what a proxy sends first.
    @ivar tls: the version of TLS, if it is used.
    """

    name: str
    address: tuple[str, int] | str
    ask: Callable[[str], bytes]
    header: bytes = b""
    tls: ssl.TLSVersion | None = None

    def connect(self) -> Peer:
        """Connect, up to the handshake of TLS and the header of a proxy."""
        if isinstance(self.address, str):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE)
            connection.connect(self.address)
        else:
            connection = socket.create_connection(self.address, PATIENCE)
        peer: Peer = SecurePeer(connection, self.tls) if self.tls else Peer(connection)
        peer.send(self.header)
        return peer


# How it is asked.


class Peer:
    """A connection over TCP or a UNIX socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Send data."""
        self._connection.sendall(data)

    def end(self) -> None:
        """Close the sending side."""
        self._connection.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """Return what arrived; empty at the end."""
        return self._connection.recv(65536)

    def reset(self) -> None:
        """Reset the connection; on a UNIX socket, close it."""
        if self._connection.family != socket.AF_UNIX:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._connection.close()


class SecurePeer(Peer):
    """
    A connection with TLS.  Python's own sockets with TLS cannot be half-closed.

    @param version: the version of TLS.  Version 1.3 is half-closed by C{close_notify} and FIN, version 1.2 by FIN.
    """

    def __init__(self, connection: socket.socket, version: ssl.TLSVersion) -> None:
        super().__init__(connection)
        self._version = version
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._exchange(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send data, if there is any."""
        if data:
            self._tls.write(data)
            self._flush()

    def end(self) -> None:
        """Close the sending side."""
        if self._version == ssl.TLSVersion.TLSv1_3:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.unwrap()
            self._flush()
        super().end()

    def receive(self) -> bytes:
        """Return what arrived; empty at the end."""
        try:
            arrived: bytes = self._exchange(lambda: self._tls.read(65536))
            return arrived
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _exchange(self, do: Callable[[], Any]) -> Any:
        while True:
            try:
                done = do()
            except ssl.SSLWantReadError:
                self._flush()
                arrived = self._connection.recv(65536)
                if arrived:
                    self._incoming.write(arrived)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._connection.sendall(self._outgoing.read())


def openly(peer: Peer, query: bytes, wanted: bytes) -> bytes:
    """Ask, and leave once the answer is there."""
    peer.send(query)
    return _read(peer, wanted)


def halfClosed(peer: Peer, query: bytes, wanted: bytes) -> bytes:
    """Ask, and close the sending side; the server must close the rest."""
    peer.send(query)
    peer.end()
    return _read(peer)


def incomplete(peer: Peer, query: bytes, wanted: bytes) -> bytes:
    """Ask without the end of the query, a newline in most protocols, and close the sending side."""
    return halfClosed(peer, query.rstrip(b"\r\n") if query.endswith(b"\n") else query[:-1], wanted)


def telnet(peer: Peer, query: bytes, wanted: bytes) -> bytes:
    """Ask as telnet does, which offers its options first.  A server may reset what it refuses."""
    with contextlib.suppress(ConnectionResetError):
        return openly(peer, TELNET + query, wanted)
    return b""


def byteByByte(peer: Peer, query: bytes, wanted: bytes) -> bytes:
    """Ask one byte at a time."""
    for number in query:
        peer.send(bytes([number]))
    return _read(peer, wanted)


def reset(peer: Peer, query: bytes, wanted: bytes) -> bytes:
    """Ask, and reset the connection."""
    peer.send(query)
    peer.reset()
    return b""


WAYS: Final = {
    "open": openly,
    "half-closed": halfClosed,
    "half-closed, incomplete": incomplete,
    "telnet options": telnet,
    "byte by byte": byteByByte,
    "reset": reset,
}
"""The ways to ask."""


def outcome(listener: Listener, way: str, user: str, wanted: bytes) -> str:
    """Ask in one way, and return a word for what arrives."""
    try:
        with listener.connect() as peer:
            answer = WAYS[way](peer, listener.ask(user), wanted)
    except ConnectionError:
        return "reset"
    except TimeoutError:
        return "no end"
    if wanted in answer:
        return "answer"
    if PB_GREETING.startswith(answer):  # It may be empty.
        return "end"
    words = {b"No such user": "unknown", b" 400 Bad Request": "bad request"}
    return next((word for text, word in words.items() if text in answer), repr(answer))


def _read(peer: Peer, wanted: bytes | None = None) -> bytes:
    """Read until the wanted text is there, or up to the end."""
    answer = b""
    while wanted is None or wanted not in answer:
        arrived = peer.receive()
        if not arrived:
            break
        answer += arrived
    return answer


# Who is asked by the server.


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        user = self.rfile.readline().strip()
        time.sleep(0.05)  # A half-close arrives before the answer.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(b"Happy and well\r\n" if user == b"moshez" else b"No such user\r\n")


class SlowFingerServer(socketserver.ThreadingTCPServer):
    """A finger server that takes a moment, which knows one user."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int = 0) -> None:
        super().__init__((host, port), _Handler)
