"""C{python -m finger --hash-password}."""

from __future__ import annotations

import getpass
import signal
import sys
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from finger.__main__ import main
from finger.config import passwords
from finger.config.passwords import parsePasswords


class Terminal(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return True


class HashPasswordTests(SynchronousTestCase):
    """The command."""

    def setUp(self) -> None:
        """Make the hash cheap, and restore the handler of SIGINT afterwards."""
        self.patch(passwords, "LN", 1)
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))

    def run_(self, *arguments: str, stdin: Any = b"secret\n", encoding: str = "utf-8") -> tuple[Any, str, str]:
        """Run the command; return its exit status and outputs."""
        buffer, err = BytesIO(), StringIO()
        out = TextIOWrapper(buffer, encoding)
        given = TextIOWrapper(BytesIO(stdin), "utf-8") if isinstance(stdin, bytes) else stdin
        with patch.multiple(sys, stdin=given, stdout=out, stderr=err):
            code = self.assertRaises(SystemExit, main, ["--hash-password", *arguments]).code
        out.flush()
        return code, buffer.getvalue().decode(), err.getvalue()

    def typed(self, *lines: Any) -> tuple[Any, str, str]:
        """Run the command, with a user who types these passwords, or an exception, at the terminal."""
        with patch("finger.__main__.getpass", side_effect=lines):
            return self.run_("ada", stdin=Terminal())

    def assertLine(self, result: tuple[Any, str, str], user: str, password: bytes) -> None:
        """Check that the command printed one line for a user with a password."""
        code, out, err = result
        self.assertEqual((code, err, out.count("\n")), (0, "", 1))
        self.assertTrue(parsePasswords(out.encode()).matches(user.encode(), password), out)

    def test_input(self) -> None:
        """The password is the one line of standard input, with or without its end, for a user or oneself."""
        for stdin, password in ((b"a b:c\n", b"a b:c"), (b" x", b" x"), (b"x\r\n", b"x"), (b"\xff\0", b"\xff\0")):
            self.assertLine(self.run_("ada", stdin=stdin), "ada", password)
        self.assertLine(self.run_(), getpass.getuser(), b"secret")

    def test_encoding(self) -> None:
        """The line is UTF-8, whatever the encoding of the terminal."""
        self.assertLine(self.run_("zoë", encoding="ascii"), "zoë", b"secret")

    def test_terminal(self) -> None:
        """At a terminal, the password is typed twice, without echo."""
        self.assertLine(self.typed("geheim ☕", "geheim ☕"), "ada", "geheim ☕".encode())
        self.assertEqual(
            self.typed("one", "two"),
            (1, "", "finger: could not hash a password: the two passwords are not the same\n"),
        )
        self.assertEqual(self.typed(EOFError()), (1, "", "finger: could not hash a password: there is none\n"))
        self.assertEqual(self.typed("one", KeyboardInterrupt()), (130, "", ""))

    def test_bad(self) -> None:
        """What cannot be a line of the file is an error of one line; a bad name before the password is read."""
        for arguments, stdin, why in (
            (("ada",), b"", "a password has 1 to 1024 bytes"),
            (("ada",), b"\n", "a password has 1 to 1024 bytes"),
            (("ada",), b"x" * 2000, "a password has 1 to 1024 bytes"),
            (("ada",), b"one\ntwo\n", "expected a password of one line"),
            (("ada",), None, "standard input is closed"),
            (("a:b",), None, "no colon"),
        ):
            code, out, err = self.run_(*arguments, stdin=stdin)
            self.assertEqual((code, out, err.count("\n")), (1, "", 1))
            self.assertIn(why, err)

    def test_noOutput(self) -> None:
        """The command runs with standard output closed."""
        stdin = TextIOWrapper(BytesIO(b"secret"), "utf-8")
        with patch.multiple(sys, stdin=stdin, stdout=None, stderr=StringIO()):
            self.assertEqual(self.assertRaises(SystemExit, main, ["--hash-password", "ada"]).code, 0)

    def test_noName(self) -> None:
        """A current user without a name must give one."""
        with patch("getpass.getuser", side_effect=KeyError("uid not found")):
            self.assertIn("this account has no name", self.run_()[2])

    def test_usage(self) -> None:
        """The option takes one user, and no other action."""
        for arguments in (("a", "b"), ("--set", "a")):
            code, out, err = self.run_(*arguments)
            self.assertEqual((code, out), (2, ""))
            self.assertIn("--hash-password takes one user", err)
