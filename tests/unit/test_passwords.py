"""Tests for L{finger.config.passwords}."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from finger.config import passwords
from finger.config.passwords import MAX_PASSWORD, Hash, checkUser, formatLine, parsePasswords

HASHED = b"$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0$gb/VT6mP0/itXOmLyO2KjGUq0V5wMI0+ccNTu829Bdc"
OTHER = b"$scrypt$ln=5,r=8,p=1$c2FsdHNhbHRzYWx0$gb/VT6mP0/itXOmLyO2KjGUq0V5wMI0+ccNTu829Bdc"
"""A hash with other parameters."""


class HashTests(SynchronousTestCase):
    """Hashes."""

    def test_vector(self) -> None:
        """The hash is scrypt's (RFC 7914, section 12)."""
        digest = (
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
            "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
        )
        hashed = Hash(14, 8, 1, b"SodiumChloride", bytes.fromhex(digest))
        self.assertTrue(hashed.matches(b"pleaseletmein"))
        self.assertFalse(hashed.matches(b"pleaseletmeout"))
        self.assertEqual(Hash.parse(str(hashed).encode()), hashed)

    def test_known(self) -> None:
        """A line that was made once stays valid."""
        self.assertTrue(Hash.parse(HASHED).matches(b"se:cret"))

    def test_make(self) -> None:
        """Each hash has its own salt; any password can be hashed."""
        for password in (b"secret", b"a:b:c", b"\xff\0\n"):
            one, two = Hash.make(password), Hash.make(password)
            self.assertNotEqual(one.salt, two.salt)
            for hashed in (one, two):
                self.assertEqual(Hash.parse(str(hashed).encode()), hashed)
                self.assertTrue(hashed.matches(password))
                self.assertFalse(hashed.matches(password + b"x"))

    def test_bad(self) -> None:
        """A hash that is damaged, or costs too much to check, is not valid."""
        for old, new in (
            *((b"ln=4", b"ln=18"), (b"ln=4", b"ln=0"), (b"r=8", b"r=9"), (b"p=1", b"p=5"), (b"p=1", b"p=0")),
            *((b"ln=4", b"ln=-1"), (b"ln=4", b"ln=+4"), (b"ln=4", b"ln=004"), (b",p=1", b""), (b"$gb", b"gb")),
            *((b"c2FsdHNhbHRzYWx0", b"c2Fs"), (b"9Bdc", b"9B"), (b"9Bdc", b"9Bdc="), (b"9Bdc", b"9Bdc$")),
            *((b"9Bdc", b"9B-c"), (HASHED[-30:], b""), (b"9Bdc", b"9Bdc:1000:"), (b"c2Fs", b"c")),
        ):
            self.assertRaises(ValueError, Hash.parse, HASHED.replace(old, new))


class FileTests(SynchronousTestCase):
    """The password file."""

    def setUp(self) -> None:
        """Make the hash cheap that is computed for a password in plain text."""
        self.patch(passwords, "_STAND_IN", Hash(1, 1, 1, bytes(16), bytes(32)))

    def test_lines(self) -> None:
        """
        A line is a user and a password, in plain text or hashed.  Line ends, empty lines, comments, a byte order mark
        and white space at the end of a line are no part of it.
        """
        found = parsePasswords(
            b"\xef\xbb\xbfada:love lace \t\r\n\n  \n# zed:secret\nzo\xc3\xab: x\nbob:" + HASHED + b" \na b:c"
        )
        self.assertEqual(found.problems, ())
        self.assertEqual(
            found.entries,
            {b"ada": b"love lace", "zoë".encode(): b" x", b"bob": Hash.parse(HASHED), b"a b": b"c"},
        )
        self.assertEqual(found.countPlain(), 3)
        for user, password in ((b"ada", b"love lace"), (b"bob", b"se:cret"), (b"a b", b"c")):
            self.assertTrue(found.matches(user, password))
            for wrong in (b"", b"x", password + b" ", HASHED, password[:-1]):
                self.assertFalse(found.matches(user, wrong))
        for user in (b"", b"zed", b"# zed", b"Ada", b"ada "):
            for password in (b"", b"secret", b"love lace", b"se:cret"):
                self.assertFalse(found.matches(user, password))

    def test_bad(self) -> None:
        """A line that is not valid lets nobody in, and is reported with its number and the reason."""
        for line, reason in (
            (b"ada:", "the password is empty"),
            (b"ada: \t", "the password is empty"),
            (b"ada:b:c", "in plain text has no colon"),
            (b"ada::", "in plain text has no colon"),
            (b"ada:x:1000:1000::/home/ada:/bin/sh", "in plain text has no colon"),
            (b"ada", "expected 'user:password'"),
            (b":secret", "the user name is empty"),
            (b" ada:x1", "no outer spaces"),
            (b"ada :x1", "no outer spaces"),
            (b"a\x1bda:x1", "printable"),
            (b"a\0d\0a\0:\0x\0", "printable"),
            (b"zo\xeb:x1", "is not UTF-8"),
            (b"ada:" + HASHED[:-30], "the hash is not complete"),
            (b"ada:" + HASHED.replace(b"ln=4", b"ln=30"), "exceed ln=17"),
            (b"ada:$6$salt$hash", "this kind of hash is not supported"),
            (b"ada:$2y$05$hash", "this kind of hash is not supported"),
            (b"ada:$apr1$salt$hash", "this kind of hash is not supported"),
            (b"ada:{SHA}hash", "this kind of hash is not supported"),
            *((b"ada:" + locked, "is not a password") for locked in (b"x", b"*", b"!", b"!!")),
            (b"bob:again", "on an earlier line"),
        ):
            found = parsePasswords(b"bob:builder\n\n" + line + b"\nboss:secret\n")
            ((number, problem),) = found.problems
            self.assertEqual(number, 3, line)
            self.assertIn(reason, problem)
            self.assertEqual(set(found.entries), {b"bob", b"boss"})
            self.assertTrue(found.matches(b"boss", b"secret"))
            self.assertTrue(found.matches(b"bob", b"builder"))
            for password in (b"", b"b", b"b:c", b"x", b"*", line.partition(b":")[2], b"again"):
                for user in (b"ada", b"", b" ada", b"bob"):
                    self.assertFalse(found.matches(user, password))

    def test_sameCost(self) -> None:
        """
        A login computes one hash, whether the password is right, wrong, or in plain text, and whether there is such a
        user; for an unknown user it has the parameters of some user's hash, the same each time.
        """
        mixed = b"ada:" + HASHED + b"\nbob:" + OTHER + b"\neve:plain"
        for content, expected in ((mixed, {4, 5, 1}), (b"ada:" + HASHED, {4}), (b"eve:plain", {1}), (b"", {1})):
            found, costs = parsePasswords(content), set[int]()
            for number in range(100):
                cost = self.costOf(partial(found.matches, b"user%d" % number, b"x"))
                self.assertEqual(self.costOf(partial(found.matches, b"user%d" % number, b"y")), cost)
                costs.add(cost)
            self.assertEqual(costs, expected)
        found = parsePasswords(mixed)
        for user, cost in ((b"ada", 4), (b"bob", 5), (b"eve", 1)):
            for password in (b"", b"plain", b"se:cret"):
                self.assertEqual(self.costOf(partial(found.matches, user, password)), cost)

    def costOf(self, check: Callable[[], bool]) -> int:
        """Return the cost of the one hash that a check computes."""
        costs: list[int] = []

        def derive(password: bytes, salt: bytes, ln: int, *more: Any) -> bytes:
            costs.append(ln)
            return b""

        with patch.object(passwords, "_derive", derive):
            check()
        (cost,) = costs
        return cost


class FormatTests(SynchronousTestCase):
    """The line that the command prints."""

    def test_both(self) -> None:
        """It is valid in a password file."""
        for user, password in (("ada", b"love:lace"), ("zoë e", b"\xff")):
            found = parsePasswords(formatLine(user, password).encode())
            self.assertEqual((found.problems, found.countPlain()), ((), 0))
            self.assertTrue(found.matches(user.encode(), password))

    def test_bad(self) -> None:
        """A user or a password that such a file cannot have is refused."""
        for user in ("", " a", "a ", "a:b", "#a", "a\nb", "\x1b"):
            self.assertRaises(ValueError, checkUser, user)
            self.assertRaises(ValueError, formatLine, user, b"x")
        for password in (b"", b"x" * (MAX_PASSWORD + 1)):
            self.assertRaises(ValueError, formatLine, "ada", password)
