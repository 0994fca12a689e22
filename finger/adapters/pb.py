"""Perspective Broker: C{getUser} and C{getUsers} on the root object."""

from __future__ import annotations

from typing import NoReturn

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from twisted.spread import pb
from zope.interface import implementer

from finger import errors
from finger.failures import explain
from finger.interfaces import IFingerService, IPerspectiveFinger
from finger.wire import clean


class Refused(pb.Error):
    """What a caller asked for cannot be had; the message says why."""


class NoSuchUser(Refused):
    """There is nobody of that name."""


@implementer(IPerspectiveFinger)
class PerspectiveFinger(pb.Root):
    """The root object."""

    log = Logger()

    def __init__(self, service: IFingerService) -> None:
        self._service = service

    def remote_getUser(self, user: str) -> Deferred[str]:
        """See L{IPerspectiveFinger.remote_getUser}."""
        if not isinstance(user, str):
            return fail(Refused("getUser takes one string, the user's name"))
        return self._service.getUser(user).addCallbacks(clean, self._inWords)

    def remote_getUsers(self) -> Deferred[list[str]]:
        """See L{IPerspectiveFinger.remote_getUsers}."""
        return self._service.getUsers().addCallbacks(lambda users: [clean(user) for user in users], self._inWords)

    def _inWords(self, failure: Failure) -> NoReturn:
        words = explain(failure, self.log)
        raise (NoSuchUser if failure.check(errors.NoSuchUser) else Refused)(words)


registerAdapter(PerspectiveFinger, IFingerService, IPerspectiveFinger)
