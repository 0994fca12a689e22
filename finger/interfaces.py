"""
The interfaces.

A back end must provide L{IFingerService}.  A back end that has more than statuses also provides
L{IFingerProfileService}; one whose statuses can be set, L{IFingerSetterService}.  Adapting a back end to an
adapter's interface makes that adapter, which depends only on the interfaces in this module.
"""

# zope.interface methods are declared without self.
# pylint: disable=no-self-argument

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Set
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.plugin import IPlugin
from twisted.web.resource import IResource
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from finger.log.querylog import QueryLog
    from finger.profile import Profile
    from finger.protocol.hosts import IPNetwork


class IFingerService(Interface):
    """A back end: the users, and the status of each."""

    def getUser(user: str) -> Deferred[str]:
        """
        Look up a user's status.

        @param user: the user's name.
        @return: the status, which may have several lines.  Fails with L{finger.errors.NoSuchUser} if there is no
            such user, and with L{finger.errors.BackendUnavailable} (or any other error) if the back end cannot
            tell at present.
        """

    def getUsers() -> Deferred[list[str]]:
        """
        List the users.

        @return: the names, sorted.  Fails with L{finger.errors.ListRefused} if the back end offers no list, and
            with any other error if it is broken.
        """


class IFingerProfileService(Interface):
    """
    A back end that has more of its users than a status.

    Any L{IFingerService} adapts to this; its profiles have a login and a plan.
    """

    def getProfile(user: str) -> Deferred[Profile]:
        """
        Look up a user's profile.

        @param user: the user's name.
        @return: the L{Profile <finger.profile.Profile>}, whose C{status} is what C{getUser} returns.  Fails as
            L{IFingerService.getUser} does.
        """

    def getProfiles() -> Deferred[list[Profile]]:
        """
        List the users, each with the fields that are cheap to look up: the full name, but usually not the plan.

        @return: the profiles, sorted by login.  The caller must not change the list: a back end may return the same
            list until its users change.  Fails as L{IFingerService.getUsers} does.
        """


class IImmediateProfileService(Interface):
    """
    A back end that has profiles in memory, so that it can be asked without waiting.

    It provides L{IFingerProfileService}, too, and both give the same profiles.
    """

    def getProfileNow(user: str) -> Profile | None:
        """
        Look up a user's profile without waiting.

        @param user: the user's name.
        @return: the profile; L{None} if this lookup takes longer, so that the caller must use
            L{IFingerProfileService.getProfile}.  Never blocks.
        @raise finger.errors.NoSuchUser: if there is no such user.
        """


class IFingerLongListService(Interface):
    """
    A back end that can list its users with more fields than those that are cheap to look up.

    Any L{IFingerService} adapts to this; the profiles are then those of L{IFingerProfileService.getProfiles}.
    """

    def getLongProfiles() -> Deferred[list[Profile]]:
        """
        List the users with all fields, for the long form of the list (C{/W}).

        @return: the profiles, sorted by login; those at the end may lack plans and projects if all together are too
            long for an answer.  The caller must not change the list.  Fails as L{IFingerService.getUsers} does.
        """


class IFingerSetterService(Interface):
    """A back end whose users' statuses can be set."""

    def setUser(user: str, status: str) -> Deferred[None]:
        """
        Set a user's status, adding the user if necessary.

        @param user: the user's name.
        @param status: the new status.
        @return: fires once the status is stored: durably, if the back end keeps its users in a file.  Fails with
            L{finger.errors.BadQuery} if the name or the status is not valid, with L{finger.errors.SetRefused} for
            another reason that the client may know, and with L{finger.errors.BackendUnavailable} if the status could
            not be stored; then nothing has changed.
        """


class IBoundsUsers(Interface):
    """A back end to which clients can add users, up to a number that the administrator chooses."""

    maxUsers: int = Attribute("The number of users up to which one may be added (C{--max-users}).")


class IReadsFields(Interface):
    """
    A back end that reads only those fields of users that the administrator discloses.  The others of its profiles may
    be L{None}.
    """

    atoms: Collection[str] = Attribute(
        "The disclosed fields (C{--disclose}), as keys of L{finger.profile.FIELD_OF_ATOM}."
    )


class IOpenable(Interface):
    """
    A back end, or another part of a server, that takes something for itself: what only one server may use at a time.
    When the configuration is only checked, it is made but not opened.
    """

    def open() -> None:
        """
        Take it, before the server opens its ports.

        @raise finger.errors.ConfigError: if it cannot be taken, for example because another server uses it.
        """

    def close() -> None:
        """Give it back.  The server has stopped, and all its connections are closed."""


class ICountsUsers(Interface):
    """
    A back end that holds its users in memory and can count them at any time and at no cost.  The number is for the
    administrator (metrics, the status line), not for peers.
    """

    def countUsers() -> int:
        """Return the number of users.  Never blocks and never fails."""

    def userNames() -> Set[str]:
        """
        Return the users' names, so that a chain of back ends counts a user of several of them once.

        @return: the names.  The caller must not change the set: it may be a view of the back end's own data.
        """


class IVersioned(Interface):
    """
    A back end that knows when its answers change, so that adapters can keep what they have made of an answer.

    An answer of such a back end depends only on the version and the call, and a call after a change gets the new
    answer.  A back end whose answers have another source, such as the time or another server, does not provide this.
    Answers about C{user@host} are never kept, because the policy may forward them.
    """

    def version() -> Hashable | None:
        """
        Return the version of the data: a small value that differs from all earlier ones once any answer may have
        changed.  L{None} if answers must not be kept at present, for example because lookups fail for a while.  Never
        blocks and never fails.
        """


class IFingerForwarder(Interface):
    """An object that forwards a peer's query to another finger server."""

    def forward(query: str, host: str, verbose: bool, peer: str = "") -> Deferred[str]:
        """
        Forward a query.

        @param query: the query for that host: C{user}, C{user@otherhost}, or empty for the user list.
        @param host: the host's name or address, without brackets.
        @param verbose: whether to send C{/W}.
        @param peer: the peer's address, so that no peer uses up what all share; all that are unknown count as one.
        @return: the whole answer.  Fails with L{finger.errors.ForwardingRefused} if queries may not be forwarded to
            that host, and with L{finger.errors.RemoteUnreachable} if it does not answer.
        """


class IBannered(Interface):
    """A back end with a text of the administrator's that precedes each answer to people."""

    def banner() -> str:
        """
        Return the text, which may have several lines.  It may change, and the version (L{IVersioned}) with it.

        @return: the text; empty for none.
        """


class IReloadable(Interface):
    """An object that has read a file and can read it again, at SIGHUP."""

    def reload() -> Deferred[bool] | Deferred[None]:
        """
        Read the file again.  If that fails, log the reason and keep the current contents.

        @return: fires when done, with whether the reload succeeded; L{None} counts as success.  Never fails.
        """


class ISelfReloading(IReloadable):
    """A reloadable object that also reloads by itself, for example when its file has changed."""

    reloader: Callable[[], Deferred[bool] | Deferred[None]] = Attribute(
        "The function that it calls to reload: C{reload} by default, or a wrapper that observes the reloads."
    )


class IServerObserver(Interface):
    """An observer of the server's life cycle (C{finger.ops.server.FingerServer.observers})."""

    def started() -> None:
        """All parts of the server have started, and all ports are open."""

    def reloading() -> None:
        """A reload begins."""

    def reloaded() -> None:
        """The reload has ended."""

    def stopping() -> None:
        """The server stops accepting connections and closes those that are open."""

    def stopped() -> None:
        """All connections are closed."""


class IDrainable(Interface):
    """A connection that can be closed without losing an answer."""

    owesAnswer: bool = Attribute(
        "Whether an answer is being made or sent.  Otherwise the connection waits for the peer, and may be closed to "
        "make room for another."
    )

    def drain() -> None:
        """Close the connection after the request in progress, or soon if none is in progress."""


class ILimitedTransport(Interface):
    """
    The transport of a connection whose requests count towards the rate limit of the peer's address.  A protocol that
    takes several requests on one connection calls it before each further one.
    """

    def admitRequest() -> float:
        """
        Count one more request; the connection itself counts as the first one.  Within a request that a proxy has sent
        (L{ILimitedClients}), this counts one more of the client's.  A refusal is logged.

        @return: 0 if the request may be answered, or else the time until the next one may be, in seconds.
        """


class ILimitedClients(ILimitedTransport):
    """
    A limited transport whose peer may be a proxy (L{IProxiedFactory}), which sends requests of many clients.  The
    protocol calls C{beginRequest} and C{endRequest} for each request.
    """

    def beginRequest(client: str, isFirst: bool) -> float:
        """
        Count a request until C{endRequest}.  If the peer is a trusted proxy, the request counts towards the limits of
        the client's address, as a connection of the client does.  A refusal is logged.

        @param client: the client's address.
        @param isFirst: whether this is the first request on the connection.
        @return: see L{admitRequest}.
        """

    def endRequest() -> None:
        """Stop counting the request in progress, if there is one.  The end of the connection does so, too."""

    def refused(why: str) -> None:
        """
        Log that the protocol refuses a request.

        @param why: the name of the error.
        """


class IRepeatableRequest(Interface):
    """
    An HTTP request whose response may be kept for other requests of the same bytes (L{finger.adapters.web.repeats}).
    """

    def allowRepeats(record: Callable[[str], object]) -> None:
        """
        Declare that the response depends on nothing but the bytes of the request and the version of the data (see
        L{IVersioned}).  Call this before the response is written.

        @param record: logs another request like this one; called with the host of its peer.
        """


class IProxiedFactory(IProtocolFactory):
    """A factory of protocols whose peers may be proxies, each of which sends the requests of many clients."""

    trusted: tuple[IPNetwork, ...] = Attribute("The networks of trusted proxies.")


class IFingerBackend(IPlugin):
    """
    A plugin (L{twisted.plugin}) that makes back ends by name: C{--backend=NAME:ARGUMENT}.

    @see: C{docs/backends.md}
    """

    name: str = Attribute("The name, as in C{--backend=NAME}.")
    argument: str = Attribute("The argument's form, for the help, as in C{[:PATH]}; empty if it takes none.")
    summary: str = Attribute("A description of one line, for the help.")

    def makeBackend(argument: str, reactor: object) -> IFingerService:
        """
        Make a back end.  A back end that also provides L{twisted.application.service.IService} is started and
        stopped with the server; one that provides L{IReloadable} is reloaded at SIGHUP.

        @param argument: the text after the name and its colon; empty if there is none.
        @param reactor: the reactor, for its clock, threads and connections.
        @raise finger.errors.ConfigError: if the argument is not valid, or names a file that cannot be read.
        """


class IFingerFactory(IProtocolFactory):
    """Adapts an L{IFingerService} to a factory of RFC 1288 servers."""

    clock: IReactorTime | None = Attribute("The clock of the timeouts; L{None} disables them.")
    queries: QueryLog = Attribute("The log of queries.")
    queryTimeout: float = Attribute("The time for a query to arrive, in seconds.")
    answerTimeout: float = Attribute("The time for the back end to answer, in seconds.")
    closeTimeout: float = Attribute("The time for the peer to receive the answer, in seconds.")
    utf8: bool = Attribute("Whether to answer in UTF-8 instead of ASCII.")
    matchNames: bool = Attribute("Whether a name that is not a login may match a first, last or full name.")


class IImmediateFactory(IProtocolFactory):
    """
    A factory that can answer some connections without a protocol, so that they take one turn of the reactor
    (L{finger.net.oneturn}).
    """

    def answerNow(received: bytes, host: str) -> bytes | None:
        """
        Answer what a new connection's peer has sent.

        @param received: the data, at least one byte.
        @param host: the peer's address.
        @return: the complete answer, which is sent, and then the connection is closed; L{None} if there is none yet,
            so that the connection needs a protocol, which will receive the data.  Never blocks.
        """


class IRoomyFactory(IProtocolFactory):
    """A factory that can close a connection to make room for another."""

    def makeDescriptor() -> bool:
        """
        Close the connection that is missed least, because this process is out of file descriptors.

        @return: whether there was one.  Its descriptor is free in the next turn of the reactor.
        """


class IFingerSetterFactory(IProtocolFactory):
    """Adapts an L{IFingerSetterService} to a factory of setters: line 1 is the user, the rest the status."""

    queries: QueryLog = Attribute("The log of the statuses set.")
    clock: IReactorTime | None = Attribute("The clock of the timeout; L{None} disables it.")


class IIRCClientFactory(IProtocolFactory):
    """
    Adapts an L{IFingerService} to a factory of IRC bots.
    """

    nickname: str = Attribute("The nickname to request.")
    queries: QueryLog = Attribute("The log of queries.")
    channels: tuple[str, ...] = Attribute("The channels to join.")
    clock: IReactorTime | None = Attribute("The clock of limits and delays; must be set before a bot is built.")
    welcomed: Callable[[], object] = Attribute("Called each time a server welcomes a bot.")


class IXMLRPCResource(IResource):
    """Adapts an L{IFingerService} to a web resource that answers XML-RPC calls, usually at C{/RPC2}."""


class IPerspectiveFinger(Interface):
    """Adapts an L{IFingerService} to a Perspective Broker root object."""

    def remote_getUser(user: str) -> str | Deferred[str]:
        """
        Return a user's status.  Fails at the caller with C{finger.adapters.pb.NoSuchUser} if there is no such user.
        """

    def remote_getUsers() -> Deferred[list[str]]:
        """Return the names of all users, sorted."""
