"""What stage 33 asks of a back end's plugin. A module of its own: whoever writes one imports it."""

from finger_interfaces import IFingerService
from zope.interface import Attribute, Interface


class IFingerBackend(Interface):
    """Makes a back end, if it is the one that FINGER_BACKEND names."""

    name = Attribute("Its name.")

    def makeBackend() -> IFingerService:
        """The back end; started and stopped with the server if it is an IService, too."""
