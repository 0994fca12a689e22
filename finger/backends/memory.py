"""The memory back end: users set at run time, and optionally kept in a file."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.client.singleflight import SingleFlight
from finger.config.files import MAX_DATA_BYTES, readFile
from finger.errors import BackendUnavailable, BadQuery, ConfigError, NoSuchUser
from finger.interfaces import ICountsUsers, IFingerBackend, IFingerService, IFingerSetterService, IVersioned

MAX_STATUS = 64 * 1024
"""The maximum length of a status, in characters."""

Users = Mapping[str, str]


@implementer(IFingerService, IFingerSetterService, ICountsUsers, IVersioned)
class MemoryFingerService:
    """
    Users in memory.

    @param users: the initial names and statuses.
    @param keep: called with all users before a change takes effect and is acknowledged.  The change takes effect when
        its Deferred fires, and is refused if it fails.  It is not called again before that: changes that arrive in
        the meantime share the next call.
    """

    def __init__(
        self, users: Users = {}, keep: Callable[[Users], Deferred[Any]] = lambda users: succeed(None)
    ) -> None:
        self._users = dict(users)
        self._keep = keep
        self._changes: dict[str, str] = {}
        self._batches: SingleFlight[None] = SingleFlight(1, cancelAbandoned=False)
        self._kept = 0
        self._changed = 0

    def getUser(self, user: str) -> Deferred[str]:
        """See L{IFingerService.getUser}."""
        if user in self._users:
            return succeed(self._users[user])
        return fail(NoSuchUser(user))

    def getUsers(self) -> Deferred[list[str]]:
        """See L{IFingerService.getUsers}."""
        return succeed(sorted(self._users))

    def setUser(self, user: str, status: str) -> Deferred[None]:
        """See L{IFingerSetterService.setUser}."""
        try:
            checkUser(user, status)
        except BadQuery:
            return fail()
        self._changes[user] = status
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

    def _change(self, result: object, users: dict[str, str]) -> None:
        self._users = users
        self._changed += 1

    def _notKept(self, failure: Failure) -> NoReturn:
        raise BackendUnavailable(f"the users could not be kept: {failure.getErrorMessage()}") from failure.value


def checkUser(user: str, status: str) -> None:
    """
    Check that a name can be queried and a status can be stored.

    @raise BadQuery: if not; the message says why.
    """
    if not user or len(user) > 255 or not user.isprintable() or user != user.strip() or "@" in user:
        raise BadQuery("a user name is 1 to 255 printable characters, without @ and outer spaces")
    if len(status) > MAX_STATUS:
        raise BadQuery(f"a status has at most {MAX_STATUS} characters")


class UsersJSON:
    """
    A file that contains all users as a JSON object, and is replaced as a whole.

    @param path: the file; its directory must be writable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> dict[str, str]:
        """
        Read the users; a file that does not exist has none.

        @raise ConfigError: if the file cannot be read or does not contain users.
        """
        try:
            content = readFile(self.path, MAX_DATA_BYTES)
            users = json.loads(content) if content else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"--backend=memory:{self.path}: cannot be read: {why}") from error
        if not isinstance(users, dict) or not all(isinstance(status, str) for status in users.values()):
            raise ConfigError(f"--backend=memory:{self.path}: is not a JSON object of users and statuses")
        return users

    def save(self, users: Users) -> None:
        """
        Write the users atomically and durably: after a crash, the file contains either the old or the new ones.

        @raise OSError: if they could not be written; the file then still contains the old ones.
        """
        new = self.path.with_name(f".{self.path.name}.new")
        with open(new, "w", encoding="utf-8") as file:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(self.path.stat().st_mode))
            json.dump(users, file, ensure_ascii=False, indent=0)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


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
        file = UsersJSON(Path(argument))
        if not file.path.parent.is_dir():
            raise ConfigError(f"--backend=memory:{argument}: the directory {file.path.parent} does not exist")
        return MemoryFingerService(
            file.load(), lambda users: deferToThreadPool(reactor, reactor.getThreadPool(), file.save, users)
        )
