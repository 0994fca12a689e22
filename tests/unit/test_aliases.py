"""Tests for L{finger.access.aliases}."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.access.aliases import AliasedFingerService, AliasedSetterService, Aliases, AliasesFile, parseAliases
from finger.access.policy import PolicyFingerService
from finger.backends.memory import MemoryFingerService
from finger.config.files import MAX_BYTES
from finger.config.watchedfile import INTERVAL
from finger.errors import BackendUnavailable, ConfigError, ListRefused, NoSuchUser, SetRefused
from finger.interfaces import IFingerService, IFingerSetterService, IVersioned
from finger.net.answercache import versionOf
from finger.profile import Profile
from finger.testing import BrokenDouble, FingerServiceContract, ProfilesDouble, ThreadlessReactor

ADA = Profile("ada", "Ada L", "plan", "engine", home="/home/ada", office="12")


class ParseTests(SynchronousTestCase):
    """The file's lines."""

    def test_lines(self) -> None:
        """A line has an alias and a user; comments, blank lines, white space and a byte order mark do not count."""
        text = "\ufeff# comment\r\n\nwebmaster: ada\r\n  ceo :charles  \n\t# indented\nzoe\u0308:zoë2\n"
        self.assertEqual(
            parseAliases(text.encode()), Aliases({"webmaster": "ada", "ceo": "charles", "zoë": "zoë2"}, ())
        )

    def test_problems(self) -> None:
        """Invalid lines are skipped, and reported by their numbers."""
        aliases = parseAliases(b"ok: ada\nada\n: ada\nx:\nx: a b\n-x: ada\nx: ada@host\n\xff: ada\nok: bob\na:b:c\n")
        self.assertEqual(aliases.users, {"ok": "ada", "a": "b:c"})
        self.assertEqual(len(aliases), 2)
        reasons = [problem for _, problem in aliases.problems]
        self.assertEqual([number for number, _ in aliases.problems], [2, 3, 4, 5, 6, 7, 8, 9])
        self.assertEqual(reasons[0], "has no colon: expected 'alias: user'")
        self.assertEqual(reasons[1], "a user name is 1 to 255 visible characters")
        self.assertIn("without white space", reasons[3])
        self.assertIn("without @", reasons[5])
        self.assertEqual(reasons[6:], ["is not UTF-8", "defines 'ok' again; the first definition is used"])

    def test_chains(self) -> None:
        """An alias of an alias is skipped, and so are loops."""
        aliases = parseAliases(b"a: b\nb: c\nself: self\nx: y\ny: x\n-\n")
        self.assertEqual(aliases.users, {"b": "c"})
        why = "{!r} is an alias itself; name its user"
        self.assertEqual(
            aliases.problems,
            (
                *((1, why.format("b")), (3, why.format("self")), (4, why.format("y")), (5, why.format("x"))),
                (6, "has no colon: expected 'alias: user'"),
            ),
        )


class AliasesTestCase(SynchronousTestCase):
    """A test with a file of aliases."""

    def setUp(self) -> None:
        """Write the file."""
        self.path = Path(self.mktemp())
        self.path.write_text("webmaster: ada\ngone: nobody\nmoshez: ada\nzoë: ada\n")
        self.reactor = ThreadlessReactor()
        self.aliases = AliasesFile(str(self.path), self.reactor)

    def users(self) -> MemoryFingerService:
        """Make a back end with two users."""
        return MemoryFingerService({"ada": "Weaving", "moshez": "Happy"})


class AliasedContractTests(FingerServiceContract, AliasesTestCase):
    """A back end with aliases meets the contract of back ends."""

    known, unknown = "ada", "nobody"

    def makeService(self) -> IFingerService:
        """Make a back end with one user."""
        return AliasedFingerService(ProfilesDouble(ADA), self.aliases)


class AliasedTests(AliasesTestCase):
    """Queries by aliases."""

    def setUp(self) -> None:
        """Make a back end with aliases."""
        super().setUp()
        self.service = AliasedFingerService(self.users(), self.aliases)

    def status(self, name: str) -> str:
        """Return the status of a user."""
        return self.successResultOf(self.service.getUser(name))

    def test_alias(self) -> None:
        """The answer to an alias is that about its user, who is not listed twice."""
        for name in ("webmaster", "zoe\u0308", "ada"):
            self.assertEqual(self.status(name), "Weaving")
            self.assertEqual(self.successResultOf(self.service.getProfile(name)), Profile("ada", plan="Weaving"))
        self.assertEqual(self.successResultOf(self.service.getUsers()), ["ada", "moshez"])
        for profiles in (self.service.getProfiles(), self.service.getLongProfiles()):
            self.assertEqual([profile.login for profile in self.successResultOf(profiles)], ["ada", "moshez"])

    def test_now(self) -> None:
        """An alias is answered without waiting if its user can be."""
        for name, login in {"webmaster": "ada", "moshez": "moshez"}.items():
            profile = self.service.getProfileNow(name)
            self.assertEqual(profile, self.successResultOf(self.service.getProfile(name)))
            self.assertEqual(profile and profile.login, login)
        for name in ("gone", "nobody"):
            self.assertRaises(NoSuchUser, self.service.getProfileNow, name)
        self.assertIsNone(AliasedFingerService(ProfilesDouble(ADA), self.aliases).getProfileNow("webmaster"))

    def test_unknown(self) -> None:
        """An alias of an unknown user is an unknown user."""
        for name in ("gone", "nobody", ""):
            self.failureResultOf(self.service.getUser(name), NoSuchUser)
            self.failureResultOf(self.service.getProfile(name), NoSuchUser)

    def test_realUser(self) -> None:
        """A user comes before an alias of the same name, also while the back end cannot tell."""
        self.assertEqual(self.status("moshez"), "Happy")
        broken = AliasedFingerService(BrokenDouble(BackendUnavailable("down")), self.aliases)
        self.failureResultOf(broken.getUser("webmaster"), BackendUnavailable)

    def test_policy(self) -> None:
        """The policy applies to an alias as it does to its user."""
        for atoms in ({"name"}, {"plan", "office"}, set[str]()):
            aliased = AliasedFingerService(ProfilesDouble(ADA), self.aliases)
            policy = PolicyFingerService(aliased, Clock(), atoms=atoms, listing=False)
            expected = self.successResultOf(policy.getProfile("ada"))
            self.assertEqual(self.successResultOf(policy.getProfile("webmaster")), expected)
            self.failureResultOf(policy.getProfiles(), ListRefused)

    def test_version(self) -> None:
        """The version changes with the users and with the aliases; there is none if the back end has none."""
        verifyObject(IVersioned, self.service)
        before = self.service.version()
        self.assertEqual(self.service.version(), before)
        self.path.write_text("ceo: moshez\n")
        self.successResultOf(self.aliases.reload())
        self.assertNotEqual(self.service.version(), before)
        self.assertIsNone(versionOf(AliasedFingerService(ProfilesDouble(ADA), self.aliases)))

    def test_watched(self) -> None:
        """A change of the file is noticed; invalid lines are logged with their numbers."""
        self.aliases.startService()
        self.path.write_text("ceo: moshez\nnonsense\n")
        with capturedLogs() as events:
            self.reactor.advance(INTERVAL)
        self.assertEqual(self.status("ceo"), "Happy")
        self.failureResultOf(self.service.getUser("webmaster"), NoSuchUser)
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                f"read 1 aliases from {self.path}",
                f"{self.path}:2: skipped: has no colon: expected 'alias: user'",
            ],
        )

    def test_missing(self) -> None:
        """A file that cannot be read at the start is an error of one line."""
        error = self.assertRaises(ConfigError, AliasesFile, "/nowhere", self.reactor)
        self.assertEqual(
            str(error),
            "--aliases=/nowhere: cannot be read: No such file or directory; give a file of 'alias: user' lines",
        )

    def test_long(self) -> None:
        """A file that no one has written by hand is refused."""
        with self.path.open("r+b") as file:
            file.truncate(MAX_BYTES + 1)
        error = self.assertRaises(ConfigError, AliasesFile, str(self.path), self.reactor)
        self.assertIn(f"cannot be read: is longer than {MAX_BYTES} bytes;", str(error))


class SetterTests(AliasesTestCase):
    """Setting the status of an alias."""

    def test_set(self) -> None:
        """The status of an alias is refused, and that of a user is set, also if an alias has the same name."""
        users = self.users()
        setter = AliasedSetterService(users, users, self.aliases)
        verifyObject(IFingerSetterService, setter)
        for name in ("webmaster", "zoe\u0308"):
            refusal = self.failureResultOf(setter.setUser(name, "x"), SetRefused)
            self.assertEqual(refusal.value.words, f"{name} is an alias; set the status of its user")
        for name in ("ada", "moshez", "new"):
            self.assertIs(self.successResultOf(setter.setUser(name, "set")), None)
        self.assertEqual(self.successResultOf(users.getUsers()), ["ada", "moshez", "new"])
        self.assertEqual(self.successResultOf(users.getUser("moshez")), "set")

    def test_broken(self) -> None:
        """If it cannot be told whether a user has the name of an alias, nothing is set."""
        users = self.users()
        broken = AliasedSetterService(BrokenDouble(BackendUnavailable("down")), users, self.aliases)
        self.failureResultOf(broken.setUser("webmaster", "x"), BackendUnavailable)
        self.assertEqual(self.successResultOf(users.getUsers()), ["ada", "moshez"])
