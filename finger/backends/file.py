"""The file back end: users from a file, which is read again when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import partial
from heapq import merge
from itertools import islice
from operator import attrgetter
from time import sleep
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.backends.usersfile import UsersFile, parseUsers
from finger.client.singleflight import SingleFlight
from finger.config.files import MAX_DATA_BYTES, readFile
from finger.errors import ConfigError, NoSuchUser
from finger.interfaces import (
    ICountsUsers,
    IFingerBackend,
    IFingerProfileService,
    IFingerService,
    IImmediateProfileService,
    ISelfReloading,
    IVersioned,
)
from finger.profile import Profile
from finger.protocol.names import canonical

DEFAULT_PATH = "/etc/users"
INTERVAL = 30.0
"""The interval at which the file is checked for changes, in seconds."""

MAX_PROBLEMS = 10
"""The maximum number of invalid lines logged at each reading; the others are only counted."""

LISTED_AT_ONCE = 1000
"""The number of users up to which their list is made at once, and not in a thread."""

SORTED_AT_ONCE = 10_000
"""The number of users that are sorted at once, which makes other threads wait for some milliseconds."""

_LOGIN = attrgetter("login")

Signature = tuple[int, ...]


@dataclass(slots=True)
class _Reading:
    """
    One reading of the file, which replaces the previous one as a whole.

    @ivar profiles: all users, sorted, once a list was asked for: for many users, it takes more memory than all else.
    """

    signature: Signature
    users: UsersFile
    profiles: list[Profile] | None = None

    def makeList(self) -> list[Profile]:
        """Return the list of all users, and keep it."""
        if self.profiles is None:
            profiles = _unhurried(self.users.profiles.values())
            slices = iter(lambda: sorted(islice(profiles, SORTED_AT_ONCE), key=_LOGIN), [])
            self.profiles = list(_unhurried(merge(*slices, key=_LOGIN)))
        return self.profiles


def _unhurried(profiles: Iterable[Profile]) -> Iterator[Profile]:
    """Yield profiles, and let other threads have a turn after some of them."""
    for number, profile in enumerate(profiles):
        if number % 100 == 99:
            sleep(0)
        yield profile


def _read(path: str) -> _Reading:
    signature = _signature(path)  # Taken first, so that a change during the reading is noticed later.
    return _Reading(signature, parseUsers(readFile(path, MAX_DATA_BYTES), partial(sleep, 0)))


def _signature(path: str) -> Signature:
    """
    Return a value that differs if the file has changed.  It includes the inode, since editors write and rename a new
    file.
    """
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@implementer(
    IFingerService, IFingerProfileService, IImmediateProfileService, ICountsUsers, ISelfReloading, IVersioned
)
class FileFingerService(Service):
    """
    The users of a file (L{finger.backends.usersfile}).

    While the service runs, the file is read again when it has changed.  If that fails, the error is logged, and the
    current users stay.

    @param path: the file.
    @param reactor: the reactor, for its clock and threads.
    @ivar reloader: see L{ISelfReloading}.
    @raise ConfigError: if the file cannot be read at the start.
    """

    log = Logger()

    def __init__(self, path: str, reactor: Any) -> None:
        self.path = path
        self._reactor = reactor
        self._unreadable = ""
        self._reloads: SingleFlight[bool] = SingleFlight(1, cancelAbandoned=False)
        self._lists: SingleFlight[list[Profile]] = SingleFlight(1, cancelAbandoned=False)
        self._reloaded = 0
        self._readings = 1
        self.reloader: Callable[[], Deferred[bool] | Deferred[None]] = self.reload
        self._looking = LoopingCall(lambda: Deferred.fromCoroutine(self._look()))
        self._looking.clock = reactor
        try:
            self._reading = _read(path)
        except OSError as error:
            raise ConfigError(
                f"--file={path}: cannot be read: {error.strerror}; give a file of 'user: status' lines"
            ) from error
        self._tellProblems()

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
            return self._reading.users.profiles[canonical(user)]
        except KeyError:
            raise NoSuchUser(user) from None

    def getProfiles(self) -> Deferred[list[Profile]]:
        """
        See L{IFingerProfileService.getProfiles}.  The list is made when it is first asked for, and kept; a long one
        is made in a thread.
        """
        reading = self._reading
        if reading.profiles is not None or len(self._profiles) <= LISTED_AT_ONCE:
            return succeed(reading.makeList())
        threads = self._reactor.getThreadPool()
        return self._lists.join(self._readings, lambda: deferToThreadPool(self._reactor, threads, reading.makeList))

    def countUsers(self) -> int:
        """See L{ICountsUsers.countUsers}."""
        return len(self._profiles)

    def userNames(self) -> Set[str]:
        """See L{ICountsUsers.userNames}."""
        return self._profiles.keys()

    def version(self) -> int:
        """See L{IVersioned.version}.  Each reading is a version."""
        return self._readings

    @property
    def _profiles(self) -> Mapping[str, Profile]:
        return self._reading.users.profiles

    def startService(self) -> None:
        """Start watching the file.  Warn if it is not readable, since the process may have dropped privileges."""
        if not os.access(self.path, os.R_OK):
            self.log.warn(
                "{path} is not readable by the user of this process (uid {uid}): its changes will not be noticed",
                path=self.path,
                uid=os.geteuid(),
            )
        super().startService()
        self._looking.start(INTERVAL, now=False)

    def stopService(self) -> None:
        """Stop watching the file."""
        super().stopService()
        self._looking.stop()

    async def _look(self) -> None:
        """Check for a change, in a thread, since this may block on a mount whose server is down."""
        threads = self._reactor.getThreadPool()
        try:
            signature = await deferToThreadPool(self._reactor, threads, _signature, self.path)
            changed = signature != self._reading.signature
        except OSError:
            changed = True  # The reading logs the error, and only once.
        if changed:
            await self.reloader()

    def reload(self) -> Deferred[bool]:
        """
        See L{IReloadable.reload}.  The file is read in a thread, since it may be large, and by one thread at a time:
        all calls during a reading share one more reading after it.
        """
        return self._reloads.join(self._reloaded, self._reload)

    def _reload(self) -> Deferred[bool]:
        self._reloaded += 1
        reading = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _read, self.path)
        return reading.addCallbacks(self._readAgain, self._notRead)

    def _readAgain(self, reading: _Reading) -> bool:
        self._reading = reading
        self._readings += 1
        self._unreadable = ""
        self.log.info("read {users} users from {path}", users=len(self._profiles), path=self.path)
        self._tellProblems()
        return True

    def _notRead(self, failure: Failure) -> bool:
        why = getattr(failure.value, "strerror", None) or failure.getErrorMessage()
        if why != self._unreadable:
            self.log.error("{path} cannot be read, its current users stay: {why}", path=self.path, why=why)
        self._unreadable = why
        return False

    def _tellProblems(self) -> None:
        problems = self._reading.users.problems
        for number, problem in problems[:MAX_PROBLEMS]:
            self.log.warn("{path}:{number}: skipped: {problem}", path=self.path, number=number, problem=problem)
        if len(problems) > MAX_PROBLEMS:
            self.log.warn("{path}: {more} more lines skipped", path=self.path, more=len(problems) - MAX_PROBLEMS)


@implementer(IPlugin, IFingerBackend)
class FileBackend:
    """C{--backend=file} and C{--backend=file:PATH}."""

    name = "file"
    argument = "[:PATH]"
    summary = "'user: status' lines of a file, read again when it changes; PATH instead of --file's"

    def makeBackend(self, argument: str, reactor: Any) -> FileFingerService:
        """See L{IFingerBackend.makeBackend}."""
        return FileFingerService(argument or DEFAULT_PATH, reactor)
