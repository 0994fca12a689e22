"""Tests for L{finger.backends.safefile}: everything a user can put where a plan is looked for."""

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
        """Make one; its path is short, since that of a socket has to be."""
        self.path = Path(tempfile.mkdtemp(prefix="finger-home-"))
        self.addCleanup(shutil.rmtree, self.path)
        self.plan = self.path / ".plan"

    def write(self, content: bytes | str, mode: int = 0o644) -> None:
        """Write a plan."""
        self.plan.write_bytes(content.encode() if isinstance(content, str) else content)
        self.plan.chmod(mode)

    def read(self, owner: int = ME, limit: int = MAX_BYTES) -> str:
        """Read the plan, noting what is said to the administrator."""
        with Home(str(self.path), owner) as home:
            text = home.read(".plan", limit)
        self.refusals = home.refusals
        return text

    def assertNotServed(self, why: str, owner: int = ME) -> None:
        """It is as if there were no plan, and the administrator learns why."""
        self.assertEqual(self.read(owner), "")
        [refusal] = self.refusals
        self.assertTrue(refusal.startswith(f"{self.plan}: "), refusal)
        self.assertIn(why, refusal)


class ServedTests(HomeTestCase):
    """What is told."""

    def test_plan(self) -> None:
        """A plan is told without the line ends at its end, and nobody hears of refusals."""
        self.write("to write\n  more tests\n\n")
        self.assertEqual(self.read(), "to write\n  more tests")
        self.assertEqual(self.refusals, [])

    def test_blank(self) -> None:
        """A plan of white space is no plan."""
        self.write("\n \n")
        self.assertEqual(self.read(), "")

    def test_absent(self) -> None:
        """No plan is nothing to tell the administrator of."""
        self.assertEqual((self.read(), self.refusals), ("", []))

    def test_notUTF8(self) -> None:
        """What is not UTF-8 is replaced; control characters are the wire's business."""
        self.write(b"caf\xe9 \xc3\xa9 \x1b[31m")
        self.assertEqual(self.read(), "caf\N{REPLACEMENT CHARACTER} \xe9 \x1b[31m")

    def test_directoryIsNotReadable(self) -> None:
        """A directory need not be readable, only searchable."""
        self.write("here")
        self.path.chmod(0o311)
        self.addCleanup(self.path.chmod, 0o755)
        self.assertEqual(self.read(), "here")

    def test_linkedHome(self) -> None:
        """The way to the home directory is the administrator's, and may lead over links."""
        self.write("here")
        link = self.path / "link"
        link.symlink_to(self.path)
        with Home(str(link), ME) as home:
            self.assertEqual(home.read(".plan"), "here")


class LimitTests(HomeTestCase):
    """How much is told."""

    def test_whole(self) -> None:
        """A plan just as long as the limit is whole."""
        self.write("12345678")
        self.assertEqual(self.read(limit=8), "12345678")

    def test_cutAtLine(self) -> None:
        """A longer one is cut after a line, and says so."""
        self.write("one\ntwo\nthree\n")
        self.assertEqual(self.read(limit=10), "one\ntwo\n[The rest is left out: this is longer than 10 bytes.]")

    def test_cutInLine(self) -> None:
        """One long line is cut where the limit is, but not within a character."""
        self.write("\n12345\xe9xyz")
        self.assertEqual(self.read(limit=7).partition("\n[The rest")[0], "\n12345")

    def test_sparse(self) -> None:
        """Of ten gigabytes of nothing, the first bytes are read, and no more."""
        self.write("huge\n")
        os.truncate(self.plan, 10 << 30)
        with mock.patch("os.read", side_effect=os.read) as reading:
            self.assertTrue(self.read().startswith("huge"))
        self.assertEqual(sum(call.args[1] for call in reading.call_args_list), MAX_BYTES + 1)

    def test_growing(self) -> None:
        """A file that grows as fast as it is read comes to an end, as does one that is read in small pieces."""
        self.write("")
        with mock.patch("os.read", lambda file, count: b"x\n"):
            self.assertTrue(
                self.read(limit=1000).endswith("x\n[The rest is left out: this is longer than 1000 bytes.]")
            )


class NotServedTests(HomeTestCase):
    """What is not told, though it is there."""

    def test_symbolicLink(self) -> None:
        """A symbolic link, even to a file of the user's own."""
        target = self.path / "target"
        target.write_text("secret")
        self.plan.symlink_to(target)
        self.assertNotServed("symbolic link")

    def test_hardLink(self) -> None:
        """A file that has another name."""
        self.write("secret")
        os.link(self.plan, self.path / "other")
        self.assertNotServed("hard link")

    def test_foreign(self) -> None:
        """A file that belongs to somebody else."""
        self.write("secret")
        self.assertNotServed(f"belongs to uid {ME}", owner=STRANGER)

    def test_private(self) -> None:
        """A file that other users may not read, even if we may."""
        self.write("secret", mode=0o640)
        self.assertNotServed("may not be read by other users")

    def test_fifo(self) -> None:
        """A FIFO, which would block who opens it."""
        os.mkfifo(self.plan)
        self.assertNotServed("not a regular file")

    def test_directory(self) -> None:
        """A directory."""
        self.plan.mkdir()
        self.assertNotServed("not a regular file")

    def test_socket(self) -> None:
        """A socket."""
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.plan))
            self.assertNotServed("not a regular file")

    def test_device(self) -> None:
        """A device, which would never end, is not even opened."""
        with mock.patch("finger.backends.safefile._READ", None), Home("/dev", os.stat("/dev/zero").st_uid) as home:
            self.assertEqual(home.read("zero"), "")
        self.assertEqual(home.refusals, ["/dev/zero: is not a regular file"])

    def test_linkToDevice(self) -> None:
        """A link to a device."""
        self.plan.symlink_to("/dev/zero")
        self.assertNotServed("symbolic link")

    def test_directoryInsteadOfHome(self) -> None:
        """Where the home directory should be, there is a file."""
        self.write("secret")
        with Home(str(self.plan), ME) as home:
            self.assertEqual(home.read(".plan"), "")


class RaceTests(HomeTestCase):
    """A user exchanges the file between our looking at it and our opening it."""

    def setUp(self) -> None:
        """What we see at first is fine."""
        super().setUp()
        self.write("fine")
        seen = self.plan.stat()
        self.plan.unlink()
        self.addCleanup(mock.patch.stopall)
        mock.patch("os.stat", lambda *arguments, **keywords: seen).start()

    def test_fifo(self) -> None:
        """To open a FIFO does not block, and it is found out."""
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
        """The file is gone."""
        self.assertEqual((self.read(), self.refusals), ("", []))


class HomeTests(HomeTestCase):
    """The directory itself."""

    def test_has(self) -> None:
        """Anything of the name counts, a dangling link, too."""
        (self.path / ".nofinger").symlink_to("/nowhere/at/all")
        with Home(str(self.path), ME) as home:
            self.assertTrue(home.has(".nofinger"))
            self.assertFalse(home.has(".plan"))

    def test_missing(self) -> None:
        """Without a directory there is nothing, and that is no error."""
        for path in (str(self.path / "nobody"), "", "relative", str(self.path)[1:]):
            with Home(path, ME) as home:
                self.assertFalse(home.has(".nofinger"))
                self.assertEqual((home.read(".plan"), home.refusals), ("", []))

    def test_notSearchable(self) -> None:
        """In a directory that we may not search there is nothing, and the administrator learns it once."""
        with Home(str(self.path), ME) as home:
            with mock.patch("os.stat", side_effect=PermissionError(errno.EACCES, "no")):
                self.assertFalse(home.has(".nofinger"))
            self.assertEqual(home.read(".plan"), "")
        self.assertEqual(home.refusals, [f"{self.path}: may not be searched, so nothing in it is seen"])

    def test_notReachable(self) -> None:
        """A directory that we may not even open is the same."""
        with mock.patch("os.open", side_effect=PermissionError(errno.EACCES, "no")):
            with Home(str(self.path), ME) as home:
                self.assertFalse(home.has(".nofinger"))
            self.assertEqual(home.refusals, [f"{self.path}: no"])

    def test_leased(self) -> None:
        """A user who holds a lease on the plan has none."""
        self.write("leased")
        leased = BlockingIOError(errno.EAGAIN, "leased")
        with Home(str(self.path), ME) as home, mock.patch("os.open", side_effect=leased):
            self.assertEqual(home.read(".plan"), "")
        self.assertEqual(home.refusals, [f"{self.plan}: leased"])

    def test_broken(self) -> None:
        """An error that leaves open what is there is an error, at every step."""
        broken = OSError(errno.EIO, "the disk is dead")
        with mock.patch("os.open", side_effect=broken):
            self.assertRaises(OSError, Home, str(self.path), ME)
        with Home(str(self.path), ME) as home, mock.patch("os.stat", side_effect=broken):
            self.assertRaises(OSError, home.has, ".nofinger")
            self.assertRaises(OSError, home.read, ".plan")

    def test_closed(self) -> None:
        """Nothing stays open."""
        self.write("x" * 10)
        before = os.listdir("/proc/self/fd")
        for owner in (ME, STRANGER):
            self.read(owner)
        self.assertEqual(os.listdir("/proc/self/fd"), before)
