"""A back end that always breaks, in one of two ways."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.plugin import IPlugin
from zope.interface import implementer

from finger.interfaces import IFingerBackend, IFingerService


@implementer(IFingerService)
class Failing:
    def getUser(self, user: str) -> Deferred[str]:
        return fail(LookupError(user)) if user == "other" else fail(ZeroDivisionError(user))

    def getUsers(self) -> Deferred[list[str]]:
        raise RuntimeError("not even a Deferred")


@implementer(IPlugin, IFingerBackend)
class FailingBackend:
    name = "failing"
    argument = ""
    summary = "always breaks"

    def makeBackend(self, argument: str, reactor: object) -> Failing:
        return Failing()


failing = FailingBackend()
