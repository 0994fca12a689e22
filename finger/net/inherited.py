"""
Sockets opened by systemd: selected by a port option, and adopted with the family they have.

Twisted's own C{systemd:} endpoint relies on the family given in the option, and reports nonsensical peer addresses if
that is wrong.  On closing, it also shuts down the socket for all processes that share it, and removes a UNIX socket's
file.
"""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.application.service import Service
from twisted.internet import unix
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from finger.errors import ConfigError
from finger.net.oneturn import OneTurnPort
from finger.net.systemd import InheritedSocket, inheritedSockets

SYSTEMD = "systemd:"
"""The prefix of a port option's value that selects inherited sockets."""

_FAMILIES = {"INET": socket.AF_INET, "INET6": socket.AF_INET6, "UNIX": socket.AF_UNIX}
_FIELDS = {
    key: re.compile(text) for key, text in (("name", ".+"), ("index", "[0-9]{1,5}"), ("domain", "INET6?|UNIX"))
}


@dataclass(frozen=True, slots=True)
class SocketSelector:
    """
    The inherited sockets that a port option selects: all sockets with one name, or a single socket.

    @ivar name: the sockets' name; empty if C{index} is set.
    @ivar index: the position of a single socket among all inherited ones, from 0; L{None} if C{name} is set.
    @ivar domain: the family to select, such as C{INET6}; empty for any family.
    """

    name: str = ""
    index: int | None = None
    domain: str = ""


def parseSelector(value: str, label: str) -> SocketSelector:
    """
    Read C{systemd:NAME}, C{systemd:index=NUMBER}, or Twisted's C{systemd:domain=INET6:name=NAME}.

    @param value: the value to read.
    @param label: the option and its value, for messages.
    @raise ConfigError: if the value has none of these forms.
    """
    first, *rest = value.removeprefix(SYSTEMD).split(":")
    if "=" not in first:  # Without a key: Twisted's domain if more follows, otherwise our name.
        first = f"domain={first}" if rest else f"name={first}"
    pairs = [part.partition("=")[::2] for part in (first, *rest)]
    fields = dict(pairs)
    readable = all(key in _FIELDS and _FIELDS[key].fullmatch(text) for key, text in pairs)
    if not readable or len(fields) < len(pairs) or ("name" in fields) == ("index" in fields):
        raise ConfigError(f"{label}: is neither systemd:NAME nor systemd:index=NUMBER")
    index = fields.get("index")
    return SocketSelector(fields.get("name", ""), int(index) if index else None, fields.get("domain", ""))


class InheritedSockets(Service):
    """
    All inherited sockets, and the options that have adopted them.  The service, which must start last, logs the
    sockets that no option has adopted.

    @param environment: see L{inheritedSockets}.
    @param pid: the id of this process.
    """

    log = Logger()

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        self._sockets = inheritedSockets(environment, pid)
        self._listenPid = environment.get("LISTEN_PID", str(pid))
        self._isOurs = self._listenPid == str(pid)
        self._adopted: dict[InheritedSocket, str] = {}

    def adopt(self, selector: SocketSelector, label: str) -> list[InheritedSocket]:
        """
        Find sockets, and reserve them for an option.

        @param selector: selects the sockets.
        @param label: the option and its value.
        @raise ConfigError: if no such socket exists, or another option has adopted it.
        """
        found = self._find(selector, label)
        for one in found:
            before = self._adopted.setdefault(one, label)
            if before != label:
                raise ConfigError(f"{label}: {before} already uses this socket; give each option its own")
        return found

    def startService(self) -> None:
        """Log a warning about sockets whose connections will never be accepted."""
        super().startService()
        left = [one for one in self._sockets if one not in self._adopted]
        if left:
            self.log.warn(
                "systemd passed sockets that no option adopts; connections to them hang: {sockets}",
                sockets=_describe(left),
            )
        for one in left:
            with suppress(OSError):
                os.set_inheritable(one.descriptor, False)

    def _find(self, selector: SocketSelector, label: str) -> list[InheritedSocket]:
        if not self._isOurs:
            raise ConfigError(
                f"{label}: systemd passed its sockets to process {self._listenPid}, not to this one; "
                "a wrapper script must exec this program"
            )
        if not self._sockets:
            raise ConfigError(
                f"{label}: systemd passed no sockets; "
                "enable the socket unit, as in 'systemctl enable --now finger.socket'"
            )
        if selector.index is not None:
            found = list(self._sockets[selector.index : selector.index + 1])
        else:
            found = [one for one in self._sockets if one.name == selector.name]
        if not found:
            raise ConfigError(f"{label}: no such socket; systemd passed {_describe(self._sockets)}")
        return self._ofDomain(found, selector, label) if selector.domain else found

    def _ofDomain(self, found: list[InheritedSocket], selector: SocketSelector, label: str) -> list[InheritedSocket]:
        fitting = [one for one in found if _family(one.descriptor) == _FAMILIES[selector.domain]]
        if fitting:
            return fitting
        if selector.index is None:
            raise ConfigError(
                f"{label}: none of the sockets {selector.name!r} is {selector.domain}; systemd:NAME selects all"
            )
        self.log.warn(
            "{label}: the socket is not {domain}; its actual family is used", label=label, domain=selector.domain
        )
        return found


@implementer(IStreamServerEndpoint)
class AdoptingEndpoint:
    """
    An inherited socket as an endpoint.  The socket itself stays open when the port is closed, so that new connections
    queue up, and the endpoint can listen on it again.

    @param reactor: an L{IReactorFDSet <twisted.internet.interfaces.IReactorFDSet>}.
    @param inherited: the socket.
    """

    def __init__(self, reactor: Any, inherited: InheritedSocket) -> None:
        self._reactor = reactor
        self._inherited = inherited

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """See L{IStreamServerEndpoint.listen}."""
        return maybeDeferred(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        sock = self._open()
        try:
            kind = _AdoptedUNIXPort if sock.family == socket.AF_UNIX else _AdoptedTCPPort
            port: IListeningPort = kind(sock.dup(), factory, self._reactor)
            port.startListening()
        finally:
            sock.close()
        return port

    def _open(self) -> _AdoptedSocket:
        """Return a duplicate of the socket, checked and non-blocking."""
        descriptor, name = self._inherited.descriptor, self._inherited.name or "without a name"
        os.set_inheritable(descriptor, False)
        copy = os.dup(descriptor)
        try:
            sock = _AdoptedSocket(fileno=copy)
        except OSError:
            os.close(copy)
            raise ValueError(f"descriptor {descriptor} ({name}) from systemd is not a socket") from None
        if sock.type != socket.SOCK_STREAM or sock.family not in _FAMILIES.values():
            problem = "is not a TCP or UNIX stream socket; set ListenStream= in its unit"
        elif not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            problem = "does not listen; set Accept=no in its unit"
        else:
            sock.setblocking(False)
            return sock
        sock.close()
        raise ValueError(f"socket {descriptor} ({name}) {problem}")


class _AdoptedSocket(socket.socket):
    """A listening socket that other processes share.  A port cannot bind it, set its backlog, or shut it down."""

    def bind(self, address: object, /) -> None: ...

    def listen(self, backlog: int = 0, /) -> None: ...

    def shutdown(self, how: int, /) -> None: ...


class _AdoptedTCPPort(OneTurnPort):
    """
    A TCP port on an inherited socket.

    @param sock: the socket, which is closed with this port.
    """

    isShared = True

    def __init__(self, sock: _AdoptedSocket, factory: IProtocolFactory, reactor: Any) -> None:
        host, port, *_ = sock.getsockname()
        super().__init__(port, factory, interface=host, reactor=reactor)
        self._adopted = sock

    def createInternetSocket(self) -> _AdoptedSocket:
        """Return the inherited socket."""
        return self._adopted


class _AdoptedUNIXPort(unix.Port):
    """
    A port on an inherited UNIX socket, whose file and mode it leaves alone.

    C{adoptStreamPort} changes the file's mode, which systemd has set (Twisted's ticket #10261), and removes the file
    on closing.  A port does neither if its address is abstract, so this one is made with such an address.  It listens
    on the socket's own address, and reports that.

    @param sock: the socket, which is closed with this port.
    """

    def __init__(self, sock: _AdoptedSocket, factory: IProtocolFactory, reactor: Any) -> None:
        super().__init__(b"\0" + os.fsencode(sock.getsockname()), factory, reactor=reactor)
        self._adopted = sock

    def createInternetSocket(self) -> _AdoptedSocket:
        """Return the inherited socket."""
        return self._adopted


def _family(descriptor: int) -> int | None:
    """Return the family of a socket; L{None} if the descriptor is not a socket."""
    try:
        copy = os.dup(descriptor)
    except OSError:
        return None
    try:
        with socket.socket(fileno=copy) as sock:
            return sock.family
    except OSError:
        os.close(copy)
        return None


def _describe(sockets: Sequence[InheritedSocket]) -> str:
    """Return the sockets' names and the number of each: C{'finger' (2), 'web' (2)}."""
    names = Counter(one.name for one in sockets)
    return ", ".join(f"{name!r} ({count})" if name else f"{count} without a name" for name, count in names.items())
