"""
The machine's own users, without ever waiting for their files on the reactor's thread.

Everything that may block, and that is everything, happens in threads.  A file server that is down holds a thread for
as long as it likes, so: a query waits no longer than its deadline; queries for the same user share one thread, so
that asking again and again costs no second one; and the threads are daemons, for which the end of the process does
not wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.backends._accounts import Accounts, Found, isLogin
from finger.errors import BackendUnavailable, ConfigError, NoSuchUser
from finger.interfaces import IFingerBackend, IFingerProfileService, IFingerService
from finger.profile import Profile

DEADLINE = 10.0
"""How long a query may take, in seconds."""

MAX_THREADS = 16
"""How many users are looked up at once; further queries wait for their turn."""

Work = Callable[[], Found]


def startThread(work: Callable[[], None]) -> None:
    """Begin C{work} in a thread that does not keep the process alive."""
    Thread(target=work, name="finger-local", daemon=True).start()


@dataclass(eq=False, slots=True)
class _Reading:
    """Work for a thread, and the queries that wait for what comes of it."""

    key: str
    work: Work
    started: float | None = None
    waiting: list[Deferred[Found]] = field(default_factory=list)


class Readings:
    """
    Blocking work, done in a limited number of threads and a limited time.

    @param reactor: for its clock, and for the way back from a thread (C{callFromThread}).
    @param deadline: how long anybody waits for a result, in seconds.
    @param maxThreads: the most threads there are at once.
    @param start: begins a function in a thread.
    """

    def __init__(
        self,
        reactor: Any,
        deadline: float = DEADLINE,
        maxThreads: int = MAX_THREADS,
        start: Callable[[Callable[[], None]], None] = startThread,
    ) -> None:
        self._reactor = reactor
        self._deadline = deadline
        self._maxThreads = maxThreads
        self._start = start
        self._readings: dict[str, _Reading] = {}
        self._queue: deque[_Reading] = deque()

    def read(self, key: str, work: Work) -> Deferred[Found]:
        """
        Do C{work}, or share the result if work of the same key is being done.

        @return: what C{work} returns.  Fails as C{work} does; with L{BackendUnavailable} if that was an
            L{OSError}, at the deadline, and at once if the work of the same key is past its own.
        """
        reading = self._readings.get(key)
        if reading is None:
            reading = self._readings[key] = _Reading(key, work)
            self._queue.append(reading)
        elif self._isStuck(reading):
            return fail(self._tooLate())
        waiter: Deferred[Found] = Deferred(partial(self._leave, reading))
        reading.waiting.append(waiter)
        waiter.addTimeout(self._deadline, self._reactor, self._timedOut)
        self._startWaiting()
        return waiter

    def _isStuck(self, reading: _Reading) -> bool:
        return reading.started is not None and self._reactor.seconds() - reading.started >= self._deadline

    def _startWaiting(self) -> None:
        while self._queue and len(self._readings) - len(self._queue) < self._maxThreads:
            reading = self._queue.popleft()
            reading.started = self._reactor.seconds()
            try:
                self._start(partial(self._run, reading))
            except RuntimeError as error:  # The system gives us no more threads.
                self._finish(reading, Failure(BackendUnavailable(str(error))))

    def _run(self, reading: _Reading) -> None:
        """Do the work; this is in the thread."""
        result: Found | Failure
        try:
            result = reading.work()
        except OSError as error:
            result = Failure(BackendUnavailable(f"cannot be read: {error}"))
        except BaseException:
            result = Failure()
        self._reactor.callFromThread(self._ran, reading, result)

    def _ran(self, reading: _Reading, result: Found | Failure) -> None:
        self._finish(reading, result)
        self._startWaiting()

    def _finish(self, reading: _Reading, result: Found | Failure) -> None:
        del self._readings[reading.key]
        while reading.waiting:
            reading.waiting.pop(0).callback(result)

    def _leave(self, reading: _Reading, waiter: Deferred[Found]) -> None:
        """A query is cancelled.  What nobody waits for any more is not begun, but cannot be stopped."""
        reading.waiting.remove(waiter)
        if not reading.waiting and reading.started is None:
            self._queue.remove(reading)
            del self._readings[reading.key]

    def _timedOut(self, result: object, timeout: float) -> object:
        raise self._tooLate()

    def _tooLate(self) -> BackendUnavailable:
        return BackendUnavailable(f"the users' files or the name service did not answer within {self._deadline:g} s")


@implementer(IFingerService, IFingerProfileService)
class LocalFingerService:
    """
    The machine's own users (L{finger.backends._accounts} says who that is, and who hides).

    @param reactor: for its clock, and for the way back from a thread.
    @param accounts: the users.
    @param deadline: how long a query may take, in seconds.
    @param maxThreads: how many users are looked up at once.
    @param start: begins a function in a thread.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        accounts: Accounts | None = None,
        *,
        deadline: float = DEADLINE,
        maxThreads: int = MAX_THREADS,
        start: Callable[[Callable[[], None]], None] = startThread,
    ) -> None:
        self._accounts = accounts or Accounts()
        self._readings = Readings(reactor, deadline, maxThreads, start)
        self._told: set[str] = set()

    def getUser(self, user: str) -> Deferred[str]:
        """See L{IFingerService.getUser}.  The status is the plan."""
        return self.getProfile(user).addCallback(lambda profile: profile.status)

    def getUsers(self) -> Deferred[list[str]]:
        """See L{IFingerService.getUsers}."""
        return self.getProfiles().addCallback(lambda profiles: [profile.login for profile in profiles])

    def getProfile(self, user: str) -> Deferred[Profile]:
        """
        See L{IFingerProfileService.getProfile}.

        A name that can be one goes the same way, and waits in the same queue, whether its user is there, hides or
        does not exist.
        """
        if not isLogin(user):
            return fail(NoSuchUser(user))
        found = self._readings.read(user, partial(self._accounts.find, user))
        return found.addCallback(self._profiles).addCallback(lambda profiles: profiles[0])

    def getProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerProfileService.getProfiles}."""
        return self._readings.read("", self._accounts.findAll).addCallback(self._profiles)

    def _profiles(self, found: Found) -> list[Profile]:
        for refusal in found.refusals:
            if refusal not in self._told:
                self._told.add(refusal)
                self.log.info("not served: {refusal}", refusal=refusal)
        return list(found.profiles)


@implementer(IPlugin, IFingerBackend)
class LocalBackend:
    """C{--backend=local}."""

    name = "local"
    argument = ""
    summary = "the users of this machine, with their ~/.plan and ~/.project"

    def makeBackend(self, argument: str, reactor: Any) -> LocalFingerService:
        """See L{IFingerBackend.makeBackend}."""
        if argument:
            raise ConfigError(f"--backend=local:{argument}: local takes no argument; say --backend=local")
        return LocalFingerService(reactor)
