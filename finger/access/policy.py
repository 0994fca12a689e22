"""
The administrator's policy, as a back end that wraps the back end.

It stands between every adapter and every back end, so that a setting applies to the web as it does to port 79.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from finger.access.texts import BANNER, LIST, UNKNOWN, Texts
from finger.client.singleflight import SingleFlight
from finger.errors import BackendUnavailable, BadQuery, ForwardingRefused, ListRefused, NoSuchUser, PeerError
from finger.interfaces import (
    IBannered,
    IFingerForwarder,
    IFingerLongListService,
    IFingerProfileService,
    IFingerService,
    IImmediateProfileService,
    IVersioned,
)
from finger.log.failures import FailureLog
from finger.net.answercache import versionReader
from finger.profile import DEFAULT_ATOMS, Profile, disclose
from finger.protocol.names import parseName
from finger.protocol.wire import splitHost

E = TypeVar("E", bound=PeerError)

SLICE: Final = 5000
"""The number of users to which the policy is applied at once; then other connections have a turn."""

ANSWER_TIMEOUT = 30.0
"""The timeout of a back end's answer, in seconds."""


@implementer(
    IFingerService,
    IFingerProfileService,
    IFingerLongListService,
    IImmediateProfileService,
    IFingerForwarder,
    IVersioned,
)
class PolicyFingerService:
    """
    A back end that restricts what another one discloses (RFC 1288, section 3.2), and limits its time.

    @param service: the wrapped back end.
    @param clock: the clock of the timeout.
    @param forwarder: forwards queries for C{user@host}; without one, they are refused.
    @param listing: whether users may be listed.
    @param atoms: the atoms of a user that are disclosed (L{finger.profile.FIELD_OF_ATOM}).
    @param timeout: the timeout of an answer of C{service}, in seconds.
    @param texts: the administrator's own texts.  If there is one for the list, it is the text of the error with which
        each list is refused, whatever C{listing} is.  With texts, the policy provides L{IBannered}.
    """

    log = Logger()

    def __init__(
        self,
        service: IFingerService,
        clock: IReactorTime,
        *,
        forwarder: IFingerForwarder | None = None,
        listing: bool = True,
        atoms: Collection[str] = DEFAULT_ATOMS,
        timeout: float = ANSWER_TIMEOUT,
        texts: Texts | None = None,
    ) -> None:
        self._service = service
        self._profiles = IFingerProfileService(service)
        self._longList = IFingerLongListService(service)
        self._immediate = IImmediateProfileService(service, None)
        self._version = versionReader(service)
        self._clock = clock
        self._forwarder = forwarder
        self._listing = listing
        self._atoms = frozenset(atoms)
        self._timeout = timeout
        self._texts = Texts() if texts is None else texts
        if texts is not None:
            alsoProvides(self, IBannered)
        self._failures = FailureLog(clock)
        self._listed: list[Profile] | None = None
        self._disclosed: list[Profile] = []
        self._disclosing: SingleFlight[list[Profile]] = SingleFlight(1)

    def getUser(self, user: str) -> Deferred[str]:
        """See L{IFingerService.getUser}.  If the plan is not disclosed, this is the full name."""
        return self.getProfile(user).addCallback(lambda profile: profile.status)

    def getUsers(self) -> Deferred[list[str]]:
        """See L{IFingerService.getUsers}."""
        return self._list(self._service.getUsers)

    def getProfile(self, user: str) -> Deferred[Profile]:
        """
        See L{IFingerProfileService.getProfile}.  The plan of C{user@host} is that server's answer.  The back end is
        asked only for names that a user can have (L{finger.protocol.names}), in their canonical form.
        """
        remote = splitHost(user)
        if remote is not None:
            return self.forward(*remote, verbose=False).addCallback(lambda answer: Profile(user, plan=answer))
        try:
            name = parseName(user)
        except BadQuery:
            return fail(_withText(NoSuchUser(user), self._texts.get(UNKNOWN)))
        profile = self._inTime(self._profiles.getProfile, name)
        return profile.addCallbacks(disclose, self._unknown, callbackArgs=(self._atoms,))

    def getProfileNow(self, user: str) -> Profile | None:
        """See L{IImmediateProfileService.getProfileNow}."""
        if self._immediate is None or "@" in user:
            return None
        try:
            profile = self._immediate.getProfileNow(parseName(user))
        except (BadQuery, NoSuchUser):
            raise _withText(NoSuchUser(user), self._texts.get(UNKNOWN)) from None
        return None if profile is None else disclose(profile, self._atoms)

    def getProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerProfileService.getProfiles}."""
        return self._list(self._profiles.getProfiles).addCallback(self._discloseAll)

    def getLongProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerLongListService.getLongProfiles}."""
        return self._list(self._longList.getLongProfiles).addCallback(self._discloseAll)

    def _list(self, ask: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        text = self._texts.get(LIST)
        if text or not self._listing:
            return fail(_withText(ListRefused(), text))
        return self._inTime(ask)

    def _unknown(self, failure: Failure) -> Failure:
        text = self._texts.get(UNKNOWN)
        if text and failure.check(NoSuchUser):
            raise _withText(NoSuchUser(), text) from failure.value
        return failure

    def _discloseAll(self, profiles: list[Profile]) -> Deferred[list[Profile]]:
        """
        Apply the policy to a list, unless the back end returned the same one before.  A long one takes several turns
        of the reactor, and is done once for all that wait for it.
        """
        if profiles is self._listed:
            return succeed(self._disclosed)
        return self._disclosing.join(id(profiles), lambda: Deferred.fromCoroutine(self._discloseEach(profiles)))

    async def _discloseEach(self, profiles: list[Profile]) -> list[Profile]:
        disclosed: list[Profile] = []
        for start in range(0, len(profiles), SLICE):
            if start:
                await deferLater(self._clock, 0)
            disclosed += [disclose(profile, self._atoms) for profile in profiles[start : start + SLICE]]
        self._listed, self._disclosed = profiles, disclosed
        return disclosed

    def version(self) -> Hashable | None:
        """
        See L{IVersioned.version}.  The texts may change, the other settings do not.  With a back end that fails to
        return its version, nothing is kept.
        """
        try:
            version = self._version()
        except BaseException:
            self._failures.report(self.log, "a back end has no version; its answers are not kept")
            return None
        return None if version is None else (version, self._texts.readings)

    def banner(self) -> str:
        """See L{IBannered.banner}."""
        return self._texts.get(BANNER)

    def forward(self, query: str, host: str, verbose: bool, peer: str = "") -> Deferred[str]:
        """See L{IFingerForwarder.forward}."""
        if self._forwarder is None:
            return fail(ForwardingRefused(host))
        return self._forwarder.forward(query, host, verbose, peer)

    def _inTime(self, ask: Any, *arguments: str) -> Deferred[Any]:
        answer = maybeDeferred(ask, *arguments)
        if answer.called and not answer.paused:
            return answer  # At once; a timeout would take longer than all the rest.
        return answer.addTimeout(self._timeout, self._clock, self._tooLate)

    def _tooLate(self, result: object, timeout: float) -> object:
        if isinstance(result, Failure) and result.check(CancelledError, TimeoutError):
            raise BackendUnavailable(f"the back end did not answer within {timeout:g} s")
        return result


def _withText(error: E, text: str) -> E:
    error.text = text
    return error
