"""
The administrator's aliases: other names by which users can be queried.

The file has a line C{alias: user} for each::

    # a comment
    webmaster: ada
    ceo: charles

An alias is resolved once, to a user and not to another alias, and only if the back ends have no user of that name: so
no alias hides a user.  The answer is that about the user, with what the policy discloses.  Lists have no aliases.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from finger.config.watchedfile import WatchedFile
from finger.errors import BadQuery, ConfigError, NoSuchUser, SetRefused
from finger.interfaces import (
    IFingerLongListService,
    IFingerProfileService,
    IFingerService,
    IFingerSetterService,
    IImmediateProfileService,
    IVersioned,
)
from finger.net.answercache import versionReader
from finger.profile import Profile
from finger.protocol.names import MAX_NAME, canonical, parseName
from finger.protocol.wire import cleanLine

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Aliases:
    """
    The contents of a file of aliases.

    @ivar users: the user of each alias.
    @ivar problems: the invalid lines: their numbers, from 1, and what is wrong with each.
    """

    users: Mapping[str, str]
    problems: tuple[tuple[int, str], ...]

    def __len__(self) -> int:
        return len(self.users)


def parseAliases(content: bytes) -> Aliases:
    """Parse a file of aliases.  Invalid lines are skipped, and so are those whose user is an alias itself."""
    lines: dict[str, tuple[int, str]] = {}
    problems: list[tuple[int, str]] = []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = raw.decode("utf-8").strip()
            if line and not line.startswith("#"):
                alias, user = _entry(line, lines)
                lines[alias] = number, user
        except UnicodeDecodeError:
            problems.append((number, "is not UTF-8"))
        except (BadQuery, ValueError) as error:
            problems.append((number, str(error)))
    chained = [
        (number, f"{user!r} is an alias itself; name its user") for number, user in lines.values() if user in lines
    ]
    users = {alias: user for alias, (_, user) in lines.items() if user not in lines}
    return Aliases(users, tuple(sorted(problems + chained)))


def _entry(line: str, lines: Mapping[str, object]) -> tuple[str, str]:
    alias, colon, user = line.partition(":")
    if not colon:
        raise ValueError("has no colon: expected 'alias: user'")
    alias, user = parseName(alias.strip()), parseName(user.strip())
    if alias in lines:
        raise ValueError(f"defines {alias!r} again; the first definition is used")
    return alias, user


class AliasesFile(WatchedFile[Aliases]):
    """
    A file of aliases, which is read again when it changes.

    @param path: the file.
    @param reactor: the reactor, for its clock and threads.
    @raise ConfigError: if the file cannot be read at the start.
    """

    def __init__(self, path: str, reactor: Any) -> None:
        try:
            super().__init__(path, reactor, parseAliases, "aliases")
        except OSError as error:
            raise ConfigError(
                f"--aliases={path}: cannot be read: {error.strerror}; give a file of 'alias: user' lines"
            ) from error

    def userOf(self, name: str) -> str | None:
        """Return the user that a name is an alias of; L{None} if it is none."""
        return self.content.users.get(canonical(name))


@implementer(IFingerService, IFingerProfileService, IFingerLongListService, IImmediateProfileService, IVersioned)
class AliasedFingerService:
    """
    A back end whose users can also be queried by aliases.

    @param service: the wrapped back end.
    @param aliases: the aliases.
    """

    def __init__(self, service: IFingerService, aliases: AliasesFile) -> None:
        self._service = service
        self._profiles = IFingerProfileService(service)
        self._longList = IFingerLongListService(service)
        self._immediate = IImmediateProfileService(service, None)
        self._version = versionReader(service)
        self._aliases = aliases

    def getUser(self, user: str) -> Deferred[str]:
        """See L{IFingerService.getUser}."""
        return Deferred.fromCoroutine(self._find(self._service.getUser, user))

    def getUsers(self) -> Deferred[list[str]]:
        """See L{IFingerService.getUsers}."""
        return self._service.getUsers()

    def getProfile(self, user: str) -> Deferred[Profile]:
        """See L{IFingerProfileService.getProfile}.  The profile of an alias is that of its user."""
        return Deferred.fromCoroutine(self._find(self._profiles.getProfile, user))

    def getProfileNow(self, user: str) -> Profile | None:
        """See L{IImmediateProfileService.getProfileNow}."""
        if self._immediate is None:
            return None
        try:
            return self._immediate.getProfileNow(user)
        except NoSuchUser:
            known = self._aliases.userOf(user)
            if known is None:
                raise
        return self._immediate.getProfileNow(known)

    def getProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerProfileService.getProfiles}."""
        return self._profiles.getProfiles()

    def getLongProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerLongListService.getLongProfiles}."""
        return self._longList.getLongProfiles()

    def version(self) -> Hashable | None:
        """See L{IVersioned.version}."""
        version = self._version()
        return None if version is None else (version, self._aliases.readings)

    async def _find(self, look: Callable[[str], Deferred[T]], name: str) -> T:
        try:
            return await look(name)
        except NoSuchUser:
            user = self._aliases.userOf(name)
            if user is None:
                raise
        return await look(user)


@implementer(IFingerSetterService)
class AliasedSetterService:
    """
    Refuses to set the status of an alias: that would add a user of that name, whom queries would show instead.

    @param service: the back end that has all users.
    @param setter: the back end whose statuses are set.
    @param aliases: the aliases.
    """

    def __init__(self, service: IFingerService, setter: IFingerSetterService, aliases: AliasesFile) -> None:
        self._service = service
        self._setter = setter
        self._aliases = aliases

    def setUser(self, user: str, status: str) -> Deferred[None]:
        """See L{IFingerSetterService.setUser}."""
        return Deferred.fromCoroutine(self._set(user, status))

    async def _set(self, user: str, status: str) -> None:
        if self._aliases.userOf(user) is not None:
            try:
                await self._service.getUser(canonical(user))
            except NoSuchUser:
                shown = cleanLine(user[:MAX_NAME])
                raise SetRefused(f"{shown} is an alias; set the status of its user") from None
        await self._setter.setUser(user, status)
