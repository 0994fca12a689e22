"""What a back end promises; stages 18a and later. A module of its own: who needs it imports it."""

from twisted.internet.defer import Deferred
from zope.interface import Interface


class IFingerService(Interface):
    """Knows users and their statuses."""

    def getUser(user: str) -> Deferred[str]:
        """The user's status; "No such user" for one who is not known."""

    def getUsers() -> Deferred[list[str]]:
        """The names of the users that may be listed; none is an answer too."""


class IFingerSetterService(Interface):
    """Lets users change their statuses."""

    def setUser(user: str, status: str) -> None:
        """From now on this is the user's status."""
