"""Back ends that only tests need."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from finger.interfaces import IVersioned
from finger.profile import Profile
from finger.testing import ProfilesDouble


@implementer(IVersioned)
class CountingDouble(ProfilesDouble):
    """
    A back end with versions that counts what it is asked.

    @ivar asked: the number of calls of C{getProfile}.
    @ivar listed: the number of calls of C{getProfiles}.
    @ivar error: the error that every list fails with; L{None} for none.
    """

    error: Exception | None = None

    def __init__(self, *profiles: Profile) -> None:
        super().__init__(*profiles)
        self.asked = self.listed = 0
        self._version = 0

    def change(self, *profiles: Profile) -> None:
        """Replace the users."""
        self._profiles = {profile.login: profile for profile in profiles}
        self._version += 1

    def getProfile(self, user: str) -> Deferred[Profile]:
        """Count the call."""
        self.asked += 1
        return super().getProfile(user)

    def getProfiles(self) -> Deferred[list[Profile]]:
        """Count the call."""
        self.listed += 1
        return super().getProfiles() if self.error is None else fail(self.error)

    def version(self) -> int | None:
        """See L{IVersioned.version}."""
        return self._version
