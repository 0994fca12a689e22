"""The package, built, installed in every way into clean environments, run there, and gone without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from twisted.trial.unittest import SynchronousTestCase

from finger.adapters.web.templating import NAMES
from tests.support.everywhere import EverywhereTestCase, bracketed, statusOfPage
from tests.support.rendering import PROGRAM, templatesOf
from tests.support.tools import DEADLINE, FAMILIES, ROOT, Server, ask

EXTRAS = ["docs", "metrics", "test"]
RUNTIME = ("Twisted[tls]>=26.10", "zope.interface", "pyOpenSSL", "service-identity")
"""What the package may need to run, and no more."""

BUILD = ("hatchling", "editables")
"""What builds it."""

FINGER_IN_HELP = r"(?m)^    finger "

LITTER = ("twisted/plugins/dropin.cache", "finger/plugins/dropin.cache", "finger/__pycache__/x.cpython-311.pyc")
"""What a checkout has in it once it was used."""

NO_PATH = {"PYTHONPATH": ""}
"""As good as none: a program's modules come from its own environment, wherever these tests find theirs."""

TWISTD = """#!{python}
import sys
from twisted.scripts.twistd import run
sys.exit(run())
"""
"""The script that pip makes of Twisted's entry point."""


def run(*command: str | Path, cwd: Path, status: int = 0, **environment: str) -> str:
    """
    Run a program to its end, in a directory that is not the checkout, and take what it says.

    @param status: the exit status it must end with.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **NO_PATH, **environment},
    )
    if done.returncode != status:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stdout}")
    return done.stdout


class Work:
    """
    What all tests here share, removed at the end.

    @ivar source: a copy of the checkout, as it is now.
    @ivar tools: a directory of what builds the package, to be put on a path.
    @ivar wheel: the wheel.
    @ivar sdist: the sdist.
    """

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory()  # It removes itself when the interpreter ends.
        self.directory = Path(self._temporary.name)
        self.directory.chmod(0o755)
        self.source = copyOfCheckout(self.directory / "source")
        self.tools = self.directory / "tools"
        copyDistributions(closure(BUILD), self.tools)
        self.wheel, self.sdist = build(self.source, self.directory / "dist")


@cache
def work() -> Work:
    """The one there is: trial has no set-up for a module."""
    return Work()


def copyOfCheckout(target: Path) -> Path:
    """Copy the checkout without what is nobody's source, and with litter: none of that may be packaged."""
    shutil.copytree(ROOT, target, ignore=isNoSource)
    for name in LITTER:
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_bytes(b"litter")
    return target


def isNoSource(directory: str, names: list[str]) -> list[str]:
    """Of the names in a directory, those of environments, caches and what else is made here."""
    made = {"__pycache__", "dropin.cache", "build", "dist"}
    return [n for n in names if n in made or (n.startswith((".", "_trial_temp")) and n != ".gitignore")]


def build(source: Path, target: Path) -> tuple[Path, Path]:
    """Build the sdist, and from that the wheel, as what is published is built, with the tools of this environment."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source, cwd=target.parent)
    (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
    return wheel, sdist


def closure(requirements: Iterable[str]) -> list[Distribution]:
    """The installed distributions that requirements need, and what those need in turn, for this Python and system."""
    found: dict[tuple[str, str], Distribution] = {}
    waiting = [Requirement(requirement) for requirement in requirements]
    while waiting:
        requirement = waiting.pop()
        installed = distribution(requirement.name)
        for extra in {"", *requirement.extras}:
            if (requirement.name, extra) not in found:
                found[requirement.name, extra] = installed
                needed = [Requirement(needed) for needed in installed.requires or ()]
                waiting += [r for r in needed if r.marker is None or r.marker.evaluate({"extra": extra})]
    return list({canonicalize_name(installed.name): installed for installed in found.values()}.values())


def copyDistributions(distributions: Iterable[Distribution], target: Path) -> None:
    """Copy distributions, file by file as their records have it, without their scripts."""
    for installed in distributions:
        for file in installed.files or ():
            if ".." not in file.parts:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(installed.locate_file(file)), target / file)


class Environment:
    """
    A clean virtual environment, with what the package needs to run, without the package.

    What it needs is copied from the environment of the tests: that needs no network and takes no time.  It is sound,
    because what is copied is no more than pip once installed there for C{RUNTIME} and for what that needs in turn, by
    pip's own records, into the directory that the package will share with it.  Of what else is in the environment of
    the tests, nothing is here; no path leads there, nor to the checkout.  In the end it is pip, without an index,
    that has to find all that the package requires.

    pip itself is not in it, but told by C{--python} to work on it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        venv.create(directory, symlinks=True)
        self.python = directory / "bin" / "python"
        self.twistd = directory / "bin" / "twistd"
        self.packages = next(directory.glob("lib/python*/site-packages"))
        copyDistributions(closure(RUNTIME), self.packages)
        self.twistd.write_text(TWISTD.format(python=self.python))
        self.twistd.chmod(0o755)

    def pip(self, *arguments: str | Path, path: str = "") -> None:
        """Have pip work on this environment."""
        pip = (sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check")
        run(*pip, *arguments, cwd=self.directory, PYTHONPATH=path)

    def install(self, *what: str | Path) -> None:
        """Install something, without a network, by the tools that are here; without those, it is complete then."""
        offline = ("--no-index", "--no-build-isolation", "--no-compile")
        self.pip("install", *offline, *what, path=str(work().tools))
        self.pip("check")

    def files(self) -> set[str]:
        """What is installed, without what Twisted and pip note down about it."""
        notes = {"dropin.cache", "INSTALLER", "REQUESTED", "direct_url.json"}
        files = (path.relative_to(self.packages) for path in self.packages.rglob("*") if path.is_file())
        return {str(file) for file in files if file.name not in notes}

    def run(self, program: str, *arguments: str, status: int = 0, **variables: str) -> str:
        """Run one of its programs."""
        path = self.directory / "bin" / program
        return run(path, *arguments, cwd=self.directory, status=status, **{"COLUMNS": "100", **variables})


class ArchiveTests(SynchronousTestCase):
    """What is in the archives."""

    def setUp(self) -> None:
        """What should be."""
        source = work().source
        modules = {
            str(path.relative_to(source))
            for path in Path(source, "finger").rglob("*")
            if path.suffix == ".py" or path.name == "py.typed"
        }
        self.assertTrue({"finger/tap.py", "finger/py.typed"} <= modules)
        self.templates = {f"templates/{name}" for name in NAMES}
        self.expected = modules | {"twisted/plugins/finger_plugin.py"}
        self.assertEqual([name for name in self.expected if "cache" in name], [])

    def test_wheel(self) -> None:
        """
        The package with the templates in it, the one file that is twistd's, the commands, and the licence.  No
        C{__init__.py} above that file: it would take the place of Twisted's own, and be gone with us.
        """
        information = {
            f"{informationDirectory()}/{name}"
            for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
        }
        templates = {f"finger/{name}" for name in self.templates}
        self.assertEqual(namesInWheel(), self.expected | templates | information)
        self.assertTrue(work().wheel.name.endswith("-py3-none-any.whl"))

    def test_sdist(self) -> None:
        """The same, with the templates where the checkout has them, and what builds it."""
        with tarfile.open(work().sdist) as archive:
            names = {member.name.partition("/")[2] for member in archive if member.isfile()}
        others = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
        self.assertEqual(names - {".gitignore"}, self.expected | self.templates | others)

    def test_metadata(self) -> None:
        """It needs what it needs, and nothing else unless it is to be measured or tested or its documents built."""
        with zipfile.ZipFile(work().wheel) as archive:
            metadata = message_from_bytes(archive.read(f"{informationDirectory()}/METADATA"))
        needed = [Requirement(needed) for needed in metadata.get_all("Requires-Dist", ())]
        self.assertEqual({spelt(r) for r in needed if r.marker is None}, {spelt(Requirement(r)) for r in RUNTIME})
        for extra in ("", *EXTRAS):  # What is needed somewhere, and for an extra alone.
            wanted = [r for r in needed if r.marker and r.marker.evaluate({"extra": extra})]
            self.assertEqual(bool(wanted), bool(extra), extra)
        self.assertEqual(metadata.get_all("Provides-Extra"), EXTRAS)
        self.assertEqual(metadata["Requires-Python"], ">=3.11")
        self.assertEqual(metadata["License-Expression"], "MIT")


def spelt(requirement: Requirement) -> tuple[str, ...]:
    """A requirement, in one spelling."""
    return canonicalize_name(requirement.name), *sorted(requirement.extras), str(requirement.specifier)


def namesInWheel() -> set[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(work().wheel) as archive:
        return set(archive.namelist())


def informationDirectory() -> str:
    """The directory of the wheel's metadata."""
    return "-".join(work().wheel.name.split("-")[:2]) + ".dist-info"


class InstallTests(SynchronousTestCase):
    """Each way to install it."""

    def environment(self, *what: str | Path) -> Environment:
        """A clean environment, with something installed, or nothing."""
        environment = Environment(Path(tempfile.mkdtemp(dir=work().directory)))
        self.addCleanup(shutil.rmtree, environment.directory)
        self.before = environment.files()
        if what:
            environment.install(*what)
        return environment

    def assertWorks(self, environment: Environment) -> None:
        """twistd lists it, and runs it; and once it is uninstalled, twistd is as it was."""
        self.assertRegex(environment.run("twistd", "--help"), FINGER_IN_HELP)
        self.assertServes(environment)
        environment.pip("uninstall", "--yes", "finger")
        self.assertEqual(environment.files(), self.before)
        listed = environment.run("twistd", "--help")
        self.assertNotRegex(listed, FINGER_IN_HELP)
        self.assertRegex(listed, r"(?m)^    web ")

    def assertServes(self, environment: Environment, path: str = "") -> None:
        """
        It answers finger and the web, over both families.

        @param path: the C{PYTHONPATH}.
        """
        options = (f"--file={work().source}/etc/users", "--fingerport=0", "--webport=0")
        server = Server(*options, program=str(environment.twistd), PYTHONPATH=path)
        self.addCleanup(server.__exit__)
        for host in FAMILIES.values():
            self.assertEqual(ask(host, server.port("fingerport"), b"moshez\r\n"), b"Happy and well\r\n")
            page = f"http://{bracketed(host)}:{server.port('webport')}/moshez"
            self.assertEqual(statusOfPage(page), "Happy and well")
        self.assertEqual(server.stop(), -signal.SIGTERM)
        self.assertNotIn("Traceback", server.log)

    def home(self, environment: Environment) -> Path:
        """Where the package is imported from."""
        return Path(environment.run("python", "-c", "import finger; print(finger.__file__)").strip()).parent

    def assertRendersFrom(self, environment: Environment, templates: Path) -> None:
        """It makes pages of the templates in this directory."""
        self.assertEqual(templatesOf(environment.run("python", "-c", PROGRAM)), templates)

    def assertCopied(self, *what: str | Path) -> None:
        """It works, from copies of just those files that are in the wheel."""
        environment = self.environment(*what)
        self.assertEqual(environment.files() - self.before, namesInWheel())
        self.assertEqual(self.home(environment), environment.packages / "finger")
        self.assertRendersFrom(environment, environment.packages / "finger" / "templates")
        self.assertWorks(environment)

    def test_directory(self) -> None:
        """C{pip install .}, for which the wheel is built from the checkout."""
        self.assertCopied(work().source)

    def test_wheel(self) -> None:
        """C{pip install finger-....whl}, which was built from the sdist."""
        self.assertCopied(work().wheel)

    def test_sdist(self) -> None:
        """C{pip install finger-....tar.gz}"""
        self.assertCopied(work().sdist)

    def test_editable(self) -> None:
        """C{pip install -e .}"""
        environment = self.environment("--editable", work().source)
        self.assertEqual(self.home(environment), work().source / "finger")
        self.assertRendersFrom(environment, work().source / "templates")
        self.assertWorks(environment)

    def test_checkout(self) -> None:
        """Not installed at all: a checkout on C{PYTHONPATH}."""
        environment = self.environment()
        path = str(work().source)
        printed = run(environment.python, "-c", PROGRAM, cwd=environment.directory, PYTHONPATH=path)
        self.assertEqual(templatesOf(printed), work().source / "templates")
        self.assertServes(environment, path)


class ThirdPartyTests(EverywhereTestCase):
    """Back ends that are somebody else's, in packages of their own."""

    def setUp(self) -> None:
        """A clean environment."""
        super().setUp()
        self.environment = Environment(Path(tempfile.mkdtemp(dir=work().directory)))
        self.addCleanup(shutil.rmtree, self.environment.directory)

    def backends(self) -> str:
        """What back ends there are said to be."""
        return self.environment.run("twistd", "finger", "--help-backends")

    async def test_installed(self) -> None:
        """One is listed, and answers through every adapter; one that is broken is told of, and in nobody's way."""
        self.environment.install(work().wheel)
        alone = self.environment.files(), self.backends()
        self.environment.install(theirs("vending"), theirs("broken"))
        told = [line for line in self.backends().splitlines() if line not in alone[1]]
        self.assertEqual(
            told,
            [
                "vending:ITEM=COUNT[,...] a vending machine: what is in it, and how many",
                "finger.plugins.broken: cannot be used: RuntimeError: the library behind it is too old",
            ],
        )
        refusal = self.environment.run("twistd", "-n", "finger", "--backend=vending:cola", status=1)
        self.assertEqual(refusal, "twistd finger: --backend=vending:cola: should be as in vending:cola=7,maté=3\n")
        server = await self.start("--backend=vending:maté=3", program=str(self.environment.twistd), **NO_PATH)
        await self.assertEverywhere(server, "maté", "3 × maté, chilled\n1,50 € each, no <change>")
        self.environment.pip("uninstall", "--yes", "finger-vending", "finger-broken")
        self.assertEqual((self.environment.files(), self.backends()), alone)

    def test_editable(self) -> None:
        """It is found from where it is developed, too, and beside us where we are developed."""
        for what in ((work().wheel,), ("--editable", work().source)):
            self.environment.install(*what)
            self.environment.install("--editable", theirs("vending"))
            self.assertIn("vending:ITEM=COUNT[,...]", self.backends())
        self.environment.install(theirs("vending"))
        self.assertIn("vending:ITEM=COUNT[,...]", self.backends())


def theirs(name: str) -> Path:
    """A package of somebody else's: the copy, in which building may leave what it likes."""
    return work().source / "tests" / "thirdparty" / name
