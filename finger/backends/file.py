"""The file back end: users from a file, which is read again when it changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from functools import partial
from heapq import merge
from itertools import islice
from operator import attrgetter
from time import sleep
from typing import Any

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.plugin import IPlugin
from zope.interface import implementer

from finger.backends.usersfile import UsersFile, parseUsers
from finger.client.singleflight import SingleFlight
from finger.config.files import MAX_DATA_BYTES
from finger.config.watchedfile import WatchedFile
from finger.errors import ConfigError, NoSuchUser
from finger.interfaces import (
    ICountsUsers,
    IFingerBackend,
    IFingerProfileService,
    IFingerService,
    IImmediateProfileService,
    IVersioned,
)
from finger.profile import Profile
from finger.protocol.names import canonical

DEFAULT_PATH = "/etc/users"
LISTED_AT_ONCE = 1000
"""The number of users up to which their list is made at once, and not in a thread."""

SORTED_AT_ONCE = 10_000
"""The number of users that are sorted at once, which makes other threads wait for some milliseconds."""

_LOGIN = attrgetter("login")


@dataclass(slots=True)
class _Users:
    """
    The users of one reading of the file.

    @ivar file: the content of the file.
    @ivar profiles: all users, sorted, once a list was asked for: for many users, it takes more memory than all else.
    """

    file: UsersFile
    profiles: list[Profile] | None = None

    @property
    def problems(self) -> tuple[tuple[int, str], ...]:
        """See L{finger.config.watchedfile.Content}."""
        return self.file.problems

    def __len__(self) -> int:
        return len(self.file.profiles)

    def makeList(self) -> list[Profile]:
        """Return the list of all users, and keep it."""
        if self.profiles is None:
            profiles = _unhurried(self.file.profiles.values())
            slices = iter(lambda: sorted(islice(profiles, SORTED_AT_ONCE), key=_LOGIN), [])
            self.profiles = list(_unhurried(merge(*slices, key=_LOGIN)))
        return self.profiles


def _unhurried(profiles: Iterable[Profile]) -> Iterator[Profile]:
    """Yield profiles, and let other threads have a turn after some of them."""
    for number, profile in enumerate(profiles):
        if number % 100 == 99:
            sleep(0)
        yield profile


def _parse(content: bytes) -> _Users:
    return _Users(parseUsers(content, partial(sleep, 0)))


@implementer(IFingerService, IFingerProfileService, IImmediateProfileService, ICountsUsers, IVersioned)
class FileFingerService(WatchedFile[_Users]):
    """
    The users of a file (L{finger.backends.usersfile}).

    @param path: the file.
    @param reactor: the reactor, for its clock and threads.
    @raise ConfigError: if the file cannot be read at the start.
    """

    def __init__(self, path: str, reactor: Any) -> None:
        self._lists: SingleFlight[list[Profile]] = SingleFlight(1, cancelAbandoned=False)
        try:
            super().__init__(path, reactor, _parse, "users", MAX_DATA_BYTES)
        except OSError as error:
            raise ConfigError(
                f"--file={path}: cannot be read: {error.strerror}; give a file of 'user: status' lines"
            ) from error

    def getUser(self, user: str) -> Deferred[str]:
        """See L{IFingerService.getUser}."""
        return self.getProfile(user).addCallback(lambda profile: profile.status)

    def getUsers(self) -> Deferred[list[str]]:
        """See L{IFingerService.getUsers}."""
        return self.getProfiles().addCallback(lambda profiles: [profile.login for profile in profiles])

    def getProfile(self, user: str) -> Deferred[Profile]:
        """See L{IFingerProfileService.getProfile}."""
        return execute(self.getProfileNow, user)

    def getProfileNow(self, user: str) -> Profile:
        """See L{IImmediateProfileService.getProfileNow}."""
        try:
            return self.content.file.profiles[canonical(user)]
        except KeyError:
            raise NoSuchUser(user) from None

    def getProfiles(self) -> Deferred[list[Profile]]:
        """
        See L{IFingerProfileService.getProfiles}.  The list is made when it is first asked for, and kept; a long one
        is made in a thread.
        """
        users = self.content
        if users.profiles is not None or len(users) <= LISTED_AT_ONCE:
            return succeed(users.makeList())
        threads = self._reactor.getThreadPool()
        return self._lists.join(self.readings, lambda: deferToThreadPool(self._reactor, threads, users.makeList))

    def countUsers(self) -> int:
        """See L{ICountsUsers.countUsers}."""
        return len(self.content)

    def userNames(self) -> Set[str]:
        """See L{ICountsUsers.userNames}."""
        return self.content.file.profiles.keys()

    def version(self) -> int:
        """See L{IVersioned.version}.  Each reading is a version."""
        return self.readings


@implementer(IPlugin, IFingerBackend)
class FileBackend:
    """C{--backend=file} and C{--backend=file:PATH}."""

    name = "file"
    argument = "[:PATH]"
    summary = "'user: status' lines of a file, read again when it changes; PATH instead of --file's"

    def makeBackend(self, argument: str, reactor: Any) -> FileFingerService:
        """See L{IFingerBackend.makeBackend}."""
        return FileFingerService(argument or DEFAULT_PATH, reactor)
