"""Tests for C{docs/operations.md}: its commands are run in order on a machine of its own, as root."""

from __future__ import annotations

import re
import time
from threading import Timer
from typing import Self

from twisted.trial.unittest import SynchronousTestCase

from tests.support.container import COMMANDS_END, Container, dependencies, finish, package
from tests.support.pages import PAGES, Block, differs, isPrinted, typed
from tests.support.tools import DEADLINE, need, needRoot

PAGE = PAGES["operations.md"]
HERE = "$ make "
"""The beginning of the block that is run in the checkout."""

PACKAGES = ("certbot", "curl", "finger", "haproxy", "netbase", "openssl", "pebble", "python3-cffi-backend")
"""
The packages of the page's commands, besides Debian's minimum and ours; and a dependency of certbot's that a clean
system does not find.
"""

ASKS = re.compile(r"(finger|twisted-finger|curl|journalctl) ")
"""Commands that change nothing, and so can be repeated."""

VERSION = re.compile(r"twisted-finger_[\w.+~-]+_\w+\.deb")
"""The name of the package, with any version and architecture."""


AUTHORITY = r"""
mkdir /srv/pebble
cd /srv/pebble
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout key.pem -out cert.pem 2> /dev/null
cat > config.json <<'END'
{"pebble": {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000", "httpPort": 80,
            "tlsPort": 443, "certificate": "cert.pem", "privateKey": "key.pem"}}
END
systemd-run --quiet --unit=pebble --working-directory=/srv/pebble --setenv=PEBBLE_VA_NOSLEEP=1 \
    --setenv=PEBBLE_WFE_NONCEREJECT=0 pebble -config config.json
curl --silent --cacert cert.pem --retry 100 --retry-delay 1 --retry-connrefused --output root.pem \
    https://localhost:15000/roots/0
echo 'cacert = /srv/pebble/root.pem' > /root/.curlrc
echo '127.0.0.1 finger.example.org' >> /etc/hosts
mkdir --parents /etc/letsencrypt
printf '%s\n' 'server = https://localhost:14000/dir' 'no-verify-ssl = true' > /etc/letsencrypt/cli.ini
"""
"""
The commands that set up a certificate authority that certbot uses and curl trusts, and the name in its certificates.
By default the authority refuses one nonce in twenty, and certbot fails.
"""


class Shell:
    """
    A shell of root's on a machine, which runs one command after another.

    @param machine: the machine.
    """

    END = "the command has ended"

    def __init__(self, machine: Container) -> None:
        self._bash = machine.start("bash")

    def type(self, command: str) -> str:
        """Run a command, and return what it prints."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{{ {command}\n}} < /dev/null 2>&1\nprintf '\\n%s\\n' '{self.END}'\n")
        self._bash.stdin.flush()
        timer = Timer(COMMANDS_END, self._bash.kill)  # Only a command that hangs takes so long.
        timer.start()
        printed = ""
        for line in self._bash.stdout:
            if line == f"{self.END}\n":
                timer.cancel()
                return printed
            printed += line
        raise AssertionError(f"{command}\ndid not finish:\n{printed}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._bash.communicate("exit\n", timeout=DEADLINE)


class PageTests(SynchronousTestCase):
    """The page."""

    maxDiff = None

    def test_page(self) -> None:
        """Each command prints what the page shows."""
        needRoot("boots a machine of its own")
        need("make", "make")
        need("systemd-nspawn", "systemd-container")
        built = package()
        with Container(*PACKAGES, *dependencies(built)) as machine:
            machine.copy(built, f"/root/{built.name}")
            machine.run(AUTHORITY)
            with Shell(machine) as shell:
                for section in PAGE.sections:
                    for block in section.of("console"):
                        self.tryBlock(block, shell, built.name)

    def tryBlock(self, block: Block, shell: Shell, built: str) -> None:
        """
        Run the commands of a block, and compare their output.  Commands that change nothing are repeated for a while,
        because a reload and the log take effect some time after the command that causes them.
        """
        for command, expected in typed(VERSION.sub(built, block.text)):
            printed = (
                finish("bash", "-c", command, status=None).stdout
                if block.text.startswith(HERE)
                else shell.type(command)
            )
            deadline = time.monotonic() + DEADLINE
            while ASKS.match(command) and not isPrinted(expected, printed) and time.monotonic() < deadline:
                time.sleep(0.1)
                printed = shell.type(command)
            if not isPrinted(expected, printed):
                self.fail(f"{block.where}: {differs(command, expected, printed)}")

    def test_allRun(self) -> None:
        """No block of the page is left out."""
        self.assertEqual([block.where for block in PAGE.blocks if not block.isRun], [])
        self.assertEqual({block.language for block in PAGE.blocks}, {"console"})
