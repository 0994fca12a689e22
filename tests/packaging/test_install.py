"""Tests for the installation commands of the README and of C{docs/install.md}, on a plain Debian 12."""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.support.container import STORE, Container, run
from tests.support.pages import PAGES, typed
from tests.support.tools import DEADLINE, ROOT, needRoot

PACKAGES = ("python3-venv", "sudo")
"""The packages that the commands need.  They are installed before, because the machine has no network."""

PIP = "[global]\nno-index = true\nfind-links = /srv/wheels\ndisable-pip-version-check = true\n"
"""A configuration that makes pip install from a directory; a file, because C{sudo} clears the environment."""

SECTIONS = (("README.md", "Install"), ("install.md", "A virtual environment"))
"""The pages and sections with the commands."""

UNIT = "typed"
"""The systemd unit of a server that a command starts."""

CHECKOUT = (
    "sed -n 's/^tar-ignore = //p' debian/source/options | tar --create --exclude-vcs --exclude-from=- --file={} ."
)


def wheels() -> Path:
    """Return a directory with the wheels that pip would download on Debian 12."""
    needed = [ROOT / "pyproject.toml", ROOT / "debian" / "constraints.txt"]
    directory = STORE / f"wheels-{sha256(b''.join(path.read_bytes() for path in needed)).hexdigest()[:16]}"
    if not directory.exists():
        STORE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=STORE) as beside:
            made = Path(beside, "wheels")
            run("env", f"TOOLS={beside}/tools", "EXTRAS=[metrics]", "sh", "debian/environment.sh", "vendor", made)
            made.rename(directory)
    return directory


def bringCheckout(machine: Container) -> None:
    """Unpack a checkout in root's home, and give pip the wheels that it would download."""
    machine.path("/etc/pip.conf").write_text(PIP, "utf-8")
    for wheel in wheels().iterdir():
        machine.copy(wheel, f"/srv/wheels/{wheel.name}")
    with TemporaryDirectory() as temporary:
        archive = Path(temporary, "checkout.tar")
        run("sh", "-c", CHECKOUT.format(archive))
        machine.copy(archive, "/srv/checkout.tar")
    machine.run("tar --extract --file=/srv/checkout.tar")


def lines(page: str, section: str) -> Iterator[tuple[str, str]]:
    """Return a section's commands for Debian and their output."""
    for found in PAGES[page].sections:
        if found.title == section:
            for block in found.blocks:
                if block.language == "console" and "dnf" not in block.text:
                    yield from typed(block.text)


class InstallTests(SynchronousTestCase):
    """The commands on a plain Debian 12, with a checkout in root's home."""

    def test_lines(self) -> None:
        """The commands of the README, and then those of the page about installation, print what the pages show."""
        needRoot("boots a machine of its own")
        with Container(*PACKAGES) as machine:
            bringCheckout(machine)
            for page, section in SECTIONS:
                for command, expected in lines(page, section):
                    self.type(machine, command, expected)
                machine.run(f"systemctl stop {UNIT}")

    def type(self, machine: Container, command: str, expected: str) -> None:
        """Run a command.  A server runs in the background; a query is repeated until it is answered."""
        if "twistd -n" in command:
            machine.run(f"systemd-run --quiet --collect --unit={UNIT} --working-directory=/root {command}")
            return
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                self.assertIn(expected.strip(), machine.run(command), command)
                return
            except AssertionError:
                if "twisted-finger " not in command or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)
