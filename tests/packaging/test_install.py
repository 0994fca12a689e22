"""The lines that install finger on a plain Debian 12, typed on one: those of the README and of C{docs/install.md}."""

from __future__ import annotations

import re
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
"""What the lines use.  The machine has no network to install it from, so it is there already."""

PIP = "[global]\nno-index = true\nfind-links = /srv/wheels\ndisable-pip-version-check = true\n"
"""What makes pip install from a directory.  C{sudo} clears the environment, so this is a file."""

SECTIONS = (("README.md", "Install"), ("install.md", "A virtual environment"))
"""Where the lines are."""

UNIT = "typed"
"""The unit of a server that a line starts."""

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
            run("env", f"TOOLS={beside}/tools", "EXTRAS=", "sh", "debian/environment.sh", "vendor", made)
            made.rename(directory)
    return directory


def bringCheckout(machine: Container) -> None:
    """Unpack a checkout in root's home, and let pip find what it would download."""
    machine.path("/etc/pip.conf").write_text(PIP, "utf-8")
    for wheel in wheels().iterdir():
        machine.copy(wheel, f"/srv/wheels/{wheel.name}")
    with TemporaryDirectory() as temporary:
        archive = Path(temporary, "checkout.tar")
        run("sh", "-c", CHECKOUT.format(archive))
        machine.copy(archive, "/srv/checkout.tar")
    machine.run("tar --extract --file=/srv/checkout.tar")


def lines(page: str, section: str) -> Iterator[tuple[str, str]]:
    """Return what a section shows to type on Debian, and the output that it shows; of that for metrics, nothing."""
    for found in PAGES[page].sections:
        if found.title == section:
            for block in found.blocks:
                if block.language == "console" and not re.search("dnf|prometheus", block.text):
                    yield from typed(block.text)


class InstallTests(SynchronousTestCase):
    """A plain Debian 12, with a checkout in root's home."""

    def test_lines(self) -> None:
        """The lines of the README, and then those of the page about installing, do what they show."""
        needRoot("boots a machine of its own")
        with Container(*PACKAGES) as machine:
            bringCheckout(machine)
            for page, section in SECTIONS:
                for command, expected in lines(page, section):
                    self.type(machine, command, expected)
                machine.run(f"systemctl stop {UNIT}")

    def type(self, machine: Container, command: str, expected: str) -> None:
        """Type a line; a server stays in the background, and is asked until it answers."""
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
