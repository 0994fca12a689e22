"""An adapter from plain back ends to back ends with profiles."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.components import registerAdapter
from zope.interface import implementer

from finger.interfaces import IFingerProfileService, IFingerService
from finger.profile import Profile


@implementer(IFingerProfileService)
class StatusProfiles:
    """Profiles made from a back end that has only statuses."""

    def __init__(self, service: IFingerService) -> None:
        self._service = service

    def getProfile(self, user: str) -> Deferred[Profile]:
        """See L{IFingerProfileService.getProfile}."""
        return self._service.getUser(user).addCallback(lambda status: Profile(user, plan=status))

    def getProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerProfileService.getProfiles}."""
        return self._service.getUsers().addCallback(lambda users: [Profile(user) for user in users])


registerAdapter(StatusProfiles, IFingerService, IFingerProfileService)
