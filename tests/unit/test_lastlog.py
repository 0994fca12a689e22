"""Tests for L{finger.backends._lastlog}."""

from __future__ import annotations

import sqlite3
import struct
import time
from datetime import UTC, datetime
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from finger.backends._lastlog import findLastLogin, queryDatabase, readFile
from finger.profile import LastLogin
from tests.support.files import makeFIFO

SCHEMA = "CREATE TABLE Lastlog2(Name TEXT PRIMARY KEY, Time INTEGER, TTY TEXT, RemoteHost TEXT, Service TEXT)"
WHEN = datetime(2010, 3, 31, 18, 32, tzinfo=UTC)
SECONDS = int(WHEN.timestamp())
ALICE = LastLogin(WHEN, "pts/3", "host.example.org")


class LastLogTestCase(SynchronousTestCase):
    """A test with paths for the records."""

    def setUp(self) -> None:
        """Make the paths."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.file = directory / "lastlog"
        self.database = directory / "lastlog2?.db"

    def writeFile(self, uid: int, seconds: int, layout: str = "=I32s256s") -> None:
        """Write one record, as C{login} does."""
        with self.file.open("ab") as file:
            file.truncate(uid * struct.calcsize(layout))
        with self.file.open("ab") as file:
            file.write(struct.pack(layout, seconds, b"pts/3", b"host.example.org"))

    def writeDatabase(self, *rows: tuple[object, ...]) -> None:
        """Write rows, as C{pam_lastlog2} does."""
        connection = sqlite3.connect(self.database)
        connection.execute(SCHEMA)
        connection.executemany("INSERT INTO Lastlog2 VALUES (?, ?, ?, ?, 'sshd')", rows)
        connection.commit()
        connection.close()


class FileTests(LastLogTestCase):
    """C{/var/log/lastlog}."""

    def test_record(self) -> None:
        """A record is found by its uid in a sparse file."""
        self.writeFile(60000, SECONDS)
        self.assertEqual(readFile(self.file, 60000, "x86_64"), ALICE)

    def test_wide(self) -> None:
        """Some machines have a 64-bit time and longer records."""
        self.writeFile(1000, SECONDS, "=q32s256s")
        self.assertEqual(readFile(self.file, 1000, "aarch64"), ALICE)

    def test_zone(self) -> None:
        """The time has the machine's time zone."""
        self.writeFile(0, SECONDS)
        login = readFile(self.file, 0, "x86_64")
        assert login is not None and login.when is not None
        self.assertEqual(login.when.tzname(), time.strftime("%Z", time.localtime(SECONDS)))

    def test_never(self) -> None:
        """A record of zeros, or beyond the end of the file, means that the user has never logged in."""
        self.writeFile(1001, SECONDS)
        for uid in (1000, 1002, 4294967294):
            self.assertEqual(readFile(self.file, uid, "x86_64"), LastLogin(None))

    def test_absent(self) -> None:
        """Without the file, or with a file of another kind, the last login is not known."""
        self.assertIsNone(readFile(self.file, 1000))
        makeFIFO(self, self.file)
        self.assertIsNone(readFile(self.file, 1000))

    def test_damaged(self) -> None:
        """A time that is out of range is not known."""
        self.writeFile(0, 1 << 62, "=q32s256s")
        self.assertIsNone(readFile(self.file, 0, "aarch64"))


class DatabaseTests(LastLogTestCase):
    """C{/var/lib/lastlog/lastlog2.db}."""

    def test_row(self) -> None:
        """A row is found by the user's name."""
        self.writeDatabase(("alice", SECONDS, "pts/3", "host.example.org"), ("bob", 1, "tty1", None))
        self.assertEqual(queryDatabase(self.database, "alice"), ALICE)
        self.assertEqual(queryDatabase(self.database, "bob"), LastLogin(datetime.fromtimestamp(1, UTC), "tty1"))

    def test_never(self) -> None:
        """A missing row, or one without a time, means that the user has never logged in."""
        self.writeDatabase(("alice", 0, None, None), ("bob", None, None, None))
        for login in ("alice", "bob", "carol"):
            self.assertEqual(queryDatabase(self.database, login), LastLogin(None))

    def test_absent(self) -> None:
        """If the database is missing or invalid, the last login is not known; no database is created."""
        self.assertIsNone(queryDatabase(self.database, "alice"))
        self.assertFalse(self.database.exists())
        self.database.write_text("not a database, but long enough that one could be taken for one" * 100)
        self.assertIsNone(queryDatabase(self.database, "alice"))


class FindTests(LastLogTestCase):
    """Both sources together."""

    def test_databaseFirst(self) -> None:
        """The database has precedence over the file."""
        self.writeFile(1000, 1)
        self.assertEqual(
            findLastLogin("alice", 1000, database=self.database, file=self.file),
            LastLogin(datetime.fromtimestamp(1, UTC), "pts/3", "host.example.org"),
        )
        self.writeDatabase(("alice", SECONDS, "pts/3", "host.example.org"))
        self.assertEqual(findLastLogin("alice", 1000, database=self.database, file=self.file), ALICE)

    def test_neither(self) -> None:
        """If the system has neither, the last login is not known."""
        self.assertIsNone(findLastLogin("alice", 1000, database=self.database, file=self.file))
