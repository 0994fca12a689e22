"""The one place where back ends meet adapters."""

from __future__ import annotations

# Imported by others at the first request or look-up, when it may not be readable any more.
import encodings.idna  # noqa: F401
import os
import time
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import IResource

import finger.adapters.finger
import finger.adapters.irc.bot
import finger.adapters.profile  # noqa: F401  (importing an adapter registers it)
from finger.access.authority import Authority
from finger.access.policy import PolicyFingerService
from finger.adapters.irc.service import ircService
from finger.adapters.pb import PerspectiveFinger
from finger.adapters.setter import FingerSetterFactory
from finger.adapters.web.resource import FingerResource
from finger.adapters.web.templating import Templates
from finger.adapters.xmlrpc import FingerXMLRPC
from finger.backends.chain import ChainFingerService
from finger.backends.proxy import ProxyFingerService
from finger.client.client import FingerClient
from finger.client.forward import Forwarder
from finger.config.model import Config
from finger.errors import ConfigError
from finger.interfaces import (
    ICountsUsers,
    IFingerFactory,
    IFingerService,
    IFingerSetterFactory,
    IFingerSetterService,
    IIRCClientFactory,
    IPerspectiveFinger,
    IXMLRPCResource,
)
from finger.log.querylog import QueryLog
from finger.net.http import BoundedSite
from finger.net.inherited import InheritedSockets
from finger.net.limits import LimitedFactory, fitDescriptors
from finger.net.pb import BoundedPBServerFactory
from finger.net.ports import portService
from finger.net.proxyprotocol import PREFIX, parseTrusted
from finger.net.systemd import notify, notifyAddress, startEnvironment, watchdogSeconds
from finger.net.tls import ReloadingCertificate, developmentCertificate, readCertificate
from finger.ops.health import NOT_INSTALLED, StatusResource
from finger.ops.notify import Notifier
from finger.ops.server import FingerServer
from finger.plugins.discovery import findBackends
from finger.protocol.wire import encode
from finger.timing import Buckets

if TYPE_CHECKING:
    from finger.ops.metrics import Metrics

TOO_MANY = encode("Too many connections, try again later")


def makeService(config: Config, reactor: Any) -> FingerServer:
    """
    Make the server that a configuration describes.

    @param reactor: what it is to run on.
    @raise ConfigError: if the configuration cannot be.
    """
    try:
        return _Composition(config, reactor).compose()
    except MemoryError as error:
        if "write+execute" not in str(error):
            raise
        raise ConfigError(
            "TLS, for --ssl or --ircserver, takes memory that can be both written and executed, and this process may "
            "have none: say MemoryDenyWriteExecute=no in its systemd unit"
        ) from error


def openService(config: Config, reactor: Any) -> FingerServer:
    """
    Make the server that a configuration describes, and open its ports at once: twistd opens those of a C{.tac} file
    when nobody looks any more, and tells of one that cannot be had by a traceback.

    @param reactor: what it is to run on.  Its time is monotonic from now on: deadlines are about time that passes,
        not about what a clock on the wall is set to.
    @raise ConfigError: if the configuration cannot be, or a port cannot be had.
    """
    reactor.seconds = time.monotonic
    server = makeService(config, reactor)
    server.open()
    return server


class _Composition:
    """A server in the making."""

    log = Logger()

    def __init__(self, config: Config, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._server = FingerServer(reactor, config.drainSeconds)
        self._environment = startEnvironment(os.environ)
        self._inherited = InheritedSockets(self._environment, os.getpid())
        self._trusted = parseTrusted(config.trustedProxies)
        self._queries = QueryLog(reactor)
        self._metrics = self._makeMetrics() if _given(config.statusPorts) else None
        self._services = self._makeBackends()
        self._policy = self._server.service = self._makePolicy()
        self._authority = self._makeAuthority()

    def compose(self) -> FingerServer:
        """Add every adapter that is asked for."""
        self._addFinger()
        self._addWeb()
        self._addPB()
        self._addSetter()
        self._addIRC()
        self._addStatus()
        self._addSystemd()
        return self._server

    def _makeMetrics(self) -> Metrics | None:
        """Numbers, if what they are written with is there."""
        try:
            from finger.ops.metrics import Metrics
        except ImportError as error:
            self.log.warn("--statusport: {words} ({error})", words=NOT_INSTALLED, error=str(error))
            return None
        metrics = Metrics()
        self._queries.listeners.append(metrics.queried)
        self._server.reloadListeners.append(metrics.reloaded)
        return metrics

    def _makeBackends(self) -> list[IFingerService]:
        backends = findBackends()
        services = []
        for specification in self._config.backends:
            if specification in ("file", "file:"):
                specification = f"file:{self._config.usersFile}"
            service = backends.make(specification, self._reactor)
            if isinstance(service, ProxyFingerService):
                self._refuseSelf(service, specification)
            self._server.adopt(service, specification.partition(":")[0])
            services.append(service)
        return services

    def _refuseSelf(self, proxy: ProxyFingerService, specification: str) -> None:
        """A server that asks itself would ask for ever."""
        here = {"localhost", "127.0.0.1", "::1", gethostname()}
        if proxy.host.lower() in here and str(proxy.port) in self._config.fingerPorts:
            raise ConfigError(
                f"--backend={specification}: would ask this server itself, at port {proxy.port}; "
                "name another host, as in --backend=proxy:finger.example.org, or another --fingerport"
            )

    def _makePolicy(self) -> PolicyFingerService:
        service = self._services[0] if len(self._services) == 1 else ChainFingerService(self._services)
        self._server.counted = ICountsUsers(service, None)
        return PolicyFingerService(
            service,
            self._reactor,
            forwarder=Forwarder(FingerClient(self._reactor), self._config.forward, self._config.maxHops),
            listing=self._config.listing,
            atoms=self._config.disclose,
            timeout=self._config.answerSeconds,
        )

    def _makeAuthority(self) -> Authority | None:
        """Who may set what, at the first back end that can be set."""
        settable = [service for service in self._services if IFingerSetterService.providedBy(service)]
        asking = [f"--setport={value}" for value in _given(self._config.setterPorts)]
        if self._config.checkers:
            asking.append("--auth")
        if asking and not settable:
            raise ConfigError(
                f"{asking[0]}: none of the back ends ({', '.join(self._config.backends)}) can be set; "
                "add one that can, as in --backend=memory"
            )
        if not settable:
            return None
        return Authority(
            cast(IFingerSetterService, settable[0]),
            self._reactor,
            self._config.checkers,
            self._config.administrators,
        )

    def _addPorts(
        self,
        option: str,
        values: tuple[str, ...],
        factory: IProtocolFactory,
        *,
        loopback: bool = False,
        onlyLoopback: bool = False,
        refusal: bytes = b"",
    ) -> None:
        if not _given(values):
            return
        limited = self._limit(option, factory, refusal)
        limited.needsProtocol = any(value.startswith(PREFIX) for value in values)
        for value in _given(values):
            service = portService(
                option,
                value,
                self._reactor,
                limited,
                loopback=loopback,
                onlyLoopback=onlyLoopback,
                trusted=self._trusted,
                queries=limited.queries,
                inherited=self._inherited,
            )
            service.setName(f"--{option}={value}")
            service.setServiceParent(self._server)

    def _limit(self, option: str, factory: IProtocolFactory, refusal: bytes) -> LimitedFactory:
        config = self._config
        most = fitDescriptors(config.maxConnections, self._countAdapters())
        if most < config.maxConnections:
            self.log.warn(
                "{option}: takes {most} connections at once, not {wanted}: this process may have no more descriptors",
                option=option,
                most=most,
                wanted=config.maxConnections,
            )
        buckets = None
        if config.connectionsPerSecond:
            buckets = Buckets(self._reactor, config.connectionBurst, 1 / config.connectionsPerSecond)
        limited = LimitedFactory(factory, option, most, config.maxConnectionsPerAddress, refusal, buckets)
        limited.queries = QueryLog(self._reactor, burst=1, perSecond=1)  # One line says as much as a flood of them.
        self._server.factories.append(limited)
        if self._metrics is not None:
            self._metrics.expectConnections(limited)
            for adapter in ADAPTERS.get(option, ()):
                self._metrics.expectQueries(adapter)
        return limited

    def _countAdapters(self) -> int:
        """How many adapters share this process's descriptors."""
        config = self._config
        https = config.httpsPorts if config.ssl else ()
        ports = (config.fingerPorts, config.webPorts, https, config.pbPorts, config.setterPorts, config.statusPorts)
        return sum(1 for values in ports if _given(values))

    def _addFinger(self) -> None:
        factory = IFingerFactory(self._policy)
        factory.clock = self._reactor
        factory.queries = self._queries
        factory.utf8 = self._config.utf8
        factory.matchNames = self._config.matchNames
        factory.queryTimeout = self._config.querySeconds
        factory.answerTimeout = self._config.answerSeconds + SLACK
        factory.closeTimeout = self._config.answerSeconds
        self._addPorts("fingerport", self._config.fingerPorts, factory, refusal=TOO_MANY)

    def _addWeb(self) -> None:
        root = cast(FingerResource, IResource(self._policy))
        root.clock = self._reactor
        root.queries = self._queries
        root.authority = self._authority if self._config.checkers else None
        root.templates = Templates(Path(self._config.templates) if self._config.templates else None)
        self._server.adopt(root.templates, "templates")
        calls = cast(FingerXMLRPC, IXMLRPCResource(self._policy))
        calls.queries = self._queries
        root.putChild(b"RPC2", calls)
        site = self._makeSite(root)
        self._addPorts("webport", self._config.webPorts, site)
        if self._config.ssl:
            certificate = self._makeCertificate()
            self._server.adopt(certificate, "certificate")
            if self._metrics is not None:
                self._metrics.expectExpiry(lambda: certificate.expires)
            secure = TLSMemoryBIOFactory(certificate, False, site, clock=self._reactor)
            self._addPorts("httpsport", self._config.httpsPorts, secure)

    def _makeSite(self, root: IResource) -> BoundedSite:
        site = BoundedSite(root, self._reactor)
        site.headersTimeout = self._config.querySeconds
        site.requestTimeout = self._config.answerSeconds
        site.answerTimeout = self._config.answerSeconds + SLACK
        return site

    def _makeCertificate(self) -> ReloadingCertificate:
        certificate, key = self._config.certificate, self._config.privateKey
        if certificate:
            return ReloadingCertificate(partial(readCertificate, certificate, key), f"--certificate={certificate}")
        if key:
            raise ConfigError("--privatekey: needs the --certificate it is the key of")
        made = developmentCertificate()
        self.log.warn("--ssl without --certificate: made a development certificate, which no browser will trust")
        return ReloadingCertificate(lambda: made, "development certificate")

    def _addPB(self) -> None:
        root = cast(PerspectiveFinger, IPerspectiveFinger(self._policy))
        root.queries = self._queries
        root.authority = self._authority
        factory = BoundedPBServerFactory(root, self._reactor)
        factory.messageTimeout = self._config.querySeconds
        factory.closeTimeout = self._config.answerSeconds
        self._addPorts("pbport", self._config.pbPorts, factory, loopback=True)

    def _addSetter(self) -> None:
        if self._authority is None:
            return
        factory = cast(FingerSetterFactory, IFingerSetterFactory(self._authority.service))
        factory.clock = self._reactor
        factory.queries = self._queries
        factory.authority = self._authority
        factory.timeout = self._config.answerSeconds
        self._addPorts("setport", self._config.setterPorts, factory, loopback=True, onlyLoopback=True)

    def _addIRC(self) -> None:
        if not self._config.ircNick:
            return
        factory = IIRCClientFactory(self._policy)
        factory.clock = self._reactor
        factory.queries = self._queries
        factory.nickname = self._config.ircNick
        factory.channels = self._config.ircChannels
        ircService(self._reactor, factory, self._config.ircServer).setServiceParent(self._server)
        if self._metrics is not None:
            self._metrics.expectQueries("irc")

    def _addStatus(self) -> None:
        """After all the others: of what they are made, it has the numbers."""
        if not _given(self._config.statusPorts):
            return
        metrics, server = self._metrics, self._server
        if metrics is not None:
            metrics.expectReloads(server.reloadables)
            if server.counted is not None:
                metrics.expectUsers(server.counted)
        status = StatusResource(server.problems, metrics.render if metrics is not None else None)
        self._addPorts("statusport", self._config.statusPorts, self._makeSite(status), loopback=True)

    def _addSystemd(self) -> None:
        self._server.adopt(self._inherited)
        address = notifyAddress(self._environment)
        if address is not None:
            watchdog = watchdogSeconds(self._environment, os.getpid())
            notifier = Notifier(self._server, partial(notify, address), self._reactor, watchdog)
            self._server.observers.append(notifier)


def _given(values: tuple[str, ...]) -> list[str]:
    """The ports that are ports, each once."""
    return [value for value in dict.fromkeys(values) if value != "none"]


ADAPTERS = {
    "fingerport": ("finger",),
    "webport": ("web", "xmlrpc"),
    "httpsport": ("web", "xmlrpc"),
    "pbport": ("pb",),
    "setport": ("setter",),
}
"""By which ways queries come to the ports of an option, as the log calls them."""

SLACK = 15.0
"""Seconds between the end of a back end's time and that of the connection: for saying that it has come."""
