"""C{docs/operations.md}, typed from top to bottom on a machine of its own, as root."""

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
"""How the one block begins that is typed in the checkout."""

PACKAGES = ("certbot", "curl", "finger", "haproxy", "netbase", "openssl", "pebble", "python3-cffi-backend")
"""
What the page types that neither Debian's minimum nor our package brings, and what a clean system cannot find out that
certbot needs.
"""

ASKS = re.compile(r"(finger|twisted-finger|curl|journalctl) ")
"""What changes nothing."""

VERSION = re.compile(r"twisted-finger_[\w.+~-]+_\w+\.deb")
"""The package, of whatever version and for whatever machine."""


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
What makes the machine a part of an Internet of its own: a certificate authority that certbot asks and curl trusts,
and the name that it vouches for.  By default the authority refuses one nonce in twenty, and certbot fails.
"""


class Shell:
    """
    Root's shell on a machine, in which one command after the other is typed.

    @param machine: the machine.
    """

    END = "the command has ended"

    def __init__(self, machine: Container) -> None:
        self._bash = machine.start("bash")

    def type(self, command: str) -> str:
        """Type a command, and take what it prints."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{{ {command}\n}} < /dev/null 2>&1\nprintf '\\n%s\\n' '{self.END}'\n")
        self._bash.stdin.flush()
        timer = Timer(COMMANDS_END, self._bash.kill)  # Nothing that is typed takes so long, unless it hangs.
        timer.start()
        printed = ""
        for line in self._bash.stdout:
            if line == f"{self.END}\n":
                timer.cancel()
                return printed
            printed += line
        raise AssertionError(f"{command}\ndid not come to its end:\n{printed}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._bash.communicate("exit\n", timeout=DEADLINE)


class PageTests(SynchronousTestCase):
    """The page."""

    maxDiff = None

    def test_page(self) -> None:
        """What is typed prints what it is said to print."""
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
        Type what a block shows, and compare what is printed.  What only asks is asked again, for a while: the signal
        for a reload is sent when systemctl ends, and the log comes when it comes.
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
        """All of it is typed."""
        self.assertEqual([block.where for block in PAGE.blocks if not block.isRun], [])
        self.assertEqual({block.language for block in PAGE.blocks}, {"console"})
