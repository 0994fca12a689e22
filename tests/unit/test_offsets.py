"""Tests for L{finger.backends._offsets}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from finger.backends._offsets import Offsets
from finger.profile import Profile


class Clashing(str):
    """A login whose hash is that of all others."""

    __slots__ = ()

    def __hash__(self) -> int:
        """Return the same number."""
        return -7


class OffsetsTests(SynchronousTestCase):
    """The table of places."""

    def check(self, logins: list[str]) -> None:
        """Check that each login is found at its place, and no other login is."""
        *added, missing = logins
        offsets = Offsets(len(added), lambda place: Profile(logins[place]))
        for place, login in enumerate(added):
            self.assertRaises(KeyError, offsets.find, login)
            self.assertTrue(offsets.add(login, place))
        self.assertEqual([offsets.add(login, 99) for login in added], [False] * len(added))
        self.assertEqual([offsets.find(login).login for login in added], added)
        self.assertRaises(KeyError, offsets.find, missing)
        self.assertEqual([profile.login for profile in offsets.profiles()], added)
        self.assertEqual(len(offsets), len(added))

    def test_find(self) -> None:
        """Each login has its place, and the places are in the order in which they were added."""
        for count in (0, 1, 2, 3, 4, 1000):
            self.check([f"user{number}" for number in range(count + 1)])

    def test_clashes(self) -> None:
        """Logins of equal hashes have places of their own."""
        self.check([Clashing(f"user{number}") for number in range(100)])

    def test_large(self) -> None:
        """An offset may be as large as that of the largest file."""
        offsets = Offsets(1, lambda offset: {2**30: Profile("a")}[offset])
        self.assertTrue(offsets.add("a", 2**30))
        self.assertEqual(offsets.find("a"), Profile("a"))
