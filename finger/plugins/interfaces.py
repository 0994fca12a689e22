"""The interfaces of adapter plugins: what an adapter declares, and what it builds with."""

# zope.interface methods are declared without self.
# pylint: disable=no-self-argument

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import DatagramProtocol
from twisted.plugin import IPlugin
from twisted.web.resource import IResource, Resource
from zope.interface import Attribute, Interface

from finger.access.authority import Authority
from finger.config.model import CommonConfig
from finger.config.options import Option
from finger.interfaces import IFingerService
from finger.log.querylog import QueryLog
from finger.ops.server import FingerServer

if TYPE_CHECKING:
    from finger.ops.metrics import Metrics


class IFingerAdapter(IPlugin):
    """
    A plugin (L{twisted.plugin}) that serves one more protocol.

    @see: C{docs/adapters.md}
    """

    name: str = Attribute("The adapter's name, for messages.")
    options: Sequence[Option] = Attribute(
        "The L{options <finger.config.options.Option>} it adds.  Its ports have the kind L{finger.config.types.Port}."
    )
    queries: Sequence[str] = Attribute("The names under which its queries are logged and counted.")

    def build(context: IAdapterContext) -> None:
        """
        Add the adapter's ports and resources to a server; add nothing if its options do not enable it.

        @param context: what the adapter may use, and where it adds its parts.
        @raise finger.errors.ConfigError: if an option's value is not valid.  The message is one line that begins
            with the option, as in C{--jsonport=x: ...}.
        """


class IAdapterContext(Interface):
    """The context that an adapter is built in: the service, the settings, and the server to add to."""

    service: IFingerService = Attribute("The service to query.  It enforces the policy, and also provides profiles.")
    reactor: Any = Attribute("The reactor, for its clock, threads and connections.")
    config: CommonConfig = Attribute("The common settings, which every server has.")
    options: Mapping[str, Any] = Attribute("The values of the adapter's own options, by name.")
    queries: QueryLog = Attribute("The log in which queries are recorded and counted.")
    authority: Authority | None = Attribute("Sets users' statuses; L{None} if no back end can be set.")
    server: FingerServer = Attribute("The server.")

    def ports(option: str) -> list[str]:
        """
        Return the ports of an option, without duplicates; the list is empty if the value is C{none}.

        @param option: the option's name.
        """

    def listen(option: str, factory: IProtocolFactory, refusal: bytes = b"") -> None:
        """
        Listen at the ports of an option.  Their connections are limited, logged, counted and drained like all
        others; a protocol that provides L{finger.interfaces.IDrainable} decides itself when to close.  Ports answer
        in one turn of the reactor if the factory provides L{finger.interfaces.IImmediateFactory}.

        @param option: the name of an option whose kind is L{finger.config.types.Port}.
        @param factory: the factory of the protocols.
        @param refusal: the bytes sent to a peer that is refused; if empty, the connection is just closed.
        """

    def listenDatagram(option: str, makeProtocol: Callable[[], DatagramProtocol]) -> None:
        """
        Listen for datagrams at the ports of an option.  An address may send as many datagrams a second as it may open
        connections.

        @param option: the name of an option whose kind is L{finger.config.types.DatagramPort}.
        @param makeProtocol: makes the protocol of each port.
        """

    def connect(service: IService) -> None:
        """
        Add an outgoing connection, which is started and stopped with the server.  Call this once for each connection.

        @param service: the connection's service, such as a L{twisted.application.internet.ClientService}.
        """

    def addWebChild(path: bytes, resource: IResource) -> None:
        """
        Serve a resource at C{/path} of the web adapter's ports.

        @raise finger.errors.ConfigError: if another adapter already serves that path.
        """

    def mountWebChildren(root: Resource) -> None:
        """
        Serve the resources that adapters add with L{addWebChild}, before or after this call, as children of a root.

        @param root: the resource at C{/} of the ports that this adapter listens at.
        """

    def add(part: object, name: str = "") -> None:
        """
        Add a part to the server.  An L{IService} is started and stopped with the server, an L{IReloadable} is
        reloaded with it.

        @param name: the name under which its reloads are reported.
        """

    def requireAuthority(label: str) -> Authority:
        """
        Return C{authority}.

        @param label: the setting that requires it, such as C{--setport=1080}.
        @raise finger.errors.ConfigError: if no back end can be set.
        """

    def addGauge(name: str, documentation: str, value: Callable[[], float]) -> None:
        """
        Add a gauge to the metrics, if metrics are enabled.

        @param name: the gauge's name, in Prometheus' style.
        @param documentation: its description, in one line.
        @param value: returns its current value.
        """

    def useMetrics(metrics: Metrics) -> None:
        """Record the server's queries, connections and reloads in these metrics."""
