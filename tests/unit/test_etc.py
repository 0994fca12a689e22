"""Tests for the configuration and users files in C{etc}."""

from __future__ import annotations

import re
import tomllib

from twisted.trial.unittest import SynchronousTestCase

from finger.backends.usersfile import UsersFile, parseUsers
from finger.config.settings import fromFile
from finger.plugins.discovery import findAdapters
from tests.support.tools import ROOT

CONFIGURATION = ROOT / "etc" / "finger.toml"


class ConfigurationTests(SynchronousTestCase):
    """C{finger.toml}, as packages install it."""

    def setUp(self) -> None:
        """Read the options that the file sets, and those that it shows with their defaults."""
        text = CONFIGURATION.read_text("utf-8")
        self.set = tomllib.loads(text)
        self.shown = tomllib.loads("\n".join(re.findall(r"(?m)^#(\w.*)", text)))

    def test_valid(self) -> None:
        """The file is a valid configuration."""
        self.assertEqual(
            set(fromFile(str(CONFIGURATION), findAdapters().table)), {"file", "fingerport", "webport", "pbport"}
        )

    def test_complete(self) -> None:
        """Every option is in the file once."""
        self.assertEqual(sorted([*self.set, *self.shown]), sorted(findAdapters().table.settings))

    def test_defaults(self) -> None:
        """The defaults shown are the options' defaults."""
        self.assertEqual(self.shown, {name: findAdapters().table.settings[name].default for name in self.shown})


class UsersTests(SynchronousTestCase):
    """C{finger.users}, as packages install it."""

    def setUp(self) -> None:
        """Read the file."""
        self.text = (ROOT / "etc" / "finger.users").read_bytes()

    def test_empty(self) -> None:
        """A new installation has no users."""
        self.assertEqual(parseUsers(self.text), UsersFile({}, ()))

    def test_example(self) -> None:
        """The example in the file is valid."""
        example = self.text.split(b"#\n")[2].replace(b"# ", b"")
        users = parseUsers(example)
        self.assertEqual((list(users.profiles), users.problems), (["ada", "moshez"], ()))
        self.assertIn("\n", users.profiles["ada"].plan or "")
