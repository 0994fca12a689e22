"""The context that adapters are built in, and the parts that they add to a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.internet.interfaces import IProtocolFactory
from twisted.web.resource import IResource, Resource
from zope.interface import implementer

from finger.access.authority import Authority
from finger.config.model import CommonConfig, Config
from finger.config.options import Option
from finger.config.types import DatagramPort, Port
from finger.errors import ConfigError
from finger.interfaces import IFingerService
from finger.log.querylog import QueryLog
from finger.net.datagrams import MakeProtocol
from finger.ops.server import FingerServer
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter

if TYPE_CHECKING:
    from finger.ops.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Gauge:
    """A gauge that an adapter adds to the metrics; see L{IAdapterContext.addGauge}."""

    name: str
    documentation: str
    value: Callable[[], float]


@dataclass(frozen=True, slots=True)
class StreamPorts:
    """The stream ports to open for an option; see L{IAdapterContext.listen}."""

    option: Option
    ports: list[str]
    factory: IProtocolFactory
    refusal: bytes


@dataclass(frozen=True, slots=True)
class DatagramPorts:
    """The datagram ports to open for an option; see L{IAdapterContext.listenDatagram}."""

    option: Option
    ports: list[str]
    makeProtocol: MakeProtocol


@dataclass
class Additions:
    """
    The parts that adapters add to a server.

    @ivar parts: what is started, stopped and reloaded with the server, and the names for reports.
    @ivar connections: the outgoing connections.
    @ivar streams: the stream ports.
    @ivar datagrams: the datagram ports.
    @ivar webChildren: the web resources, by path.
    @ivar gauges: the gauges.
    @ivar metrics: the server's metrics; L{None} if they are disabled.
    @ivar queries: the names of the queries that the ports can receive.
    @ivar webQueries: the names of the queries to the web resources.
    @ivar isWebOpen: whether a port serves the web resources.
    """

    parts: list[tuple[object, str]] = field(default_factory=list)
    connections: list[IService] = field(default_factory=list)
    streams: list[StreamPorts] = field(default_factory=list)
    datagrams: list[DatagramPorts] = field(default_factory=list)
    webChildren: dict[bytes, IResource] = field(default_factory=dict)
    gauges: list[Gauge] = field(default_factory=list)
    metrics: Metrics | None = None
    queries: list[str] = field(default_factory=list)
    webQueries: list[str] = field(default_factory=list)
    isWebOpen: bool = False

    def add(self, more: Additions) -> None:
        """Add what another adapter adds."""
        self.parts += more.parts
        self.connections += more.connections
        self.streams += more.streams
        self.datagrams += more.datagrams
        self.webChildren |= more.webChildren
        self.gauges += more.gauges
        self.metrics = self.metrics or more.metrics
        self.queries += more.queries
        self.webQueries += more.webQueries
        self.isWebOpen |= more.isWebOpen


@implementer(IAdapterContext)
class AdapterContext:
    """
    The context of one adapter.  What the adapter adds is collected, so that an adapter that fails adds nothing.

    @param adapter: the adapter.
    @param others: what other adapters have added.
    @param config: the settings.
    @param server: the server.
    @param service: the service to query.
    @param reactor: see L{IAdapterContext}.
    @param queries: see L{IAdapterContext}.
    @param authority: see L{IAdapterContext}.
    @ivar additions: what the adapter adds.
    """

    def __init__(
        self,
        adapter: IFingerAdapter,
        others: Additions,
        config: Config,
        server: FingerServer,
        service: IFingerService,
        reactor: Any,
        queries: QueryLog,
        authority: Authority | None,
    ) -> None:
        self._adapter = adapter
        self._others = others
        self.additions = Additions()
        self._rows = {option.name: option for option in adapter.options}
        self.config: CommonConfig = config
        self.options: Mapping[str, Any] = {name: option.valueIn(config) for name, option in self._rows.items()}
        self.server = server
        self.service = service
        self.reactor = reactor
        self.queries = queries
        self.authority = authority
        self._servesWeb = False

    def ports(self, option: str) -> list[str]:
        """See L{IAdapterContext.ports}."""
        return givenPorts(self.options[option])

    def listen(self, option: str, factory: IProtocolFactory, refusal: bytes = b"") -> None:
        """See L{IAdapterContext.listen}."""
        row = self._portOption(option, Port)
        if self.ports(option):
            _require(IProtocolFactory.providedBy(factory), f"--{option}: {factory!r} is not a protocol factory")
            self.additions.streams.append(StreamPorts(row, self.ports(option), factory, refusal))
            self.additions.isWebOpen |= self._servesWeb
            self._expectQueries()

    def listenDatagram(self, option: str, makeProtocol: MakeProtocol) -> None:
        """See L{IAdapterContext.listenDatagram}."""
        row = self._portOption(option, DatagramPort)
        if self.ports(option):
            _require(callable(makeProtocol), f"--{option}: {makeProtocol!r} makes no protocols")
            self.additions.datagrams.append(DatagramPorts(row, self.ports(option), makeProtocol))
            self._expectQueries()

    def _portOption(self, option: str, kind: type[Port]) -> Option:
        row = self._rows[option]
        _require(type(row.kind) is kind, f"--{option}: its kind is not {kind.__name__}")
        streams, datagrams = self.additions.streams, self.additions.datagrams
        used = [*(ports.option for ports in streams), *(ports.option for ports in datagrams)]
        _require(row not in used, f"--{option}: the adapter listens there twice")
        return row

    def connect(self, service: IService) -> None:
        """See L{IAdapterContext.connect}."""
        _require(IService.providedBy(service), f"{service!r} is not a service")
        self.additions.connections.append(service)
        self._expectQueries()

    def addWebChild(self, path: bytes, resource: IResource) -> None:
        """See L{IAdapterContext.addWebChild}."""
        _require(isinstance(path, bytes) and path and b"/" not in path, f"{path!r} is not one segment of a path")
        _require(IResource.providedBy(resource), f"{resource!r} is not a web resource")
        if path in self._others.webChildren or path in self.additions.webChildren:
            raise ConfigError(
                f"{self._adapter.name}: another adapter already serves /{path.decode('ascii', 'replace')}"
            )
        self.additions.webChildren[path] = resource
        self.additions.webQueries += self._adapter.queries

    def mountWebChildren(self, root: Resource) -> None:
        """See L{IAdapterContext.mountWebChildren}."""
        root.children = self._others.webChildren
        self._servesWeb = True

    def add(self, part: object, name: str = "") -> None:
        """See L{IAdapterContext.add}."""
        self.additions.parts.append((part, name))

    def requireAuthority(self, label: str) -> Authority:
        """See L{IAdapterContext.requireAuthority}."""
        if self.authority is None:
            raise nothingToSet(label, self.config)
        return self.authority

    def addGauge(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        """See L{IAdapterContext.addGauge}."""
        there = [gauge.name for gauge in (*self._others.gauges, *self.additions.gauges)]
        _require(name not in there, f"there is already a gauge {name!r}")
        self.additions.gauges.append(Gauge(name, documentation, value))

    def useMetrics(self, metrics: Metrics) -> None:
        """See L{IAdapterContext.useMetrics}."""
        self.additions.metrics = metrics

    def _expectQueries(self) -> None:
        self.additions.queries += self._adapter.queries


def _require(isGood: object, problem: str) -> None:
    """
    Check what an adapter adds.

    @raise ValueError: if it is not good; the server reports that as the adapter's failure.
    """
    if not isGood:
        raise ValueError(problem)


def givenPorts(values: tuple[str, ...]) -> list[str]:
    """Return the ports in an option's value, without duplicates and C{none}."""
    return [value for value in dict.fromkeys(values) if value != "none"]


def nothingToSet(label: str, config: CommonConfig) -> ConfigError:
    """Return the error for an option, C{label}, that requires a back end that can be set when there is none."""
    return ConfigError(
        f"{label}: none of the back ends ({', '.join(config.backends)}) can be set; "
        "add one that can, as in --backend=memory"
    )
