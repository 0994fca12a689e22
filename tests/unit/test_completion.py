"""Tests for completion, in the shells themselves."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from finger.__main__ import makeParser
from finger.config.completion import clientCompletion, daemonCompletion
from finger.plugins.discovery import findAdapters
from tests.support.tools import DEADLINE, need

TABLE = findAdapters().table

BASH = """
source "$1"
shift
compopt() { :; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
"_${1//-/_}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


class CompletionTestCase(SynchronousTestCase):
    """A base for tests of completion scripts."""

    def write(self, name: str, text: str) -> Path:
        """Write a file in a directory of its own, and return its path."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        (directory / name).write_text(text, "utf-8")
        return directory / name


class BashTests(CompletionTestCase):
    """Completion in bash."""

    def offered(self, script: str, *words: str) -> list[str]:
        """Return the completions of the last word."""
        path = self.write("completion", script)
        done = subprocess.run(
            [need("bash", package="bash"), "-c", BASH, "bash", str(path), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE,
        )
        self.assertEqual(done.stderr, "")
        return done.stdout.strip("\n").splitlines()

    def test_names(self) -> None:
        """All names are completed, limited to those with the typed prefix."""
        script = daemonCompletion("bash", TABLE)
        offered = self.offered(script, "twisted-fingerd", "--")
        for option in TABLE:
            self.assertIn(f"--{option.name}{'=' if option.value else ''}", offered)
        self.assertEqual(self.offered(script, "twisted-fingerd", "--fin"), ["--fingerport="])
        self.assertEqual(self.offered(script, "twisted-fingerd", "--no-s"), ["--no-ssl"])

    def test_values(self) -> None:
        """Values are completed as words, files or directories; bash passes the equals sign as a word."""
        script = daemonCompletion("bash", TABLE)
        self.assertEqual(self.offered(script, "twisted-fingerd", "--log-format", "=", "j"), ["json", "journal"])
        self.assertEqual(
            self.offered(script, "twisted-fingerd", "--log-format", "="), ["auto", "text", "json", "journal"]
        )
        self.assertIn("/etc/passwd", self.offered(script, "twisted-fingerd", "-f", "/etc/passw"))
        self.assertEqual(self.offered(script, "twisted-fingerd", "--templates", "=", "/et"), ["/etc"])
        self.assertEqual(self.offered(script, "twisted-fingerd", "--ircnick", "=", "b"), [])
        spaced = self.write("of two words", "")
        self.assertEqual(self.offered(script, "twisted-fingerd", "-f", str(spaced)[:-1]), [str(spaced)])

    def test_client(self) -> None:
        """The client's, too."""
        script = clientCompletion("bash", makeParser().options)
        self.assertEqual(self.offered(script, "twisted-finger", "--ip"), ["--ipv4", "--ipv6"])
        self.assertEqual(self.offered(script, "twisted-finger", "--completion", "=", "z"), ["zsh"])
        for words in (("--", "--ip"), ("-l", "--", "a", "-"), ("--", "--completion", "=", "z")):
            self.assertEqual(self.offered(script, "twisted-finger", *words), [])


class FishTests(CompletionTestCase):
    """Completion in fish."""

    def offered(self, script: str, line: str) -> list[str]:
        """Return the completions of a line."""
        path = self.write("completion.fish", script)
        done = subprocess.run(
            [need("fish", package="fish"), "--no-config", "-c", f'source {path}; complete -C "{line}"'],
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE,
            env={**os.environ, "HOME": str(path.parent)},
        )
        self.assertEqual(done.stderr, "")
        return [offer.partition("\t")[0] for offer in done.stdout.splitlines()]

    def test_daemon(self) -> None:
        """Names, words, files and directories are completed."""
        script = daemonCompletion("fish", TABLE)
        offered = self.offered(script, "twisted-fingerd --")
        for option in TABLE:
            self.assertTrue({f"--{option.name}", f"--{option.name}="} & set(offered), option.name)
        self.assertEqual(
            self.offered(script, "twisted-fingerd --log-format=j"), ["--log-format=journal", "--log-format=json"]
        )
        self.assertIn("--file=/etc/passwd", self.offered(script, "twisted-fingerd --file=/etc/passwd"))
        self.assertEqual(self.offered(script, "twisted-fingerd --templates=/et"), ["--templates=/etc/"])
        Path("pages").mkdir(exist_ok=True)
        for typed, begins in (("--templates=", "--templates="), ("--templates ", ""), ("-t ", "")):
            offered = self.offered(script, f"twisted-fingerd {typed}")
            self.assertIn(f"{begins}pages/", offered)
            self.assertEqual([one for one in offered if one.count("--templates=") > 1], [])

    def test_client(self) -> None:
        """The client's, too."""
        self.assertEqual(
            self.offered(clientCompletion("fish", makeParser().options), "twisted-finger --ip"), ["--ipv4", "--ipv6"]
        )
        self.assertEqual(self.offered(clientCompletion("fish", makeParser().options), "twisted-finger -- --ip"), [])


class ZshTests(CompletionTestCase):
    """Completion in zsh, which needs a terminal for it."""

    def completed(self, script: str, line: str, expected: str) -> None:
        """Check that Tab completes a line to the expected one."""
        zsh = need("zsh", package="zsh")
        path = self.write(f"_{line.split()[0]}", script)
        process, terminal = pty.fork()
        if process == 0:
            os.execvpe(zsh, [zsh, "-f", "-i"], {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(path.parent)})
        try:
            os.write(
                terminal, f"PS1=ready; fpath=({path.parent} $fpath); autoload -U compinit; compinit -u -D; ".encode()
            )
            os.write(terminal, b"unsetopt beep; print set-up\n")
            self.waitFor(terminal, "\r\nset-up")
            os.write(terminal, f"{line}\t".encode())
            self.waitFor(terminal, expected)
        finally:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            os.close(terminal)

    def waitFor(self, terminal: int, expected: str) -> None:
        """Read from the terminal until the expected text appears."""
        output, deadline = "", time.monotonic() + DEADLINE
        while expected not in output and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                with contextlib.suppress(OSError):
                    output += os.read(terminal, 4096).decode("utf-8", "replace")
        self.assertIn(expected, output)

    def test_daemon(self) -> None:
        """Names and values are completed."""
        script = daemonCompletion("zsh", TABLE)
        self.completed(script, "twisted-fingerd --fingerp", "--fingerport=")
        self.completed(script, "twisted-fingerd --log-format=js", "--log-format=json")
        self.completed(script, "twisted-fingerd --file=/etc/hostn", "--file=/etc/hostname")

    def test_client(self) -> None:
        """The client's, too."""
        self.completed(clientCompletion("zsh", makeParser().options), "twisted-finger --lo", "--long")


class ShellTests(SynchronousTestCase):
    """The names of shells."""

    def test_other(self) -> None:
        """An unknown shell is an error that lists the known ones."""
        error = self.assertRaises(ValueError, daemonCompletion, "tcsh", TABLE)
        self.assertEqual(str(error), "should be one of bash, zsh, fish")
