"""Tests for L{finger.profile}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from finger.profile import DEFAULT_ATOMS, FIELD_OF_ATOM, LastLogin, Mail, Profile, disclose

FULL = Profile(
    "m", "M", "plan", "project", "/home/m", "/bin/sh", LastLogin(None), Mail(None), "office", "AAAA", "mDME"
)


class ProfileTests(SynchronousTestCase):
    """A user's profile."""

    def test_status(self) -> None:
        """The status is the plan, C{No Plan.} if it is empty, or the user's name if the plan is not disclosed."""
        self.assertEqual(Profile("m", "M", "plan").status, "plan")
        self.assertEqual(Profile("m", "M", "").status, "No Plan.")
        self.assertEqual(Profile("m", "M").status, "M")
        self.assertEqual(Profile("m").status, "m")

    def test_isStatusOnly(self) -> None:
        """A profile with a plan and no other field is only a status."""
        self.assertTrue(Profile("m", plan="").isStatusOnly)
        self.assertFalse(Profile("m").isStatusOnly)
        self.assertFalse(Profile("m", plan="", home="").isStatusOnly)

    def test_disclose(self) -> None:
        """Each atom discloses its field and no other; the login is always disclosed."""
        self.assertEqual(disclose(FULL, frozenset(FIELD_OF_ATOM)), FULL)
        self.assertEqual(disclose(FULL, frozenset()), Profile("m"))
        self.assertEqual(disclose(FULL, DEFAULT_ATOMS), Profile("m", "M", "plan", "project"))
        for atom, field in FIELD_OF_ATOM.items():
            self.assertEqual(disclose(FULL, frozenset({atom})), Profile("m", **{field: getattr(FULL, field)}))
