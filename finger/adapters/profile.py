"""Adapters from plain back ends to back ends with profiles, and with the long form of the list."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.components import registerAdapter
from zope.interface import implementer

from finger.interfaces import IFingerLongListService, IFingerProfileService, IFingerService
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


@implementer(IFingerLongListService)
class PlainLongList:
    """The long form of the list, from a back end whose list always has the same fields."""

    def __init__(self, service: IFingerService) -> None:
        self._profiles = IFingerProfileService(service)

    def getLongProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerLongListService.getLongProfiles}."""
        return self._profiles.getProfiles()


registerAdapter(StatusProfiles, IFingerService, IFingerProfileService)
registerAdapter(PlainLongList, IFingerService, IFingerLongListService)
