"""
Test doubles for adapters and a contract test for back ends, including those of other packages.

The test of a back end is a few lines::

    class WeatherTests(FingerServiceContract, SynchronousTestCase):
        known, unknown = "oslo", "atlantis"

        def makeService(self):
            return WeatherService()
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.errors import BackendUnavailable, NoSuchUser
from finger.interfaces import (
    ICountsUsers,
    IFingerLongListService,
    IFingerProfileService,
    IFingerService,
    IFingerSetterService,
    IImmediateProfileService,
    IVersioned,
)
from finger.profile import Profile
from finger.protocol.names import parseName


class ThreadlessReactor(Clock):
    """A clock that is also a reactor without threads: it runs their work at once, in the calling thread."""

    def getThreadPool(self) -> ThreadlessReactor:
        """Return this object, which is its own thread pool."""
        return self

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], None], work: Callable[..., Any], *arguments: Any, **options: Any
    ) -> None:
        """See L{twisted.python.threadpool.ThreadPool.callInThreadWithCallback}."""
        try:
            result = work(*arguments, **options)
        except Exception:
            onResult(False, Failure())
        else:
            onResult(True, result)

    def callFromThread(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """See L{twisted.internet.interfaces.IReactorFromThreads.callFromThread}."""
        work(*arguments, **options)


@implementer(IFingerService, IFingerProfileService)
class ProfilesDouble:
    """A back end with the given profiles."""

    def __init__(self, *profiles: Profile) -> None:
        self._profiles = {profile.login: profile for profile in profiles}

    def getUser(self, user: str) -> Deferred[str]:
        """See L{IFingerService.getUser}."""
        return self.getProfile(user).addCallback(lambda profile: profile.status)

    def getUsers(self) -> Deferred[list[str]]:
        """See L{IFingerService.getUsers}."""
        return succeed(sorted(self._profiles))

    def getProfile(self, user: str) -> Deferred[Profile]:
        """See L{IFingerProfileService.getProfile}."""
        if user in self._profiles:
            return succeed(self._profiles[user])
        return fail(NoSuchUser(user))

    def getProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerProfileService.getProfiles}."""
        return succeed([self._profiles[login] for login in sorted(self._profiles)])


@implementer(IFingerService, IFingerSetterService)
class BrokenDouble:
    """
    A back end that always fails.

    @param error: the error that every call fails with.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error or BackendUnavailable("the disk at /secret/place is full")

    def getUser(self, user: str) -> Deferred[str]:
        """Fail."""
        return fail(self._error)

    def getUsers(self) -> Deferred[list[str]]:
        """Fail."""
        return fail(self._error)

    def setUser(self, user: str, status: str) -> Deferred[None]:
        """Fail."""
        return fail(self._error)


@implementer(IFingerService)
class SilentDouble:
    """
    A back end that answers only when the test makes it.

    @ivar asked: the Deferreds returned, in order, for a test to fire.
    """

    def __init__(self) -> None:
        self.asked: list[Deferred] = []  # type: ignore[type-arg]

    def getUser(self, user: str) -> Deferred[str]:
        """Return a Deferred that the test fires."""
        self.asked.append(Deferred())
        return self.asked[-1]

    def getUsers(self) -> Deferred[list[str]]:
        """Return a Deferred that the test fires."""
        self.asked.append(Deferred())
        return self.asked[-1]


class FingerServiceContract:
    """
    The tests that every back end must pass.  Mix this class into a L{SynchronousTestCase} and define C{makeService},
    C{known} and C{unknown}.

    @cvar known: a user that exists and is listed.
    @cvar unknown: a user that does not exist.
    """

    known: str
    unknown: str

    def makeService(self) -> IFingerService:
        """Make the back end under test."""
        raise NotImplementedError

    def result(self, deferred: Deferred) -> object:  # type: ignore[type-arg]
        """Return a Deferred's result.  Override this for a back end that does not answer at once."""
        assert isinstance(self, SynchronousTestCase)
        return self.successResultOf(deferred)

    def failure(self, deferred: Deferred, *expected: type[Exception]) -> object:  # type: ignore[type-arg]
        """Return a Deferred's failure.  Override this together with L{result}."""
        assert isinstance(self, SynchronousTestCase)
        return self.failureResultOf(deferred, *expected)

    def test_interface(self) -> None:
        """The back end provides the interfaces that it declares."""
        service = self.makeService()
        optional = (
            IFingerProfileService,
            IFingerLongListService,
            IFingerSetterService,
            IImmediateProfileService,
            ICountsUsers,
            IVersioned,
        )
        for interface in (IFingerService, *optional):
            if interface is IFingerService or interface.providedBy(service):
                verifyObject(interface, service)

    def test_known(self) -> None:
        """A known user has a status, which is text."""
        assert isinstance(self.result(self.makeService().getUser(self.known)), str)

    def test_unknown(self) -> None:
        """A lookup of an unknown user, or of a name that no user can have, fails with L{NoSuchUser}."""
        for name in (self.unknown, "", "../../etc/passwd", "a\0b", "*", "\N{SNOWMAN}", "x" * 100_000):
            self.failure(self.makeService().getUser(name), NoSuchUser)

    def test_list(self) -> None:
        """The list is sorted, contains the known user but not the unknown one, and only names that can be queried."""
        users = self.result(self.makeService().getUsers())
        assert isinstance(users, list)
        assert users == sorted(users)
        assert self.known in users
        assert self.unknown not in users
        assert users == [parseName(user) for user in users], "a listed name cannot be queried"

    def test_listIsYours(self) -> None:
        """Changing a returned list does not change the next one."""
        service = self.makeService()
        users = self.result(service.getUsers())
        assert isinstance(users, list)
        users.clear()
        assert self.known in self.result(service.getUsers())  # type: ignore[operator]

    def test_profiles(self) -> None:
        """Profiles agree with statuses and with the list."""
        service = self.makeService()
        profiles = IFingerProfileService(service)
        profile = self.result(profiles.getProfile(self.known))
        assert isinstance(profile, Profile)
        assert profile.login == self.known
        assert profile.status == self.result(service.getUser(self.known))
        assert [p.login for p in self.result(profiles.getProfiles())] == self.result(service.getUsers())  # type: ignore[attr-defined]
        self.failure(profiles.getProfile(self.unknown), NoSuchUser)

    def test_now(self) -> None:
        """A back end that can be asked without waiting gives the same profiles; or none, if they are not at hand."""
        service = self.makeService()
        if not IImmediateProfileService.providedBy(service):
            return
        profile = service.getProfileNow(self.known)
        assert profile in (None, self.result(IFingerProfileService(service).getProfile(self.known)))
        with suppress(NoSuchUser):
            assert service.getProfileNow(self.unknown) is None

    def test_longProfiles(self) -> None:
        """The long form of the list has the same users, and their profiles if the back end has such a list."""
        service = self.makeService()
        listed = self.result(IFingerLongListService(service).getLongProfiles())
        assert [p.login for p in listed] == self.result(service.getUsers())  # type: ignore[attr-defined]
        if IFingerLongListService.providedBy(service):
            [profile] = [p for p in listed if p.login == self.known]  # type: ignore[attr-defined]
            assert profile == self.result(IFingerProfileService(service).getProfile(self.known))

    def test_count(self) -> None:
        """A back end that counts its users counts the listed ones."""
        service = self.makeService()
        if ICountsUsers.providedBy(service):
            users = self.result(service.getUsers())
            assert sorted(service.userNames()) == users
            assert service.countUsers() == len(users)

    def test_version(self) -> None:
        """The version of the data stays the same until a status is set."""
        service = self.makeService()
        if IVersioned.providedBy(service):
            first = service.version()
            self.result(service.getUser(self.known))
            assert service.version() == first
            hash(first)
            if IFingerSetterService.providedBy(service):
                self.result(service.setUser(self.known, "a newer status"))
                assert service.version() != first

    def test_set(self) -> None:
        """A back end whose statuses can be set returns the new status."""
        service = self.makeService()
        if IFingerSetterService.providedBy(service):
            self.result(service.setUser(self.known, "a new status\nof two lines"))
            assert self.result(service.getUser(self.known)) == "a new status\nof two lines"
