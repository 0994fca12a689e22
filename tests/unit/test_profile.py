"""Profiles, and what is disclosed of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from finger.profile import DEFAULT_ATOMS, FIELD_OF_ATOM, LastLogin, Mail, Profile, disclose

FULL = Profile("m", "M", "plan", "project", "/home/m", "/bin/sh", LastLogin(None), Mail(None), "office")


class ProfileTests(SynchronousTestCase):
    """One user."""

    def test_status(self) -> None:
        """The one text: the plan, or that there is none, or who it is if plans are not told."""
        self.assertEqual(Profile("m", "M", "plan").status, "plan")
        self.assertEqual(Profile("m", "M", "").status, "No Plan.")
        self.assertEqual(Profile("m", "M").status, "M")
        self.assertEqual(Profile("m").status, "m")

    def test_isStatusOnly(self) -> None:
        """A plan and nothing else."""
        self.assertTrue(Profile("m", plan="").isStatusOnly)
        self.assertFalse(Profile("m").isStatusOnly)
        self.assertFalse(Profile("m", plan="", home="").isStatusOnly)

    def test_disclose(self) -> None:
        """Each atom opens its field and no other; the login is always told."""
        self.assertEqual(disclose(FULL, FIELD_OF_ATOM), FULL)
        self.assertEqual(disclose(FULL, ()), Profile("m"))
        self.assertEqual(disclose(FULL, DEFAULT_ATOMS), Profile("m", "M", "plan", "project"))
        for atom, field in FIELD_OF_ATOM.items():
            self.assertEqual(disclose(FULL, {atom}), Profile("m", **{field: getattr(FULL, field)}))
