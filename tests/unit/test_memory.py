"""Tests for L{finger.backends.memory}."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.backends.memory import MAX_STATUS, MemoryBackend, MemoryFingerService
from finger.backends.usersjson import Users
from finger.errors import BackendUnavailable, BadQuery, ConfigError, NoSuchUser, SetRefused
from finger.interfaces import IBoundsUsers, IFingerBackend, IFingerService, IOpenable
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
        for user in (
            "",
            " a",
            "a ",
            "a b",
            "a\nb",
            "a@b",
            "\x1b",
            "\u202e",
            "\u3164",
            "\u2800",
            "/W",
            "-l",
            "x" * 256,
        ):
            self.failureResultOf(service.setUser(user, "x"), BadQuery)
        self.failureResultOf(service.setUser("a", "x" * (MAX_STATUS + 1)), BadQuery)
        self.assertEqual(self.successResultOf(service.getUsers()), [])

    def test_maxUsers(self) -> None:
        """Beyond a number of users, none can be added, not even while others are being kept."""
        kept: list[Deferred[None]] = []

        def keep(users: Users) -> Deferred[None]:
            kept.append(Deferred())
            return kept[-1]

        service = MemoryFingerService({"a": "", "b": ""}, keep)
        verifyObject(IBoundsUsers, service)
        service.maxUsers = 4
        first, second, third = service.setUser("c", "1"), service.setUser("d", "1"), service.setUser("d", "2")
        for user in ("e", "f"):
            refused = self.failureResultOf(service.setUser(user, "1"), SetRefused)
            self.assertEqual(refused.value.words, "no user can be added: there are already 4")
        again = service.setUser("a", "2")
        kept[0].errback(OSError("disk full"))
        self.failureResultOf(first, BackendUnavailable)
        last = service.setUser("e", "1")
        self.failureResultOf(service.setUser("f", "1"), SetRefused)
        for number in (1, 2):
            kept[number].callback(None)
        for done in (second, third, again, last):
            self.successResultOf(done)
        self.assertEqual(self.successResultOf(service.getUsers()), ["a", "b", "d", "e"])
        self.failureResultOf(service.setUser("f", "1"), SetRefused)
        self.assertEqual(len(kept), 3)

    def test_canonical(self) -> None:
        """A name has one form, however it is spelled."""
        service = MemoryFingerService()
        self.successResultOf(service.setUser("zoe\u0308", "x"))
        self.assertEqual(self.successResultOf(service.getUsers()), ["zoë"])
        for name in ("zoë", "zoe\u0308", "\ufeffzoë"):
            self.assertEqual(self.successResultOf(service.getUser(name)), "x")

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

    def make(self, path: Path | None = None) -> Any:
        """Make a back end that uses the file."""
        return MemoryBackend().makeBackend(str(path or self.path), self.reactor)

    def test_plugin(self) -> None:
        """The plugin provides its interface; without a path, it makes an empty back end."""
        verifyObject(IFingerBackend, MemoryBackend())
        self.assertEqual(self.successResultOf(MemoryBackend().makeBackend("", self.reactor).getUsers()), [])

    def test_remembers(self) -> None:
        """A status that was set is still there after a restart."""
        self.successResultOf(self.make().setUser("zoë", "a\nb ☕"))
        self.assertEqual(self.successResultOf(self.make().getUser("zoë")), "a\nb ☕")
        self.assertEqual(os.listdir(self.path.parent), ["users.json"])

    def test_oneServer(self) -> None:
        """
        One server at a time has the file.  A second one is refused in one line, by every path to the file; it can
        still be made, to check a configuration.
        """
        verifyObject(IOpenable, self.make())
        self.path.write_text('{"a": "1"}')
        link = self.path.parent / "link"
        link.symlink_to("users.json")
        first, second, third = self.make(), self.make(), self.make(link)
        first.open()
        self.successResultOf(first.setUser("a", "2"))
        for path, service in ((self.path, second), (link, third)):
            error = self.assertRaises(ConfigError, service.open)
            self.assertEqual(str(error), f"--backend=memory:{path}: is in use by another server")
        other = self.make(self.path.parent / "other.json")
        other.open()
        other.close()
        first.close()
        version = second.version()
        second.open()
        self.assertEqual(self.successResultOf(second.getUser("a")), "2")
        self.assertNotEqual(second.version(), version)
        self.assertIn("the server has stopped", self.failureResultOf(first.setUser("a", "3")).getErrorMessage())
        second.close()
        second.close()
        first.open()
        self.successResultOf(first.setUser("a", "4"))
        first.close()

    def test_lock(self) -> None:
        """The lock file can be used by the directory's owner and group only, and is never opened through a link."""
        lock = self.path.parent / ".users.json.lock"
        for directory, mode in ((0o755, 0o600), (0o775, 0o660)):
            self.path.parent.chmod(directory)
            service = self.make()
            service.open()
            service.close()
            self.assertEqual(lock.stat().st_mode & 0o777, mode)
            lock.unlink()
        for uid, owners in ((0, [self.path.parent.stat().st_uid]), (1000, [])):
            with patch("os.geteuid", return_value=uid), patch("os.fchown") as chown:
                service.open()
                service.close()
            self.assertEqual([call.args[1] for call in chown.call_args_list], owners)
            lock.unlink()
        target = self.path.parent / "target"
        lock.symlink_to(target)
        error = str(self.assertRaises(ConfigError, service.open))
        self.assertTrue(
            error.startswith(f"--backend=memory:{self.path}: cannot be locked: {lock.absolute()}: "), error
        )
        self.assertFalse(target.exists())

    def test_noLocks(self) -> None:
        """A file system without locks is reported at the start."""
        with patch("fcntl.flock", side_effect=OSError(errno.ENOLCK, "No locks available")):
            self.assertIn("No locks available", str(self.assertRaises(ConfigError, self.make().open)))

    def test_temporaryFile(self) -> None:
        """What stands at the temporary file's name is replaced, and never written to."""
        new, victim = self.path.parent / ".users.json.new", self.path.parent / "victim"
        victim.write_text("precious")
        service = self.make()
        for number, make in enumerate(
            (
                lambda: new.symlink_to(victim),
                lambda: new.symlink_to("nowhere"),
                lambda: new.hardlink_to(victim),
                lambda: new.write_text("left by a crash"),
            )
        ):
            make()
            self.successResultOf(service.setUser("a", str(number)))
            self.assertEqual(json.loads(self.path.read_bytes()), {"a": str(number)})
            self.assertFalse(self.path.is_symlink())
            self.assertFalse(new.exists() or new.is_symlink())
        self.assertEqual(victim.read_text(), "precious")
        self.assertFalse((self.path.parent / "nowhere").exists())
        with patch.object(Path, "unlink", side_effect=lambda *_: new.symlink_to(victim)):  # Just after.
            failure = self.failureResultOf(service.setUser("a", "x"), BackendUnavailable)
        self.assertIn("File exists", failure.getErrorMessage())
        self.assertEqual(victim.read_text(), "precious")
        new.unlink()
        new.mkdir()
        self.failureResultOf(service.setUser("a", "x"), BackendUnavailable)
        self.assertEqual(self.successResultOf(service.getUser("a")), "3")

    def test_symbolicLink(self) -> None:
        """If the path is a symbolic link, its target is replaced, and the link stays."""
        (self.path.parent / "data").mkdir()
        self.path.symlink_to("second")
        (self.path.parent / "second").symlink_to("data/target")
        target = self.path.parent / "data" / "target"
        for status in ("1", "2"):
            service = self.make()
            service.open()
            self.successResultOf(service.setUser("a", status))
            service.close()
            self.assertEqual(os.readlink(self.path), "second")
            self.assertFalse(target.is_symlink())
            self.assertEqual(json.loads(target.read_bytes()), {"a": status})
        self.assertEqual(sorted(os.listdir(target.parent)), [".target.lock", "target"])
        self.path.unlink()
        self.path.symlink_to("users.json")
        self.assertRaises(ConfigError, self.make)
        self.path.unlink()
        self.path.symlink_to("nowhere/users.json")
        self.assertIn("nowhere does not exist", str(self.assertRaises(ConfigError, self.make)))

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
        self.path.write_text('{"jane doe": "x"}')
        why = "'jane doe': a user name is 1 to 255 visible characters, without white space; rename or delete it"
        self.assertEqual(str(self.assertRaises(ConfigError, self.make)), f"--backend=memory:{self.path}: {why}")
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
