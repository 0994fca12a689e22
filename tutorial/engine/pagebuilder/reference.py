"""What pydoctor is told of our package that it cannot see in it.

An interface that extends another package's, such as Twisted's C{IPlugin}, is an interface too. pydoctor
knows only the package it reads; here the other one is looked at.
"""

from pydoctor import model
from pydoctor.extensions.zopeinterface import ZopeInterfaceClass
from twisted.python.reflect import namedAny
from zope.interface.interface import InterfaceClass


class System(model.System):
    """pydoctor's view of the package, with those interfaces marked."""

    def postProcess(self) -> None:
        for found in self.objectsOfType(ZopeInterfaceClass):
            if not found.isinterface and isInterface(found.fullName()):
                found.isinterface = True
                found.kind = model.DocumentableKind.INTERFACE
                found.implementedby_directly = []
        super().postProcess()


def isInterface(name: str) -> bool:
    """Whether the name is that of an interface; what only type checkers see is none."""
    try:
        return isinstance(namedAny(name), InterfaceClass)
    except (AttributeError, ImportError):
        return False
