"""Tests for reading the administrator's files, at the start and in a thread."""

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
    """Reading one file."""

    def setUp(self) -> None:
        """Choose a path."""
        self.path = self.mktemp()

    def refusal(self, mayBePipe: bool = False) -> str | None:
        """Return the reason why the file is refused."""
        error: OSError = self.assertRaises(OSError, readFile, self.path, 3, mayBePipe)
        return error.strerror

    def test_content(self) -> None:
        """A whole file is read, by a path of either type, and through a link."""
        Path(self.path).write_bytes(b"abc")
        os.symlink(os.path.abspath(self.path), f"{self.path}.link")
        for path in (self.path, Path(self.path), f"{self.path}.link"):
            self.assertEqual(readFile(path, 3), b"abc")

    def test_empty(self) -> None:
        """An empty file is read."""
        Path(self.path).touch()
        self.assertEqual(readFile(self.path, mayBePipe=True), b"")

    def test_tooLong(self) -> None:
        """A file that is too long is refused without reading it to its end."""
        with open(self.path, "wb") as file:
            file.truncate(2**40)
        self.assertEqual(self.refusal(), "is longer than 3 bytes")

    def test_missing(self) -> None:
        """The system's error is passed on."""
        self.assertEqual(self.refusal(), "No such file or directory")

    def test_directory(self) -> None:
        """A directory is refused."""
        os.mkdir(self.path)
        self.assertEqual(self.refusal(), "Is a directory")

    def test_fifo(self) -> None:
        """A FIFO is refused without waiting for a writer."""
        makeFIFO(self, self.path)
        self.assertEqual(self.refusal(), "is not a regular file")

    def test_device(self) -> None:
        """A device is refused, even where a pipe is allowed."""
        self.path = "/dev/zero"
        self.assertEqual(self.refusal(), "is not a regular file")
        self.assertEqual(self.refusal(mayBePipe=True), "is not a regular file")

    def test_socket(self) -> None:
        """A socket is refused."""
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.path)
            self.assertEqual(self.refusal(), "No such device or address")

    def test_pipe(self) -> None:
        """A pipe, where it is allowed, is read until its writer closes it."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        with subprocess.Popen(["printf", "abc"], stdout=writer):
            os.close(writer)
            self.assertEqual(readFile(f"/dev/fd/{reader}", 3, mayBePipe=True), b"abc")

    def test_pipeRefused(self) -> None:
        """A pipe is refused where it is not allowed, or if it is too long or empty."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.path = f"/dev/fd/{reader}"
        self.assertEqual(self.refusal(), "is not a regular file")
        os.write(writer, b"abcd")
        os.close(writer)
        self.assertEqual(self.refusal(mayBePipe=True), "is longer than 3 bytes")
        self.assertEqual(self.refusal(mayBePipe=True), "is a pipe without content")

    def test_fifoWithoutWriter(self) -> None:
        """A FIFO without a writer is refused without waiting, even where a pipe is allowed."""
        makeFIFO(self, self.path)
        self.assertEqual(self.refusal(mayBePipe=True), "is a pipe without content")

    def test_open(self) -> None:
        """An open file is not inherited by other programs, and is closed at the end."""
        Path(self.path).write_bytes(b"abc")
        with openFile(self.path) as file:
            self.assertFalse(os.get_inheritable(file.fileno()))
            self.assertEqual(readBytes(file.fileno(), 2), b"ab")
        self.assertTrue(file.closed)


class ThreadedReaderTests(SynchronousTestCase):
    """Reading while a server runs."""

    def setUp(self) -> None:
        """Make a reader and a reactor with threads."""
        self.reactor = LateReactor()
        self.calls = 0
        self.reader = ThreadedReader(self.reactor, self.read)

    def read(self) -> int:
        """Count the calls, and return their number."""
        self.calls += 1
        return self.calls

    def test_thread(self) -> None:
        """The function runs in a thread, so the caller does not block."""
        reading = self.reader()
        self.assertEqual(self.calls, 0)
        self.assertNoResult(reading)
        self.reactor.runThreads()
        self.assertEqual(self.successResultOf(reading), 1)

    def test_oneThread(self) -> None:
        """Calls run one at a time, in one thread; each result is of a call that started after its request."""
        readings = [self.reader() for _ in range(3)]
        self.assertEqual(self.reactor.runThreads(), 1)
        self.assertEqual([self.successResultOf(reading) for reading in readings], [1, 2, 3])

    def test_cancelled(self) -> None:
        """Cancelling a call does not start another while the thread is busy."""
        cancelled, waiting, last = (self.reader() for _ in range(3))
        cancelled.cancel()
        waiting.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(len(self.reactor.work), 1)
        self.assertEqual(self.reactor.runThreads(), 1)
        self.assertEqual(self.successResultOf(last), 2)

    def test_failure(self) -> None:
        """An error is passed on, and later calls still run."""
        for reactor in (ThreadlessReactor(), None):
            reader = ThreadedReader(reactor, lambda: readFile("/nowhere"))
            for _ in range(2):
                self.failureResultOf(reader(), FileNotFoundError)

    def test_noThread(self) -> None:
        """Without a reactor, the function is called at once."""
        self.assertEqual(self.successResultOf(ThreadedReader(None, self.read)()), 1)
