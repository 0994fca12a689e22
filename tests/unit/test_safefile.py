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

    def test_encodings(self) -> None:
        """The encoding is that of the byte order mark; without one, UTF-8 if the text is valid, otherwise Latin-1."""
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
            self.write("Caf\xe9 ☕\n".encode(encoding))
            self.assertEqual(self.read(), "Caf\xe9 ☕", encoding)
        for mark, encoding in (("\ufeff", "utf-16-be"), ("\ufeff", "utf-32-be"), ("", "latin-1")):
            self.write(f"{mark}Caf\xe9\n".encode(encoding))
            self.assertEqual(self.read(), "Caf\xe9", encoding)

    def test_invalid(self) -> None:
        """
        What is invalid in the encoding of the mark is replaced; control characters are kept, since the wire format
        removes them.
        """
        self.write(b"\xff\xfea\0\x00\xd8b\0x")
        self.assertEqual(self.read(), "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}")
        self.write(b"caf\xe9 \x1b[31m")
        self.assertEqual(self.read(), "caf\xe9 \x1b[31m")

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


class LinkTests(HomeTestCase):
    """Symbolic links."""

    def setUp(self) -> None:
        """Make a directory for dot files, and a link to the plan there."""
        super().setUp()
        self.target = self.path / "dotfiles" / "plan"
        self.target.parent.mkdir()
        self.target.write_text("from the dot files\n")
        self.plan.symlink_to("dotfiles/plan")

    def test_own(self) -> None:
        """A link to a regular file of the same user is followed, directly or through other links."""
        self.assertEqual((self.read(), self.refusals), ("from the dot files", []))
        (self.path / "other").symlink_to(self.target)
        self.plan.unlink()
        self.plan.symlink_to("other")
        self.assertEqual((self.read(), self.refusals), ("from the dot files", []))

    def test_elsewhere(self) -> None:
        """The file may be outside of the home directory, unless it is root's."""
        elsewhere = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, elsewhere)
        self.target.rename(elsewhere / "plan")
        self.plan.unlink()
        self.plan.symlink_to(elsewhere / "plan")
        if ME == 0:
            self.assertNotServed("is a symbolic link")
            for path in (self.plan, elsewhere / "plan"):
                os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
            self.assertEqual(self.read(STRANGER), "from the dot files")
        else:
            self.assertEqual(self.read(), "from the dot files")

    def test_private(self) -> None:
        """A file that other users may not read, or that has other names, is not served through a link either."""
        self.target.chmod(0o600)
        self.assertNotServed("is a symbolic link to a file that is not readable by other users")
        self.target.chmod(0o644)
        os.link(self.target, self.path / "hard")
        self.assertNotServed("is a symbolic link to a file that has other names")

    def test_notFollowed(self) -> None:
        """A broken link, a link that leads to itself, and a link to something else than a file are not served."""
        for target, why in {
            "nowhere": "No such file",
            ".plan": "Too many levels",
            "dotfiles": "is a symbolic link",
        }.items():
            self.plan.unlink()
            self.plan.symlink_to(target)
            self.assertNotServed(why)

    def test_fifo(self) -> None:
        """A FIFO is not opened through a link: its writer would not wait any longer."""
        self.target.unlink()
        os.mkfifo(self.target)
        with mock.patch("finger.backends.safefile.READ_FLAGS", None):
            self.assertNotServed("is a symbolic link")

    def test_race(self) -> None:
        """If the link is changed after the check, the file that was checked is read."""
        opened = os.open

        def changing(path: str, *arguments: int, **options: int) -> int:
            file = opened(path, *arguments, **options)
            if path == ".plan":
                self.plan.unlink()
                self.plan.symlink_to("/etc/hostname")
            return file

        with mock.patch("os.open", changing):
            self.assertEqual(self.read(), "from the dot files")

    def test_broken(self) -> None:
        """An error that leaves the target unknown is raised."""
        opened = os.open

        def breaking(path: str, *arguments: int, **options: int) -> int:
            if path == ".plan":
                raise OSError(errno.EIO, "the disk is dead")
            return opened(path, *arguments, **options)

        with mock.patch("os.open", breaking):
            self.assertRaises(OSError, self.read)

    def test_withoutPaths(self) -> None:
        """A system that cannot find a file without opening it follows no links."""
        with mock.patch("finger.backends.safefile._FIND", 0):
            self.assertNotServed("is a symbolic link")


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

    def test_cutOtherEncodings(self) -> None:
        """A plan in another encoding is cut after a line, and not within a character, too."""
        self.write("one\ntwo\n\u010ahree\n".encode("utf-16"))
        self.assertEqual(self.read(limit=19).partition("\n[The rest")[0], "one\ntwo")
        self.write("12345678".encode("utf-16"))
        self.assertEqual(self.read(limit=9).partition("\n[The rest")[0], "123")
        self.write(b"caf\xe9\n\xe9\xe9")
        self.assertEqual(self.read(limit=6).partition("\n[The rest")[0], "caf\xe9")

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
