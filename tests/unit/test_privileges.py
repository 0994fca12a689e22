"""Whom to run as."""

from __future__ import annotations

from collections import namedtuple
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from finger.errors import ConfigError
from finger.ops.privileges import unprivileged

Entry = namedtuple("Entry", ["pw_uid", "pw_gid"])


class Users(dict[str, Entry]):
    """A password database of its own."""

    def getpwnam(self, name: str) -> Entry:
        """Look up."""
        return self[name]


FINGER, NOBODY = Entry(123, 456), Entry(65534, 65534)


class UnprivilegedTests(SynchronousTestCase):
    """The choice."""

    def choose(self, euid: int = 0, **users: Entry) -> tuple[int, int] | None:
        """Choose, as somebody, among these users."""
        with patch("os.geteuid", return_value=euid):
            return unprivileged(Users(users))

    def test_root(self) -> None:
        """The user made for it, if there is one, else nobody."""
        self.assertEqual(self.choose(finger=FINGER, nobody=NOBODY), FINGER)
        self.assertEqual(self.choose(nobody=NOBODY), NOBODY)

    def test_alone(self) -> None:
        """With neither, there is no start as root."""
        error = self.assertRaises(ConfigError, self.choose)
        self.assertIn("--uid", str(error))

    def test_notRoot(self) -> None:
        """Who is not root stays who he is."""
        self.assertIsNone(self.choose(1000, finger=FINGER))
