"""Tests for L{finger.backends.chain}."""

from __future__ import annotations

from collections.abc import Set
from unittest.mock import Mock, patch

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.backends.chain import ChainFingerService, ChainSetterService
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, BadQuery, ListRefused, NoSuchUser, SetRefused
from finger.interfaces import ICountsUsers, IFingerService, IFingerSetterService
from finger.profile import Profile
from finger.testing import BrokenDouble, FingerServiceContract, ProfilesDouble, SilentDouble


class ChainContractTests(FingerServiceContract, SynchronousTestCase):
    """The chain meets the contract of back ends."""

    known, unknown = "moshez", "nobody"

    def makeService(self) -> IFingerService:
        """Make a chain whose second back end has the user."""
        return ChainFingerService([MemoryFingerService({"anna": "x"}), MemoryFingerService({"moshez": "y"})])


class ChainTests(SynchronousTestCase):
    """The back end that answers."""

    def test_first(self) -> None:
        """The first back end that has the user answers; the list has the same profile."""
        chain = ChainFingerService([MemoryFingerService({"m": "1"}), ProfilesDouble(Profile("m", "M"), Profile("a"))])
        self.assertEqual(self.successResultOf(chain.getUser("m")), "1")
        self.assertEqual(self.successResultOf(chain.getProfile("m")), Profile("m", plan="1"))
        self.assertEqual(self.successResultOf(chain.getProfiles()), [Profile("a"), Profile("m")])

    def test_now(self) -> None:
        """A user can be looked up without waiting if all back ends up to the user's have their users in memory."""
        memory, double = MemoryFingerService({"m": "1"}), ProfilesDouble(Profile("a"))
        for services, found in (([memory, double], Profile("m", plan="1")), ([double, memory], None)):
            self.assertEqual(ChainFingerService(services).getProfileNow("m"), found)
        self.assertIsNone(ChainFingerService([memory, double]).getProfileNow("a"))
        self.assertRaises(NoSuchUser, ChainFingerService([memory, memory]).getProfileNow, "a")

    def test_longList(self) -> None:
        """The long form of the list has the long profiles of the back ends that have them."""
        chain = ChainFingerService([MemoryFingerService({"m": "1"}), ProfilesDouble(Profile("m", "M"), Profile("a"))])
        self.assertEqual(self.successResultOf(chain.getLongProfiles()), [Profile("a"), Profile("m", plan="1")])

    def test_brokenAndKnown(self) -> None:
        """A broken back end does not prevent another from answering."""
        chain = ChainFingerService([BrokenDouble(), MemoryFingerService({"m": "1"})])
        self.assertEqual(self.successResultOf(chain.getUser("m")), "1")
        self.assertEqual(self.successResultOf(chain.getUsers()), ["m"])
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)

    def test_brokenAndUnknown(self) -> None:
        """If a back end is broken and no other has the user, the query fails with the first failure."""
        first, second = BackendUnavailable("first"), BackendUnavailable("second")
        chain = ChainFingerService([MemoryFingerService(), BrokenDouble(first), BrokenDouble(second)])
        self.assertIs(self.failureResultOf(chain.getUser("m")).value, first)
        self.assertIs(self.failureResultOf(chain.getProfile("m")).value, first)

    def test_unknown(self) -> None:
        """If no back end fails and none has the user, there is no such user."""
        chain = ChainFingerService([MemoryFingerService(), MemoryFingerService()])
        self.failureResultOf(chain.getUser("m"), NoSuchUser)

    def test_noList(self) -> None:
        """If no back end has a list, the error is that of a back end that refused, if any did."""
        self.failureResultOf(ChainFingerService([BrokenDouble(ListRefused())]).getUsers(), ListRefused)
        self.failureResultOf(ChainFingerService([BrokenDouble()]).getUsers(), BackendUnavailable)
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)

    def test_count(self) -> None:
        """A user of two back ends counts once."""
        chain = ChainFingerService([MemoryFingerService({"a": "", "b": ""}), MemoryFingerService({"b": "", "c": ""})])
        self.assertEqual(ICountsUsers(chain).countUsers(), 3)

    def test_countAgain(self) -> None:
        """Users are counted again only when they have changed, since there may be many."""
        last = MemoryFingerService({"b": "", "c": ""})
        chain = ChainFingerService([MemoryFingerService({"a": "", "b": "", "d": ""}), last])
        with patch.object(last, "userNames", wraps=last.userNames) as names:
            self.assertEqual([chain.countUsers(), chain.countUsers()], [4, 4])
            self.assertEqual(names.call_count, 1)
            self.successResultOf(last.setUser("e", ""))
            self.assertEqual(chain.countUsers(), 5)

    def test_countUnversioned(self) -> None:
        """If a back end has no version, or fails to return it, users are counted each time."""

        @implementer(ICountsUsers)
        class Counting(ProfilesDouble):
            def countUsers(self) -> int:
                return len(self._profiles)

            def userNames(self) -> Set[str]:
                return self._profiles.keys()

        failing = MemoryFingerService()
        failing.version = Mock(side_effect=[ZeroDivisionError, SystemExit])  # type: ignore[method-assign]
        memory, counting = MemoryFingerService({"a": ""}), Counting(Profile("b"))
        chains: list[list[IFingerService]] = [[counting], [counting, memory]]
        chains += [[memory, failing, counting], [failing, memory]]
        for number, services in enumerate(chains):
            chain = ChainFingerService(services, Clock())
            before = chain.countUsers()
            memory._users[f"a{number}"] = ""
            counting._profiles[f"b{number}"] = Profile(f"b{number}")
            self.assertGreater(chain.countUsers(), before)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, SystemExit)), 2)

    def test_uncounted(self) -> None:
        """If a back end cannot count its users, the chain cannot either."""
        chain = ChainFingerService([MemoryFingerService({"a": ""}), ProfilesDouble(Profile("b"))])
        self.assertFalse(ICountsUsers.providedBy(chain))

    def test_set(self) -> None:
        """A status is set only if no earlier back end hides it, and if none of them fails."""
        last, file = MemoryFingerService({"m": "old"}), ProfilesDouble(Profile("ada"))
        chain: list[tuple[str, IFingerService]] = [("local", ProfilesDouble(Profile("root"))), ("file", file)]
        setter = ChainSetterService(chain, last)
        verifyObject(IFingerSetterService, setter)
        for user in ("m", "new"):
            self.successResultOf(setter.setUser(user, "x"))
            self.assertEqual(self.successResultOf(last.getUser(user)), "x")
        for user, name in (("ada", "file"), ("root", "local")):
            refused = self.failureResultOf(setter.setUser(user, "x"), SetRefused)
            self.assertEqual(
                refused.value.words, f"{user}'s status comes from the {name} back end, which cannot be set"
            )
            self.failureResultOf(last.getUser(user), NoSuchUser)
        self.failureResultOf(setter.setUser("a@b", "x"), BadQuery)
        broken = ChainSetterService([*chain, ("proxy", BrokenDouble())], last)
        self.failureResultOf(broken.setUser("m", "y"), BackendUnavailable)
        self.failureResultOf(broken.setUser("ada", "y"), SetRefused)
        self.assertEqual(self.successResultOf(last.getUser("m")), "x")

    def test_setCanonical(self) -> None:
        """An earlier back end is asked for the canonical form of the name, as queries are."""
        setter = ChainSetterService([("local", ProfilesDouble(Profile("zoë")))], MemoryFingerService())
        self.failureResultOf(setter.setUser("zoe\u0308", "x"), SetRefused)

    def test_refusal(self) -> None:
        """The refusal is one printable line of bounded length."""
        user = "\x1b[2J\n" + "x" * 1000
        setter = ChainSetterService([("file", MemoryFingerService({user: "x"}))], MemoryFingerService())
        words = self.failureResultOf(setter.setUser(user, "x"), SetRefused).value.words
        self.assertTrue(words.isprintable())
        self.assertLess(len(words), 400)

    def test_cancelled(self) -> None:
        """A cancelled query is not passed to the next back end, and logs no failure."""
        silent, other = SilentDouble(), SilentDouble()
        chain = ChainFingerService([silent, other])
        for asked in (chain.getUser("m"), chain.getUsers()):
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        self.assertEqual(len(silent.asked), 2)
        self.assertEqual(other.asked, [])
        self.assertEqual(self.flushLoggedErrors(), [])
