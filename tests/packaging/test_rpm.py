"""
Tests for the RPM package: it is linted, built, compared with the Debian package, and run.

The tests run on Debian, whose rpm is the same program as Fedora's, without Fedora's macros.  This module defines
those that the spec uses.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from importlib.metadata import Distribution
from pathlib import Path

from packaging.version import Version
from twisted.trial.unittest import SynchronousTestCase

from finger import __version__
from tests.packaging.test_packaging import isNoSource
from tests.support import container
from tests.support.rendering import PROGRAM, templatesOf
from tests.support.tools import ROOT, need, needRoot

SPEC = ROOT / "rpm" / "twisted-finger.spec"
RPMLINTRC = SPEC.with_suffix(".rpmlintrc")

MACROS = r"""
%python3 /usr/bin/python3
%python3_version 3.11
%_unitdir /usr/lib/systemd/system
%_sysusersdir /usr/lib/sysusers.d
%systemd_post() \
if [ $1 -eq 1 ] && [ -x "/usr/lib/systemd/systemd-update-helper" ]; then \
    /usr/lib/systemd/systemd-update-helper install-system-units %{?*} || : \
fi \
%{nil}
%systemd_preun() \
if [ $1 -eq 0 ] && [ -x "/usr/lib/systemd/systemd-update-helper" ]; then \
    /usr/lib/systemd/systemd-update-helper remove-system-units %{?*} || : \
fi \
%{nil}
%systemd_postun_with_restart() \
if [ $1 -ge 1 ] && [ -x "/usr/lib/systemd/systemd-update-helper" ]; then \
    /usr/lib/systemd/systemd-update-helper mark-restart-system-units %{?*} || : \
fi \
%{nil}
%__os_install_post bash /usr/lib/rpm/brp-compress /usr
%__arch_install_post /usr/lib/rpm/check-buildroot
"""
"""
Macros of Fedora's python3-rpm-macros and systemd-rpm-macros, and scripts that rpm runs there.  brp-compress needs
bash, which C{sh} is not on Debian; check-buildroot fails if a file contains the path of its build directory.
"""

RPMLINT = """
CompressExtension = "gz"
ValidLicenses = ["Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0", "PSF-2.0", "ZPL-2.1"]
"""
"""The part of Fedora's configuration of rpmlint that matters here."""

HOME = "/usr/lib64/twisted-finger"
"""The path of the package's environment.  Fedora has two library directories, Debian has one."""

FROM_DEBIAN = (
    (r"/lib/systemd/", "/usr/lib/systemd/"),
    (r"/usr/lib/twisted-finger", HOME),
    (r"/usr/share/zsh/vendor-completions/", "/usr/share/zsh/site-functions/"),
)
"""Paths on Debian and their equivalents on Fedora."""

OWN = re.compile(r"/usr/share/(doc|licenses|lintian|python3)(/|$)")
"""Files that each distribution arranges in its own way: documents, and files for its own tools."""

COMPILED = re.compile(r"/__pycache__(/|$)")
"""Files that Debian creates at installation."""


@cache
def package() -> Path:
    """Build the package."""
    need("rpmbuild", "rpm")
    need("strip", "binutils")
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        source = directory / f"twisted-finger-{__version__}"
        shutil.copytree(ROOT, source, ignore=isNoSource)
        with tarfile.open(directory / f"{source.name}.tar.gz", "w:gz") as archive:
            archive.add(source, source.name)
        (directory / "macros").write_text(MACROS)
        output = container.run(
            *("rpmbuild", "-bb", "--nodeps", "--load", directory / "macros"),
            *("--define", f"_topdir {directory / 'top'}", "--define", f"_sourcedir {directory}"),
            source / "rpm" / SPEC.name,
        )
        _, warned, warnings = output.partition("RPM build warnings:")
        assert not warned, warnings
        (built,) = directory.glob("top/RPMS/*/*.rpm")
        container.STORE.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(built, container.STORE))


def query(*what: str) -> list[str]:
    """Query the package with rpm."""
    return container.run("rpm", "--query", "--package", *what, package()).splitlines()


class RPMTests(SynchronousTestCase):
    """The package and its spec."""

    def test_lint(self) -> None:
        """rpmlint finds nothing beyond the filters, and reports no unused filter."""
        configuration = Path(self.mktemp())
        configuration.write_text(RPMLINT)
        done = subprocess.run(
            [need("rpmlint", "rpmlint"), "--config", configuration, "--rpmlintrc", RPMLINTRC, SPEC, package()],
            capture_output=True,
            text=True,
            check=False,
        )
        found = [line for line in done.stdout.splitlines() if re.search(": [EW]: ", line)]
        self.assertEqual((done.returncode, found), (0, []))
        self.assertIn("0 errors, 0 warnings", done.stdout)

    def test_version(self) -> None:
        """The package has finger's name and version."""
        self.assertEqual(query("--queryformat", "%{NAME} %{VERSION}\n"), [f"twisted-finger {__version__}"])
        self.assertRegex(query("--changelog")[0], rf" - {re.escape(__version__)}-1$")

    def test_files(self) -> None:
        """The package has the files of the Debian package, at Fedora's paths."""
        debian = set()
        for name in container.contents(container.package()):
            for pattern, replacement in FROM_DEBIAN:
                name = re.sub(f"^{pattern}", replacement, name)
            if not name.endswith("/"):
                debian.add(name)
        listed = [line.split(" ") for line in query("--queryformat", "[%{FILENAMES} %{FILEMODES:perms}\n]")]
        ours = {name for name, permissions in listed if not permissions.startswith("d")}
        self.assertEqual(toCompare(ours), toCompare(debian))

    def test_configuration(self) -> None:
        """The configuration files are marked so that edited ones are kept."""
        flags = [line.split(" ") for line in query("--queryformat", "[%{FILENAMES} %{FILEFLAGS:fflags}\n]")]
        configuration = {name: flag for name, flag in flags if "c" in flag}
        self.assertEqual(configuration, {"/etc/finger/finger.toml": "cn", "/etc/finger/users": "cn"})

    def test_bundled(self) -> None:
        """The package provides the bundled libraries with their releases."""
        root = extracted(Path(self.mktemp()))
        (packages,) = root.glob(f"{HOME[1:]}/lib/python*/site-packages")
        bundled = {
            f"bundled(python3dist({normal(found.name)})) = {Version(found.version)}"
            for found in map(Distribution.at, packages.glob("*.dist-info"))
            if found.name != "finger"
        }
        provided = {line for line in query("--provides") if line.startswith("bundled")}
        self.assertEqual(provided, {re.sub(r"(\.0)+$", "", line) for line in bundled})

    def test_runs(self) -> None:
        """Installed at its path, the package runs with this machine's Python and renders a page of its templates."""
        needRoot("mounts the package's files in a place of its own")
        root = extracted(Path(self.mktemp()))
        mount = f'mount -t overlay overlay -o "lowerdir={root}/usr/lib64:/usr/lib64" /usr/lib64'

        def runs(*command: str) -> str:
            program = f"{mount} && exec {HOME}/bin/{shlex.join(command)}"
            return container.run("unshare", "--mount", "sh", "-c", program)

        self.assertEqual(runs("twisted-finger", "--version"), f"finger {__version__}\n")
        checked = runs("twisted-fingerd", f"--file={root}/etc/finger/users", "--check-config")
        self.assertEqual(checked.splitlines()[-1], "twisted-fingerd: the configuration is valid")
        templates = templatesOf(runs("python", "-IB", "-c", PROGRAM))
        self.assertTrue(templates.match(f"{HOME}/lib/python3.*/site-packages/finger/templates"), templates)


def toCompare(names: set[str]) -> list[str]:
    """Return the files to compare."""
    return sorted(name for name in names if not OWN.match(name) and not COMPILED.search(name))


def normal(name: str) -> str:
    """Return a distribution's name in RPM's spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def extracted(directory: Path) -> Path:
    """Extract the package to a directory, and return its absolute path."""
    directory.mkdir()
    with subprocess.Popen(["rpm2cpio", package()], stdout=subprocess.PIPE) as archive:
        subprocess.run(
            [need("cpio", "cpio"), "--extract", "--make-directories", "--quiet"],
            stdin=archive.stdout,
            cwd=directory,
            check=True,
        )
    return directory.absolute()
