"""A back end that somebody else wrote: meeting rooms, for stage 33 and later.

PYTHONPATH=tutorial/thirdparty FINGER_BACKEND=rooms twistd -ny tutorial/finger33.tac
"""

from finger33_backend import IFingerBackend
from finger_interfaces import IFingerService, IFingerSetterService
from twisted.internet.defer import Deferred, succeed
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IFingerService, IFingerSetterService)
class Rooms:
    def __init__(self) -> None:
        self.rooms = {"aquarium": "free", "library": "taken until four"}

    def getUser(self, user: str) -> Deferred[str]:
        return succeed(self.rooms.get(user, "No such user"))

    def getUsers(self) -> Deferred[list[str]]:
        return succeed(sorted(self.rooms))

    def setUser(self, user: str, status: str) -> Deferred[None]:
        self.rooms[user] = status
        return succeed(None)


@implementer(IPlugin, IFingerBackend)
class RoomsBackend:
    name = "rooms"

    def makeBackend(self) -> IFingerService:
        return Rooms()


rooms = RoomsBackend()
