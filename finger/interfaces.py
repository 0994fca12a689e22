"""
The interfaces, and nothing else.

A back end provides L{IFingerService}; that is all it must do.  One that knows more than a status also provides
L{IFingerProfileService}, one that can be written to L{IFingerSetterService}.  Every adapter is found by
adapting a back end to the adapter's own interface, and knows nothing but the interfaces here.
"""

# zope.interface methods are declared without self.
# pylint: disable=no-self-argument

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.plugin import IPlugin
from twisted.web.resource import IResource
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.protocol import DatagramProtocol
    from twisted.web.resource import Resource

    from finger.access.authority import Authority
    from finger.config.model import CommonConfig
    from finger.config.options import Option
    from finger.log.querylog import QueryLog
    from finger.ops.metrics import Metrics
    from finger.ops.server import FingerServer
    from finger.profile import Profile


class IFingerService(Interface):
    """A back end: who is there, and what each of them has to say."""

    def getUser(user: str) -> Deferred[str]:
        """
        Look a user's status up.

        @param user: the user's name.
        @return: the status text, of any number of lines.  Fails with L{finger.errors.NoSuchUser} if there is
            nobody of that name, with L{finger.errors.BackendUnavailable} (or anything else) if that cannot be
            known now.
        """

    def getUsers() -> Deferred[list[str]]:
        """
        List the users.

        @return: the names, sorted.  Fails with L{finger.errors.ListRefused} if the back end has no list to
            give, with anything else if it is broken.
        """


class IFingerProfileService(Interface):
    """
    A back end that knows more of its users than a status.

    Any L{IFingerService} adapts to this: its profiles have a login and a plan.
    """

    def getProfile(user: str) -> Deferred[Profile]:
        """
        Look up all that is known of a user.

        @param user: the user's name.
        @return: the L{Profile <finger.profile.Profile>}, whose C{status} is what C{getUser} gives.  Fails as
            L{IFingerService.getUser} does.
        """

    def getProfiles() -> Deferred[list[Profile]]:
        """
        List the users with what is cheap to know of each: the full name, but hardly a plan.

        @return: the profiles, sorted by login, in a list that is not to be changed: a back end may give the same one
            as long as nothing has changed.  Fails as L{IFingerService.getUsers} does.
        """


class IFingerSetterService(Interface):
    """A back end whose users can be set."""

    def setUser(user: str, status: str) -> Deferred[None]:
        """
        Set a user's status; a user who is not there yet is added.

        @param user: the user's name.
        @param status: the new status.
        @return: fires once the status will outlive a crash, as far as the back end promises that at all.  Fails
            with L{finger.errors.BadQuery} if the name cannot be one, with
            L{finger.errors.BackendUnavailable} if the status could not be kept: then nothing has changed.
        """


class ICountsUsers(Interface):
    """
    A back end that holds its users in memory, so that how many there are can be told at any time, and costs nothing:
    for the administrator's eyes (metrics, a status line), not for peers.
    """

    def countUsers() -> int:
        """Count the users.  Asks nobody, reads nothing, and never fails."""

    def userNames() -> Set[str]:
        """
        Give their names, so that a chain of back ends can count a user whom several have once.

        @return: the names, in a set that is not to be changed: a back end may give a view of what it holds.
        """


class IFingerForwarder(Interface):
    """Something that asks another finger server on a peer's behalf."""

    def forward(query: str, host: str, verbose: bool) -> Deferred[str]:
        """
        Ask C{host}.

        @param query: what to ask there: C{user}, C{user@otherhost}, or empty for the user list.
        @param host: a name or an address, without brackets.
        @param verbose: pass C{/W} on.
        @return: the whole answer.  Fails with L{finger.errors.ForwardingRefused} if that host may not be asked,
            with L{finger.errors.RemoteUnreachable} if it does not answer.
        """


class IReloadable(Interface):
    """Something that holds what it once read and can read it again, at SIGHUP."""

    def reload() -> Deferred[bool] | Deferred[None]:
        """
        Read again.  What cannot be read is logged, and what was there is kept.

        @return: fires when done, with whether it could be read; L{None} leaves that open, and is taken for yes.
            Never fails.
        """


class ISelfReloading(IReloadable):
    """One that also reads again by itself, as when a file has changed."""

    reloader: Callable[[], Deferred[bool] | Deferred[None]] = Attribute(
        "What it calls then: C{reload}, until somebody who wants to know of it puts something around that."
    )


class IServerObserver(Interface):
    """Something that wants to know how the server as a whole fares (C{finger.ops.server.FingerServer.observers})."""

    def started() -> None:
        """All parts have started, and all ports are open."""

    def reloading() -> None:
        """What was read from files is about to be read again."""

    def reloaded() -> None:
        """It has been."""

    def stopping() -> None:
        """Nobody is to be let in any more; connections come to their end."""

    def stopped() -> None:
        """They have."""


class IDrainable(Interface):
    """A connection that can be brought to a good end."""

    def drain() -> None:
        """Close when what is under way is done; soon, if nothing is."""


class IFingerBackend(IPlugin):
    """
    A plugin (L{twisted.plugin}) that makes back ends by name: C{--backend=NAME:ARGUMENT}.

    @see: C{docs/backends.md}
    """

    name: str = Attribute("The name, as in C{--backend=NAME}.")
    argument: str = Attribute("What may follow the name, for the help, as in C{[:PATH]}; empty if nothing may.")
    summary: str = Attribute("What it is, in one line, for the help.")

    def makeBackend(argument: str, reactor: object) -> IFingerService:
        """
        Make a back end.  A back end that also provides L{twisted.application.service.IService} is started and
        stopped with the server; one that provides L{IReloadable} is reloaded at SIGHUP.

        @param argument: what followed the name and a colon; empty if nothing did.
        @param reactor: for its clock, its threads and its connections.
        @raise finger.errors.ConfigError: if the argument makes no sense or names what cannot be read.
        """


class IFingerAdapter(IPlugin):
    """
    A plugin (L{twisted.plugin}) that makes a service reachable by one more protocol.

    @see: C{docs/adapters.md}
    """

    name: str = Attribute("The adapter's name, for messages.")
    options: Sequence[Option] = Attribute(
        "The L{options <finger.config.options.Option>} it adds.  Its ports have the kind L{finger.config.types.Port}."
    )
    queries: Sequence[str] = Attribute("The names by which its queries are logged and counted.")

    def build(context: IAdapterContext) -> None:
        """
        Add to a server what the adapter serves there; nothing, if its options do not ask for it.

        @param context: what it may use, and what it adds to.
        @raise finger.errors.ConfigError: if an option's value cannot be used; one line that begins with the option,
            as in C{--jsonport=x: ...}.
        """


class IAdapterContext(Interface):
    """What an adapter builds with: the service, the settings, and ways to add to the server."""

    service: IFingerService = Attribute("The service to ask.  It keeps to the policy, and also has profiles.")
    reactor: Any = Attribute("For its clock, its threads and its connections.")
    config: CommonConfig = Attribute("The settings of every server.")
    options: Mapping[str, Any] = Attribute("The values of the adapter's own options, by name.")
    queries: QueryLog = Attribute("Where queries are logged and counted.")
    authority: Authority | None = Attribute("Lets users set their status; L{None} if no back end can be set.")
    server: FingerServer = Attribute("The server as a whole.")

    def ports(option: str) -> list[str]:
        """
        Give the ports of an option, each once; none, if it is C{none}.

        @param option: the option's name.
        """

    def listen(option: str, factory: IProtocolFactory, refusal: bytes = b"") -> None:
        """
        Answer at the ports of an option.  They are limited, logged, counted and drained as all others are; a
        protocol that provides L{IDrainable} decides when it is done.

        @param option: the option's name, whose kind is L{finger.config.types.Port}.
        @param factory: makes the protocols.
        @param refusal: what is sent to a peer who is refused; with nothing, the connection is just closed.
        """

    def listenDatagram(option: str, makeProtocol: Callable[[], DatagramProtocol]) -> None:
        """
        Answer datagrams at the ports of an option.  From one address no more are taken each second than connections.

        @param option: the option's name, whose kind is L{finger.config.types.DatagramPort}.
        @param makeProtocol: makes the protocol of each port.
        """

    def connect(service: IService) -> None:
        """
        Add an outgoing connection, which is started and stopped with the server; as often as there are connections.

        @param service: such as a L{twisted.application.internet.ClientService}.
        """

    def addWebChild(path: bytes, resource: IResource) -> None:
        """
        Serve a resource at C{/path} of the web.

        @raise finger.errors.ConfigError: if another adapter does so already.
        """

    def mountWebChildren(root: Resource) -> None:
        """
        Serve what adapters have added by L{addWebChild}, and will add, below a root of the web.

        @param root: the resource at C{/} of the ports that the adapter listens at.
        """

    def add(part: object, name: str = "") -> None:
        """
        Start, stop and reload something with the server, as far as it can be (L{IReloadable}).

        @param name: what it is called when its reloads are reported.
        """

    def requireAuthority(label: str) -> Authority:
        """
        Give C{authority}.

        @param label: what needs it, such as C{--setport=1080}.
        @raise finger.errors.ConfigError: if no back end can be set.
        """

    def addGauge(name: str, documentation: str, value: Callable[[], float]) -> None:
        """
        Add a number to the metrics, if there are any.

        @param name: its name, in Prometheus' style.
        @param documentation: what it is, in one line.
        @param value: gives it.
        """

    def useMetrics(metrics: Metrics) -> None:
        """Count in these metrics what happens at the server."""


class IFingerFactory(IProtocolFactory):
    """Adapts an L{IFingerService} to a factory of RFC 1288 servers."""

    clock: IReactorTime | None = Attribute("For the limits of time; without one there are none.")
    queries: QueryLog = Attribute("Where queries are logged.")
    queryTimeout: float = Attribute("Seconds for a query to arrive.")
    answerTimeout: float = Attribute("Seconds for it to be answered.")
    closeTimeout: float = Attribute("Seconds for the answer to be taken.")
    utf8: bool = Attribute("Answer in UTF-8, not in ASCII.")
    matchNames: bool = Attribute("Take a name that is no login for a first, last or full name.")


class IFingerSetterFactory(IProtocolFactory):
    """Adapts an L{IFingerSetterService} to a factory of setters: line 1 is the user, the rest the status."""

    queries: QueryLog = Attribute("Where it is logged who sets whom.")
    clock: IReactorTime | None = Attribute("For the limit of time; without one there is none.")


class IIRCClientFactory(IProtocolFactory):
    """
    Adapts an L{IFingerService} to a factory of IRC bots.
    """

    nickname: str = Attribute("The nickname to ask for.")
    queries: QueryLog = Attribute("Where queries are logged.")
    channels: tuple[str, ...] = Attribute("The channels to join.")
    clock: IReactorTime | None = Attribute("For limits and delays; must be set before there is a bot.")
    welcomed: Callable[[], object] = Attribute("Called each time a server has welcomed a bot.")


class IXMLRPCResource(IResource):
    """Adapts an L{IFingerService} to a web resource that answers XML-RPC calls, to be put at C{/RPC2}."""


class IPerspectiveFinger(Interface):
    """Adapts an L{IFingerService} to a Perspective Broker root object."""

    def remote_getUser(user: str) -> Deferred[str]:
        """A user's status.  Fails at the caller with C{finger.adapters.pb.NoSuchUser} if there is none."""

    def remote_getUsers() -> Deferred[list[str]]:
        """The names of all users, sorted."""
