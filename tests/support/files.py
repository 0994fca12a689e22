"""FIFOs in place of files, and a reactor whose threads a test runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from twisted.trial.unittest import SynchronousTestCase, TestCase

from finger.testing import ThreadlessReactor

SECONDS = 20
"""The time after which a test that waits for a FIFO's writer fails, in seconds."""


def makeFIFO(test: SynchronousTestCase | TestCase, path: str | Path) -> str:
    """
    Put a FIFO without a writer at a path, replacing any file there.  A test that waits for the writer fails.

    @return: the path.
    """
    Path(path).unlink(missing_ok=True)
    os.mkfifo(path)
    test.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, _hang))
    signal.alarm(SECONDS)
    test.addCleanup(signal.alarm, 0)
    return str(path)


def _hang(number: int, frame: FrameType | None) -> NoReturn:
    raise AssertionError("the test waits for the writer of a FIFO")


class LateReactor(ThreadlessReactor):
    """
    A reactor whose threads start when the test runs them.

    @ivar work: the waiting functions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.work: list[Callable[[], None]] = []

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], None], work: Callable[..., Any], *arguments: Any, **options: Any
    ) -> None:
        """See L{ThreadlessReactor.callInThreadWithCallback}."""
        run = super().callInThreadWithCallback
        self.work.append(lambda: run(onResult, work, *arguments, **options))

    def runThreads(self) -> int:
        """
        Run all waiting functions and those that they add.

        @return: the maximum number of functions that were waiting at once.
        """
        most = 0
        while self.work:
            most = max(most, len(self.work))
            self.work.pop(0)()
        return most
