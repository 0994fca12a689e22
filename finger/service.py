"""Composition of a server from its configuration: back ends, policy, adapters and ports."""

from __future__ import annotations

# Libraries import these at the first request or lookup, when this process may no longer be able to read them.
import encodings.idna
import encodings.punycode  # noqa: F401
import os
from collections.abc import Sequence
from functools import partial
from socket import gethostname
from typing import Any, cast

import idna.uts46data  # noqa: F401
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from finger.access.aliases import AliasedFingerService, AliasedSetterService, AliasesFile
from finger.access.authority import Authority
from finger.access.policy import PolicyFingerService
from finger.access.texts import Texts
from finger.backends.chain import ChainFingerService, ChainSetterService
from finger.backends.proxy import ProxyFingerService
from finger.client.client import FingerClient
from finger.client.forward import Forwarder
from finger.config.checkers import inThreads
from finger.config.model import Config
from finger.config.options import Option, didYouMean
from finger.config.types import DatagramPort, Port
from finger.errors import ConfigError
from finger.interfaces import IBoundsUsers, ICountsUsers, IFingerService, IFingerSetterService, IReadsFields
from finger.log.querylog import QueryLog
from finger.net.datagrams import LimitedDatagramProtocol
from finger.net.descriptors import fitDescriptors
from finger.net.inherited import InheritedSockets
from finger.net.limits import LimitedFactory
from finger.net.ports import PortService, PortsService, datagramPortService, portService
from finger.net.proxyprotocol import PREFIX, parseTrusted
from finger.net.systemd import notify, notifyAddress, startEnvironment, watchdogSeconds
from finger.ops.notify import Notifier
from finger.ops.server import FingerServer
from finger.ops.turns import TurnWatch
from finger.plugins.context import (
    AdapterContext,
    Additions,
    DatagramPorts,
    StreamPorts,
    nothingToSet,
)
from finger.plugins.discovery import findAdapters, findBackends, oneLineOf
from finger.plugins.interfaces import IFingerAdapter
from finger.timing import Buckets, followMonotonicClock


def makeServer(config: Config, reactor: Any) -> FingerServer:
    """
    Make the server that a configuration describes.

    @param reactor: the server's reactor.  It follows the monotonic clock from now on; see L{followMonotonicClock}.
    @raise ConfigError: if the configuration is not valid.
    """
    followMonotonicClock(reactor)
    try:
        return _Composition(config, reactor).compose()
    except MemoryError as error:
        if "write+execute" not in str(error):
            raise
        raise ConfigError(
            "TLS (--ssl, --ircserver) needs memory that is both writable and executable, which this process is "
            "denied: set MemoryDenyWriteExecute=no in its systemd unit"
        ) from error


def openService(config: Config, reactor: Any) -> FingerServer:
    """
    Make the server that a configuration describes, and open its ports at once.  With a C{.tac} file, twistd would
    open them after it has become a daemon, and report one that cannot be opened with a traceback.

    @param reactor: as for C{makeServer}.
    @raise ConfigError: if the configuration is not valid, or a port cannot be opened.
    """
    server = makeServer(config, reactor)
    server.open()
    return server


class _Composition:
    """The steps that make a server."""

    log = Logger()

    def __init__(self, config: Config, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._adapters = findAdapters()
        self._backends = findBackends()
        self._checkSettings()
        self._server = FingerServer(reactor, config.drainSeconds)
        self._turns = TurnWatch(reactor)
        self._server.adopt(self._turns)
        self._environment = startEnvironment(os.environ)
        self._inherited = InheritedSockets(self._environment, os.getpid())
        self._trusted = parseTrusted(config.trustedProxies)
        self._queries = QueryLog(reactor)
        self._additions = Additions()
        self._services = self._makeBackends()
        self._service = self._joinBackends()
        self._aliases = self._makeAliases()
        self._policy = self._server.service = self._makePolicy()
        self._authority = self._makeAuthority()

    def compose(self) -> FingerServer:
        """Build every adapter, and open the ports and add the metrics that they request."""
        for broken in dict.fromkeys([*self._adapters.broken, *self._backends.broken]):
            self.log.warn("{broken}", broken=str(broken))
        for adapter in self._adapters.found:
            self._build(adapter)
        for part, name in self._additions.parts:
            self._server.adopt(part, name)
        for connection in self._additions.connections:
            connection.setServiceParent(self._server)
        self._addStreams()
        self._addDatagrams()
        self._addMetrics()
        self._addSystemd()
        return self._server

    def _checkSettings(self) -> None:
        """Refuse a field of L{Config} that no adapter has, and values of the wrong type."""
        known = {option.key: option for option in self._adapters.table.settings.values()}
        for name in self._config.adapters.keys() - known.keys():
            hint = didYouMean(name, known)
            why = self._adapters.whyUnknown(name)
            raise ConfigError(f"Config: there is no field {name}{hint}{why and f'; {why}'}")
        for name, option in known.items():
            if name in self._config.adapters:
                option.valueIn(self._config)

    def _build(self, adapter: IFingerAdapter) -> None:
        context = AdapterContext(
            adapter,
            self._additions,
            self._config,
            self._server,
            self._policy,
            self._reactor,
            self._queries,
            self._authority,
        )
        try:
            built: object = adapter.build(context)  # type: ignore[func-returns-value]
            if built is not None:
                raise TypeError("build must not return anything, nor be a coroutine")
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:
            self._refuse(adapter, error)
        else:
            self._additions.add(context.additions)

    def _refuse(self, adapter: IFingerAdapter, error: BaseException) -> None:
        """
        Report that an adapter cannot be built.

        @raise ConfigError: if it is built-in, or one of its options is set; otherwise the server runs without it.
        """
        problem = str(error) if isinstance(error, ConfigError) else oneLineOf(error)
        isForeign = adapter in self._adapters.foreign
        if not isForeign and not isinstance(error, ConfigError):
            raise error
        if not isForeign or any(option.valueIn(self._config) != option.initial for option in adapter.options):
            raise ConfigError(
                problem if isinstance(error, ConfigError) else self._unusable(adapter, problem)
            ) from error
        self.log.warn("{problem}", problem=self._unusable(adapter, problem))

    def _unusable(self, adapter: IFingerAdapter, problem: str) -> str:
        return f"adapter {adapter.name} (module {type(adapter).__module__}) cannot be used: {problem}"

    def _makeBackends(self) -> list[IFingerService]:
        services = []
        for specification in self._config.backends:
            if specification in ("file", "file:"):
                specification = f"file:{self._config.usersFile}"
            service = self._backends.make(specification, self._reactor)
            if isinstance(service, ProxyFingerService):
                self._refuseSelf(service, specification)
            if IBoundsUsers.providedBy(service):
                cast(IBoundsUsers, service).maxUsers = self._config.maxUsers
            if IReadsFields.providedBy(service):
                cast(IReadsFields, service).atoms = self._config.disclose
            self._server.adopt(service, specification.partition(":")[0])
            services.append(service)
        return services

    def _refuseSelf(self, proxy: ProxyFingerService, specification: str) -> None:
        """Refuse a proxy of this server itself, which would query itself without end."""
        here = {"localhost", "127.0.0.1", "::1", gethostname()}
        if proxy.host.lower() in here and str(proxy.port) in self._fingerPorts():
            raise ConfigError(
                f"--backend={specification}: would ask this server itself, at port {proxy.port}; "
                "name another host, as in --backend=proxy:finger.example.org, or another --fingerport"
            )

    def _fingerPorts(self) -> Sequence[str]:
        ports: Sequence[str] = self._adapters.table.settings["fingerport"].valueIn(self._config)
        return ports

    def _joinBackends(self) -> IFingerService:
        isChain = len(self._services) > 1
        service = ChainFingerService(self._services, self._reactor) if isChain else self._services[0]
        self._server.counted = ICountsUsers(service, None)
        return service

    def _makeAliases(self) -> AliasesFile | None:
        if not self._config.aliasesFile:
            return None
        aliases = AliasesFile(self._config.aliasesFile, self._reactor)
        self._server.adopt(aliases, "aliases")
        return aliases

    def _makePolicy(self) -> PolicyFingerService:
        aliases = self._aliases
        return PolicyFingerService(
            self._service if aliases is None else AliasedFingerService(self._service, aliases),
            self._reactor,
            forwarder=Forwarder(FingerClient(self._reactor), self._config.forward, self._config.maxHops),
            listing=self._config.listing,
            atoms=self._config.disclose,
            timeout=self._config.answerSeconds,
            texts=self._makeTexts(),
        )

    def _makeTexts(self) -> Texts | None:
        if not self._config.texts:
            return None
        texts = Texts(self._config.texts, self._reactor)
        self._server.adopt(texts, "texts")
        return texts

    def _makeAuthority(self) -> Authority | None:
        """Make the authority over the first back end that can be set, if there is one."""
        service = self._makeSetter()
        if service is None:
            if self._config.checkers:
                raise nothingToSet("--auth", self._config)
            return None
        aliases = self._aliases
        return Authority(
            service if aliases is None else AliasedSetterService(self._service, service, aliases),
            self._reactor,
            [inThreads(checker, self._reactor) for checker in self._config.checkers],
            self._config.administrators,
        )

    def _makeSetter(self) -> IFingerSetterService | None:
        earlier: list[tuple[str, IFingerService]] = []
        for specification, service in zip(self._config.backends, self._services, strict=True):
            if IFingerSetterService.providedBy(service):
                settable = cast(IFingerSetterService, service)
                return ChainSetterService(earlier, settable) if earlier else settable
            earlier.append((specification.partition(":")[0], service))
        return None

    def _addStreams(self) -> None:
        for ports in self._additions.streams:
            limited = self._limit(ports)
            kind = cast(Port, ports.option.kind)
            for value in ports.ports:
                service = portService(
                    ports.option.name,
                    value,
                    self._reactor,
                    limited,
                    loopback=kind.loopback,
                    onlyLoopback=kind.onlyLoopback,
                    trusted=self._trusted,
                    queries=limited.queries,
                    inherited=self._inherited,
                )
                self._addPort(service, ports.option, value)

    def _addDatagrams(self) -> None:
        for ports in self._additions.datagrams:
            kind = cast(DatagramPort, ports.option.kind)
            makeProtocol = partial(self._limitDatagrams, ports, self._makeBuckets(), self._makeRefusalLog())
            for value in ports.ports:
                name = ports.option.name
                service = datagramPortService(name, value, self._reactor, makeProtocol, kind.loopback)
                self._addPort(service, ports.option, value)

    def _limitDatagrams(self, ports: DatagramPorts, buckets: Buckets | None, queries: QueryLog) -> DatagramProtocol:
        return LimitedDatagramProtocol(ports.makeProtocol(), ports.option.name, buckets, queries)

    def _addPort(self, service: PortService | PortsService, option: Option, value: str) -> None:
        service.setName(f"--{option.name}={value}")
        service.setServiceParent(self._server)

    def _limit(self, ports: StreamPorts) -> LimitedFactory:
        config, option = self._config, ports.option.name
        most = fitDescriptors(config.maxConnections, len(self._additions.streams))
        if most < config.maxConnections:
            self.log.warn(
                "{option}: accepts {most} connections at once, not {wanted}: the limit of open files is too low",
                option=option,
                most=most,
                wanted=config.maxConnections,
            )
        limited = LimitedFactory(
            ports.factory,
            option,
            most,
            config.maxConnectionsPerAddress,
            ports.refusal,
            self._makeBuckets(),
            config.maxConnectionsPerUID,
        )
        limited.queries = self._makeRefusalLog()
        limited.clock = self._reactor
        limited.needsProtocol = any(value.startswith(PREFIX) for value in ports.ports)
        limited.neighbours = self._server.factories
        self._server.factories.append(limited)
        return limited

    def _makeBuckets(self) -> Buckets | None:
        if not self._config.connectionsPerSecond:
            return None
        return Buckets(self._reactor, self._config.connectionBurst, 1 / self._config.connectionsPerSecond)

    def _makeRefusalLog(self) -> QueryLog:
        """Make the log of refused peers.  It has a low limit, since more lines would say no more."""
        return QueryLog(self._reactor, burst=1, perSecond=1)

    def _addMetrics(self) -> None:
        metrics = self._additions.metrics
        if metrics is None:
            return
        self._queries.listeners.append(metrics.queried)
        self._server.reloadListeners.append(metrics.reloaded)
        metrics.expectReloads(self._server.reloadables)
        if self._server.counted is not None:
            metrics.expectUsers(self._server.counted)
        for limited in self._server.factories:
            metrics.expectConnections(limited)
        for name in self._additions.queries + (self._additions.webQueries if self._additions.isWebOpen else []):
            metrics.expectQueries(name)
        metrics.addGauge(
            "finger_reactor_turn_seconds_max",
            "Longest turn of the reactor in the last one to two minutes; it may be up to 0.05 s longer.",
            self._turns.longest.value,
        )
        for gauge in self._additions.gauges:
            try:
                metrics.addGauge(gauge.name, gauge.documentation, gauge.value)
            except ValueError as error:
                self.log.warn("gauge {name} cannot be used: {why}", name=gauge.name, why=oneLineOf(error))

    def _addSystemd(self) -> None:
        self._server.adopt(self._inherited)
        address = notifyAddress(self._environment)
        if address is not None:
            watchdog = watchdogSeconds(self._environment, os.getpid())
            notifier = Notifier(self._server, partial(notify, address), self._reactor, watchdog)
            self._server.observers.append(notifier)
