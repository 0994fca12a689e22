"""The users that the names in a finger query stand for, by login and by name, and the text about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from finger.adapters.finger.lists import LEFT_OUT
from finger.client.singleflight import SingleFlight
from finger.errors import ListRefused, NoSuchUser
from finger.interfaces import IFingerProfileService
from finger.profile import Profile
from finger.protocol.names import fold, foldedNames
from finger.protocol.wire import MAX_NAMES, formatAnswer

MAX_ANSWER: Final = 256 * 1024
"""The maximum length of an answer about users by name, in characters."""

SLICE: Final = 5000
"""The number of users that are prepared for matching at once; then other connections have a turn."""


class People:
    """
    The users of a back end.

    @param profiles: the back end.
    """

    def __init__(self, profiles: IFingerProfileService) -> None:
        self.profiles = profiles
        self._lists: SingleFlight[_Index] = SingleFlight(1)
        self._index = _Index([])

    def matches(self, name: str, clock: IReactorTime | None) -> Deferred[Iterator[str]]:
        """
        Find users by login or by a word of the full name, or all of it (section 2.5.3), ignoring case.

        @param clock: the clock; L{None} to prepare a long list at once.
        @return: the logins, those that match by login first, some perhaps twice.  If the user list is refused, none
            match: they would reveal logins.
        """
        found = self._lists.join("", lambda: Deferred.fromCoroutine(self._indexed(clock)))
        return found.addCallback(lambda index: index.find(name))

    async def _indexed(self, clock: IReactorTime | None) -> _Index:
        try:
            profiles = await self.profiles.getProfiles()
        except ListRefused:
            profiles = []
        if profiles is not self._index.profiles:
            index = _Index(profiles)
            for start in range(0, len(profiles), SLICE):
                if start and clock is not None:
                    await deferLater(clock, 0)
                index.add(profiles[start : start + SLICE])
            self._index = index
        return self._index


class _Index:
    """The users of a list by login and by name, ignoring case."""

    def __init__(self, profiles: list[Profile]) -> None:
        self.profiles = profiles
        self._byLogin = _Logins()
        self._byName = _Logins()

    def add(self, profiles: Iterable[Profile]) -> None:
        for profile in profiles:
            self._byLogin.add(fold(profile.login), profile.login)
            for name in foldedNames(profile):
                self._byName.add(name, profile.login)

    def find(self, name: str) -> Iterator[str]:
        folded = fold(name)
        return chain(self._byLogin.of(folded), self._byName.of(folded))


class _Logins:
    """
    The logins of users by a name.  Most names are those of one user, and most logins are in lower case, so one of a
    million users takes no list and no copy of the login.
    """

    def __init__(self) -> None:
        self._logins: dict[str, str | list[str]] = {}

    def add(self, name: str, login: str) -> None:
        others = self._logins.setdefault(login if name == login else name, login)
        if isinstance(others, list):
            others.append(login)
        elif others is not login:
            self._logins[name] = [others, login]

    def of(self, name: str) -> list[str]:
        found = self._logins.get(name, [])
        return [found] if isinstance(found, str) else found


class Search:
    """
    The search for the names of one query, which finds each user once.

    @param people: the users.
    @param matchNames: whether a name that is not a login may match a login in another case, or a full name.
    @param clock: see L{People.matches}.
    """

    def __init__(self, people: People, matchNames: bool, clock: IReactorTime | None) -> None:
        self._people = people
        self._matchNames = matchNames
        self._clock = clock
        self._found: set[str] = set()
        self._matched = 0

    async def find(self, name: str) -> list[Profile]:
        """
        Find the users with a name.

        @return: the users that the names before did not find, and not more than L{MAX_NAMES} by other names than
            their login.
        @raise NoSuchUser: if there is no user with that name.
        """
        try:
            profile = await self._people.profiles.getProfile(name)
        except NoSuchUser as error:
            if not self._matchNames:
                raise
            unknown = error
        else:
            return [profile] if self._isNew(profile.login) else []
        logins = await self._people.matches(name, self._clock)
        first = next(logins, None)
        if first is None:
            raise unknown
        room = MAX_NAMES - self._matched  # All of a million users may have one name, so only some are looked at.
        new = list(islice(filter(self._isNew, chain([first], logins)), room))
        self._matched += len(new)
        return [await self._people.profiles.getProfile(login) for login in new]

    def _isNew(self, login: str) -> bool:
        if login in self._found:
            return False
        self._found.add(login)
        return True


def formatProfiles(profiles: Iterable[Profile], verbose: bool) -> str:
    """Return the answers about several users."""
    return "\n\n".join(formatAnswer(profile, verbose) for profile in profiles)


def joinAnswers(answers: Sequence[str]) -> str:
    """Return the answers to a query as one.  The answers to several names have a maximum length together."""
    answer = "\n".join(filter(None, answers))
    if len(answers) == 1 or len(answer) <= MAX_ANSWER:
        return answer
    lineEnd = answer.rfind("\n", 0, MAX_ANSWER)
    return f"{answer[: lineEnd if lineEnd > 0 else MAX_ANSWER]}\n{LEFT_OUT.format(MAX_ANSWER)}"
