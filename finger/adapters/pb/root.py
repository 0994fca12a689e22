"""The Perspective Broker root object, with C{getUser}, C{getUsers} and a login that gives C{setStatus}."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from inspect import signature
from sys import getsizeof
from typing import Any, NoReturn, Self

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from twisted.spread import pb
from zope.interface import implementer

import finger.errors as errors
from finger.access.authority import Actor, Authority
from finger.access.onbehalf import getUserFor
from finger.adapters.pb import NoSuchUser, Refused
from finger.adapters.pb.broker import BoundedPBServerFactory
from finger.config.options import PORTS, Option
from finger.config.types import Port
from finger.interfaces import IFingerService, IImmediateProfileService, IPerspectiveFinger
from finger.log.querylog import QueryLog, finishQuery
from finger.net.answercache import AnswerCache, versionReader
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter
from finger.protocol.hosts import LOCAL, hostOf
from finger.protocol.wire import clean

NO_CALL = "there is no such call, or it takes other arguments"
"""The refusal of a call that is not valid."""

KEEPING = 300
"""The memory for keeping a status, in bytes, besides its own and the name's."""


class _LoginPortal(Portal):
    """A portal that reports refused logins to the client.  Each response to a challenge counts as one attempt."""

    def __init__(self, authority: Authority, peer: str) -> None:
        super().__init__(authority.portal.realm, authority.portal.checkers.values())
        self._authority = authority
        self._peer = peer

    def login(self, credentials: Any, mind: object, *interfaces: Any) -> Deferred[Any]:
        login = partial(super().login, credentials, mind, *interfaces)
        return self._authority.attempt(credentials, self._peer, login).addErrback(self._refuse)

    def _refuse(self, failure: Failure) -> NoReturn:
        if failure.check(errors.TooManyAttempts):
            raise Refused("too many attempts to log in, try again later")
        failure.trap(errors.NotAuthenticated)
        raise Refused("wrong name or password")


class _Challenger(pb.Referenceable):
    """The object that receives the response to a challenge."""

    def __init__(self, challenger: pb.Referenceable) -> None:
        self._challenger = challenger

    def remoteMessageReceived(self, broker: pb.Broker, message: bytes, args: Any, kw: Any) -> Any:
        """See L{pb.Referenceable.remoteMessageReceived}."""
        challenger = self._challenger
        return _politely(challenger.remoteMessageReceived, challenger, "remote", broker, message, args, kw)


def _politely(
    receive: Callable[..., Any], target: object, prefix: str, broker: pb.Broker, message: Any, args: Any, kw: Any
) -> Any:
    """
    Pass on a call.  Refuse an invalid one: it is the client's error, and must not put a traceback in the log.
    Arguments that do not fit the method are refused here, because Twisted would log them as they are.
    """
    try:
        name = message.decode("utf-8") if isinstance(message, bytes) else message
        method = getattr(target, f"{prefix}_{name}", None)
        if method is not None:
            signature(method).bind(*broker.unserialize(args), **broker.unserialize(kw))
        return receive(broker, message, args, kw)
    except pb.Error:
        raise
    except Exception as error:
        raise Refused(NO_CALL) from error


@lru_cache
def _countParameters(function: Callable[..., object]) -> int:
    """Return the number of positional parameters of a method; one with as many arguments needs no further check."""
    return len(signature(function).parameters) - 1


class ActorPerspective(pb.Avatar):
    """The avatar of a logged-in user, for setting that user's own status.  The user's name is not an argument."""

    log = Logger()

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    def perspectiveMessageReceived(self, broker: pb.Broker, message: bytes, args: Any, kw: Any) -> Any:
        """See L{pb.Avatar.perspectiveMessageReceived}."""
        return _politely(super().perspectiveMessageReceived, self, "perspective", broker, message, args, kw)

    def perspective_setStatus(self, status: str) -> Deferred[None]:
        """Set the status of the logged-in user."""
        if not isinstance(status, str):
            return fail(Refused("setStatus takes one string, the status"))
        return self._actor.setStatus(status).addErrback(self._inWords)

    def _inWords(self, failure: Failure) -> NoReturn:
        raise Refused(self._actor.failures.explain(failure, self.log))


registerAdapter(ActorPerspective, Actor, pb.IPerspective)


@implementer(IPerspectiveFinger)
class PerspectiveFinger(pb.Root):
    """
    The root object.

    @ivar queries: the log of queries.
    @ivar authority: the rules for logging in and setting statuses; L{None} disables logins.
    @ivar kept: the statuses that are kept until users change.
    """

    authority: Authority | None = None

    log = Logger()

    def __init__(self, service: IFingerService) -> None:
        self._service = service
        self._immediate = IImmediateProfileService(service, None)
        self._version = versionReader(service)
        self._broker: pb.Broker | None = None
        self.queries = QueryLog()
        self.kept: AnswerCache[str] = AnswerCache()

    def rootObject(self, broker: pb.Broker) -> Self:
        """See L{pb.Root.rootObject}.  Each connection has its own root object, which knows the peer's address."""
        root = type(self)(self._service)
        root.queries = self.queries
        root.authority = self.authority
        root.kept = self.kept
        root._broker = broker
        return root

    def remoteMessageReceived(self, broker: pb.Broker, message: bytes, args: Any, kw: Any) -> Any:
        """
        See L{pb.Referenceable.remoteMessageReceived}, and L{_politely}.  Most calls are of this object, so their
        arguments are read only once.
        """
        try:
            method = getattr(self, f"remote_{message if isinstance(message, str) else message.decode('utf-8')}")
            arguments, keywords = broker.unserialize(args), broker.unserialize(kw)
            if keywords or len(arguments) != _countParameters(method.__func__):
                signature(method).bind(*arguments, **keywords)
            return broker.serialize(method(*arguments, **keywords), self.perspective)
        except pb.Error:
            raise
        except Exception as error:
            raise Refused(NO_CALL) from error

    def remote_getUser(self, user: str) -> str | Deferred[str]:
        """See L{IPerspectiveFinger.remote_getUser}."""
        if not isinstance(user, str):
            return fail(Refused("getUser takes one string, the user's name"))
        peer = self._peer
        status = self._statusNow(user)
        if status is not None:
            self.queries.record("pb", peer, user, "ok")
            return status
        answer = getUserFor(self._service, user, peer).addBoth(finishQuery, self.queries.begin("pb", peer, user))
        return answer.addCallbacks(clean, self._inWords)

    def _statusNow(self, user: str) -> str | None:
        """Return a user's status if it is in memory.  All others are looked up in the ordinary way."""
        if self._immediate is None:
            return None
        version = self._version()
        status = self.kept.get(version, user)
        if status is None:
            try:
                profile = self._immediate.getProfileNow(user)
            except BaseException:  # The ordinary way gets it as well, and reports it.
                return None
            status = clean(profile.status) if profile is not None else None
            if status is not None:
                self.kept.put(version, user, status, KEEPING + getsizeof(user) + getsizeof(status))
        return status

    def remote_getUsers(self) -> Deferred[list[str]]:
        """See L{IPerspectiveFinger.remote_getUsers}."""
        answer = self._service.getUsers().addBoth(finishQuery, self.queries.begin("pb", self._peer, ""))
        return answer.addCallbacks(lambda users: [clean(user) for user in users], self._inWords)

    def remote_login(self, username: bytes | str) -> Any:
        """
        Begin a login, as called by L{pb.PBClientFactory.login}.

        @return: the challenge, and the object to send the response to, which returns an L{ActorPerspective}.
        """
        if self.authority is None or not self.authority.hasPasswords:
            raise Refused("logging in is not offered here")
        if not isinstance(username, bytes | str):
            raise Refused("login takes one string, the user's name")
        name = username.encode() if isinstance(username, str) else username
        root = pb.IPBRoot(_LoginPortal(self.authority, self._peer)).rootObject(self._broker)
        challenge, challenger = root.remote_login(name)
        return challenge, _Challenger(challenger)

    @cached_property
    def _peer(self) -> str:
        transport = self._broker.transport if self._broker is not None else None
        return hostOf(transport.getPeer()) if transport is not None else LOCAL

    def _inWords(self, failure: Failure) -> NoReturn:
        words = self.queries.failures.explain(failure, self.log)
        raise (NoSuchUser if failure.check(errors.NoSuchUser) else Refused)(words)


registerAdapter(PerspectiveFinger, IFingerService, IPerspectiveFinger)


@implementer(IFingerAdapter)
class PBAdapter:
    """The adapter of C{--pbport}."""

    name = "pb"
    options = (
        Option(
            name="pbport",
            short="p",
            field="pbPorts",
            kind=Port(loopback=True),
            value="PORT",
            repeated=True,
            initial=("8889",),
            group=PORTS,
            help="Perspective Broker ports; a number means loopback.",
        ),
    )
    queries = ("pb",)

    def build(self, context: IAdapterContext) -> None:
        """See L{IFingerAdapter.build}."""
        root = PerspectiveFinger(context.service)
        root.queries = context.queries
        root.authority = context.authority
        factory = BoundedPBServerFactory(root, context.reactor)
        factory.messageTimeout = context.config.querySeconds
        factory.events = context.queries.events
        factory.closeTimeout = context.config.answerSeconds
        context.listen("pbport", factory)
