"""The manual: pages that mandoc finds nothing in to mend, and that say of each option what the programs say."""

from __future__ import annotations

import re
import subprocess
from argparse import Action
from datetime import datetime
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from finger import __version__
from finger.__main__ import makeParser, parseTarget
from finger.backends.usersfile import parseUsers
from finger.config.options import Option
from finger.config.settings import fromFile
from finger.config.types import Number, Switch, Whole
from finger.ops.daemon import TWISTD
from finger.plugins.discovery import findAdapters
from tests.support.tools import ROOT, need

MANUAL = Path(ROOT, "docs", "man")
OURS = {"twisted-finger.1", "finger-users.5", "finger.toml.5", "twisted-fingerd.8"}

STYLE = "style"
"""
All that mandoc finds fault with, but for the conventions of the base systems of OpenBSD and NetBSD: by these, no page
could say which version it is of.
"""

TABLE = findAdapters().table

WIDTH = 80
"""The columns of a terminal."""

INDENT = 5
"""Where the text of a section begins, and so the tags of a list."""


def mandoc(*arguments: str | Path) -> tuple[int, str]:
    """Run mandoc; its exit status, and what it finds or makes.  That the pages have no index does not matter."""
    command = [need("mandoc", "mandoc"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    return done.returncode, done.stdout


class ManPage:
    """
    A page, read.

    @ivar source: as it is written.
    @ivar lines: as it is shown, on a terminal that is as wide as one likes.
    """

    def __init__(self, name: str) -> None:
        self.path = MANUAL / name
        self.source = self.path.read_text("utf-8")
        self.lines = self.shown(width=250)

    def shown(self, width: int) -> list[str]:
        """The page as a terminal shows it, without what is bold or underlined."""
        status, text = mandoc("-Tutf8", f"-Owidth={width}", self.path)
        assert status == 0, text
        return re.sub(".\b", "", text).replace("’", "'").splitlines()

    def macros(self, name: str) -> list[str]:
        """What stands behind each of some macro."""
        return re.findall(rf"^\.{name} (.*)$", self.source, re.MULTILINE)

    def section(self, title: str) -> list[str]:
        """The lines below a heading of the first level."""
        start = self.lines.index(title) + 1
        rest = self.lines[start:]
        ends = [number for number, line in enumerate(rest) if re.match(r"\S", line)]
        return rest[: ends[0]]

    def entries(self, title: str, tag: str) -> dict[str, dict[str, str]]:
        """
        What a section's lists explain.

        @param tag: what each begins with, a regular expression.
        @return: for each heading of the second level, and C{""} before the first, the texts by their tags.
        """
        found: dict[str, dict[str, str]] = {"": {}}
        heading, key = "", None
        for line in self.section(title):
            words = line.strip()
            if re.match(r" {3}\S", line):
                heading, key = words, None
                found[heading] = {}
            elif re.match(rf" {{{INDENT}}}(?={tag})", line):
                key, _, about = words.partition("  ")
                found[heading][key] = about.strip()
            elif key is not None and line.startswith(" " * (INDENT + 1)):
                found[heading][key] = f"{found[heading][key]} {words}".strip()
            elif words:
                key = None
        return {heading: entries for heading, entries in found.items() if entries}

    def literals(self, title: str) -> list[str]:
        """The literal blocks and lines of a section, as they are typed."""
        start = self.source.index(f".Sh {title}\n")
        source = self.source[start:].split("\n.Sh ")[0]
        blocks = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed$|^\.Dl (.*)$", source, re.MULTILINE)
        return [(block or f"{line}\n").replace(r"\e", "\\") for block, line in blocks]


@cache
def page(name: str) -> ManPage:
    """A page, read once."""
    return ManPage(name)


class PageTests(SynchronousTestCase):
    """Each page by itself, and among the others."""

    def test_names(self) -> None:
        """These are the pages, and each has its name and section inside."""
        self.assertEqual({path.name for path in MANUAL.iterdir()}, OURS)
        for name in OURS:
            title, _, section = name.rpartition(".")
            self.assertEqual(page(name).macros("Dt"), [f"{title.upper()} {section}"])
            self.assertEqual(page(name).macros("Nm")[0], title)

    def test_lint(self) -> None:
        """mandoc finds nothing to mend, where all pages are that they name: ours, and stand-ins for the others'."""
        path = Path(self.mktemp())
        for name in OURS.union(*map(references, OURS)):
            directory = path / f"man{name[-1]}"
            directory.mkdir(parents=True, exist_ok=True)
            ours = MANUAL / name
            (directory / name).write_bytes(ours.read_bytes() if ours.exists() else b"")
        for name in sorted(OURS):
            found = mandoc("-Tlint", f"-W{STYLE}", "-M", path.absolute(), path / f"man{name[-1]}" / name)
            self.assertEqual(found, (0, ""), name)

    def test_width(self) -> None:
        """None is wider than a terminal."""
        for name in OURS:
            wide = [line for line in page(name).shown(WIDTH - 2) if len(line.expandtabs()) > WIDTH]
            self.assertEqual(wide, [], name)

    def test_references(self) -> None:
        """Each of ours that another names is there, and each is named by another."""
        named = set().union(*map(references, OURS))
        ours = {name for name in named if re.match(r"finger[-.].*\.|twisted-finger", name)}
        self.assertEqual(ours, OURS)

    def test_dateAndVersion(self) -> None:
        """Each says of when and of what version it is."""
        for name in OURS:
            (date,) = page(name).macros("Dd")
            datetime.strptime(date, "%B %d, %Y")
            self.assertEqual(page(name).macros("Os"), [f"finger {__version__}"])
            self.assertIn(date, page(name).lines[-1])
            self.assertIn(f"finger {__version__}", page(name).lines[-1])


def references(name: str) -> set[str]:
    """The pages that a page names."""
    return {".".join(words.split()[:2]) for words in page(name).macros("Xr")}


class ClientTests(SynchronousTestCase):
    """twisted-finger(1)."""

    def setUp(self) -> None:
        """Read the page."""
        self.page = page("twisted-finger.1")

    def test_options(self) -> None:
        """It has the options that the parser has, no others, and their defaults."""
        entries = self.page.entries("DESCRIPTION", "-")[""]
        actions = {_argparseTag(action): action for action in makeParser()._actions if action.option_strings}
        self.assertEqual(set(entries), set(actions))
        for tag, text in entries.items():
            default = actions[tag].default if isinstance(actions[tag].default, int) else False
            self.assertEqual(_default(text), str(default) if default else "", tag)

    def test_examples(self) -> None:
        """The parser takes each."""
        commands = [line for block in self.page.literals("EXAMPLES") for line in block.splitlines()]
        self.assertTrue(commands)
        for command in commands:
            words = command.split("twisted-finger", 1)[1].split(">")[0].split()
            for target in makeParser().parse_intermixed_args(words).targets:
                parseTarget(target, False)

    def test_diagnostics(self) -> None:
        """The messages are those of the code."""
        code = "".join(Path(ROOT, "finger", name).read_text("utf-8") for name in ("__main__.py", "client/client.py"))
        for message in ("could not connect to", "the answer of", "was cut", "time limit of", "no IPv"):
            self.assertIn(message, code)
            self.assertIn(message, "\n".join(self.page.section("DIAGNOSTICS")))


def _argparseTag(action: Action) -> str:
    """What introduces an option of argparse's in the manual."""
    if action.nargs == 0:
        return ", ".join(action.option_strings)
    value = "|".join(map(str, action.choices or [str(action.metavar or action.dest).lower()]))
    if action.nargs == "?":
        return ", ".join(f"{name}[={value}]" for name in action.option_strings)
    equals = {name: "=" if name.startswith("--") else " " for name in action.option_strings}
    return ", ".join(f"{name}{sign}{value}" for name, sign in equals.items())


def _default(text: str) -> str:
    """The default that a text tells of; empty if it tells of none."""
    match = re.search(r"The default is (\S+(?:, \S+)*?)\.(?:\s|$)", text)
    return match[1] if match else ""


class DaemonTests(SynchronousTestCase):
    """twisted-fingerd(8)."""

    def setUp(self) -> None:
        """Read the page."""
        self.page = page("twisted-fingerd.8")

    def test_options(self) -> None:
        """It has the table's options, in its order and groups, and no others."""
        found = {group: list(entries) for group, entries in self.page.entries("OPTIONS", "-").items()}
        table = {group.partition(" (")[0]: [_tag(option) for option in options] for group, options in TABLE.groups()}
        self.assertEqual(found, table)
        self.assertEqual(list(found), list(table))

    def test_texts(self) -> None:
        """It tells the table's defaults, values, and what can be repeated."""
        entries = {tag: text for group in self.page.entries("OPTIONS", "-").values() for tag, text in group.items()}
        for option in TABLE:
            self.checkText(option, entries[_tag(option)])

    def checkText(self, option: Option, text: str) -> None:
        """A text tells what there is to know of an option."""
        self.assertEqual(_default(text), option.defaultText if option.field else "", option.name)
        self.assertEqual(bool(re.search("repeatable", text, re.IGNORECASE)), option.repeated, option.name)
        self.assertEqual(_missingChoices(option, text), [], option.name)

    def test_switches(self) -> None:
        """What it says of switching off is so, of all there are."""
        switches = [option for option in TABLE.settings.values() if isinstance(option.kind, Switch)]
        self.assertEqual(
            {option.name: option.off for option in switches},
            {option.name: f"no-{option.name}" for option in switches if option.name != "no-list"}
            | {"no-list": "list"},
        )

    def test_examples(self) -> None:
        """Each option that an example or a text has is in the table, or among those that the command adds."""
        text = "\n".join(self.page.lines)
        self.assertIn(f"'twistd {' '.join(TWISTD)}'", text.replace("‘", "'"))
        said = re.findall(r"(?<![\w-])--([a-z-]+)", text.replace(" ".join(TWISTD), ""))
        known = {name for option in TABLE for name in (option.name, option.off)} | {"name", "no-name", "set"}
        self.assertEqual(set(said) - known, set())

    def test_diagnostics(self) -> None:
        """The messages are those of the code."""
        code = Path(ROOT, "finger", "net", "ports.py").read_text("utf-8")
        messages = [line.split("port 79 ")[1] for line in self.page.section("DIAGNOSTICS") if "port 79 " in line]
        self.assertEqual(len(messages), 2)
        for message in messages:
            self.assertIn(f"port {{port}} {message}", code)


def _tag(option: Option) -> str:
    """What introduces an option in the manual."""
    value = option.value.lower()
    long = f"--{option.name}={value}" if value else f"--{option.name}"
    return f"-{option.short} {value}".strip() + f", {long}" if option.short else long


def _missingChoices(option: Option, text: str) -> list[str]:
    """What an option can be, and a text does not say."""
    if option.kind is None or isinstance(option.kind, Switch):
        return []
    return [choice for choice in option.kind.choices if not re.search(rf"\b{choice}\b", text)]


class ConfigurationTests(SynchronousTestCase):
    """finger.toml(5)."""

    def setUp(self) -> None:
        """Read the page."""
        self.page = page("finger.toml.5")

    def test_keys(self) -> None:
        """It has the table's settings, in its order, each of the kind it is, and their defaults."""
        groups = self.page.entries("DESCRIPTION", r"[a-z-]+ = \w+$").values()
        entries = {tag: text for group in groups for tag, text in group.items()}
        self.assertEqual(list(entries), [f"{name} = {_kind(option)}" for name, option in TABLE.settings.items()])
        for text, option in zip(entries.values(), TABLE.settings.values(), strict=True):
            self.assertEqual(_default(text), option.defaultText, option.name)
            self.assertEqual(_missingChoices(option, text), [], option.name)

    def test_examples(self) -> None:
        """Each is a file that can be read."""
        files = self.page.literals("EXAMPLES")
        self.assertEqual(len(files), 3)
        for text in files:
            path = self.mktemp()
            Path(path).write_text(text, "utf-8")
            self.assertEqual(list(fromFile(path, TABLE)), re.findall(r"^([a-z-]+) = ", text, re.MULTILINE))


def _kind(option: Option) -> str:
    """What the page calls the kind of an option's value."""
    if option.repeated:
        return "list"
    if isinstance(option.kind, Switch):
        return "switch"
    return "number" if isinstance(option.kind, Whole | Number) else "text"


class UsersFileTests(SynchronousTestCase):
    """finger-users(5)."""

    BAD = (
        b"no colon",
        b": no user",
        b"a@b: x",
        b"moshez: a\nmoshez: b",
        b" continues nothing",
        b"\xff: x",
    )
    """Files with each problem there is, in the page's order."""

    def setUp(self) -> None:
        """Read the page."""
        self.page = page("finger-users.5")

    def test_example(self) -> None:
        """It is read without problems."""
        (example,) = self.page.literals("EXAMPLES")
        users = parseUsers(example.encode())
        self.assertEqual(users.problems, ())
        self.assertEqual(list(users.profiles), ["moshez", "shawn", "ada", "charles", "coke"])

    def test_diagnostics(self) -> None:
        """It explains each problem there is, word for word."""
        (entries,) = self.page.entries("DIAGNOSTICS", "skipped: ").values()
        problems = [parseUsers(content).problems[0][1] for content in self.BAD]
        told = [tag.removeprefix("skipped: ").replace("'login'", "'moshez'") for tag in entries]
        self.assertEqual(told, problems)
