"""
The local back end: the users of this machine.

All lookups may block, so they run in threads.  A file server that is down may block a thread without limit.
Therefore a query waits no longer than its timeout, queries for the same user share one thread, and the threads are
daemons, so that the process can end without waiting for them.
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
"""The timeout of a query, in seconds."""

MAX_THREADS = 16
"""The maximum number of simultaneous lookups; further ones are queued."""

Work = Callable[[], Found]


def startThread(work: Callable[[], None]) -> None:
    """Start C{work} in a daemon thread."""
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
    Blocking work, done in a limited number of threads and with a timeout.

    @param reactor: the reactor, for its clock and C{callFromThread}.
    @param deadline: the timeout of a result, in seconds.
    @param maxThreads: the maximum number of simultaneous threads.
    @param start: starts a function in a thread.
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
        Do C{work}, or share the result of work with the same key that is in progress.

        @return: the result of C{work}.  Fails as C{work} does, but with L{BackendUnavailable} instead of an
            L{OSError}, after the timeout, and at once if the work in progress has already exceeded the timeout.
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
        """Do the work.  This runs in the thread."""
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
    The users of this machine; see L{finger.backends._accounts} for which are found and which hide.

    @param reactor: the reactor, for its clock and C{callFromThread}.
    @param accounts: the users.
    @param deadline: the timeout of a query, in seconds.
    @param maxThreads: the maximum number of simultaneous lookups.
    @param start: starts a function in a thread.
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

        Queries for all valid names take the same path and wait in the same queue, whether the user is shown, hides
        or does not exist.
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
            raise ConfigError(f"--backend=local:{argument}: local takes no argument; use --backend=local")
        return LocalFingerService(reactor)
