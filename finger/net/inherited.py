"""
Sockets that systemd has opened: found by what a port option says, and adopted as what they are.

What the option says of a socket's family does not count.  Twisted's own C{systemd:} endpoint believes it, and then
reports peers nobody has ever heard of; it also removes the file of a UNIX socket, and shuts it down for whoever else
has it, when it is closed.
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
from finger.net.systemd import InheritedSocket, inheritedSockets

SYSTEMD = "systemd:"
"""How a port option's value begins that asks for inherited sockets."""

_FAMILIES = {"INET": socket.AF_INET, "INET6": socket.AF_INET6, "UNIX": socket.AF_UNIX}
_FIELDS = {
    key: re.compile(text) for key, text in (("name", ".+"), ("index", "[0-9]{1,5}"), ("domain", "INET6?|UNIX"))
}


@dataclass(frozen=True, slots=True)
class SocketSelector:
    """
    The inherited sockets a port option asks for: all of a name, or one.

    @ivar name: the sockets' name.
    @ivar index: or the number of one of all sockets, from 0 on.
    @ivar domain: of sockets of one name, only those of this family, such as C{INET6}; empty for all.
    """

    name: str = ""
    index: int | None = None
    domain: str = ""


def parseSelector(value: str, label: str) -> SocketSelector:
    """
    Read C{systemd:NAME}, C{systemd:index=NUMBER}, or Twisted's C{systemd:domain=INET6:name=NAME}.

    @param label: the option this comes from, and its value, for messages.
    @raise ConfigError: if it is none of these.
    """
    first, *rest = value.removeprefix(SYSTEMD).split(":")
    if "=" not in first:  # What needs no key is Twisted's domain, if more follows, or else our name.
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
    All inherited sockets, and which options have adopted them.  As a service it tells of those that none has, once
    all others have started.

    @param environment: see L{inheritedSockets}.
    @param pid: this process.
    """

    log = Logger()

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        self._sockets = inheritedSockets(environment, pid)
        self._listenPid = environment.get("LISTEN_PID", str(pid))
        self._isOurs = self._listenPid == str(pid)
        self._adopted: dict[InheritedSocket, str] = {}

    def adopt(self, selector: SocketSelector, label: str) -> list[InheritedSocket]:
        """
        Find sockets, which then are nobody else's.

        @param label: the option that asks, and its value.
        @raise ConfigError: if they are not there, or adopted already.
        """
        found = self._find(selector, label)
        for one in found:
            before = self._adopted.setdefault(one, label)
            if before != label:
                raise ConfigError(f"{label}: that socket is {before}'s already; a socket can be of one option alone")
        return found

    def startService(self) -> None:
        """Tell of sockets whose connections nobody will ever accept."""
        super().startService()
        left = [one for one in self._sockets if one not in self._adopted]
        if left:
            self.log.warn(
                "systemd gave sockets that no option adopts, and nobody answers there: {sockets}",
                sockets=_describe(left),
            )
        for one in left:
            with suppress(OSError):
                os.set_inheritable(one.descriptor, False)

    def _find(self, selector: SocketSelector, label: str) -> list[InheritedSocket]:
        if not self._isOurs:
            raise ConfigError(
                f"{label}: systemd gave its sockets to process {self._listenPid}, and this is another; "
                "whatever stands between should exec this program"
            )
        if not self._sockets:
            raise ConfigError(
                f"{label}: systemd gave no sockets; "
                "enable the unit that has them, as in 'systemctl enable --now finger.socket'"
            )
        if selector.index is not None:
            found = list(self._sockets[selector.index : selector.index + 1])
        else:
            found = [one for one in self._sockets if one.name == selector.name]
        if not found:
            raise ConfigError(f"{label}: no such socket; systemd gave {_describe(self._sockets)}")
        return self._ofDomain(found, selector, label) if selector.domain else found

    def _ofDomain(self, found: list[InheritedSocket], selector: SocketSelector, label: str) -> list[InheritedSocket]:
        fitting = [one for one in found if _family(one.descriptor) == _FAMILIES[selector.domain]]
        if fitting:
            return fitting
        if selector.index is None:
            raise ConfigError(
                f"{label}: none of the sockets {selector.name!r} is {selector.domain}; systemd:NAME takes all"
            )
        self.log.warn(
            "{label}: the socket is not {domain}, and is taken as what it is", label=label, domain=selector.domain
        )
        return found


@implementer(IStreamServerEndpoint)
class AdoptingEndpoint:
    """
    An inherited socket as an endpoint.  The socket itself stays open, so that it can be listened on again, and what
    arrives meanwhile waits in its queue.

    @param reactor: an L{IReactorSocket <twisted.internet.interfaces.IReactorSocket>}.
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
            if sock.family == socket.AF_UNIX:
                port: IListeningPort = _AdoptedUNIXPort(sock.dup(), factory, self._reactor)
                port.startListening()
            else:
                port = self._reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
        finally:
            sock.close()
        return port

    def _open(self) -> _AdoptedSocket:
        """A socket of our own on the same thing, ready to be listened on."""
        descriptor, name = self._inherited.descriptor, self._inherited.name or "without a name"
        os.set_inheritable(descriptor, False)
        copy = os.dup(descriptor)
        try:
            sock = _AdoptedSocket(fileno=copy)
        except OSError:
            os.close(copy)
            raise ValueError(f"what systemd gave as {descriptor} ({name}) is no socket") from None
        if sock.type != socket.SOCK_STREAM or sock.family not in _FAMILIES.values():
            problem = "is no stream socket of TCP or UNIX; give ListenStream= in its unit"
        elif not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            problem = "does not listen; give Accept=no in its unit"
        else:
            sock.setblocking(False)
            return sock
        sock.close()
        raise ValueError(f"socket {descriptor} ({name}) {problem}")


class _AdoptedSocket(socket.socket):
    """A listening socket that others have, too: a port neither binds it, nor sets its backlog, nor shuts it down."""

    def bind(self, address: object, /) -> None: ...

    def listen(self, backlog: int = 0, /) -> None: ...

    def shutdown(self, how: int, /) -> None: ...


class _AdoptedUNIXPort(unix.Port):
    """
    A port on a UNIX socket of systemd's, whose file and mode are left alone.

    C{adoptStreamPort} changes the file's mode, which systemd has set (Twisted's ticket #10261), and removes the file
    at the end.  A port does neither if its address is abstract, which is why this one is made with such an address;
    what it listens on, and tells as its address, is the socket's.

    @param sock: the socket, which is to be closed with this port.
    """

    def __init__(self, sock: _AdoptedSocket, factory: IProtocolFactory, reactor: Any) -> None:
        super().__init__(b"\0" + os.fsencode(sock.getsockname()), factory, reactor=reactor)
        self._adopted = sock

    def createInternetSocket(self) -> _AdoptedSocket:
        """Return the socket, which is there already."""
        return self._adopted


def _family(descriptor: int) -> int | None:
    """The family of a socket; L{None} if it is none."""
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
    """Their names, and how many there are of each: C{'finger' (2), 'web' (2)}."""
    names = Counter(one.name for one in sockets)
    return ", ".join(f"{name!r} ({count})" if name else f"{count} without a name" for name, count in names.items())
