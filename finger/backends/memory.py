"""The memory back end: users set at run time, and optionally kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.backends.usersjson import Users, UsersJSON
from finger.client.singleflight import SingleFlight
from finger.config.model import MAX_USERS
from finger.errors import BackendUnavailable, BadQuery, ConfigError, NoSuchUser, PeerError, SetRefused
from finger.interfaces import (
    IBoundsUsers,
    ICountsUsers,
    IFingerBackend,
    IFingerLongListService,
    IFingerService,
    IFingerSetterService,
    IImmediateProfileService,
    IOpenable,
    IVersioned,
)
from finger.profile import Profile
from finger.protocol.names import canonical, parseName

MAX_STATUS = 64 * 1024
"""The maximum length of a status, in characters."""


@implementer(
    IFingerService,
    IFingerLongListService,
    IFingerSetterService,
    IImmediateProfileService,
    ICountsUsers,
    IBoundsUsers,
    IVersioned,
)
class MemoryFingerService:
    """
    Users in memory.

    @param users: the initial names and statuses.
    @param keep: called with all users before a change takes effect and is acknowledged.  The change takes effect when
        its Deferred fires, and is refused if it fails.  It is not called again before that: changes that arrive in
        the meantime share the next call.
    @ivar maxUsers: see L{IBoundsUsers}.
    """

    maxUsers: int = MAX_USERS

    def __init__(
        self, users: Users = {}, keep: Callable[[Users], Deferred[Any]] = lambda users: succeed(None)
    ) -> None:
        self._users = dict(users)
        self._keep = keep
        self._changes: dict[str, str] = {}
        self._added: set[str] = set()  # The new users of all changes that have not taken effect.
        self._batches: SingleFlight[None] = SingleFlight(1, cancelAbandoned=False)
        self._kept = 0
        self._changed = 0

    def getUser(self, user: str) -> Deferred[str]:
        """See L{IFingerService.getUser}."""
        return execute(lambda: self.getProfileNow(user).status)

    def getProfileNow(self, user: str) -> Profile:
        """See L{IImmediateProfileService.getProfileNow}."""
        login = canonical(user)
        status = self._users.get(login)
        if status is None:
            raise NoSuchUser(user)
        return Profile(login, plan=status)

    def getUsers(self) -> Deferred[list[str]]:
        """See L{IFingerService.getUsers}."""
        return succeed(sorted(self._users))

    def getLongProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerLongListService.getLongProfiles}."""
        return succeed([Profile(user, plan=self._users[user]) for user in sorted(self._users)])

    def setUser(self, user: str, status: str) -> Deferred[None]:
        """See L{IFingerSetterService.setUser}."""
        try:
            name = checkUser(user, status)
            self._checkNumber(name)
        except PeerError:
            return fail()
        self._changes[name] = status
        done: Deferred[None] = Deferred()  # Cancelling it does not undo the change.
        self._batches.join(self._kept, self._keepChanges).chainDeferred(done)
        return done

    def countUsers(self) -> int:
        """See L{ICountsUsers.countUsers}."""
        return len(self._users)

    def userNames(self) -> Set[str]:
        """See L{ICountsUsers.userNames}."""
        return self._users.keys()

    def version(self) -> int:
        """See L{IVersioned.version}.  Each change is a version."""
        return self._changed

    def _keepChanges(self) -> Deferred[None]:
        self._kept += 1
        users, self._changes = self._users | self._changes, {}
        return self._keep(users).addCallbacks(self._change, self._notKept, callbackArgs=(users,))

    def _checkNumber(self, user: str) -> None:
        if user in self._users or user in self._added:
            return
        if len(self._users) + len(self._added) >= self.maxUsers:
            raise SetRefused(f"no user can be added: there are already {self.maxUsers}")
        self._added.add(user)

    def _change(self, result: object, users: dict[str, str]) -> None:
        self._users = users
        self._changed += 1
        self._added = self._changes.keys() - users.keys()

    def _notKept(self, failure: Failure) -> NoReturn:
        self._added = self._changes.keys() - self._users.keys()
        raise BackendUnavailable(f"the users could not be kept: {failure.getErrorMessage()}") from failure.value


def checkUser(user: str, status: str) -> str:
    """
    Check that a name can be queried and a status can be stored.

    @return: the name in its canonical form.
    @raise BadQuery: if not; the message says why.
    """
    if len(status) > MAX_STATUS:
        raise BadQuery(f"a status has at most {MAX_STATUS} characters")
    return parseName(user)


@implementer(IOpenable)
class KeptFingerService(MemoryFingerService):
    """
    Users in memory that are kept in a file.

    @param file: the file.
    @param reactor: the reactor whose threads write the file.
    """

    def __init__(self, file: UsersJSON, reactor: Any) -> None:
        super().__init__(file.load(), self._save)
        self._file = file
        self._reactor = reactor

    def open(self) -> None:
        """See L{IOpenable.open}.  Read the file again: until it is locked, another server may have changed it."""
        self._file.open()
        self._change(None, self._file.load())

    def close(self) -> None:
        """See L{IOpenable.close}."""
        self._file.close()

    def _save(self, users: Users) -> Deferred[None]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._file.save, users)


@implementer(IPlugin, IFingerBackend)
class MemoryBackend:
    """C{--backend=memory} and C{--backend=memory:PATH}."""

    name = "memory"
    argument = "[:PATH]"
    summary = "users set at run time through the setter; with PATH, kept there as JSON"

    def makeBackend(self, argument: str, reactor: Any) -> MemoryFingerService:
        """See L{IFingerBackend.makeBackend}."""
        if not argument:
            return MemoryFingerService()
        file = UsersJSON(argument)
        if not file.path.parent.is_dir():
            raise ConfigError(f"--backend=memory:{argument}: the directory {file.path.parent} does not exist")
        return KeptFingerService(file, reactor)
