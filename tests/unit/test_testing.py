"""The public doubles keep the contract they help to test."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.errors import BackendUnavailable
from finger.interfaces import IFingerService, IFingerSetterService
from finger.profile import Profile
from finger.testing import BrokenDouble, FingerServiceContract, ProfilesDouble, SilentDouble


class ProfilesDoubleTests(FingerServiceContract, SynchronousTestCase):
    """A double is a back end."""

    known, unknown = "ada", "nobody"

    def makeService(self) -> IFingerService:
        """Two users."""
        return ProfilesDouble(Profile("ada", "Ada"), Profile("al", plan=""))


class DoubleTests(SynchronousTestCase):
    """The others are back ends that fail in their ways."""

    def test_broken(self) -> None:
        """Every call fails."""
        broken = BrokenDouble()
        verifyObject(IFingerService, broken)
        verifyObject(IFingerSetterService, broken)
        for result in (broken.getUser("m"), broken.getUsers(), broken.setUser("m", "x")):
            self.failureResultOf(result, BackendUnavailable)

    def test_silent(self) -> None:
        """No call is answered until a test does."""
        silent = SilentDouble()
        verifyObject(IFingerService, silent)
        user, users = silent.getUser("m"), silent.getUsers()
        self.assertNoResult(user)
        silent.asked[0].callback("status")
        self.assertEqual(self.successResultOf(user), "status")
        users.cancel()
        self.failureResultOf(users, CancelledError)
