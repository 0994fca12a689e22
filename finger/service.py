"""The one place where back ends meet adapters."""

from __future__ import annotations

import email.policy  # noqa: F401  (imported by others at the first request, when it may not be readable any more)
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Any, cast

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.spread.pb import PBServerFactory
from twisted.web.resource import IResource
from twisted.web.server import Site

import finger.adapters.irc
import finger.adapters.pb
import finger.adapters.profile
import finger.adapters.setter
import finger.adapters.tcp
import finger.adapters.xmlrpc  # noqa: F401  (importing an adapter registers it)
from finger.adapters.web import FingerResource
from finger.backends.chain import ChainFingerService
from finger.backends.proxy import ProxyFingerService
from finger.client import FingerClient
from finger.config import Config
from finger.discovery import Backends, findBackends
from finger.errors import ConfigError
from finger.forward import Forwarder
from finger.interfaces import (
    IFingerFactory,
    IFingerService,
    IFingerSetterFactory,
    IFingerSetterService,
    IIRCClientFactory,
    IPerspectiveFinger,
    IReloadable,
    IXMLRPCResource,
)
from finger.ircservice import ircService
from finger.limits import LimitedFactory
from finger.listen import DualPortService, PortService, openPorts, portService
from finger.policy import PolicyFingerService
from finger.templating import Templates
from finger.tls import ReloadingCertificate, developmentCertificate, readCertificate
from finger.wire import encode

TOO_MANY = encode("Too many connections, try again later")


class FingerServer(MultiService):
    """
    A whole server: back ends, and an adapter at each port.

    @ivar reloadables: what is read again at SIGHUP.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reloadables: list[IReloadable] = []

    log = Logger()

    def startService(self) -> None:
        """Start all parts."""
        super().startService()
        self.log.info("finger is ready")

    def open(self) -> None:
        """
        Open all ports, before the service is started.

        @raise ConfigError: if one cannot be had.
        """
        for service in self:
            if isinstance(service, PortService | DualPortService):
                service.open()

    def openPorts(self) -> dict[str, list[Any]]:
        """The addresses that are listened on now, by adapter."""
        return {
            str(service.name): [port.getHost() for port in openPorts(service)]
            for service in self
            if isinstance(service, PortService | DualPortService)
        }

    def reload(self) -> Deferred[Any]:
        """Read again all that was read from files.  What is bad now stays as it was."""
        return DeferredList([reloadable.reload() for reloadable in self.reloadables])


class _Hangup(Service):
    """
    Calls C{reload} at SIGHUP.

    @param reactor: where to call it.
    """

    def __init__(self, reactor: Any, reload: Callable[[], object]) -> None:
        self._reactor = reactor
        self._reload = reload

    def startService(self) -> None:
        super().startService()
        self._before = signal.signal(signal.SIGHUP, lambda number, frame: self._reactor.callFromThread(self._reload))

    def stopService(self) -> None:
        super().stopService()
        signal.signal(signal.SIGHUP, self._before)


def makeService(config: Config, reactor: Any) -> FingerServer:
    """
    Make the server that a configuration describes.

    @param reactor: what it is to run on.
    @raise ConfigError: if the configuration cannot be.
    """
    server = FingerServer()
    backends = findBackends()
    services = [_makeBackend(specification, config, backends, reactor) for specification in config.backends]
    for service in services:
        _adopt(server, service)
    chain = services[0] if len(services) == 1 else ChainFingerService(services)
    policy = PolicyFingerService(
        chain,
        reactor,
        forwarder=Forwarder(FingerClient(reactor), config.forward, config.maxHops),
        listing=config.listing,
        atoms=config.disclose,
    )
    _addFinger(server, policy, config, reactor)
    _addWeb(server, policy, config, reactor)
    _addPB(server, policy, config, reactor)
    _addSetter(server, services, config, reactor)
    _addIRC(server, policy, config, reactor)
    _Hangup(reactor, server.reload).setServiceParent(server)
    return server


def _makeBackend(specification: str, config: Config, backends: Backends, reactor: Any) -> IFingerService:
    if specification == "file":
        specification = f"file:{config.usersFile}"
    service = backends.make(specification, reactor)
    if isinstance(service, ProxyFingerService):
        _refuseSelf(service, specification, config)
    return service


def _refuseSelf(proxy: ProxyFingerService, specification: str, config: Config) -> None:
    """A server that asks itself would ask for ever."""
    here = {"localhost", "127.0.0.1", "::1", gethostname()}
    if proxy.host.lower() in here and str(proxy.port) in config.fingerPorts:
        raise ConfigError(
            f"--backend={specification}: would ask this server itself, at port {proxy.port}; "
            "name another host, as in --backend=proxy:finger.example.org, or another --fingerport"
        )


def _adopt(server: FingerServer, part: object) -> None:
    """Start, stop and reload a part with the server, as far as it can be."""
    service = IService(part, None)
    if service is not None:
        service.setServiceParent(server)
    reloadable = IReloadable(part, None)
    if reloadable is not None:
        server.reloadables.append(reloadable)


def _addPorts(
    server: FingerServer,
    option: str,
    values: tuple[str, ...],
    factory: IProtocolFactory,
    config: Config,
    reactor: Any,
    *,
    loopback: bool = False,
    refusal: bytes = b"",
) -> None:
    limited = LimitedFactory(factory, option, config.maxConnections, config.maxConnectionsPerAddress, refusal)
    for value in values:
        service = portService(option, value, reactor, limited, loopback)
        if service is not None:
            service.setName(f"--{option}={value}")
            service.setServiceParent(server)


def _addFinger(server: FingerServer, policy: PolicyFingerService, config: Config, reactor: Any) -> None:
    factory = IFingerFactory(policy)
    factory.clock = reactor
    factory.utf8 = config.utf8
    factory.matchNames = config.matchNames
    _addPorts(server, "fingerport", config.fingerPorts, factory, config, reactor, refusal=TOO_MANY)


def _addWeb(server: FingerServer, policy: PolicyFingerService, config: Config, reactor: Any) -> None:
    root = cast(FingerResource, IResource(policy))
    root.clock = reactor
    root.templates = Templates(Path(config.templates) if config.templates else None)
    server.reloadables.append(root.templates)
    root.putChild(b"RPC2", IXMLRPCResource(policy))
    site = Site(root, reactor=reactor, parsePOSTFormSubmission=False)
    _addPorts(server, "webport", config.webPorts, site, config, reactor)
    if config.ssl:
        certificate = _certificate(config)
        server.reloadables.append(certificate)
        secure = TLSMemoryBIOFactory(certificate, False, site, clock=reactor)
        _addPorts(server, "httpsport", config.httpsPorts, secure, config, reactor)


def _certificate(config: Config) -> ReloadingCertificate:
    if config.certificate:
        return ReloadingCertificate(
            partial(readCertificate, config.certificate, config.privateKey), f"--certificate={config.certificate}"
        )
    if config.privateKey:
        raise ConfigError("--privatekey: needs the --certificate it is the key of")
    made = developmentCertificate()
    FingerServer.log.warn("--ssl without --certificate: made a development certificate, which no browser will trust")
    return ReloadingCertificate(lambda: made, "development certificate")


def _addPB(server: FingerServer, policy: PolicyFingerService, config: Config, reactor: Any) -> None:
    factory = PBServerFactory(IPerspectiveFinger(policy))
    _addPorts(server, "pbport", config.pbPorts, factory, config, reactor, loopback=True)


def _addSetter(server: FingerServer, services: list[IFingerService], config: Config, reactor: Any) -> None:
    ports = tuple(value for value in config.setterPorts if value != "none")
    if not ports:
        return
    settable = [service for service in services if IFingerSetterService.providedBy(service)]
    if not settable:
        raise ConfigError(
            f"--setport={ports[0]}: none of the back ends ({', '.join(config.backends)}) can be set; "
            "add one that can, as in --backend=memory"
        )
    factory = IFingerSetterFactory(settable[0])
    factory.clock = reactor
    _addPorts(server, "setport", ports, factory, config, reactor, loopback=True)


def _addIRC(server: FingerServer, policy: PolicyFingerService, config: Config, reactor: Any) -> None:
    if not config.ircNick:
        return
    factory = IIRCClientFactory(policy)
    factory.clock = reactor
    factory.nickname = config.ircNick
    factory.channels = config.ircChannels
    ircService(reactor, factory, config.ircServer).setServiceParent(server)
