"""Authentication, and the permission to set statuses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from twisted.cred.error import LoginFailed, Unauthorized, UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import Interface, implementer

from finger.access.attempts import Attempts
from finger.errors import NotAllowed, NotAuthenticated, TooManyAttempts
from finger.interfaces import IFingerSetterService
from finger.log.failures import FailureLog
from finger.log.peerlog import PeerLog
from finger.protocol.names import canonical

UNAUTHENTICATED = "unauthenticated client"
"""The name, in the log, of a client that sets a status at a port without authentication."""


class IAvatarName(Interface):
    """The avatar that is only the name of a user who has logged in."""


class Authority:
    """
    Authenticates users, and lets them set their own status; administrators may set any.

    @param service: the back end in which statuses are set.
    @param clock: the clock of the limit of login attempts; L{None} disables the limit.
    @param checkers: the credentials checkers (L{twisted.cred}); a login succeeds if one of them accepts it.
    @param administrators: the names of the users who may set any status.
    @ivar service: the back end in which statuses are set.
    @ivar hasPasswords: whether users can log in.
    @ivar portal: the portal for logins.
    @ivar failures: the log of failures that are bugs of ours.
    """

    log = Logger()

    def __init__(
        self,
        service: IFingerSetterService,
        clock: IReactorTime | None = None,
        checkers: Sequence[ICredentialsChecker] = (),
        administrators: Collection[str] = (),
    ) -> None:
        self.service = service
        self._administrators = frozenset(administrators)
        self._attempts = Attempts(clock) if clock is not None else None
        self.hasPasswords = bool(checkers)
        self.failures = FailureLog(clock)
        self._events = PeerLog(clock)
        self.portal = Portal(_Realm(self), [_AnyOf(checkers)] if checkers else [])

    def login(self, credentials: ICredentials, peer: str) -> Deferred[str]:
        """
        Log in.

        @param credentials: the name and password.
        @param peer: the client's address.
        @return: the user's name.  Fails as L{attempt} does.
        """
        login = self.attempt(credentials, peer, lambda: self.portal.login(credentials, None, IAvatarName))
        return login.addCallback(lambda avatar: str(avatar[1]))

    def attempt(self, credentials: ICredentials, peer: str, login: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """
        Count an attempt to log in, make it if it is within the limits (L{finger.access.attempts}), and log a failure.

        @param credentials: the name and password.
        @param peer: the client's address.
        @param login: makes the attempt.
        @return: its result.  Fails with L{NotAuthenticated} if the name or password is wrong, and with
            L{TooManyAttempts} if a limit is exceeded.
        """
        return Deferred.fromCoroutine(self._attempt(_nameIn(credentials), peer, login))

    async def _attempt(self, name: str, peer: str, login: Callable[[], Deferred[Any]]) -> Any:
        end, isIn = self._begin(name, peer), False
        try:
            avatar = await maybeDeferred(login)
            isIn = True
        except (Unauthorized, LoginFailed):
            self._events.warn(self.log, "{peer} failed to log in", peer=peer)
            raise NotAuthenticated("wrong name or password") from None
        finally:
            end(isIn)
        return avatar

    def _begin(self, name: str, peer: str) -> Callable[[bool], None]:
        if self._attempts is None:
            return lambda isIn: None
        try:
            return self._attempts.begin(peer, name)
        except TooManyAttempts:
            self._events.warn(self.log, "{peer} tries to log in too often", peer=peer)
            raise

    def check(self, actor: str | None, user: str) -> None:
        """
        Check that an actor may set a user's status.

        @param actor: see L{set}.
        @raise NotAllowed: if not, which is logged.
        """
        if actor is not None and canonical(actor) != canonical(user) and actor not in self._administrators:
            self._events.warn(self.log, "{actor!r} may not set {user!r}", actor=actor, user=user)
            raise NotAllowed(user)

    def set(self, actor: str | None, user: str, status: str) -> Deferred[None]:
        """
        Set a status.

        @param actor: the name of the user who sets it; L{None} is a client of a loopback port that the administrator
            has opened without authentication, which may set any.
        @param user: the user whose status is set.
        @param status: the new status.
        @return: as for L{IFingerSetterService.setUser}; also fails with L{NotAllowed}.
        """
        try:
            self.check(actor, user)
        except NotAllowed as error:
            return fail(error)
        done = self.service.setUser(user, status)
        name = UNAUTHENTICATED if actor is None else actor
        return done.addCallback(
            lambda _: self._events.info(self.log, "{actor!r} set {user!r}", actor=name, user=user)
        )


def _nameIn(credentials: ICredentials) -> str:
    name = getattr(credentials, "username", "")
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


@implementer(ICredentialsChecker)
class _AnyOf:
    """
    Several checkers as one.  A L{Portal} itself would use only the last of those with the same credentials.

    All are asked, even if the first accepts, so that the time does not tell which of them knows the user.
    """

    def __init__(self, checkers: Sequence[ICredentialsChecker]) -> None:
        self._checkers = checkers
        self.credentialInterfaces = tuple({kind for checker in checkers for kind in checker.credentialInterfaces})

    def requestAvatarId(self, credentials: ICredentials) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._request(credentials))

    async def _request(self, credentials: ICredentials) -> Any:
        able = [checker for checker in self._checkers if _canCheck(checker, credentials)]
        asked: list[Deferred[Any]] = [maybeDeferred(checker.requestAvatarId, credentials) for checker in able]
        for isIn, result in await DeferredList(asked, consumeErrors=True):
            if isIn:
                return result
            if not result.check(Unauthorized, LoginFailed):
                result.raiseException()
        raise UnauthorizedLogin


def _canCheck(checker: ICredentialsChecker, credentials: ICredentials) -> bool:
    return any(kind.providedBy(credentials) for kind in checker.credentialInterfaces)


@implementer(IRealm)
class _Realm:
    """Makes avatars: the user's name, or an interface that an L{Actor} adapts to."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def requestAvatar(self, avatarId: bytes | tuple[()], mind: object, *interfaces: Any) -> tuple[Any, Any, Any]:
        name = avatarId.decode("utf-8", "replace") if isinstance(avatarId, bytes) else str(avatarId)
        if IAvatarName in interfaces:
            return IAvatarName, name, lambda: None
        for interface in interfaces:
            avatar = interface(Actor(self._authority, name), None)
            if avatar is not None:
                return interface, avatar, lambda: None
        raise NotImplementedError("no such avatar")


class Actor:
    """A user who has logged in.  Adapters adapt it to the avatar of their protocol."""

    def __init__(self, authority: Authority, name: str) -> None:
        self._authority = authority
        self.name = name
        self.failures = authority.failures

    def setStatus(self, status: str) -> Deferred[None]:
        """Set the user's own status; see L{Authority.set}."""
        return self._authority.set(self.name, self.name, status)
