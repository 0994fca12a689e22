"""Helpers for types that mypy cannot infer; each is checked when the test runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

T = TypeVar("T")


def notNone(value: T | None) -> T:
    """Return a value that must not be L{None}."""
    assert value is not None
    return value


def asType(kind: type[T], value: object) -> T:
    """Return a value that must be an instance of a type."""
    assert isinstance(value, kind), f"{value!r} is not of type {kind.__name__}"
    return value


@implementer(ILogObserver)
class Observer:
    """A function as a log observer."""

    def __init__(self, heard: Callable[[LogEvent], object]) -> None:
        self._heard = heard

    def __call__(self, event: LogEvent) -> None:
        """See L{ILogObserver.__call__}."""
        self._heard(event)


def listenOn(interface: str, factory: IProtocolFactory, port: int = 0) -> IListeningPort:
    """Listen on one address of this machine, with any factory: C{listenTCP} declares only one type of protocol."""
    anyFactory: Any = factory
    return reactor.listenTCP(port, anyFactory, interface=interface)


def addressOf(port: IListeningPort) -> IPv4Address | IPv6Address:
    """Return the address of a TCP port."""
    address = port.getHost()
    assert isinstance(address, IPv4Address | IPv6Address)
    return address
