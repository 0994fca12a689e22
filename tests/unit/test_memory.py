"""Tests for L{finger.backends.memory}."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.backends.memory import MAX_STATUS, MemoryBackend, MemoryFingerService, Users
from finger.errors import BackendUnavailable, BadQuery, ConfigError, NoSuchUser
from finger.interfaces import IFingerBackend, IFingerService
from finger.testing import FingerServiceContract, ThreadlessReactor
from tests.support.files import makeFIFO


class MemoryContractTests(FingerServiceContract, SynchronousTestCase):
    """The memory back end meets the contract of back ends."""

    known, unknown = "moshez", "nobody"

    def makeService(self) -> IFingerService:
        """Make a back end with two users."""
        return MemoryFingerService({"moshez": "Happy and well", "anna": "x"})


class SetUserTests(SynchronousTestCase):
    """Setting statuses."""

    def test_badNames(self) -> None:
        """A name that is not valid, or that could not be queried, cannot be set."""
        service = MemoryFingerService()
        for user in ("", " a", "a ", "a\nb", "a@b", "\x1b", "\u202e", "x" * 256):
            self.failureResultOf(service.setUser(user, "x"), BadQuery)
        self.failureResultOf(service.setUser("a", "x" * (MAX_STATUS + 1)), BadQuery)
        self.assertEqual(self.successResultOf(service.getUsers()), [])

    def test_keptBeforeSeen(self) -> None:
        """A change is acknowledged, and seen, once it is kept; those who come meanwhile share the next keeping."""
        kept: list[tuple[Users, Deferred[None]]] = []

        def keep(users: Users) -> Deferred[None]:
            kept.append((users, Deferred()))
            return kept[-1][1]

        service = MemoryFingerService(keep=keep)
        first = service.setUser("a", "1")
        second = service.setUser("b", "2")
        third = service.setUser("a", "3")
        self.assertEqual([users for users, _ in kept], [{"a": "1"}])
        self.failureResultOf(service.getUser("a"), NoSuchUser)
        kept[0][1].callback(None)
        self.successResultOf(first)
        self.assertNoResult(second)
        self.assertEqual([users for users, _ in kept], [{"a": "1"}, {"a": "3", "b": "2"}])
        self.assertEqual(self.successResultOf(service.getUser("a")), "1")
        kept[1][1].errback(OSError("disk full"))
        self.failureResultOf(second, BackendUnavailable)
        self.failureResultOf(third, BackendUnavailable)
        self.assertEqual(self.successResultOf(service.getUsers()), ["a"])

    def test_cancel(self) -> None:
        """A change is made even if the caller cancels it while it waits."""
        kept: list[Deferred[None]] = []

        def keep(users: Users) -> Deferred[None]:
            kept.append(Deferred())
            return kept[-1]

        service = MemoryFingerService(keep=keep)
        first, second = service.setUser("a", "1"), service.setUser("b", "2")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        kept[0].callback(None)
        kept[1].callback(None)
        self.successResultOf(first)
        self.assertEqual(self.successResultOf(service.getUser("b")), "2")


class UsersJSONTests(SynchronousTestCase):
    """The JSON file."""

    def setUp(self) -> None:
        """Make a directory for the file."""
        self.path = Path(self.mktemp())
        self.path.mkdir()
        self.path /= "users.json"
        self.reactor = ThreadlessReactor()

    def make(self) -> MemoryFingerService:
        """Make a back end that uses the file."""
        return MemoryBackend().makeBackend(str(self.path), self.reactor)

    def test_plugin(self) -> None:
        """The plugin provides its interface; without a path, it makes an empty back end."""
        verifyObject(IFingerBackend, MemoryBackend())
        self.assertEqual(self.successResultOf(MemoryBackend().makeBackend("", self.reactor).getUsers()), [])

    def test_remembers(self) -> None:
        """A status that was set is still there after a restart."""
        self.successResultOf(self.make().setUser("zoë", "a\nb ☕"))
        self.assertEqual(self.successResultOf(self.make().getUser("zoë")), "a\nb ☕")
        self.assertEqual(os.listdir(self.path.parent), ["users.json"])

    def test_diskFull(self) -> None:
        """If the file cannot be written, the change is refused, and the old users and file stay."""
        service = self.make()
        self.successResultOf(service.setUser("a", "1"))
        before = self.path.read_bytes()
        for step in ("fsync", "replace"):
            with patch(f"os.{step}", side_effect=OSError(28, "No space left on device")):
                failure = self.failureResultOf(service.setUser("a", "2"), BackendUnavailable)
            self.assertIn("No space left", failure.getErrorMessage())
            self.assertEqual(self.successResultOf(service.getUser("a")), "1")
            self.assertEqual(self.path.read_bytes(), before)
        self.successResultOf(service.setUser("a", "3"))
        self.assertEqual(json.loads(self.path.read_bytes()), {"a": "3"})

    def test_synced(self) -> None:
        """The data is synced before the file is renamed, and the directory before the answer."""
        calls: list[str] = []
        sync, rename = os.fsync, os.replace

        def noteSync(fd: int) -> None:
            calls.append("sync")
            sync(fd)

        def noteRename(old: str, new: str) -> None:
            calls.append("rename")
            rename(old, new)

        with patch("os.fsync", side_effect=noteSync), patch("os.replace", side_effect=noteRename):
            self.successResultOf(self.make().setUser("a", "1").addCallback(lambda _: calls.append("answer")))
        self.assertEqual(calls, ["sync", "rename", "sync", "answer"])

    def test_mode(self) -> None:
        """The file keeps its mode; an empty file has no users."""
        self.path.touch(0o600)
        self.successResultOf(self.make().setUser("a", "1"))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_bad(self) -> None:
        """A file with other contents is an error of one line, and is not overwritten."""
        for content in (b"{", b"[]", b'{"a": 1}', b"\xff", b"[" * 100_000):
            self.path.write_bytes(content)
            error = self.assertRaises(ConfigError, self.make)
            self.assertIn(f"--backend=memory:{self.path}: ", str(error))
            self.assertNotIn("\n", str(error))
            self.assertEqual(self.path.read_bytes(), content)
        makeFIFO(self, self.path)
        self.assertEqual(
            str(self.assertRaises(ConfigError, self.make)),
            f"--backend=memory:{self.path}: cannot be read: is not a regular file",
        )
        self.path.unlink()
        self.path.mkdir()
        self.assertRaises(ConfigError, self.make)
        self.path = self.path.parent / "nowhere" / "users.json"
        self.assertIn("nowhere does not exist", str(self.assertRaises(ConfigError, self.make)))
