"""Tests for L{finger.backends.safefile}: everything that a user can put in place of a plan."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from finger.backends.safefile import MAX_BYTES, Home

ME = os.geteuid()
STRANGER = ME + 1


class HomeTestCase(SynchronousTestCase):
    """A test with a home directory."""

    def setUp(self) -> None:
        """Make the directory, with a path short enough for a socket in it."""
        self.path = Path(tempfile.mkdtemp(prefix="finger-home-"))
        self.addCleanup(shutil.rmtree, self.path)
        self.plan = self.path / ".plan"

    def write(self, content: bytes | str, mode: int = 0o644) -> None:
        """Write a plan."""
        self.plan.write_bytes(content.encode() if isinstance(content, str) else content)
        self.plan.chmod(mode)

    def read(self, owner: int = ME, limit: int = MAX_BYTES) -> str:
        """Read the plan, and record the refusals."""
        with Home(str(self.path), owner) as home:
            text = home.read(".plan", limit)
        self.refusals = home.refusals
        return text

    def assertNotServed(self, why: str, owner: int = ME) -> None:
        """Check that the plan is not served, with one refusal that contains this reason."""
        self.assertEqual(self.read(owner), "")
        [refusal] = self.refusals
        self.assertTrue(refusal.startswith(f"{self.plan}: "), refusal)
        self.assertIn(why, refusal)


class ServedTests(HomeTestCase):
    """Files that are served."""

    def test_plan(self) -> None:
        """A plan is served without trailing line ends and without refusals."""
        self.write("to write\n  more tests\n\n")
        self.assertEqual(self.read(), "to write\n  more tests")
        self.assertEqual(self.refusals, [])

    def test_blank(self) -> None:
        """A plan of white space is empty."""
        self.write("\n \n")
        self.assertEqual(self.read(), "")

    def test_absent(self) -> None:
        """A missing plan causes no refusal."""
        self.assertEqual((self.read(), self.refusals), ("", []))

    def test_notUTF8(self) -> None:
        """Invalid UTF-8 is replaced; control characters are kept, since the wire format removes them."""
        self.write(b"caf\xe9 \xc3\xa9 \x1b[31m")
        self.assertEqual(self.read(), "caf\N{REPLACEMENT CHARACTER} \xe9 \x1b[31m")

    def test_directoryIsNotReadable(self) -> None:
        """The directory must be searchable, but need not be readable."""
        self.write("here")
        self.path.chmod(0o311)
        self.addCleanup(self.path.chmod, 0o755)
        self.assertEqual(self.read(), "here")

    def test_linkedHome(self) -> None:
        """The path of the home directory comes from the administrator, so its links are followed."""
        self.write("here")
        link = self.path / "link"
        link.symlink_to(self.path)
        with Home(str(link), ME) as home:
            self.assertEqual(home.read(".plan"), "here")


class LimitTests(HomeTestCase):
    """The limit of a file's length."""

    def test_whole(self) -> None:
        """A plan of exactly the limit is not cut."""
        self.write("12345678")
        self.assertEqual(self.read(limit=8), "12345678")

    def test_cutAtLine(self) -> None:
        """A longer plan is cut after a line, and a note is added."""
        self.write("one\ntwo\nthree\n")
        self.assertEqual(self.read(limit=10), "one\ntwo\n[The rest is left out: this is longer than 10 bytes.]")

    def test_cutInLine(self) -> None:
        """A long line is cut at the limit, but not within a character."""
        self.write("\n12345\xe9xyz")
        self.assertEqual(self.read(limit=7).partition("\n[The rest")[0], "\n12345")

    def test_sparse(self) -> None:
        """Only the first bytes of a sparse file of ten gigabytes are read."""
        self.write("huge\n")
        os.truncate(self.plan, 10 << 30)
        with mock.patch("os.read", side_effect=os.read) as reading:
            self.assertTrue(self.read().startswith("huge"))
        self.assertEqual(sum(call.args[1] for call in reading.call_args_list), MAX_BYTES + 1)

    def test_growing(self) -> None:
        """A file that grows while it is read, or that is read in small pieces, is cut at the limit as well."""
        self.write("")
        with mock.patch("os.read", lambda file, count: b"x\n"):
            self.assertTrue(
                self.read(limit=1000).endswith("x\n[The rest is left out: this is longer than 1000 bytes.]")
            )


class NotServedTests(HomeTestCase):
    """Files that are not served."""

    def test_symbolicLink(self) -> None:
        """A symbolic link is not served, even to a file that belongs to the user."""
        target = self.path / "target"
        target.write_text("secret")
        self.plan.symlink_to(target)
        self.assertNotServed("symbolic link")

    def test_hardLink(self) -> None:
        """A file with another name is not served."""
        self.write("secret")
        os.link(self.plan, self.path / "other")
        self.assertNotServed("hard link")

    def test_foreign(self) -> None:
        """A file that belongs to another user is not served."""
        self.write("secret")
        self.assertNotServed(f"belongs to uid {ME}", owner=STRANGER)

    def test_private(self) -> None:
        """A file that other users may not read is not served, even if this process may."""
        self.write("secret", mode=0o640)
        self.assertNotServed("is not readable by other users")

    def test_fifo(self) -> None:
        """A FIFO, which would block on opening, is not served."""
        os.mkfifo(self.plan)
        self.assertNotServed("not a regular file")

    def test_directory(self) -> None:
        """A directory is not served."""
        self.plan.mkdir()
        self.assertNotServed("not a regular file")

    def test_socket(self) -> None:
        """A socket is not served."""
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.plan))
            self.assertNotServed("not a regular file")

    def test_device(self) -> None:
        """A device, which might never end, is not even opened."""
        with mock.patch("finger.backends.safefile._READ", None), Home("/dev", os.stat("/dev/zero").st_uid) as home:
            self.assertEqual(home.read("zero"), "")
        self.assertEqual(home.refusals, ["/dev/zero: is not a regular file"])

    def test_linkToDevice(self) -> None:
        """A link to a device is not served."""
        self.plan.symlink_to("/dev/zero")
        self.assertNotServed("symbolic link")

    def test_directoryInsteadOfHome(self) -> None:
        """A file in place of the home directory contains no plan."""
        self.write("secret")
        with Home(str(self.plan), ME) as home:
            self.assertEqual(home.read(".plan"), "")


class RaceTests(HomeTestCase):
    """A user replaces the file between the check and the opening."""

    def setUp(self) -> None:
        """Make the first check see a plan that may be served."""
        super().setUp()
        self.write("fine")
        seen = self.plan.stat()
        self.plan.unlink()
        self.addCleanup(mock.patch.stopall)
        mock.patch("os.stat", lambda *arguments, **keywords: seen).start()

    def test_fifo(self) -> None:
        """Opening a FIFO does not block, and the second check refuses it."""
        os.mkfifo(self.plan)
        self.assertNotServed("not a regular file")

    def test_symbolicLink(self) -> None:
        """A symbolic link is not followed."""
        self.plan.symlink_to("/etc/passwd")
        self.assertNotServed(os.strerror(errno.ELOOP))

    def test_socket(self) -> None:
        """A socket cannot be opened."""
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.plan))
            self.assertNotServed(os.strerror(errno.ENXIO))

    def test_gone(self) -> None:
        """A file that is removed in between is absent."""
        self.assertEqual((self.read(), self.refusals), ("", []))


class HomeTests(HomeTestCase):
    """The home directory."""

    def test_has(self) -> None:
        """A file of any kind counts, even a broken link."""
        (self.path / ".nofinger").symlink_to("/nowhere/at/all")
        with Home(str(self.path), ME) as home:
            self.assertTrue(home.has(".nofinger"))
            self.assertFalse(home.has(".plan"))

    def test_missing(self) -> None:
        """A missing directory appears empty, without an error."""
        for path in (str(self.path / "nobody"), "", "relative", str(self.path)[1:]):
            with Home(path, ME) as home:
                self.assertFalse(home.has(".nofinger"))
                self.assertEqual((home.read(".plan"), home.refusals), ("", []))

    def test_notSearchable(self) -> None:
        """A directory that this process may not search appears empty, with one refusal."""
        with Home(str(self.path), ME) as home:
            with mock.patch("os.stat", side_effect=PermissionError(errno.EACCES, "no")):
                self.assertFalse(home.has(".nofinger"))
            self.assertEqual(home.read(".plan"), "")
        self.assertEqual(home.refusals, [f"{self.path}: is not searchable, so its files are not seen"])

    def test_notReachable(self) -> None:
        """A directory that this process may not open appears empty, with one refusal."""
        with mock.patch("os.open", side_effect=PermissionError(errno.EACCES, "no")):
            with Home(str(self.path), ME) as home:
                self.assertFalse(home.has(".nofinger"))
            self.assertEqual(home.refusals, [f"{self.path}: no"])

    def test_leased(self) -> None:
        """A plan on which the user holds a lease is not served."""
        self.write("leased")
        leased = BlockingIOError(errno.EAGAIN, "leased")
        with Home(str(self.path), ME) as home, mock.patch("os.open", side_effect=leased):
            self.assertEqual(home.read(".plan"), "")
        self.assertEqual(home.refusals, [f"{self.plan}: leased"])

    def test_broken(self) -> None:
        """An error that leaves the contents unknown is raised, at every step."""
        broken = OSError(errno.EIO, "the disk is dead")
        with mock.patch("os.open", side_effect=broken):
            self.assertRaises(OSError, Home, str(self.path), ME)
        with Home(str(self.path), ME) as home, mock.patch("os.stat", side_effect=broken):
            self.assertRaises(OSError, home.has, ".nofinger")
            self.assertRaises(OSError, home.read, ".plan")

    def test_closed(self) -> None:
        """No file descriptor stays open."""
        self.write("x" * 10)
        before = os.listdir("/proc/self/fd")
        for owner in (ME, STRANGER):
            self.read(owner)
        self.assertEqual(os.listdir("/proc/self/fd"), before)
