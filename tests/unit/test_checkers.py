"""Tests for credentials checkers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.cred.checkers import FilePasswordDB, ICredentialsChecker, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.config import passwords
from finger.config.checkers import PasswordFile, inThreads, makeChecker
from finger.config.passwords import Hash
from tests.support.files import LateReactor, makeFIFO

CONTENT = b"ada:lovelace\r\n\nbob:one two  \n# eve:commented\n"


class HashedPassword:
    """Credentials that check the password themselves, as those of Perspective Broker do."""

    def __init__(self, username: bytes, password: bytes) -> None:
        self.username, self._password = username, password

    def checkPassword(self, password: bytes) -> Deferred[bool]:
        """Return whether the password is right."""
        return succeed(password == self._password)


class PasswordFileTestCase(SynchronousTestCase):
    """A password file and its checker."""

    def setUp(self) -> None:
        """Write the file, and make hashes cheap."""
        for name, value in (("LN", 1), ("_STAND_IN", Hash(1, 1, 1, bytes(16), bytes(32)))):
            self.patch(passwords, name, value)
        self.path = self.mktemp()
        self.write(CONTENT)

    def write(self, content: bytes, mode: int = 0o600) -> None:
        """Write the file."""
        Path(self.path).write_bytes(content)
        Path(self.path).chmod(mode)

    def make(self, reactor: Any = None) -> Any:
        """Make the checker for a running server."""
        return inThreads(makeChecker(f"file:{self.path}"), reactor)

    def logged(self, events: Any) -> list[str]:
        """Return the lines of the log without the path."""
        return [str(formatEvent(event)).replace(self.path, "PATH") for event in events]


class LoginTests(PasswordFileTestCase):
    """Logins."""

    def test_interface(self) -> None:
        """The checker accepts the same credentials as Twisted's own."""
        verifyObject(ICredentialsChecker, self.make())
        self.assertEqual(self.make().credentialInterfaces, FilePasswordDB(self.path).credentialInterfaces)

    def test_passwords(self) -> None:
        """A password in plain text is checked as by Twisted's own checker."""
        checker, twisted = self.make(), FilePasswordDB(self.path)
        for name in (b"ada", b"bob", b"", b"eve"):
            for password in (b"lovelace", b"second", b"one", b"one two", b"commented", b""):
                for credentials in (UsernamePassword(name, password), HashedPassword(name, password)):
                    expected: list[object] = []
                    answer: Deferred[Any] = twisted.requestAvatarId(credentials)  # type: ignore[arg-type]
                    answer.addErrback(lambda _: None).addCallback(expected.append)
                    login = checker.requestAvatarId(credentials)
                    if expected == [None]:
                        self.failureResultOf(login, UnauthorizedLogin)
                    else:
                        self.assertEqual([self.successResultOf(login)], expected)

    def test_hash(self) -> None:
        """
        A hash is checked against a password.  Credentials that do not contain the password are refused, and the first
        time, the log says why.
        """
        self.write(b"ada:%b\n" % str(Hash.make(b"love:lace")).encode())
        checker = self.make()
        self.assertEqual(
            self.successResultOf(checker.requestAvatarId(UsernamePassword(b"ada", b"love:lace"))), b"ada"
        )
        for name, password in ((b"ada", b"x"), (b"ada", b""), (b"eve", b"love:lace")):
            self.failureResultOf(checker.requestAvatarId(UsernamePassword(name, password)), UnauthorizedLogin)
        with capturedLogs() as logs:
            for _ in range(2):
                for name in (b"eve", b"ada"):
                    login = checker.requestAvatarId(HashedPassword(name, b"love:lace"))
                    self.failureResultOf(login, UnauthorizedLogin)
        (line,) = self.logged(logs)
        self.assertIn("--auth=file:PATH: Perspective Broker sends no passwords", line)

    def test_thread(self) -> None:
        """A running server reads the file and computes the hash at each login, in one thread for all logins."""
        reactor = LateReactor()
        checker = self.make(reactor)
        for password in (b"lovelace", b"new"):
            self.write(b"ada:" + password)
            logins = [checker.requestAvatarId(UsernamePassword(b"ada", password)) for _ in range(3)]
            with patch.object(Hash, "matches", side_effect=AssertionError("on the reactor's thread")):
                self.assertNoResult(logins[0])
            self.assertEqual(reactor.runThreads(), 1)
            self.assertEqual([self.successResultOf(login) for login in logins], [b"ada"] * 3)

    def test_parsed(self) -> None:
        """The file is parsed again only if it has changed."""
        checker = self.make()
        with patch("finger.config.checkers.parsePasswords", wraps=passwords.parsePasswords) as parse:
            for content in (CONTENT, CONTENT, CONTENT + b"\n"):
                self.write(content)
                self.successResultOf(checker.requestAvatarId(UsernamePassword(b"ada", b"lovelace")))
        self.assertEqual(parse.call_count, 2)

    def test_fifo(self) -> None:
        """With a FIFO in place of the file, a login is refused, and one line is logged."""
        reactor = LateReactor()
        checker = self.make(reactor)
        makeFIFO(self, self.path)
        login = checker.requestAvatarId(UsernamePassword(b"ada", b"lovelace"))
        self.assertNoResult(login)
        with capturedLogs() as logs:
            reactor.runThreads()
        self.failureResultOf(login, UnauthorizedLogin)
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.error])
        self.assertEqual(self.logged(logs), ["--auth=file:PATH: cannot be read: is not a regular file"])

    def test_badLater(self) -> None:
        """A line that is no longer valid is left out, and the log reports each new problem once."""
        checker = self.make()
        with capturedLogs() as logs:
            for content in (
                b"ada:\nbob:secret\n",
                b"ada:\nbob:secret\n",
                b"bob:secret\n",
                b"bob:secret\nada:\neve:\n",
            ):
                self.write(content)
                for password in (b"", b"lovelace"):
                    self.failureResultOf(
                        checker.requestAvatarId(UsernamePassword(b"ada", password)), UnauthorizedLogin
                    )
                self.successResultOf(checker.requestAvatarId(UsernamePassword(b"bob", b"secret")))
        self.assertEqual(
            self.logged(logs),
            [
                "--auth=file: PATH:1: the password is empty",
                "--auth=file: PATH:2: the password is empty; other lines that are not valid: 1",
            ],
        )


class StartTests(PasswordFileTestCase):
    """The start of the server."""

    def test_missing(self) -> None:
        """A missing file is an error at the start."""
        error = self.assertRaises(ValueError, makeChecker, "file:/nowhere")
        self.assertEqual(
            str(error),
            "is not a usable credentials checker "
            "(cannot be read: No such file or directory; give a file of 'user:password' lines)",
        )

    def test_bad(self) -> None:
        """A line that is not valid is an error at the start, with the file and the number of the line."""
        for line, reason in (
            (b"ada:\n", "the password is empty"),
            (b"ada:\nbob:\n", "the password is empty; other lines that are not valid: 1"),
            (
                b"a:b:c\n",
                "a password in plain text has no colon; use the output of 'twisted-finger --hash-password USER'",
            ),
        ):
            self.write(b"\nboss:secret\n" + line)
            error = str(self.assertRaises(ValueError, makeChecker, f"file:{self.path}"))
            self.assertEqual(error, f"is not a usable credentials checker ({self.path}:3: {reason})")

    def test_warnings(self) -> None:
        """A file that others can read or change, and passwords in plain text, cause one warning each."""
        hashed = b"ada:%b\n" % str(Hash.make(b"x")).encode()
        plain = "passwords in plain text: 2; replace these lines by the output of '{} USER'"
        for content, mode, expected in (
            (hashed, 0o600, []),
            (hashed, 0o640, []),
            (hashed, 0o644, ["can read or change it; only the server's should"]),
            (hashed, 0o602, ["can read or change it; only the server's should"]),
            (CONTENT, 0o600, [plain.format("twisted-finger --hash-password")]),
        ):
            self.write(content, mode)
            with capturedLogs() as logs:
                self.make()
            self.assertEqual([event["log_level"] for event in logs], [LogLevel.warn] * len(expected))
            for line, part in zip(self.logged(logs), expected, strict=True):
                self.assertTrue(line.startswith("--auth=file:PATH: "))
                self.assertIn(part, line)

    def test_gone(self) -> None:
        """A file that has disappeared in the meantime causes no warning; logins report it."""
        checker = makeChecker(f"file:{self.path}")
        Path(self.path).unlink()
        with capturedLogs() as logs:
            inThreads(checker, LateReactor())
        self.assertEqual(logs, [])

    def test_others(self) -> None:
        """A checker of another type is used as Twisted makes it."""
        checker = InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace")
        with patch("twisted.cred.strcred.makeChecker", return_value=checker):
            self.assertIs(makeChecker("unix"), checker)
        self.assertIs(inThreads(checker, LateReactor()), checker)
        self.assertIsInstance(self.make(LateReactor()), PasswordFile)
