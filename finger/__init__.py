"""
A finger service (RFC 1288): one small interface, with several back ends and several protocols.

Importing this package registers every adapter, so that C{IFingerFactory(service)} and its siblings work on any
L{IFingerService}.
"""

import finger.adapters.finger
import finger.adapters.irc.bot
import finger.adapters.pb.root
import finger.adapters.profile
import finger.adapters.setter
import finger.adapters.web.resource
import finger.adapters.xmlrpc  # noqa: F401  (importing an adapter registers it)
from finger.backends.file import FileFingerService as FingerService
from finger.backends.local import LocalFingerService
from finger.backends.memory import MemoryFingerService
from finger.backends.proxy import ProxyFingerService
from finger.config._version import __version__
from finger.config.model import Config
from finger.interfaces import (
    IFingerFactory,
    IFingerProfileService,
    IFingerService,
    IFingerSetterFactory,
    IFingerSetterService,
    IIRCClientFactory,
    IPerspectiveFinger,
)
from finger.profile import Profile
from finger.service import makeServer as makeService
from finger.service import openService

__all__ = [
    "Config",
    "FingerService",
    "IFingerFactory",
    "IFingerProfileService",
    "IFingerService",
    "IFingerSetterFactory",
    "IFingerSetterService",
    "IIRCClientFactory",
    "IPerspectiveFinger",
    "LocalFingerService",
    "MemoryFingerService",
    "Profile",
    "ProxyFingerService",
    "__version__",
    "makeService",
    "openService",
]
