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

from finger.config.checkers import PasswordFile, inThreads, makeChecker
from tests.support.files import LateReactor, makeFIFO

CONTENT = b"ada:lovelace\r\nnonsense\n\nbob:one:two  \nada:second\n:nameless\nempty:\n"


class HashedPassword:
    """Credentials that check the password themselves, as those of Perspective Broker do."""

    def __init__(self, username: bytes, password: bytes) -> None:
        self.username, self._password = username, password

    def checkPassword(self, password: bytes) -> Deferred[bool]:
        """Return whether the password is right."""
        return succeed(password == self._password)


class PasswordFileTests(SynchronousTestCase):
    """The checker for a password file."""

    def setUp(self) -> None:
        """Write the file."""
        self.path = self.mktemp()
        Path(self.path).write_bytes(CONTENT)
        self.checker: Any = makeChecker(f"file:{self.path}")

    def test_interface(self) -> None:
        """The checker accepts the same credentials as Twisted's own."""
        verifyObject(ICredentialsChecker, self.checker)
        self.assertEqual(self.checker.credentialInterfaces, FilePasswordDB(self.path).credentialInterfaces)

    def test_passwords(self) -> None:
        """The checker accepts exactly the passwords that Twisted's own accepts for the same file."""
        twisted: Any = FilePasswordDB(self.path)
        for name in (b"ada", b"bob", b"nonsense", b"", b"empty", b"eve"):
            for password in (b"lovelace", b"second", b"one", b"two", b"one:two", b"nameless", b""):
                for credentials in (UsernamePassword(name, password), HashedPassword(name, password)):
                    expected: list[object] = []
                    twisted.requestAvatarId(credentials).addErrback(lambda _: None).addCallback(expected.append)
                    login = self.checker.requestAvatarId(credentials)
                    if expected == [None]:
                        self.failureResultOf(login, UnauthorizedLogin)
                    else:
                        self.assertEqual([self.successResultOf(login)], expected)

    def test_thread(self) -> None:
        """A running server reads the file at each login, in a thread."""
        reactor = LateReactor()
        checker = inThreads(self.checker, reactor)
        for password in (b"lovelace", b"new"):
            Path(self.path).write_bytes(b"ada:" + password)
            login = checker.requestAvatarId(UsernamePassword(b"ada", password))
            self.assertNoResult(login)
            reactor.runThreads()
            self.assertEqual(self.successResultOf(login), b"ada")

    def test_fifo(self) -> None:
        """With a FIFO in place of the file, a login is refused, and one line is logged."""
        reactor = LateReactor()
        checker = inThreads(self.checker, reactor)
        makeFIFO(self, self.path)
        login = checker.requestAvatarId(UsernamePassword(b"ada", b"lovelace"))
        self.assertNoResult(login)
        with capturedLogs() as logs:
            reactor.runThreads()
        self.failureResultOf(login, UnauthorizedLogin)
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.error])
        self.assertEqual(formatEvent(logs[0]), f"--auth=file:{self.path}: cannot be read: is not a regular file")

    def test_start(self) -> None:
        """A missing file is an error at the start."""
        error = self.assertRaises(ValueError, makeChecker, "file:/nowhere")
        self.assertEqual(
            str(error),
            "is not a usable credentials checker "
            "(cannot be read: No such file or directory; give a file of 'user:password' lines)",
        )

    def test_others(self) -> None:
        """A checker of another type is used as Twisted makes it."""
        checker = InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace")
        with patch("twisted.cred.strcred.makeChecker", return_value=checker):
            self.assertIs(makeChecker("unix"), checker)
        self.assertIs(inThreads(checker, LateReactor()), checker)
        self.assertIsInstance(inThreads(self.checker, LateReactor()), PasswordFile)
