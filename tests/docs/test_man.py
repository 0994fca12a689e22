"""The manual pages: mandoc finds no fault in them, and the programs accept their examples."""

from __future__ import annotations

import re
import subprocess
from datetime import datetime
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from finger import __version__
from finger.__main__ import makeParser
from finger.backends.usersfile import parseUsers
from finger.client.targets import parseTarget
from finger.config.settings import fromFile
from finger.ops.daemon import TWISTD
from finger.plugins.discovery import findAdapters
from tests.support.tools import ROOT, need

MANUAL = Path(ROOT, "docs", "man")
TABLE = findAdapters().table
OURS = sorted(path.name for path in MANUAL.iterdir())

STYLE = "style"
"""
The level of mandoc's messages: all but the conventions of the base systems of OpenBSD and NetBSD, which have no
place for a version.
"""

WIDTH = 80
"""The columns of a terminal."""


def mandoc(*arguments: str | Path) -> tuple[int, str]:
    """Run mandoc; return its exit status and its output."""
    command = [need("mandoc", "mandoc"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    return done.returncode, done.stdout


class ManPage:
    """
    One page.

    @ivar source: its source.
    """

    def __init__(self, name: str) -> None:
        self.path = MANUAL / name
        self.source = self.path.read_text("utf-8")

    def shown(self, width: int) -> list[str]:
        """Return the lines on a terminal of some width, without bold and underlined text."""
        status, text = mandoc("-Tutf8", f"-Owidth={width}", self.path)
        assert status == 0, text
        return re.sub(".\b", "", text).replace("’", "'").splitlines()

    def macros(self, name: str) -> list[str]:
        """Return the arguments of each use of a macro."""
        return re.findall(rf"^\.{name} (.*)$", self.source, re.MULTILINE)

    def literals(self, title: str) -> list[str]:
        """Return the literal blocks and lines of a section, as a user types them."""
        start = self.source.index(f".Sh {title}\n")
        source = self.source[start:].split("\n.Sh ")[0]
        blocks = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed$|^\.Dl (.*)$", source, re.MULTILINE)
        return [(block or f"{line}\n").replace(r"\e", "\\") for block, line in blocks]

    @property
    def options(self) -> set[str]:
        """The long options that it names, without their dashes."""
        return set(re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*)", "\n".join(self.shown(width=250))))

    @property
    def references(self) -> set[str]:
        """The pages that it refers to."""
        return {".".join(words.split()[:2]) for words in self.macros("Xr")}


@cache
def page(name: str) -> ManPage:
    """Return a page, read once."""
    return ManPage(name)


class PageTests(SynchronousTestCase):
    """Every page."""

    def test_names(self) -> None:
        """Each page contains its own name and section."""
        for name in OURS:
            title, _, section = name.rpartition(".")
            self.assertEqual(page(name).macros("Dt"), [f"{title.upper()} {section}"])
            self.assertEqual(page(name).macros("Nm")[0], title)

    def test_lint(self) -> None:
        """mandoc finds no fault.  Pages of other packages that ours refer to are empty files here."""
        path = Path(self.mktemp())
        for name in set(OURS).union(*(page(name).references for name in OURS)):
            directory = path / f"man{name[-1]}"
            directory.mkdir(parents=True, exist_ok=True)
            ours = MANUAL / name
            (directory / name).write_bytes(ours.read_bytes() if ours.exists() else b"")
        for name in OURS:
            found = mandoc("-Tlint", f"-W{STYLE}", "-M", path.absolute(), path / f"man{name[-1]}" / name)
            self.assertEqual(found, (0, ""), name)

    def test_width(self) -> None:
        """No line is wider than a terminal."""
        for name in OURS:
            wide = [line for line in page(name).shown(WIDTH - 2) if len(line.expandtabs()) > WIDTH]
            self.assertEqual(wide, [], name)

    def test_references(self) -> None:
        """Our pages refer to each other, and to no page of ours that does not exist."""
        named = set().union(*(page(name).references for name in OURS))
        self.assertEqual({name for name in named if re.match(r"finger[-.].*\.|twisted-finger", name)}, set(OURS))

    def test_dateAndVersion(self) -> None:
        """Each page has its date and the version."""
        for name in OURS:
            (date,) = page(name).macros("Dd")
            datetime.strptime(date, "%B %d, %Y")
            self.assertEqual(page(name).macros("Os"), [f"finger {__version__}"])


class ProgramTests(SynchronousTestCase):
    """What the pages show, given to the programs."""

    def test_clientOptions(self) -> None:
        """twisted-finger(1) has all options of the client, and no others."""
        options = {name for action in makeParser().options for name in action.option_strings}
        self.assertEqual(page("twisted-finger.1").options, {name[2:] for name in options if name.startswith("--")})

    def test_clientExamples(self) -> None:
        """The client accepts the examples of twisted-finger(1)."""
        commands = [line for block in page("twisted-finger.1").literals("EXAMPLES") for line in block.splitlines()]
        self.assertTrue(commands)
        for command in commands:
            words = command.split("twisted-finger", 1)[1].split(">")[0].split()
            for target in makeParser().parse(words).targets:
                parseTarget(target, False)

    def test_serverOptions(self) -> None:
        """twisted-fingerd(8) names only options that exist."""
        twistd = {name.strip("-=") for name in TWISTD}
        client = {"set", "hash-password"}
        known = client | {name for option in TABLE for name in (option.name, option.off)} | {"name", "no-name"}
        self.assertEqual(page("twisted-fingerd.8").options - known - twistd, set())

    def test_configurationExamples(self) -> None:
        """The examples of finger.toml(5) are valid configuration files."""
        files = page("finger.toml.5").literals("EXAMPLES")
        self.assertTrue(files)
        for text in files:
            path = self.mktemp()
            Path(path).write_text(text, "utf-8")
            self.assertEqual(list(fromFile(path, TABLE)), re.findall(r"^([a-z-]+) = ", text, re.MULTILINE))

    def test_usersExample(self) -> None:
        """The example of finger-users(5) is a valid users file."""
        (example,) = page("finger-users.5").literals("EXAMPLES")
        self.assertEqual(parseUsers(example.encode()).problems, ())

    def test_usersDiagnostics(self) -> None:
        """finger-users(5) explains the problem of each of these files."""
        told = "\n".join(page("finger-users.5").macros("It")).replace("'login'", "'moshez'")
        for content in (
            b"no colon",
            b": no user",
            b"a@b: x",
            b"moshez: a\nmoshez: b",
            b" continues nothing",
            b"\xff: x",
        ):
            ((_, problem),) = parseUsers(content).problems
            self.assertIn(f"skipped: {problem}", told)
