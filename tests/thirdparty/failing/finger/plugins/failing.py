"""A back end that always breaks, in one of two ways."""

from twisted.internet.defer import fail
from twisted.plugin import IPlugin
from zope.interface import implementer

from finger.interfaces import IFingerBackend, IFingerService


@implementer(IFingerService)
class Failing:
    def getUser(self, user):
        return fail(LookupError(user)) if user == "other" else fail(ZeroDivisionError(user))

    def getUsers(self):
        raise RuntimeError("not even a Deferred")


@implementer(IPlugin, IFingerBackend)
class FailingBackend:
    name = "failing"
    argument = ""
    summary = "always breaks"

    def makeBackend(self, argument, reactor):
        return Failing()


failing = FailingBackend()
