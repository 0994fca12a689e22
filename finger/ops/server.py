"""The whole server: start, reload, and graceful stop."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, cast

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, DeferredList, gatherResults, maybeDeferred
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from finger.errors import ConfigError
from finger.interfaces import (
    ICountsUsers,
    IFingerService,
    IOpenable,
    IReloadable,
    ISelfReloading,
    IServerObserver,
)
from finger.net.limits import LimitedFactory
from finger.net.ports import PortService, PortsService, closedPorts, openPorts, portServices
from finger.timing import DRAIN_GRACE, Timer

Handler = Callable[[int, Any], Any] | int | None
ReloadListener = Callable[[str, bool, float], object]


class FingerServer(MultiService):
    """
    A server: back ends, and adapters on their ports.

    @param reactor: the reactor to run on.
    @param drainSeconds: seconds for connections to end when the server stops.
    @ivar service: the service that all adapters query; use it to add an adapter.
    @ivar counted: counts the users; L{None} if they cannot be counted.
    @ivar reloadables: the parts to reload at SIGHUP, by their names in messages.
    @ivar reloadListeners: called after each reload of a part, whether at SIGHUP or by itself, with the part's name,
        whether the reload succeeded, and the duration in seconds.
    @ivar observers: the observers of start, reload and stop.
    @ivar factories: the factories whose connections are drained at the stop.
    @ivar logObserver: the log observer for twistd; L{None} for its own.
    """

    log = Logger()
    service: IFingerService
    counted: ICountsUsers | None = None
    logObserver: ILogObserver | None = None

    def __init__(self, reactor: Any, drainSeconds: float = 10.0) -> None:
        super().__init__()
        self.reloadables: dict[str, IReloadable] = {}
        self.reloadListeners: list[ReloadListener] = []
        self.observers: list[IServerObserver] = []
        self.factories: list[LimitedFactory] = []
        self._reactor = reactor
        self._drainSeconds = drainSeconds
        self._handlers: dict[signal.Signals, Handler] = {}
        self._openables: list[IOpenable] = []
        self._arePartsOpen = False

    def setServiceParent(self, parent: Any) -> None:
        """See L{IService.setServiceParent}.  The log observer becomes a component of an application, for twistd."""
        super().setServiceParent(parent)
        if self.logObserver is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.logObserver)

    def adopt(self, part: object, name: str = "") -> None:
        """
        Open, start, stop and reload a part with the server, as far as its interfaces allow.

        @param part: the part.
        @param name: the part's name in reports of its reloads; by default the name of its class.
        """
        service = IService(part, None)
        if service is not None:
            service.setServiceParent(self)
        if IOpenable.providedBy(part):
            self._openables.append(part)
        reloadable = IReloadable(part, None)
        if reloadable is not None:
            self._adoptReloadable(reloadable, name or type(part).__name__)

    def _adoptReloadable(self, part: IReloadable, name: str) -> None:
        """Add a part to be reloaded; a second part with the same name gets a number appended."""
        names = (name if number == 1 else f"{name}-{number}" for number in count(1))
        name = next(name for name in names if name not in self.reloadables)
        self.reloadables[name] = part
        if ISelfReloading.providedBy(part):
            part.reloader = partial(self._reload, name, part)

    def open(self) -> None:
        """
        Open all parts and ports, before the service is started.

        @raise ConfigError: if a part or port cannot be opened.
        """
        try:
            self._openParts()
            for service in self._portServices():
                service.open()
        except ConfigError:
            self._closeParts()
            raise

    def openPorts(self) -> dict[str, list[Any]]:
        """Return the addresses of the open ports, by option and value."""
        return {str(s.name): [port.getHost() for port in openPorts(s)] for s in self._portServices()}

    def startService(self) -> None:
        """Start all parts, and reload at SIGHUP."""
        self._openParts()
        super().startService()
        self._handle(signal.SIGHUP, lambda number, frame: self._reactor.callFromThread(self.reload))
        DeferredList([port.whenDone() for port in portServices(self._portServices())]).addCallback(self._started)

    def _started(self, done: object) -> None:
        if self.running and all(port.port is not None for port in portServices(self._portServices())):
            self.log.info("finger is ready")
            for observer in self.observers:
                observer.started()

    def _openParts(self) -> None:
        if not self._arePartsOpen:
            self._arePartsOpen = True
            for part in self._openables:
                part.open()

    def _closeParts(self) -> None:
        self._arePartsOpen = False
        for part in self._openables:
            part.close()

    def problems(self) -> list[str]:
        """Return what keeps the server from answering, one line each.  Back ends are not queried."""
        if not self.running:
            return ["the server is not running"]
        return [_whyClosed(port) for port in closedPorts(self._portServices())]

    def reload(self) -> Deferred[bool]:
        """
        Read all files again.  A part whose file is now invalid keeps its previous data.

        @return: whether all parts could be reloaded; never fails.
        """
        for observer in self.observers:
            observer.reloading()
        names = list(self.reloadables)
        reloads = [self._reload(name, part) for name, part in self.reloadables.items()]
        return gatherResults(reloads).addCallback(self._reloaded, names)

    def _reloaded(self, areRead: list[bool], names: list[str]) -> bool:
        for observer in self.observers:
            observer.reloaded()
        unread = [name for name, isRead in zip(names, areRead, strict=True) if not isRead]
        if unread:
            self.log.warn("finger has reloaded all but: {parts}", parts=", ".join(unread))
        else:
            self.log.info("finger has reloaded")
        return not unread

    def _reload(self, name: str, part: IReloadable) -> Deferred[bool]:
        return Deferred.fromCoroutine(self._reportReload(name, part))

    async def _reportReload(self, name: str, part: IReloadable) -> bool:
        began = self._reactor.seconds()
        try:
            isRead = await maybeDeferred(cast("Callable[[], Deferred[Any]]", part.reload)) is not False
        except Exception:
            self.log.failure("{name}: could not be reloaded", name=name)
            isRead = False
        seconds = self._reactor.seconds() - began
        for listener in self.reloadListeners:
            listener(name, isRead, seconds)
        return isRead

    def stopService(self) -> Deferred[None]:
        """
        Stop listening, then drain connections.  A second signal stops the server at once.

        @return: fires when all connections have ended.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            self._handle(number, signal.SIG_DFL)
        for observer in self.observers:
            observer.stopping()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._stopParts()
        await DeferredList([factory.drain(self._reactor, self._drainSeconds) for factory in self.factories])
        self._closeParts()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        for observer in self.observers:
            observer.stopped()

    def _stopParts(self) -> Deferred[None]:
        """Stop listening and all parts.  One that takes longer than connections may is not waited for."""
        stopped: Deferred[None] = Deferred()
        late = Timer(self._reactor)
        late.start(self._drainSeconds + DRAIN_GRACE, self._abandonParts, stopped)
        maybeDeferred(super().stopService).addBoth(self._partsStopped, stopped)
        return stopped.addCallback(lambda _: late.cancel())

    def _partsStopped(self, result: object, stopped: Deferred[None]) -> None:
        if not stopped.called:
            stopped.callback(None)

    def _abandonParts(self, stopped: Deferred[None]) -> None:
        self.log.warn("a part of the server did not stop in time; it is not waited for")
        stopped.callback(None)

    def _handle(self, number: signal.Signals, handler: Handler) -> None:
        before = signal.signal(number, handler)
        self._handlers.setdefault(number, before)

    def _portServices(self) -> list[PortService | PortsService]:
        return [service for service in self if isinstance(service, PortService | PortsService)]


def _whyClosed(port: PortService) -> str:
    family = f" on {port.name}" if port.name in ("IPv4", "IPv6") else ""
    return str(port.problem or f"{port.label}: is not open{family}")
