"""Tests for the Python package: it is built, installed in every way, run, and uninstalled in clean environments."""

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

from finger.adapters.web.paths import ICON
from finger.adapters.web.templating import NAMES
from tests.support.everywhere import EverywhereTestCase, bracketed, statusOfPage
from tests.support.rendering import PROGRAM, templatesOf
from tests.support.tools import DEADLINE, FAMILIES, ROOT, Server, ask

EXTRAS = ["docs", "metrics", "test"]
RUNTIME = ("Twisted[tls]>=26.10", "zope.interface", "pyOpenSSL", "service-identity", "idna")
"""The dependencies of the package."""

BUILD = ("hatchling", "editables")
"""The build tools."""

FINGER_IN_HELP = r"(?m)^    finger "

LITTER = ("twisted/plugins/dropin.cache", "finger/plugins/dropin.cache", "finger/__pycache__/x.cpython-311.pyc")
"""Generated files in a used checkout."""

NO_PATH = {"PYTHONPATH": ""}
"""An environment without C{PYTHONPATH}, so that a program imports only from its own environment."""

TWISTD = """#!{python}
import sys
from twisted.scripts.twistd import run
sys.exit(run())
"""
"""The script that pip generates for Twisted's entry point."""


def run(*command: str | Path, cwd: Path, status: int = 0, **environment: str) -> str:
    """
    Run a program to its end, in a directory outside the checkout, and return its output.

    @param status: the expected exit status.
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
        raise AssertionError(f"{' '.join(map(str, command))} exited with {done.returncode}: {done.stdout}")
    return done.stdout


class Work:
    """
    Files that the tests share, removed when the interpreter exits.

    @ivar source: a copy of the checkout.
    @ivar tools: a directory with the build tools, for C{PYTHONPATH}.
    @ivar wheel: the wheel.
    @ivar sdist: the sdist.
    """

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory()  # Removed when the interpreter exits.
        self.directory = Path(self._temporary.name)
        self.directory.chmod(0o755)
        self.source = copyOfCheckout(self.directory / "source")
        self.tools = self.directory / "tools"
        copyDistributions(closure(BUILD), self.tools)
        self.wheel, self.sdist = build(self.source, self.directory / "dist")


@cache
def work() -> Work:
    """Return the only instance.  trial has no set-up for a module."""
    return Work()


def copyOfCheckout(target: Path) -> Path:
    """Copy the sources of the checkout, and add generated files, which must not be packaged."""
    shutil.copytree(ROOT, target, ignore=isNoSource)
    for name in LITTER:
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_bytes(b"litter")
    return target


def isNoSource(directory: str, names: list[str]) -> list[str]:
    """Return the names in a directory that are environments, caches or other generated files."""
    made = {"__pycache__", "dropin.cache", "build", "dist"}
    return [n for n in names if n in made or (n.startswith((".", "_trial_temp")) and n != ".gitignore")]


def build(source: Path, target: Path) -> tuple[Path, Path]:
    """Build the sdist and, from it, the wheel, as for a release, with the tools of this environment."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source, cwd=target.parent)
    (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
    return wheel, sdist


def closure(requirements: Iterable[str]) -> list[Distribution]:
    """Return the installed distributions that satisfy requirements, with their own dependencies, for this system."""
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
    """Copy the files of distributions, as listed in their records, without their scripts."""
    for installed in distributions:
        for file in installed.files or ():
            if ".." not in file.parts:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(installed.locate_file(file)), target / file)


class Environment:
    """
    A clean virtual environment with the dependencies of the package, without the package.

    The dependencies are copied from the environment of the tests, which is fast and needs no network.  By pip's
    records, only the files of C{RUNTIME} and its own dependencies are copied.  Nothing else of the tests' environment
    or of the checkout is on the path.  pip, without an index, then checks that all requirements are met.

    pip is not installed in the environment; it runs with C{--python}.
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
        """Run pip for this environment."""
        pip = (sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check")
        run(*pip, *arguments, cwd=self.directory, PYTHONPATH=path)

    def install(self, *what: str | Path) -> None:
        """Install distributions without a network, using the build tools, and check the requirements."""
        offline = ("--no-index", "--no-build-isolation", "--no-compile")
        self.pip("install", *offline, *what, path=str(work().tools))
        self.pip("check")

    def files(self) -> set[str]:
        """Return the installed files, without those that Twisted and pip generate."""
        generated = {"dropin.cache", "INSTALLER", "REQUESTED", "direct_url.json"}
        files = (path.relative_to(self.packages) for path in self.packages.rglob("*") if path.is_file())
        return {str(file) for file in files if file.name not in generated}

    def run(self, program: str, *arguments: str, status: int = 0, **variables: str) -> str:
        """Run a program of the environment, and return its output."""
        path = self.directory / "bin" / program
        return run(path, *arguments, cwd=self.directory, status=status, **{"COLUMNS": "100", **variables})


class ArchiveTests(SynchronousTestCase):
    """The contents of the sdist and the wheel."""

    def setUp(self) -> None:
        """Collect the expected files."""
        source = work().source
        modules = {
            str(path.relative_to(source))
            for path in Path(source, "finger").rglob("*")
            if path.suffix == ".py" or path.name == "py.typed"
        }
        self.assertTrue({"finger/tap.py", "finger/py.typed"} <= modules)
        self.templates = {f"templates/{name}" for name in (*NAMES, ICON)}
        self.expected = modules | {"twisted/plugins/finger_plugin.py"}
        self.assertEqual([name for name in self.expected if "__pycache__" in name or name.endswith(".cache")], [])

    def test_wheel(self) -> None:
        """
        The wheel has the package with its templates, the plugin file for twistd, the commands and the licence.  It
        has no C{__init__.py} in C{twisted/plugins}, which would overwrite Twisted's own and vanish when uninstalled.
        """
        information = {
            f"{informationDirectory()}/{name}"
            for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
        }
        templates = {f"finger/{name}" for name in self.templates}
        self.assertEqual(namesInWheel(), self.expected | templates | information)
        self.assertTrue(work().wheel.name.endswith("-py3-none-any.whl"))

    def test_sdist(self) -> None:
        """The sdist has the same, with the templates at their path in the checkout, and the build files."""
        with tarfile.open(work().sdist) as archive:
            names = {member.name.partition("/")[2] for member in archive if member.isfile()}
        others = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
        self.assertEqual(names - {".gitignore"}, self.expected | self.templates | others)

    def test_metadata(self) -> None:
        """The wheel requires only its dependencies, except for the extras."""
        with zipfile.ZipFile(work().wheel) as archive:
            metadata = message_from_bytes(archive.read(f"{informationDirectory()}/METADATA"))
        needed = [Requirement(needed) for needed in metadata.get_all("Requires-Dist", ())]
        self.assertEqual({spelt(r) for r in needed if r.marker is None}, {spelt(Requirement(r)) for r in RUNTIME})
        for extra in ("", *EXTRAS):  # Those with a marker, and those of an extra.
            wanted = [r for r in needed if r.marker and r.marker.evaluate({"extra": extra})]
            self.assertEqual(bool(wanted), bool(extra), extra)
        self.assertEqual(metadata.get_all("Provides-Extra"), EXTRAS)
        self.assertEqual(metadata["Requires-Python"], ">=3.11")
        self.assertEqual(metadata["License-Expression"], "MIT")


def spelt(requirement: Requirement) -> tuple[str, ...]:
    """Return a requirement in a normalized spelling."""
    return canonicalize_name(requirement.name), *sorted(requirement.extras), str(requirement.specifier)


def namesInWheel() -> set[str]:
    """Return the names of the files in the wheel."""
    with zipfile.ZipFile(work().wheel) as archive:
        return set(archive.namelist())


def informationDirectory() -> str:
    """Return the name of the directory with the wheel's metadata."""
    return "-".join(work().wheel.name.split("-")[:2]) + ".dist-info"


class InstallTests(SynchronousTestCase):
    """Each way to install the package."""

    def environment(self, *what: str | Path) -> Environment:
        """Make a clean environment, and install the given distributions."""
        environment = Environment(Path(tempfile.mkdtemp(dir=work().directory)))
        self.addCleanup(shutil.rmtree, environment.directory)
        self.before = environment.files()
        if what:
            environment.install(*what)
        return environment

    def assertWorks(self, environment: Environment) -> None:
        """Check that twistd lists and runs the package, and that uninstalling leaves nothing of it."""
        self.assertRegex(environment.run("twistd", "--help"), FINGER_IN_HELP)
        self.assertServes(environment)
        environment.pip("uninstall", "--yes", "finger")
        self.assertEqual(environment.files(), self.before)
        listed = environment.run("twistd", "--help")
        self.assertNotRegex(listed, FINGER_IN_HELP)
        self.assertRegex(listed, r"(?m)^    web ")

    def assertServes(self, environment: Environment, path: str = "") -> None:
        """
        Check that a server answers finger and the web over both families.

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
        """Return the directory that the package is imported from."""
        return Path(environment.run("python", "-c", "import finger; print(finger.__file__)").strip()).parent

    def assertRendersFrom(self, environment: Environment, templates: Path) -> None:
        """Check that pages are rendered from the templates in a directory."""
        self.assertEqual(templatesOf(environment.run("python", "-c", PROGRAM)), templates)

    def assertCopied(self, *what: str | Path) -> None:
        """Check that an installation works, and has exactly the files of the wheel."""
        environment = self.environment(*what)
        self.assertEqual(environment.files() - self.before, namesInWheel())
        self.assertEqual(self.home(environment), environment.packages / "finger")
        self.assertRendersFrom(environment, environment.packages / "finger" / "templates")
        self.assertWorks(environment)

    def test_directory(self) -> None:
        """C{pip install .} works; it builds a wheel from the checkout."""
        self.assertCopied(work().source)

    def test_wheel(self) -> None:
        """C{pip install finger-....whl} works, with the wheel built from the sdist."""
        self.assertCopied(work().wheel)

    def test_sdist(self) -> None:
        """C{pip install finger-....tar.gz} works."""
        self.assertCopied(work().sdist)

    def test_editable(self) -> None:
        """C{pip install -e .} works."""
        environment = self.environment("--editable", work().source)
        self.assertEqual(self.home(environment), work().source / "finger")
        self.assertRendersFrom(environment, work().source / "templates")
        self.assertWorks(environment)

    def test_checkout(self) -> None:
        """A checkout on C{PYTHONPATH} works without installation."""
        environment = self.environment()
        path = str(work().source)
        printed = run(environment.python, "-c", PROGRAM, cwd=environment.directory, PYTHONPATH=path)
        self.assertEqual(templatesOf(printed), work().source / "templates")
        self.assertServes(environment, path)


class ThirdPartyTests(EverywhereTestCase):
    """Back ends in packages of their own."""

    def setUp(self) -> None:
        """Make a clean environment."""
        super().setUp()
        self.environment = Environment(Path(tempfile.mkdtemp(dir=work().directory)))
        self.addCleanup(shutil.rmtree, self.environment.directory)

    def backends(self) -> str:
        """Return the list of back ends."""
        return self.environment.run("twistd", "finger", "--help-backends")

    async def test_installed(self) -> None:
        """A back end is listed and answers through every adapter; a broken one is reported and harms no other."""
        self.environment.install(work().wheel)
        alone = self.environment.files(), self.backends()
        self.environment.install(theirs("vending"), theirs("broken"))
        added = [line for line in self.backends().splitlines() if line not in alone[1]]
        self.assertEqual(
            added,
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
        """An editable back end is found, beside an installed finger and an editable one."""
        for what in ((work().wheel,), ("--editable", work().source)):
            self.environment.install(*what)
            self.environment.install("--editable", theirs("vending"))
            self.assertIn("vending:ITEM=COUNT[,...]", self.backends())
        self.environment.install(theirs("vending"))
        self.assertIn("vending:ITEM=COUNT[,...]", self.backends())


def theirs(name: str) -> Path:
    """Return the copy of a third-party package, where a build can leave files."""
    return work().source / "tests" / "thirdparty" / name
