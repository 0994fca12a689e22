"""The unprivileged user to run as."""

from __future__ import annotations

from collections import namedtuple
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from finger.errors import ConfigError
from finger.ops.privileges import unprivileged

Entry = namedtuple("Entry", ["pw_uid", "pw_gid"])


class Users(dict[str, Entry]):
    """A password database for tests."""

    def getpwnam(self, name: str) -> Entry:
        """Look up a user."""
        return self[name]


FINGER, NOBODY = Entry(123, 456), Entry(65534, 65534)


class UnprivilegedTests(SynchronousTestCase):
    """The choice of the user."""

    def choose(self, euid: int = 0, **users: Entry) -> tuple[int, int] | None:
        """Choose a user, as a process with this uid."""
        with patch("os.geteuid", return_value=euid):
            return unprivileged(Users(users))

    def test_root(self) -> None:
        """Root becomes the user C{finger}, or C{nobody} if that does not exist."""
        self.assertEqual(self.choose(finger=FINGER, nobody=NOBODY), FINGER)
        self.assertEqual(self.choose(nobody=NOBODY), NOBODY)

    def test_alone(self) -> None:
        """If neither user exists, the server does not start."""
        error = self.assertRaises(ConfigError, self.choose)
        self.assertIn("--uid", str(error))

    def test_notRoot(self) -> None:
        """A process that is not root keeps its user."""
        self.assertIsNone(self.choose(1000, finger=FINGER))
