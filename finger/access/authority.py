"""Authentication, and the permission to set statuses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from twisted.cred.error import LoginFailed, Unauthorized, UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from finger.errors import NotAllowed, NotAuthenticated
from finger.interfaces import IFingerSetterService
from finger.log.failures import FailureLog
from finger.log.peerlog import PeerLog
from finger.net.limits import rateLimitKey
from finger.timing import Buckets

ATTEMPTS = 10
"""The number of login attempts that an address has at once."""

ATTEMPT_INTERVAL = 6.0
"""The time until an address has one more attempt, in seconds."""

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
        self._attempts = Buckets(clock, ATTEMPTS, ATTEMPT_INTERVAL) if clock is not None else None
        self.hasPasswords = bool(checkers)
        self.failures = FailureLog(clock)
        self._events = PeerLog(clock)
        self.portal = Portal(_Realm(self), [_AnyOf(checkers)] if checkers else [])

    def mayTry(self, peer: str) -> bool:
        """
        Count a login attempt, and return whether it is within the limit.

        @param peer: the client's address.
        """
        attempt = self._attempts.of(rateLimitKey(peer)) if self._attempts is not None else None
        if attempt is None or attempt.tryTake():
            return True
        self._events.warn(self.log, "{peer} tries to log in too often", peer=peer)
        return False

    def login(self, credentials: ICredentials, peer: str) -> Deferred[str]:
        """
        Log in.

        @param credentials: the name and password.
        @param peer: the client's address.
        @return: the user's name.  Fails with L{NotAuthenticated}.
        """
        if not self.mayTry(peer):
            return fail(NotAuthenticated("too many attempts"))
        login: Deferred[Any] = self.portal.login(credentials, None, IAvatarName)
        return login.addCallbacks(lambda avatar: str(avatar[1]), self.denied, errbackArgs=(peer,))

    def denied(self, failure: Failure, peer: str) -> NoReturn:
        """
        Log a failed login.

        @param failure: an error of L{twisted.cred}; any other failure is raised again.
        @param peer: the client's address.
        @raise NotAuthenticated: if the failure is an error of L{twisted.cred}.
        """
        failure.trap(Unauthorized, LoginFailed)
        self._events.warn(self.log, "{peer} failed to log in", peer=peer)
        raise NotAuthenticated("wrong name or password")

    def set(self, actor: str | None, user: str, status: str) -> Deferred[None]:
        """
        Set a status.

        @param actor: the name of the user who sets it; L{None} is a client of a loopback port that the administrator
            has opened without authentication, which may set any.
        @param user: the user whose status is set.
        @param status: the new status.
        @return: as for L{IFingerSetterService.setUser}; also fails with L{NotAllowed}.
        """
        if actor is not None and actor != user and actor not in self._administrators:
            self._events.warn(self.log, "{actor!r} may not set {user!r}", actor=actor, user=user)
            return fail(NotAllowed(user))
        done = self.service.setUser(user, status)
        name = UNAUTHENTICATED if actor is None else actor
        return done.addCallback(
            lambda _: self._events.info(self.log, "{actor!r} set {user!r}", actor=name, user=user)
        )


@implementer(ICredentialsChecker)
class _AnyOf:
    """Several checkers as one.  A L{Portal} itself would use only the last of those with the same credentials."""

    def __init__(self, checkers: Sequence[ICredentialsChecker]) -> None:
        self._checkers = checkers
        self.credentialInterfaces = tuple({kind for checker in checkers for kind in checker.credentialInterfaces})

    def requestAvatarId(self, credentials: ICredentials) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._request(credentials))

    async def _request(self, credentials: ICredentials) -> Any:
        for checker in self._checkers:
            if any(kind.providedBy(credentials) for kind in checker.credentialInterfaces):
                try:
                    return await maybeDeferred(checker.requestAvatarId, credentials)
                except (Unauthorized, LoginFailed):
                    continue
        raise UnauthorizedLogin


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
