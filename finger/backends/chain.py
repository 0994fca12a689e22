"""The chain of back ends: several of them as one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence, Set
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import alsoProvides, implementer

from finger.errors import BackendUnavailable, NoSuchUser, PeerError, SetRefused
from finger.interfaces import (
    ICountsUsers,
    IFingerLongListService,
    IFingerProfileService,
    IFingerService,
    IFingerSetterService,
    IImmediateProfileService,
    IVersioned,
)
from finger.log.failures import FailureLog
from finger.profile import Profile
from finger.protocol.names import canonical
from finger.protocol.wire import cleanLine

T = TypeVar("T")

MAX_SHOWN = 255
"""The characters of a user's name that a refusal shows."""


@implementer(IFingerService, IFingerProfileService, IFingerLongListService, IImmediateProfileService)
class ChainFingerService:
    """
    A chain of back ends: the first one that has a user answers.

    A back end that fails is skipped.  If no other one has the user, the result is that failure and not
    L{NoSuchUser}, since the failed back end may have the user.

    The chain provides L{ICountsUsers} if all its back ends do; otherwise the number would be too small.  It provides
    L{IVersioned} if all its back ends do.

    @param services: the back ends, at least one.
    @param clock: the clock for the rate limit of the log; L{None} for no limit.
    """

    log = Logger()

    def __init__(self, services: Sequence[IFingerService], clock: IReactorTime | None = None) -> None:
        self._failures = FailureLog(clock)
        self._services = services
        self._profiles = [IFingerProfileService(service) for service in services]
        self._longLists = [IFingerLongListService(service) for service in services]
        self._immediate = [IImmediateProfileService(service, None) for service in services]
        self._counted = [ICountsUsers(service) for service in services if ICountsUsers.providedBy(service)]
        self._countedVersion: Hashable | None = None
        self._count = 0
        if len(self._counted) == len(services):
            alsoProvides(self, ICountsUsers)
        self._versioned = [IVersioned(service) for service in services if IVersioned.providedBy(service)]
        if len(self._versioned) == len(services):
            alsoProvides(self, IVersioned)

    def getUser(self, user: str) -> Deferred[str]:
        """See L{IFingerService.getUser}."""
        return Deferred.fromCoroutine(self._first([service.getUser for service in self._services], user))

    def getUsers(self) -> Deferred[list[str]]:
        """See L{IFingerService.getUsers}."""
        return self.getProfiles().addCallback(lambda profiles: [profile.login for profile in profiles])

    def getProfile(self, user: str) -> Deferred[Profile]:
        """See L{IFingerProfileService.getProfile}."""
        return Deferred.fromCoroutine(self._first([service.getProfile for service in self._profiles], user))

    def getProfileNow(self, user: str) -> Profile | None:
        """See L{IImmediateProfileService.getProfileNow}."""
        for service in self._immediate:
            if service is None:
                return None
            try:
                return service.getProfileNow(user)
            except NoSuchUser:
                continue
        raise NoSuchUser(user)

    def getProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerProfileService.getProfiles}."""
        return Deferred.fromCoroutine(self._merged([service.getProfiles for service in self._profiles]))

    def getLongProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerLongListService.getLongProfiles}."""
        return Deferred.fromCoroutine(self._merged([service.getLongProfiles for service in self._longLists]))

    def countUsers(self) -> int:
        """See L{ICountsUsers.countUsers}.  A user of several back ends counts once."""
        version = self._versionNow()
        if version is None or version != self._countedVersion:
            self._countedVersion, self._count = version, self._countAgain()
        return self._count

    def _versionNow(self) -> Hashable | None:
        """Return the version; L{None} if not all back ends have one, or one of them fails to return it."""
        try:
            return self.version() if len(self._versioned) == len(self._services) else None
        except BaseException:
            self._failures.report(self.log, "a back end of the chain has no version; users are counted each time")
            return None

    def _countAgain(self) -> int:
        """Count the users.  The names of the largest back end are not copied, since they may be many."""
        most, *others = sorted((service.userNames() for service in self._counted), key=len, reverse=True)
        return len(most) + sum(name not in most for name in frozenset().union(*others))

    def userNames(self) -> Set[str]:
        """See L{ICountsUsers.userNames}."""
        return frozenset().union(*[service.userNames() for service in self._counted])

    def version(self) -> Hashable | None:
        """See L{IVersioned.version}."""
        versions = tuple([service.version() for service in self._versioned])
        return None if None in versions else versions

    async def _first(self, lookups: Sequence[Callable[[str], Deferred[T]]], user: str) -> T:
        broken: Exception | None = None
        for lookup in lookups:
            try:
                return await lookup(user)
            except NoSuchUser:
                continue
            except CancelledError:
                raise
            except Exception as error:
                broken = broken or error
        raise broken or NoSuchUser(user)

    async def _merged(self, lists: Sequence[Callable[[], Deferred[list[Profile]]]]) -> list[Profile]:
        """Return the users of all back ends, each login once, from the first back end that lists it."""
        merged: dict[str, Profile] = {}
        refused: PeerError | None = None
        answered = False
        for getProfiles in lists:
            try:
                profiles = await getProfiles()
            except PeerError as error:
                refused = error
            except CancelledError:
                raise
            except Exception:
                self._failures.report(self.log, "a back end of the chain cannot list its users; the list lacks them")
            else:
                answered = True
                for profile in profiles:
                    merged.setdefault(profile.login, profile)
        if not answered:
            raise refused or BackendUnavailable("no back end of the chain can list its users")
        return [merged[login] for login in sorted(merged)]


@implementer(IFingerSetterService)
class ChainSetterService:
    """
    Sets statuses in one back end of a chain.  The status of a user of an earlier back end is refused, since queries
    would not show it.  If an earlier back end fails, so does the change.

    @param earlier: the back ends before that one, with their names.
    @param service: the back end whose statuses are set.
    """

    def __init__(self, earlier: Sequence[tuple[str, IFingerService]], service: IFingerSetterService) -> None:
        self._earlier = earlier
        self._service = service

    def setUser(self, user: str, status: str) -> Deferred[None]:
        """See L{IFingerSetterService.setUser}."""
        return Deferred.fromCoroutine(self._set(user, status))

    async def _set(self, user: str, status: str) -> None:
        user = canonical(user)
        for name, service in self._earlier:
            try:
                await service.getUser(user)
            except NoSuchUser:
                continue
            shown = cleanLine(user[:MAX_SHOWN])
            raise SetRefused(f"{shown}'s status comes from the {name} back end, which cannot be set")
        await self._service.setUser(user, status)
