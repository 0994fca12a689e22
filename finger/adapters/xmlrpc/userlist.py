"""The answer of C{getUsers}, which is made in slices, and kept until the users change."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from finger.adapters.xmlrpc.messages import Formatted, formatList, formatResponse, formatValue
from finger.client.singleflight import SingleFlight
from finger.interfaces import IFingerService
from finger.net.answercache import AnswerCache, versionOf
from finger.protocol.wire import clean

SLICE: Final = 5000
"""The number of users that are formatted at once, which takes some 5 ms; then other connections have a turn."""

MAX_BYTES: Final = 256 * 1024 * 1024
"""The maximum size of the kept answers, in bytes.  Each is kept twice; one of 1,000,000 users takes 100 MB."""


class UserList(Formatted):
    """
    The names of all users, as a value.

    @ivar response: the response to a call that has only this value.
    """

    response: bytes


class UserLists:
    """
    The lists of a back end's users.

    @param service: the back end.
    """

    def __init__(self, service: IFingerService) -> None:
        self._service = service
        self._kept: AnswerCache[UserList] = AnswerCache(mostBytes=MAX_BYTES)
        self._making: SingleFlight[UserList] = SingleFlight(1)

    def find(self) -> UserList | None:
        """Return the list, if it is kept."""
        return self._kept.get(versionOf(self._service), "")

    def make(self, clock: IReactorTime | None) -> Deferred[UserList]:
        """
        Make the list, once for all that wait for it, and keep it.

        @param clock: the clock; L{None} to make a long list at once.
        @return: the list; fails as the back end does.
        """
        version = versionOf(self._service)
        if version is None:
            return Deferred.fromCoroutine(self._make(None, clock))
        return self._making.join(version, lambda: Deferred.fromCoroutine(self._make(version, clock)))

    async def _make(self, version: Hashable | None, clock: IReactorTime | None) -> UserList:
        users = await self._service.getUsers()
        slices: list[str] = []
        for start in range(0, len(users), SLICE):
            if start and clock is not None:
                await deferLater(clock, 0)
            slices += ["".join(formatValue(clean(user)) for user in users[start : start + SLICE])]
        made = UserList(formatList("".join(slices)))
        made.response = formatResponse(made)
        self._kept.put(version, "", made, len(made) + len(made.response))
        return made
