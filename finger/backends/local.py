"""
The local back end: the users of this machine.

All lookups may block, so they run in threads.  A file server that is down may block a thread without limit.
Therefore a query waits no longer than its timeout, queries for the same user share one thread, and the threads are
daemons, so that the process can end without waiting for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from threading import Thread
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.backends._accounts import Accounts, Found, isLogin
from finger.client.singleflight import SingleFlight
from finger.errors import BackendUnavailable, ConfigError, NoSuchUser
from finger.interfaces import (
    IFingerBackend,
    IFingerLongListService,
    IFingerProfileService,
    IFingerService,
    IReadsFields,
)
from finger.log.peerlog import PeerLog
from finger.profile import FIELD_OF_ATOM, Profile

DEADLINE = 10.0
"""The timeout of a query, in seconds."""

MAX_THREADS = 16
"""The maximum number of simultaneous lookups; further ones are queued."""

Work = Callable[[], Found]


def startThread(work: Callable[[], None]) -> None:
    """Start C{work} in a daemon thread."""
    Thread(target=work, name="finger-local", daemon=True).start()


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
        self._start = start
        # A thread cannot be stopped.
        self._flights: SingleFlight[Found] = SingleFlight(maxThreads, cancelAbandoned=False)
        self._started: dict[str, float] = {}

    def read(self, key: str, work: Work) -> Deferred[Found]:
        """
        Do C{work}, or share the result of work with the same key that is in progress.

        @return: the result of C{work}.  Fails as C{work} does, but with L{BackendUnavailable} instead of an
            L{OSError}, after the timeout, and at once if the work in progress has already exceeded the timeout.
        """
        if key in self._started and self._reactor.seconds() - self._started[key] >= self._deadline:
            return fail(self._tooLate())
        waiting = self._flights.join(key, partial(self._begin, key, work))
        return waiting.addTimeout(self._deadline, self._reactor, self._timedOut)

    def _begin(self, key: str, work: Work) -> Deferred[Found]:
        done: Deferred[Found] = Deferred()
        try:
            self._start(partial(self._run, work, done))
        except RuntimeError as error:  # The system gives us no more threads.
            raise BackendUnavailable(str(error)) from error
        self._started[key] = self._reactor.seconds()
        return done.addBoth(self._ended, key)

    def _run(self, work: Work, done: Deferred[Found]) -> None:
        """Do the work.  This runs in the thread."""
        result: Found | Failure
        try:
            result = work()
        except OSError as error:
            result = Failure(BackendUnavailable(f"cannot be read: {error}"))
        except BaseException:
            result = Failure()
        self._reactor.callFromThread(done.callback, result)

    def _ended(self, result: Found | Failure, key: str) -> Found | Failure:
        del self._started[key]
        return result

    def _timedOut(self, result: object, timeout: float) -> NoReturn:
        raise self._tooLate()

    def _tooLate(self) -> BackendUnavailable:
        return BackendUnavailable(f"the users' files or the name service did not answer within {self._deadline:g} s")


@implementer(IFingerService, IFingerProfileService, IFingerLongListService, IReadsFields)
class LocalFingerService:
    """
    The users of this machine; see L{finger.backends._accounts} for which are found and which hide.

    @param reactor: the reactor, for its clock and C{callFromThread}.
    @param accounts: the users.
    @param deadline: the timeout of a query, in seconds.
    @param maxThreads: the maximum number of simultaneous lookups.
    @param start: starts a function in a thread.
    @ivar atoms: see L{IReadsFields}.
    """

    log = Logger()

    atoms: Collection[str] = frozenset(FIELD_OF_ATOM)

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
        self._events = PeerLog()  # Without a limit: each refusal is logged once.
        self._logged: set[str] = set()

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
        found = self._readings.read(user, partial(self._accounts.find, user, self.atoms))
        return found.addCallback(self._profiles).addCallback(lambda profiles: profiles[0])

    def getProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerProfileService.getProfiles}."""
        return self._readings.read("", partial(self._accounts.findAll, self.atoms)).addCallback(self._profiles)

    def getLongProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerLongListService.getLongProfiles}."""
        find = partial(self._accounts.findAll, self.atoms, isLong=True)
        found = self._readings.read("/W", find)  # No login has a slash.
        return found.addCallback(self._profiles)

    def _profiles(self, found: Found) -> list[Profile]:
        for refusal in found.refusals:
            if refusal not in self._logged:
                self._logged.add(refusal)
                self._events.info(self.log, "not served: {refusal}", refusal=refusal)
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
