"""Who may set whose status."""

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
from finger.net.limits import rateLimitKey
from finger.timing import Buckets

ATTEMPTS = 10
"""How many attempts to log in one address has at once."""

ATTEMPT_INTERVAL = 6.0
"""Seconds until it has one more."""

SOMEBODY = "somebody here"
"""Who sets a status where nobody need say who it is, for the log; nobody is called so, as there is a space in it."""


class IAvatarName(Interface):
    """Somebody who has logged in, of whom nothing but the name matters."""


class Authority:
    """
    Lets people set their own status, and administrators any.

    @param service: where statuses are set.
    @param clock: for the limit of attempts to log in; without one there is none.
    @param checkers: what knows passwords (L{twisted.cred}); it is enough if one knows somebody.
    @param administrators: the names of those who may set any user.
    @ivar service: where statuses are set.
    @ivar hasPasswords: is there a way to log in?
    @ivar portal: where to log in.
    @ivar failures: where those are logged that are our fault.
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
        self.portal = Portal(_Realm(self), [_AnyOf(checkers)] if checkers else [])

    def mayTry(self, peer: str) -> bool:
        """
        May this address try once more to log in?

        @param peer: the address; an attempt of it is counted.
        """
        attempt = self._attempts.of(rateLimitKey(peer)) if self._attempts is not None else None
        if attempt is None or attempt.tryTake():
            return True
        self.log.warn("{peer} tries to log in too often", peer=peer)
        return False

    def login(self, credentials: ICredentials, peer: str) -> Deferred[str]:
        """
        Who is it?

        @param peer: the address it comes from.
        @return: the user's name.  Fails with L{NotAuthenticated}.
        """
        if not self.mayTry(peer):
            return fail(NotAuthenticated("too many attempts"))
        login: Deferred[Any] = self.portal.login(credentials, None, IAvatarName)
        return login.addCallbacks(lambda avatar: str(avatar[1]), self.denied, errbackArgs=(peer,))

    def denied(self, failure: Failure, peer: str) -> NoReturn:
        """
        Log that somebody could not log in.

        @param failure: why: what L{twisted.cred} refuses, or it is no matter of ours.
        @raise NotAuthenticated: always.
        """
        failure.trap(Unauthorized, LoginFailed)
        self.log.warn("{peer} failed to log in", peer=peer)
        raise NotAuthenticated("wrong name or password")

    def set(self, actor: str | None, user: str, status: str) -> Deferred[None]:
        """
        Set a status.

        @param actor: who wants it; L{None} is somebody who need not say so, because the administrator has opened a
            port on loopback for everybody.
        @return: as L{IFingerSetterService.setUser}; also fails with L{NotAllowed}.
        """
        if actor is not None and actor != user and actor not in self._administrators:
            self.log.warn("{actor!r} may not set {user!r}", actor=actor, user=user)
            return fail(NotAllowed(user))
        done = self.service.setUser(user, status)
        who = SOMEBODY if actor is None else actor
        return done.addCallback(lambda _: self.log.info("{actor!r} set {user!r}", actor=who, user=user))


@implementer(ICredentialsChecker)
class _AnyOf:
    """Several checkers as one.  A L{Portal} alone would ask only the last of those that take the same credentials."""

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
    """What those who have logged in are: their names, or what somebody has registered to be made of them."""

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
        raise NotImplementedError("there is no such avatar")


class Actor:
    """Somebody who has logged in.  Adapters make of it what their protocol wants."""

    def __init__(self, authority: Authority, name: str) -> None:
        self._authority = authority
        self.name = name
        self.failures = authority.failures

    def setStatus(self, status: str) -> Deferred[None]:
        """Set one's own status; see L{Authority.set}."""
        return self._authority.set(self.name, self.name, status)
