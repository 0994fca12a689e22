"""
Slots for work on behalf of peers, shared so that no peer and no slow host uses up what the others need.

Work that finds no slot waits for one.  A free slot goes to the peer that uses the fewest, and to its oldest work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, NoReturn, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from finger.client.singleflight import SingleFlight
from finger.errors import RemoteUnreachable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Limits of work at once.

    @ivar total: in all.
    @ivar perHost: at one host.
    @ivar perPeer: for one peer.
    @ivar perPeerAndHost: for one peer at one host.
    @ivar waiting: waiting for a slot, in all.
    @ivar waitingPerPeer: waiting for a slot, for one peer.
    """

    total: int
    perHost: int
    perPeer: int
    perPeerAndHost: int
    waiting: int
    waitingPerPeer: int


@dataclass(frozen=True, slots=True)
class Place:
    """
    What work is counted by.

    @ivar peer: the peer it is done for; empty if for none, which has no limit of its own.
    @ivar host: the host it is done at.
    """

    peer: str
    host: str


@dataclass(eq=False, slots=True)
class _Waiting:
    """Work that waits for a slot."""

    place: Place
    granted: Deferred[None] = field(init=False)


class Slots:
    """
    The slots.

    @param limits: their numbers.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: Counter[Hashable] = Counter()
        self._queue: list[_Waiting] = []
        self._isServing = False

    def take(self, place: Place) -> Deferred[None]:
        """
        Take a slot.

        @return: fires when there is one, which must be given back then.  Cancel it to give up waiting.  Fails with
            L{RemoteUnreachable} if too many wait.
        """
        if self._isFree(place):
            self._count(place, 1)
            return succeed(None)
        if len(self._queue) >= self._limits.waiting or self._waitingOf(place.peer) >= self._limits.waitingPerPeer:
            return fail(_tooMany())
        entry = _Waiting(place)
        entry.granted = Deferred(lambda _: self._queue.remove(entry))
        self._queue.append(entry)
        return entry.granted

    def giveBack(self, place: Place) -> None:
        """Give back a slot, and grant those that are free now to work that waits."""
        self._count(place, -1)
        if self._isServing:
            return  # Work that ends at once gives back its slot within the loop below.
        self._isServing = True
        while (entry := self._next()) is not None:
            self._queue.remove(entry)
            self._count(entry.place, 1)
            entry.granted.callback(None)
        self._isServing = False

    def _next(self) -> _Waiting | None:
        if self._taken["total"] >= self._limits.total:
            return None
        fewestFirst = sorted(self._queue, key=lambda entry: self._taken["peer", entry.place.peer])
        return next((entry for entry in fewestFirst if self._isFree(entry.place)), None)

    def _waitingOf(self, peer: str) -> int:
        return sum(entry.place.peer == peer for entry in self._queue) if peer else 0

    def _isFree(self, place: Place) -> bool:
        return all(self._taken[key] < limit for key, limit in self._keys(place))

    def _count(self, place: Place, change: int) -> None:
        for key, _ in self._keys(place):
            self._taken[key] += change
            if not self._taken[key]:
                del self._taken[key]

    def _keys(self, place: Place) -> list[tuple[Hashable, int]]:
        keys: list[tuple[Hashable, int]] = [
            ("total", self._limits.total),
            (("host", place.host), self._limits.perHost),
        ]
        if place.peer:
            keys.append((("peer", place.peer), self._limits.perPeer))
            keys.append((place, self._limits.perPeerAndHost))
        return keys


class FairFlight(Generic[T]):
    """
    Operations by key, each run once for all callers that wait for it (L{SingleFlight}), and each in a slot.

    Joining an operation that runs takes no slot.  One that waits for a slot cannot be joined, because its peer may
    have to wait longer than others.

    @param clock: the clock for the time limit.
    @param limits: the numbers of slots.
    @param patience: the time limit for waiting for a slot, in seconds.
    @param cancelAbandoned: see L{SingleFlight}.
    """

    def __init__(self, clock: IReactorTime, limits: Limits, patience: float, *, cancelAbandoned: bool = True) -> None:
        self._clock = clock
        self._patience = patience
        self._slots = Slots(limits)
        self._flights: SingleFlight[T] = SingleFlight(limits.total, cancelAbandoned=cancelAbandoned)

    def join(self, key: Hashable, place: Place, start: Callable[[], Deferred[T]]) -> Deferred[T]:
        """
        Wait for the operation with a key.  If it does not run, start it in a slot.

        @param key: identifies the operation.
        @param place: what the operation is counted by, if it is started.
        @param start: starts the operation.
        @return: its result.  Cancelling it does not affect other callers.  Fails with L{RemoteUnreachable} if no slot
            is free in time.
        """
        if key in self._flights:
            return self._flights.join(key, start)
        return Deferred.fromCoroutine(self._inTurn(key, place, start))

    async def _inTurn(self, key: Hashable, place: Place, start: Callable[[], Deferred[T]]) -> T:
        await self._slots.take(place).addTimeout(self._patience, self._clock, _tooLate)
        if key in self._flights:  # Another peer had a slot first.
            self._slots.giveBack(place)
            return await self._flights.join(key, start)
        return await self._flights.join(key, lambda: maybeDeferred(start).addBoth(self._ended, place))

    def _ended(self, result: T | Failure, place: Place) -> T | Failure:
        self._slots.giveBack(place)
        return result


def _tooMany() -> RemoteUnreachable:
    return RemoteUnreachable("too many queries are under way")


def _tooLate(result: object, seconds: float) -> NoReturn:
    raise _tooMany()
