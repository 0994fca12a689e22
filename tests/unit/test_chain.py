"""Back ends in a row."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from finger.backends.chain import ChainFingerService
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, ListRefused, NoSuchUser
from finger.interfaces import ICountsUsers, IFingerService
from finger.profile import Profile
from finger.testing import BrokenDouble, FingerServiceContract, ProfilesDouble, SilentDouble


class ChainContractTests(FingerServiceContract, SynchronousTestCase):
    """It is a back end."""

    known, unknown = "moshez", "nobody"

    def makeService(self) -> IFingerService:
        """The second knows."""
        return ChainFingerService([MemoryFingerService({"anna": "x"}), MemoryFingerService({"moshez": "y"})])


class ChainTests(SynchronousTestCase):
    """Who answers."""

    def test_first(self) -> None:
        """The first that knows the user; the list tells of the same one."""
        chain = ChainFingerService([MemoryFingerService({"m": "1"}), ProfilesDouble(Profile("m", "M"), Profile("a"))])
        self.assertEqual(self.successResultOf(chain.getUser("m")), "1")
        self.assertEqual(self.successResultOf(chain.getProfile("m")), Profile("m", plan="1"))
        self.assertEqual(self.successResultOf(chain.getProfiles()), [Profile("a"), Profile("m")])

    def test_brokenAndKnown(self) -> None:
        """One that is broken keeps no other from answering."""
        chain = ChainFingerService([BrokenDouble(), MemoryFingerService({"m": "1"})])
        self.assertEqual(self.successResultOf(chain.getUser("m")), "1")
        self.assertEqual(self.successResultOf(chain.getUsers()), ["m"])
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)

    def test_brokenAndUnknown(self) -> None:
        """Where one is broken, nobody can say that there is no such user: the first failure is the answer."""
        first, second = BackendUnavailable("first"), BackendUnavailable("second")
        chain = ChainFingerService([MemoryFingerService(), BrokenDouble(first), BrokenDouble(second)])
        self.assertIs(self.failureResultOf(chain.getUser("m")).value, first)
        self.assertIs(self.failureResultOf(chain.getProfile("m")).value, first)

    def test_nobody(self) -> None:
        """All are well, and none knows."""
        chain = ChainFingerService([MemoryFingerService(), MemoryFingerService()])
        self.failureResultOf(chain.getUser("m"), NoSuchUser)

    def test_noList(self) -> None:
        """Where none has a list there is none; why, says one who said why."""
        self.failureResultOf(ChainFingerService([BrokenDouble(ListRefused())]).getUsers(), ListRefused)
        self.failureResultOf(ChainFingerService([BrokenDouble()]).getUsers(), BackendUnavailable)
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)

    def test_count(self) -> None:
        """A user whom two have is one."""
        chain = ChainFingerService([MemoryFingerService({"a": "", "b": ""}), MemoryFingerService({"b": "", "c": ""})])
        self.assertEqual(ICountsUsers(chain).countUsers(), 3)

    def test_uncounted(self) -> None:
        """Where one cannot count, there is no number, not a wrong one."""
        chain = ChainFingerService([MemoryFingerService({"a": ""}), ProfilesDouble(Profile("b"))])
        self.assertFalse(ICountsUsers.providedBy(chain))

    def test_gone(self) -> None:
        """Nobody else is asked for somebody who does not wait for the answer, and nothing is said of a failure."""
        silent, other = SilentDouble(), SilentDouble()
        chain = ChainFingerService([silent, other])
        for asked in (chain.getUser("m"), chain.getUsers()):
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        self.assertEqual(len(silent.asked), 2)
        self.assertEqual(other.asked, [])
        self.assertEqual(self.flushLoggedErrors(), [])
