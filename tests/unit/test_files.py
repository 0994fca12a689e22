"""Reading the administrator's files, at the start and in a thread."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from finger.config.files import openFile, readBytes, readFile
from finger.config.threads import ThreadedReader
from finger.testing import ThreadlessReactor
from tests.support.files import LateReactor, makeFIFO


class ReadFileTests(SynchronousTestCase):
    """One file."""

    def setUp(self) -> None:
        """A place for it."""
        self.path = self.mktemp()

    def refusal(self, mayBePipe: bool = False) -> str | None:
        """Why it is not read."""
        error: OSError = self.assertRaises(OSError, readFile, self.path, 3, mayBePipe)
        return error.strerror

    def test_content(self) -> None:
        """A file is read whole, by its path as a text or not, and through a link."""
        Path(self.path).write_bytes(b"abc")
        os.symlink(os.path.abspath(self.path), f"{self.path}.link")
        for path in (self.path, Path(self.path), f"{self.path}.link"):
            self.assertEqual(readFile(path, 3), b"abc")

    def test_empty(self) -> None:
        """An empty file is one, too."""
        Path(self.path).touch()
        self.assertEqual(readFile(self.path, mayBePipe=True), b"")

    def test_tooLong(self) -> None:
        """A file that is too long is refused, and not read to its end."""
        with open(self.path, "wb") as file:
            file.truncate(2**40)
        self.assertEqual(self.refusal(), "is longer than 3 bytes")

    def test_missing(self) -> None:
        """What the system says is passed on."""
        self.assertEqual(self.refusal(), "No such file or directory")

    def test_directory(self) -> None:
        """A directory is no file."""
        os.mkdir(self.path)
        self.assertEqual(self.refusal(), "Is a directory")

    def test_fifo(self) -> None:
        """A FIFO is refused, and its writer is not waited for."""
        makeFIFO(self, self.path)
        self.assertEqual(self.refusal(), "is not a regular file")

    def test_device(self) -> None:
        """So is a device, for which a pipe would do, too."""
        self.path = "/dev/zero"
        self.assertEqual(self.refusal(), "is not a regular file")
        self.assertEqual(self.refusal(mayBePipe=True), "is not a regular file")

    def test_socket(self) -> None:
        """A socket cannot be opened."""
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.path)
            self.assertEqual(self.refusal(), "No such device or address")

    def test_pipe(self) -> None:
        """A pipe, where one is allowed, is read to its end, however late that is written."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        with subprocess.Popen(["printf", "abc"], stdout=writer):
            os.close(writer)
            self.assertEqual(readFile(f"/dev/fd/{reader}", 3, mayBePipe=True), b"abc")

    def test_pipeRefused(self) -> None:
        """Elsewhere it is refused; so is one that is too long, and one that holds nothing."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.path = f"/dev/fd/{reader}"
        self.assertEqual(self.refusal(), "is not a regular file")
        os.write(writer, b"abcd")
        os.close(writer)
        self.assertEqual(self.refusal(mayBePipe=True), "is longer than 3 bytes")
        self.assertEqual(self.refusal(mayBePipe=True), "is a pipe without content")

    def test_fifoWithoutWriter(self) -> None:
        """Where a pipe is allowed, one that has no writer is not waited for either."""
        makeFIFO(self, self.path)
        self.assertEqual(self.refusal(mayBePipe=True), "is a pipe without content")

    def test_open(self) -> None:
        """A file that is opened is not inherited by other programs, and is closed at the end."""
        Path(self.path).write_bytes(b"abc")
        with openFile(self.path) as file:
            self.assertFalse(os.get_inheritable(file.fileno()))
            self.assertEqual(readBytes(file.fileno(), 2), b"ab")
        self.assertTrue(file.closed)


class ThreadedReaderTests(SynchronousTestCase):
    """Reading while a server runs."""

    def setUp(self) -> None:
        """A function, and threads."""
        self.reactor = LateReactor()
        self.calls = 0
        self.reader = ThreadedReader(self.reactor, self.read)

    def read(self) -> int:
        """Count the calls."""
        self.calls += 1
        return self.calls

    def test_thread(self) -> None:
        """It is called in a thread, so whoever asks does not wait for it."""
        reading = self.reader()
        self.assertEqual(self.calls, 0)
        self.assertNoResult(reading)
        self.reactor.runThreads()
        self.assertEqual(self.successResultOf(reading), 1)

    def test_oneThread(self) -> None:
        """However many ask, there is one thread; each gets a reading that began after it had asked."""
        readings = [self.reader() for _ in range(3)]
        self.assertEqual(self.reactor.runThreads(), 1)
        self.assertEqual([self.successResultOf(reading) for reading in readings], [1, 2, 3])

    def test_cancelled(self) -> None:
        """To cancel a reading does not begin another while the thread is busy."""
        cancelled, waiting, last = (self.reader() for _ in range(3))
        cancelled.cancel()
        waiting.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(len(self.reactor.work), 1)
        self.assertEqual(self.reactor.runThreads(), 1)
        self.assertEqual(self.successResultOf(last), 2)

    def test_failure(self) -> None:
        """An error is passed on, and others are read after it."""
        for reactor in (ThreadlessReactor(), None):
            reader = ThreadedReader(reactor, lambda: readFile("/nowhere"))
            for _ in range(2):
                self.failureResultOf(reader(), FileNotFoundError)

    def test_noThread(self) -> None:
        """Without a reactor it is called at once."""
        self.assertEqual(self.successResultOf(ThreadedReader(None, self.read)()), 1)
