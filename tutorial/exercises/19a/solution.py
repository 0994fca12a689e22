"""Exercise 19a: nobody invents a user, done."""

from finger_interfaces import IFingerService, IFingerSetterService
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer


@implementer(IFingerService, IFingerSetterService)
class MemoryFingerService(Service):
    def __init__(self, users: dict[str, str]) -> None:
        self.users = users

    def getUser(self, user: str) -> Deferred[str]:
        return succeed(self.users.get(user, "No such user"))

    def getUsers(self) -> Deferred[list[str]]:
        return succeed(sorted(self.users))

    def setUser(self, user: str, status: str) -> None:
        if user in self.users:
            self.users[user] = status
