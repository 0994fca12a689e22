"""Tests for L{finger.access.policy}."""

from __future__ import annotations

from unittest.mock import Mock

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.access.policy import ANSWER_TIMEOUT, SLICE, PolicyFingerService
from finger.adapters.finger import FingerFactory
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, ForwardingRefused, ListRefused, NoSuchUser
from finger.interfaces import IFingerForwarder, IFingerService
from finger.profile import Profile
from finger.testing import FingerServiceContract, ProfilesDouble, SilentDouble
from tests.support.doubles import ImmediateDouble
from tests.support.turns import TurningClock
from tests.support.typed import notNone

ADA = Profile("ada", "Ada L", "plan", "engine", home="/home/ada", office="12")


@implementer(IFingerForwarder)
class ForwarderDouble:
    """Answers with the query it was given."""

    def forward(self, query: str, host: str, verbose: bool, peer: str = "") -> Deferred[str]:
        """Return the arguments."""
        return succeed(f"{query}|{host}|{verbose}|{peer}")


class PolicyContractTests(FingerServiceContract, SynchronousTestCase):
    """The policy meets the contract of back ends."""

    known, unknown = "ada", "nobody"

    def makeService(self) -> IFingerService:
        """Make a policy around a back end with one user."""
        return PolicyFingerService(ProfilesDouble(ADA), Clock())


class ImmediatePolicyContractTests(FingerServiceContract, SynchronousTestCase):
    """So does one whose back end can be asked without waiting."""

    known, unknown = "ada", "nobody"

    def makeService(self) -> IFingerService:
        """Make a policy around such a back end with one user."""
        return PolicyFingerService(ImmediateDouble(ADA), Clock())


class PolicyTests(SynchronousTestCase):
    """The settings of the policy."""

    def test_now(self) -> None:
        """The policy applies to a lookup without waiting, too."""
        double = ImmediateDouble(ADA, Profile("zo\xeb", "Zo\xeb"))
        policy = PolicyFingerService(double, Clock(), atoms=frozenset({"name"}))
        self.assertEqual(policy.getProfileNow("ada"), Profile("ada", "Ada L"))
        self.assertEqual(policy.getProfileNow("zoe\u0308"), Profile("zo\xeb", "Zo\xeb"))
        for user in ("nobody", "", "/x", "a b"):
            self.assertRaises(NoSuchUser, policy.getProfileNow, user)
        self.assertEqual(double.askedNow, 3)
        for user in ("u@h", "@h"):
            self.assertIsNone(policy.getProfileNow(user))
        double.isSlow = True
        self.assertIsNone(policy.getProfileNow("ada"))
        self.assertIsNone(PolicyFingerService(ProfilesDouble(ADA), Clock()).getProfileNow("ada"))

    def test_brokenVersion(self) -> None:
        """With a back end that fails to return its version, answers are as ever, and none is kept."""
        for error in (ZeroDivisionError, SystemExit):
            double = ImmediateDouble(ADA)
            double.version = Mock(side_effect=error)  # type: ignore[method-assign]
            factory = FingerFactory(PolicyFingerService(double, Clock()))
            for _ in range(2):
                self.assertIn(b"Ada L", notNone(factory.answerNow(b"ada\r\n", "::1")))
            self.assertEqual((double.askedNow, len(self.flushLoggedErrors(error))), (2, 2))

    def test_default(self) -> None:
        """By default, the name, plan, project and list are disclosed, and forwarding is refused."""
        policy = PolicyFingerService(ProfilesDouble(ADA), Clock())
        verifyObject(IFingerForwarder, policy)
        told = Profile("ada", "Ada L", "plan", "engine")
        self.assertEqual(self.successResultOf(policy.getProfile("ada")), told)
        self.assertEqual(self.successResultOf(policy.getProfiles()), [told])
        self.assertEqual(self.successResultOf(policy.getUsers()), ["ada"])
        for user in ("u@h", "@h", "u@h1@h2", "@" * 1000):
            self.failureResultOf(policy.getUser(user), ForwardingRefused)
            self.failureResultOf(policy.getProfile(user), ForwardingRefused)

    def test_longList(self) -> None:
        """The policy is applied once to a list that is returned again, and anew to a list that has changed."""
        double, listed = ProfilesDouble(), [ADA]
        double.getProfiles = lambda: succeed(listed)  # type: ignore[method-assign]
        policy = PolicyFingerService(double, Clock())
        first = self.successResultOf(policy.getProfiles())
        self.assertIs(self.successResultOf(policy.getProfiles()), first)
        listed = [ADA, Profile("al")]
        self.assertEqual(len(self.successResultOf(policy.getProfiles())), 2)

    def test_turns(self) -> None:
        """Other connections have a turn while the policy is applied to a long list, once for all that wait for it."""
        listed = [Profile(f"user{number}", home="/") for number in range(2 * SLICE + 1)]
        double, clock = ProfilesDouble(), TurningClock()
        double.getProfiles = lambda: succeed(listed)  # type: ignore[method-assign]
        policy = PolicyFingerService(double, clock)
        waiting = [policy.getProfiles() for _ in range(3)]
        waiting.pop().addErrback(lambda _: None).cancel()
        for _ in range(2):
            self.assertNoResult(waiting[0])
            clock.turn()
        first, second = map(self.successResultOf, waiting)
        self.assertIs(first, second)
        self.assertEqual(first, [Profile(profile.login) for profile in listed])
        self.assertIs(self.successResultOf(policy.getProfiles()), first)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_longForm(self) -> None:
        """The policy applies to the long form of the list, too."""
        memory = MemoryFingerService({"ada": "plan"})
        for atoms, plan in ((["plan"], "plan"), (["name"], None)):
            policy = PolicyFingerService(memory, Clock(), atoms=atoms)
            self.assertEqual(self.successResultOf(policy.getLongProfiles()), [Profile("ada", plan=plan)])

    def test_names(self) -> None:
        """The back end is asked only for names that a user can have, in their canonical form."""
        silent = SilentDouble()
        policy = PolicyFingerService(silent, Clock())
        for name in ("", "a b", "/W", "\u3164", "x" * 256):
            self.failureResultOf(policy.getUser(name), NoSuchUser)
        self.assertEqual(silent.asked, [])
        asked: list[str] = []
        silent.getUser = lambda user: asked.append(user) or succeed("")  # type: ignore[method-assign,func-returns-value]
        self.successResultOf(policy.getUser("\ufeffzoe\u0308"))
        self.assertEqual(asked, ["zoë"])

    def test_noPlan(self) -> None:
        """If plans are not disclosed, the status is the full name (section 2.5.2)."""
        policy = PolicyFingerService(ProfilesDouble(ADA), Clock(), atoms={"name"})
        self.assertEqual(self.successResultOf(policy.getUser("ada")), "Ada L")
        self.failureResultOf(policy.getUser("nobody"), NoSuchUser)

    def test_noList(self) -> None:
        """If the list is disabled, all of its methods are refused (section 3.2.2), but not queries for a user."""
        policy = PolicyFingerService(ProfilesDouble(ADA), Clock(), listing=False)
        self.failureResultOf(policy.getUsers(), ListRefused)
        self.failureResultOf(policy.getProfiles(), ListRefused)
        self.failureResultOf(policy.getLongProfiles(), ListRefused)
        self.assertEqual(self.successResultOf(policy.getUser("ada")), "plan")

    def test_forward(self) -> None:
        """Every method forwards a query to the rightmost host, with the rest of the name."""
        policy = PolicyFingerService(MemoryFingerService(), Clock(), forwarder=ForwarderDouble())
        self.assertEqual(self.successResultOf(policy.getUser("u@h1@[::1]")), "u@h1|::1|False|")
        self.assertEqual(self.successResultOf(policy.getProfile("@h")), Profile("@h", plan="|h|False|"))
        self.assertEqual(self.successResultOf(policy.forward("u", "h", True, "192.0.2.7")), "u|h|True|192.0.2.7")

    def test_silence(self) -> None:
        """A query that a back end does not answer fails after the timeout, and is cancelled."""
        for ask in ("getUser", "getProfile", "getUsers", "getProfiles"):
            clock, silent = Clock(), SilentDouble()
            policy = PolicyFingerService(silent, clock)
            waiting = getattr(policy, ask)(*(["m"] if ask in ("getUser", "getProfile") else []))
            clock.advance(ANSWER_TIMEOUT - 1)
            self.assertNoResult(waiting)
            clock.advance(1)
            self.failureResultOf(waiting, BackendUnavailable)
            self.assertTrue(silent.asked[0].called)
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_lateAnswer(self) -> None:
        """The answer of a back end that answers when it is cancelled is used."""

        @implementer(IFingerService)
        class Late:
            def getUser(self, user: str) -> Deferred[str]:
                return Deferred(lambda deferred: deferred.callback("late"))

            def getUsers(self) -> Deferred[list[str]]:
                return succeed([])

        clock = Clock()
        waiting = PolicyFingerService(Late(), clock).getUser("m")
        clock.advance(ANSWER_TIMEOUT)
        self.assertEqual(self.successResultOf(waiting), "late")

    def test_raises(self) -> None:
        """An exception that a back end raises becomes the failure of the Deferred."""

        @implementer(IFingerService)
        class Raising:
            def getUser(self, user: str) -> Deferred[str]:
                raise ZeroDivisionError

            def getUsers(self) -> Deferred[list[str]]:
                raise ZeroDivisionError

        policy = PolicyFingerService(Raising(), Clock())
        self.failureResultOf(policy.getUser("m"), ZeroDivisionError)
        self.failureResultOf(policy.getUsers(), ZeroDivisionError)
