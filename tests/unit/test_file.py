"""Tests for L{finger.backends.file}."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.backends.file import LISTED_AT_ONCE, FileBackend, FileFingerService, _parse
from finger.config.files import MAX_DATA_BYTES
from finger.config.watchedfile import INTERVAL, MAX_PROBLEMS, _read
from finger.errors import ConfigError, NoSuchUser
from finger.interfaces import IFingerBackend, IFingerService, ISelfReloading
from finger.profile import Profile
from finger.testing import FingerServiceContract, ThreadlessReactor
from tests.support.files import LateReactor, makeFIFO


class FileContractTests(FingerServiceContract, SynchronousTestCase):
    """The file back end meets the contract of back ends."""

    known, unknown = "moshez", "nobody"

    def makeService(self) -> IFingerService:
        """Make a back end with two users."""
        path = Path(self.mktemp())
        path.write_text("moshez (Moshe Zadka): Happy and well\nanna:\n")
        return FileBackend().makeBackend(str(path), ThreadlessReactor())


class FileTests(SynchronousTestCase):
    """Reading and reloading the file."""

    def setUp(self) -> None:
        """Make a file, and a service that watches it."""
        self.path = Path(self.mktemp())
        self.path.write_text("a: 1\nb (B): 2\n")
        self.reactor = ThreadlessReactor()
        self.service = FileFingerService(str(self.path), self.reactor)
        self.service.startService()

    def users(self) -> list[str]:
        """Return the list of users."""
        return self.successResultOf(self.service.getUsers())

    def test_plugin(self) -> None:
        """The plugin and the service provide their interfaces; the path has a default."""
        verifyObject(IFingerBackend, FileBackend())
        verifyObject(ISelfReloading, self.service)
        with patch("finger.backends.file.DEFAULT_PATH", str(self.path)):
            self.assertEqual(FileBackend().makeBackend("", self.reactor).path, str(self.path))

    def test_profile(self) -> None:
        """The profile has the full name from the file."""
        self.assertEqual(self.successResultOf(self.service.getProfile("b")), Profile("b", "B", "2"))

    def test_missing(self) -> None:
        """A missing file is an error at the start."""
        error = self.assertRaises(ConfigError, FileFingerService, "/nowhere", self.reactor)
        self.assertEqual(
            str(error),
            "--file=/nowhere: cannot be read: No such file or directory; give a file of 'user: status' lines",
        )

    def test_changed(self) -> None:
        """A change is noticed at the next check; users that are removed from the file disappear."""
        self.path.write_text("c: 3\n")
        self.reactor.advance(INTERVAL - 1)
        self.assertEqual(self.users(), ["a", "b"])
        self.reactor.advance(1)
        self.assertEqual(self.users(), ["c"])
        self.failureResultOf(self.service.getUser("a"), NoSuchUser)

    def test_version(self) -> None:
        """Each reading has its own version; a file that cannot be read leaves users and version as they are."""
        versions = [self.service.version()]
        for text in ("c: 3\n", "a: 1\nb (B): 2\n"):
            self.path.write_text(text)
            self.reactor.advance(INTERVAL)
            versions.append(self.service.version())
        self.assertEqual(len(set(versions)), 3)
        self.path.unlink()
        self.reactor.advance(INTERVAL)
        self.assertEqual(self.service.version(), versions[-1])

    def test_renamed(self) -> None:
        """A new file with the same name, size and time, as editors make it, is noticed as well."""
        status = self.path.stat()
        new = self.path.with_suffix(".new")
        new.write_text("a: 9\nb (B): 2\n")
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        new.rename(self.path)
        self.reactor.advance(INTERVAL)
        self.assertEqual(self.successResultOf(self.service.getUser("a")), "9")

    def test_unchanged(self) -> None:
        """A file that has not changed is not read again."""
        with patch("finger.config.watchedfile._read", wraps=_read) as read:
            self.reactor.pump([INTERVAL] * 3)
            read.assert_not_called()
            self.path.write_text("c: 3\n")
            self.reactor.advance(INTERVAL)
            read.assert_called_once_with(str(self.path), _parse, MAX_DATA_BYTES)

    def test_reload(self) -> None:
        """A reload does not wait for the next check."""
        self.path.write_text("c: 3\n")
        self.assertIs(self.successResultOf(self.service.reload()), True)
        self.assertEqual(self.users(), ["c"])

    def test_reloader(self) -> None:
        """The service calls its reloader when it reloads by itself, and only then."""
        reloads: list[bool] = []

        def reloader() -> Deferred[None]:
            return self.service.reload().addCallback(reloads.append)

        self.service.reloader = reloader
        self.reactor.advance(INTERVAL)
        self.assertEqual(reloads, [])
        self.path.write_text("c: 3\n")
        self.reactor.advance(INTERVAL)
        self.path.unlink()
        self.reactor.advance(INTERVAL)
        self.assertEqual(reloads, [True, False])

    def test_lost(self) -> None:
        """While the file cannot be read, the users stay, and the error is logged once; later changes are read."""
        content = self.path.read_text()
        self.path.unlink()
        with capturedLogs() as logs:
            self.reactor.pump([INTERVAL] * 3)
        self.assertEqual(self.users(), ["a", "b"])
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.error])
        self.assertIn("No such file", logs[0]["why"])
        self.path.write_text(content + "c: 3\n")
        self.reactor.advance(INTERVAL)
        self.assertEqual(self.users(), ["a", "b", "c"])

    def test_badLines(self) -> None:
        """Invalid lines are logged with their numbers, up to a limit; the other lines are used."""
        self.path.write_text("nonsense\n" * (MAX_PROBLEMS + 2) + "c: 3\n")
        with capturedLogs() as logs:
            self.successResultOf(self.service.reload())
        self.assertEqual(self.users(), ["c"])
        warnings = [event for event in logs if event["log_level"] is LogLevel.warn]
        self.assertEqual(len(warnings), MAX_PROBLEMS + 1)
        self.assertEqual((warnings[0]["path"], warnings[0]["number"]), (str(self.path), 1))
        self.assertEqual(warnings[-1]["more"], 2)

    def test_storm(self) -> None:
        """Many simultaneous reloads cause two readings: the one in progress, and one more for all the others."""
        work: list[Callable[[], None]] = []
        run = self.reactor.callInThreadWithCallback
        self.patch(self.reactor, "callInThreadWithCallback", lambda *call: work.append(lambda: run(*call)))
        with patch("finger.config.watchedfile._read", side_effect=_read) as reading:
            reloads = [self.service.reload() for _ in range(10)]
            self.path.write_text("c: 3\n")
            while work:
                work.pop()()
        self.assertEqual(reading.call_count, 2)
        for reload in reloads:
            self.assertIs(self.successResultOf(reload), True)
        self.assertEqual(self.users(), ["c"])

    def test_stormLost(self) -> None:
        """A reload returns the result of a reading that began after it, not of the one in progress."""
        work: list[Callable[[], None]] = []
        run = self.reactor.callInThreadWithCallback
        self.patch(self.reactor, "callInThreadWithCallback", lambda *call: work.append(lambda: run(*call)))
        first, second = self.service.reload(), self.service.reload()
        work.pop()()
        self.assertIs(self.successResultOf(first), True)
        self.assertNoResult(second)
        self.path.unlink()
        work.pop()()
        self.assertIs(self.successResultOf(second), False)

    def test_fifo(self) -> None:
        """A FIFO does not block, and is logged once."""
        makeFIFO(self, self.path)
        with capturedLogs() as logs:
            self.reactor.pump([INTERVAL] * 3)
            self.assertIs(self.successResultOf(self.service.reload()), False)
        self.assertEqual([event["why"] for event in logs], ["is not a regular file"])
        self.assertEqual(self.users(), ["a", "b"])
        self.assertIn(
            "cannot be read: is not a regular file; give a file",
            str(self.assertRaises(ConfigError, FileFingerService, str(self.path), self.reactor)),
        )

    def test_thread(self) -> None:
        """The check for a change runs in a thread, one at a time."""
        reactor = LateReactor()
        service = FileFingerService(str(self.path), reactor)
        service.startService()
        self.path.write_text("c: 3\n")
        with patch("os.stat", side_effect=AssertionError("looks on the reactor's thread")):
            reactor.pump([INTERVAL] * 3)
        self.assertEqual(reactor.runThreads(), 1)
        self.assertEqual(self.successResultOf(service.getUsers()), ["c"])

    def test_list(self) -> None:
        """The list is made when it is first asked for, sorted, and stays the same until the next reading."""
        self.path.write_text("b: 1\na (A): 2\n")
        self.successResultOf(self.service.reload())
        first, second = (self.successResultOf(self.service.getProfiles()) for _ in range(2))
        self.assertEqual(first, [Profile("a", "A", "2"), Profile("b", plan="1")])
        self.assertIs(first, second)
        self.successResultOf(self.service.reload())
        third = self.successResultOf(self.service.getProfiles())
        self.assertEqual((third, third is first), (first, False))

    def test_longList(self) -> None:
        """A long list is made in a thread, once for all who ask, and is that of the reading when it was asked for."""
        users = [f"user{number:05}" for number in range(LISTED_AT_ONCE + 1)]
        self.path.write_text("".join(f"{user}: x\n" for user in reversed(users)))
        reactor = LateReactor()
        with patch("finger.backends.file.SORTED_AT_ONCE", 100):
            service = FileFingerService(str(self.path), reactor)
            asked = [service.getProfiles(), service.getProfiles()]
            names = service.getUsers()
            self.assertNoResult(asked[0])
            asked[1].cancel()
            self.failureResultOf(asked[1], CancelledError)
            self.path.write_text("a: 1\n")
            service.reload()
            self.assertEqual(len(reactor.work), 2)
            reactor.runThreads()
        self.assertEqual([profile.login for profile in self.successResultOf(asked[0])], users)
        self.assertEqual(self.successResultOf(names), users)
        self.assertEqual(self.successResultOf(service.getUsers()), ["a"])

    def test_unreadable(self) -> None:
        """A process that can no longer read the file logs this when it starts to watch, not at the first change."""
        self.service.stopService()
        with capturedLogs() as logs, patch("os.access", return_value=False):
            self.service.startService()
        self.assertIn("its changes will not be noticed", logs[0]["log_format"])

    def test_stopped(self) -> None:
        """A stopped service does not check the file."""
        self.service.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_many(self) -> None:
        """A lookup among 100,000 users takes about as much CPU time as one among two."""
        path = Path(self.mktemp())
        path.write_text("".join(f"user{number}: status {number}\n" for number in range(100_000)))
        many = FileFingerService(str(path), self.reactor)
        self.assertEqual(self.successResultOf(many.getUser("user99999")), "status 99999")
        self.assertEqual(len(self.successResultOf(many.getUsers())), 100_000)
        self.assertLess(_cost(many, "user5000"), 20 * _cost(self.service, "a"))


def _cost(service: FileFingerService, user: str) -> float:
    """Return the CPU time of the fastest of several rounds of lookups, in seconds."""

    def once() -> float:
        began = time.process_time()
        for _ in range(1000):
            service.getUser(user)
        return time.process_time() - began

    return min(once() for _ in range(5))
