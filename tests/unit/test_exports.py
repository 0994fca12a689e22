"""The public names of C{finger}."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import finger

# A new process, since a test may have imported an adapter.
ADAPT = """
import finger
from finger.interfaces import IXMLRPCResource
from twisted.web.resource import IResource
from zope.interface.verify import verifyObject
service = finger.MemoryFingerService()
for interface in (
    finger.IFingerFactory,
    finger.IFingerProfileService,
    finger.IFingerSetterFactory,
    finger.IIRCClientFactory,
    finger.IPerspectiveFinger,
    IResource,
    IXMLRPCResource,
):
    verifyObject(interface, interface(service))
"""


class ExportTests(SynchronousTestCase):
    """The contents of the package."""

    def test_names(self) -> None:
        """C{finger} exports these names and no others."""
        self.assertEqual(
            sorted(finger.__all__),
            [
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
            ],
        )
        for name in finger.__all__:
            self.assertTrue(hasattr(finger, name), name)

    def test_adapters(self) -> None:
        """Importing the package suffices to adapt a back end to every adapter."""
        self.assertEqual(subprocess.run([sys.executable, "-c", ADAPT], check=False).returncode, 0)

    def test_noReactor(self) -> None:
        """Importing the package does not install a reactor, so that the program can choose one."""
        code = "import finger, finger.tap, sys; sys.exit('twisted.internet.reactor' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], check=False).returncode, 0)
