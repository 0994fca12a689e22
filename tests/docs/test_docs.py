"""
The documentation, read as its readers do: what it shows is typed, and what it names is looked for.

What the fenced blocks of a page are, L{tests.support.pages} says.  A C{twistd -n} that does not end goes on until the
section's end; nothing need be below it.  Each section (C{##}) has a directory of its own, with C{docs}, C{etc} and
C{templates} of the checkout, and the files of its page.

The ports are those a reader would use.  Here, free ones take their places: in what is typed, in files, and, the other
way round, in what is printed.
"""

from __future__ import annotations

import ast
import contextlib  # Trial takes a module's C{suppress} for something else.
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from finger.__main__ import makeParser
from finger.tap import Options
from tests.support.ircserver import IRCServer
from tests.support.pages import FILES, PAGES, Block, Page, Section, differs, isPrinted, rows, typed
from tests.support.tools import DEADLINE, ROOT, need

PROGRAMS = {"curl": "curl", "lynx": "lynx", "openssl": "openssl", "promtool": "prometheus"}
"""What the pages type that Python does not bring, and what Debian calls the packages."""

SHOWN = (79, 443, 1079, 1080, 1081, 2079, 6667, 8000, 8443, 8889, 9079)
"""The ports that the pages name."""


READY = re.compile(r"finger is ready|--jsonport=\d+: listening on \[::\]:\d+\n\Z")
"""The last that a server logs when it starts; the second is one that has an adapter of a page's own, and no other."""

RELOADED = "finger has reloaded"
"""What a server logs at the end of a reload."""

# What a reader does with it.


class Terminal:
    """
    Where one section is tried.

    @param page: the page.
    @param section: the section.
    """

    def __init__(self, page: Page, section: Section) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.directory.chmod(0o777)
        self._ports = {number: _freePort() for number in SHOWN}
        self._servers: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._irc: IRCServer | None = None
        if any("6667" in block.text for block in section.of("console")):
            self._irc = IRCServer()
            self._ports[6667] = self._irc.port
        for name in ("docs", "etc", "templates"):
            (self.directory / name).symlink_to(ROOT / name)
        if section.of("diff"):
            shutil.copytree(ROOT / "finger", self.directory / "finger", ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in page.files.items():
            path = self.directory / name
            if not (path.parent / "__init__.py").exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self._free(text), "utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        for server, _ in self._servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(DEADLINE)
        for path in self.directory.glob("*.pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(path.read_text()), signal.SIGTERM)
        if self._irc is not None:
            self._irc.remove()
        shutil.rmtree(self.directory)

    def type(self, command: str) -> str:
        """Type a command; what it prints, or has printed by when it is ready."""
        for program, package in PROGRAMS.items():
            if re.search(rf"(?<![\w./-]){program} ", command):
                need(program, package=package)
        reloads = self._reloads()
        printed = self._start(command) if _isServer(command) else self._run(command)
        if "kill -HUP" in command:
            self._waitForReload(reloads)
        return self._documented(printed)

    def patch(self, diff: str) -> None:
        """Change the copy of the package."""
        for path, changes in _changes(diff):
            text = (self.directory / path).read_text("utf-8")
            for before, after in changes:
                assert text.count(before) == 1, f"{path} has {text.count(before)} times:\n{before}"
                text = text.replace(before, after)
            (self.directory / path).write_text(text, "utf-8")

    def _run(self, command: str) -> str:
        return subprocess.run(
            ["bash", "-c", self._free(self._withPorts(command))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.directory,
            env=_environment(self.directory),
            timeout=DEADLINE,
            check=False,
            encoding="utf-8",
        ).stdout

    def _start(self, command: str) -> str:
        path = self.directory / f"out{len(self._servers)}"
        with open(path, "wb") as out:
            server = subprocess.Popen(
                ["bash", "-c", self._free(self._withPorts(command))],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.directory,
                env=_environment(self.directory),
                start_new_session=True,
            )
        logFile = re.search(r"--logfile=(\S+)", command)
        log = self.directory / logFile[1] if logFile else path
        self._servers.append((server, log))
        self._waitFor(server, log)
        return path.read_text("utf-8")

    def _waitFor(self, server: subprocess.Popen[bytes], log: Path) -> None:
        """Wait until a server says that it is ready, or has ended."""
        deadline = time.monotonic() + DEADLINE
        while server.poll() is None and time.monotonic() < deadline:
            if READY.search(log.read_text("utf-8") if log.exists() else ""):
                return
            time.sleep(0.02)

    def _reloads(self) -> int:
        """How often the servers have reloaded so far."""
        return sum(log.read_text("utf-8").count(RELOADED) for _, log in self._servers)

    def _waitForReload(self, reloads: int) -> None:
        """
        Wait until a server has reloaded.

        @param reloads: how often they had before.
        """
        deadline = time.monotonic() + DEADLINE
        while self._reloads() == reloads:
            if time.monotonic() > deadline:
                raise AssertionError("no server has reloaded")
            time.sleep(0.02)

    def _withPorts(self, command: str) -> str:
        """The ports that a command line does not name are not the real ones here, either."""
        if not re.search(r"\btwistd\b.* finger\b", command, re.DOTALL) or re.search(r"--help|--version", command):
            return command
        defaults = {"fingerport": 79, "webport": 8000, "pbport": 8889}
        if "--ssl" in command:
            defaults["httpsport"] = 443
        missing = [name for name in defaults if f"--{name}" not in command]
        return " ".join([command, *(f"--{name}={self._ports[defaults[name]]}" for name in missing)])

    def _free(self, text: str) -> str:
        shown = "|".join(str(number) for number in self._ports if number > 1000)
        return re.sub(rf"(?<![\w.])({shown})(?!\w)", lambda match: str(self._ports[int(match[1])]), text)

    def _documented(self, text: str) -> str:
        documented = {str(free): str(number) for number, free in self._ports.items()}
        return re.sub(r"(?<!\w)\d{4,5}(?!\w)", lambda match: documented.get(match[0], match[0]), text)


def _environment(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **own}


def _freePort() -> int:
    """A number that is free, of those that the system gives to nobody who asks for any."""
    while True:
        number = random.randrange(20_000, 32_000)
        with (
            contextlib.suppress(OSError),
            contextlib.closing(socket.create_server(("", number), family=socket.AF_INET6, dualstack_ipv6=True)),
        ):
            return number


def _isServer(command: str) -> bool:
    return re.search(r"\btwistd( --?\S+)* -ny?\b", command) is not None and "--help" not in command


def _changes(diff: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The files a diff changes, and for each what becomes of what."""
    for part in re.split(r"^--- .*\n", diff, flags=re.MULTILINE)[1:]:
        head, *hunks = re.split(r"^@@.*\n", part, flags=re.MULTILINE)
        path = head.removeprefix("+++ ").strip()
        yield path, [(_side(hunk, "-"), _side(hunk, "+")) for hunk in hunks]


def _side(hunk: str, sign: str) -> str:
    lines = hunk.splitlines(keepends=True)
    return "".join(line[1:] or "\n" for line in lines if line[0] in {sign, " ", "\n"})


class ExampleTests(SynchronousTestCase):
    """Each section's examples.  The tests are made below."""

    maxDiff = None

    def trySection(self, page: Page, section: Section) -> None:
        """Do all that a section says."""
        with Terminal(page, section) as terminal:
            for block in section.blocks:
                if not block.isRun:
                    continue
                match block.language:
                    case "console":
                        self.tryConsole(terminal, block)
                    case "pycon":
                        (terminal.directory / "session").write_text(block.text, "utf-8")
                        printed = terminal.type("PYTHONPATH=. python -m doctest -o ELLIPSIS session")
                        self.assertEqual(printed, "", block.where)
                    case "diff":
                        terminal.patch(block.text)

    def tryConsole(self, terminal: Terminal, block: Block) -> None:
        """Type what a block shows, and compare what is printed."""
        for command, expected in typed(block.text):
            printed = terminal.type(command)
            if (expected.strip() or not _isServer(command)) and not isPrinted(expected, printed):
                self.fail(f"{block.where}: {differs(command, expected, printed)}")


def _test(page: Page, section: Section) -> Callable[[ExampleTests], None]:
    def test(case: ExampleTests) -> None:
        case.trySection(page, section)

    test.__doc__ = f"{page.path.name}, {section.title or 'its beginning'}."
    return test


for _page in PAGES.values():
    if _page.path.name == "operations.md":
        continue  # Its commands are for a machine of their own: L{tests.packaging.test_operations}.
    for _section in _page.sections:
        if any(_section.of(language) for language in ("console", "pycon", "diff")):
            _name = re.sub(r"\W+", "_", f"test_{_page.path.stem}_{_section.title}").rstrip("_")
            setattr(ExampleTests, _name, _test(_page, _section))


# What it names.

FILE_SUFFIXES = {".tac", ".log", ".pid", ".service", ".socket", ".toml"}
"""How names of files end that look like names of modules."""


class NameTests(SynchronousTestCase):
    """Links, options, modules, tests and numbers."""

    maxDiff = None

    def each(self, what: str) -> Iterator[tuple[Page, Any]]:
        """What all pages have of something."""
        return ((page, item) for page in PAGES.values() for item in getattr(page, what))

    def test_pages(self) -> None:
        """The README links to each page."""
        targets = {target for _, target in PAGES["README.md"].links}
        pages = {page.path.relative_to(ROOT).as_posix() for page in PAGES.values()} - {"README.md"}
        self.assertEqual(pages - targets, set())

    def test_blocks(self) -> None:
        """Nothing that could be run is not, unless a comment says why; Python is as it should be."""
        for page, block in self.each("blocks"):
            if not block.isRun:
                continue
            self.assertIn(block.language, {"console", "pycon", "diff", *FILES}, block.where)
            if block.language in FILES - {"text"}:
                self.assertTrue(block.name, f"{block.where} neither is a file nor says why it is not run")
            if block.language == "console":
                self.assertTrue(block.text.startswith("$ "), block.where)
            if block.language == "toml":
                tomllib.loads(block.text)
            if block.language == "python":
                rules = (
                    "--config=pyproject.toml",
                    "--extend-ignore=I001,TID251",
                )  # Where a name is from, nobody sees.
                done = subprocess.run(
                    [sys.executable, "-m", "ruff", "check", "--quiet", *rules, "-"],
                    cwd=ROOT,
                    input=block.text,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                self.assertEqual((done.returncode, done.stdout), (0, ""), f"{block.where} of {page.path.name}")

    def test_width(self) -> None:
        """A terminal shows it: no line but of a table or a link is wider than 120 characters."""
        for page in PAGES.values():
            for number, line in enumerate(page.path.read_text("utf-8").splitlines(), 1):
                if not line.startswith("|") and "](" not in line:
                    self.assertLessEqual(len(line), 120, f"{page.path.name}:{number}")

    def test_links(self) -> None:
        """No link is dead, within a page or to another file."""
        for page, (_, target) in self.each("links"):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            path = (page.path.parent / name).resolve() if name else page.path
            self.assertTrue(path.exists(), f"{page.path.name}: {target}")
            if anchor:
                self.assertIn(anchor, PAGES[path.name].anchors, f"{page.path.name}: {target}")

    def test_tests(self) -> None:
        """A link to a test leads to one that is there."""
        for page, (text, target) in self.each("links"):
            module = re.search(r"(tests/[\w/]*test_\w+)\.py$", target)
            if module and "." in text:
                case, name = text.split(".")
                found = getattr(import_module(module[1].replace("/", ".")), case, None)
                self.assertTrue(hasattr(found, name), f"{page.path.name}: no {text} in {target}")

    def test_names(self) -> None:
        """Modules, classes and files are there."""
        for page, code in self.each("code"):
            if page.path.name == "CHANGELOG.md":
                continue  # It names what was there once.
            if re.fullmatch(r"finger(\.\w+)+", code) and Path(code).suffix not in FILE_SUFFIXES:
                try:
                    namedAny(code)
                except (AttributeError, ImportError):
                    self.fail(f"{page.path.name}: there is no {code}")
            if re.match(r"(finger|tests|docs|etc|twisted)/[\w./]+$", code) and code not in page.files:
                self.assertTrue((ROOT / code).exists(), f"{page.path.name}: there is no {code}")

    def test_options(self) -> None:
        """Options are the server's, twistd's, the client's, or those of an adapter that the page shows."""
        client = {name for action in makeParser().options for name in action.option_strings}
        twistd = namedAny("twisted.scripts.twistd.ServerOptions")()
        known = client | {f"--{name.rstrip('=')}" for name in (*Options().longOpt, *twistd.longOpt)}
        for page, code in self.each("code"):
            own = {f"--{name}" for text in page.files.values() for name in re.findall(r'name="([a-z-]+)"', text)}
            for option in re.findall(r"(?<!\S)--[a-z][a-z-]*\b(?!\.)", code):
                self.assertIn(option, known | own, f"{page.path.name}: {code}")

    def test_messages(self) -> None:
        """What the troubleshooting says is said, is said somewhere in the code."""
        said = "\n".join(_constants(path) for path in sorted((ROOT / "finger").rglob("*.py")))
        for message, _ in rows(PAGES["troubleshooting.md"].section("Messages at the start")):
            for words in re.findall(r"`([^`]+)`", message):
                for fragment in re.split(r"\s*(?:\.\.\.|[A-Z]{3,})\s*", words):
                    self.assertIn(fragment, said, message)

    def test_rules(self) -> None:
        """The alerts for Prometheus use metrics that the reference lists."""
        rules = "".join(path.read_text() for path in sorted((ROOT / "etc" / "prometheus").glob("*.yml")))
        used = {name.removesuffix("_bucket") for name in re.findall(r"\b(?:finger|process)_\w+", rules)}
        self.assertEqual(used - set(PAGES["reference.md"].code), set())


def _constants(path: Path) -> str:
    """The texts in a module, as they are put together."""
    tree = ast.parse(path.read_text("utf-8"))
    return "\n".join(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
