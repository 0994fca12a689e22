"""Tests for L{finger.testing}."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.errors import BackendUnavailable
from finger.interfaces import IFingerService, IFingerSetterService
from finger.profile import Profile
from finger.testing import BrokenDouble, FingerServiceContract, ProfilesDouble, SilentDouble


class ProfilesDoubleTests(FingerServiceContract, SynchronousTestCase):
    """L{ProfilesDouble} meets the contract of back ends."""

    known, unknown = "ada", "nobody"

    def makeService(self) -> IFingerService:
        """Make a double with two users."""
        return ProfilesDouble(Profile("ada", "Ada"), Profile("al", plan=""))


class DoubleTests(SynchronousTestCase):
    """The doubles that do not answer."""

    def test_broken(self) -> None:
        """Every call of a L{BrokenDouble} fails."""
        broken = BrokenDouble()
        verifyObject(IFingerService, broken)
        verifyObject(IFingerSetterService, broken)
        for result in (broken.getUser("m"), broken.getUsers(), broken.setUser("m", "x")):
            self.failureResultOf(result, BackendUnavailable)

    def test_silent(self) -> None:
        """A L{SilentDouble} does not answer until the test fires the Deferred."""
        silent = SilentDouble()
        verifyObject(IFingerService, silent)
        user, users = silent.getUser("m"), silent.getUsers()
        self.assertNoResult(user)
        silent.asked[0].callback("status")
        self.assertEqual(self.successResultOf(user), "status")
        users.cancel()
        self.failureResultOf(users, CancelledError)
