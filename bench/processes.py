"""Servers as processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from bench.machine import cpuSeconds, residentBytes

DEADLINE: Final = 120.0
"""Seconds in which a server must be ready, and end."""

POLL: Final = 0.005
"""Seconds between looks at the log of a server that starts."""


class NotMeasured(Exception):
    """Something cannot be measured; the message is the reason, and what would help."""


class Process:
    """
    A server as a process, on a processor of its own.  It ends with the C{with} statement.

    @ivar pid: its process ID.
    @ivar readySeconds: the time from its start until it was ready.
    @param command: the program and its arguments.
    @param ready: a pattern of the line in its output by which it says that it is ready.
    @param processor: the number of the processor.
    @param environment: further environment variables.
    """

    def __init__(
        self, command: Sequence[str], ready: str, processor: int, environment: Mapping[str, str] = {}
    ) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  It is open as long as the process runs.
        started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            env={**os.environ, **environment},
        )
        self.pid = self._process.pid
        os.sched_setaffinity(self.pid, {processor})
        self._waitFor(re.compile(ready, re.MULTILINE))
        self.readySeconds = time.monotonic() - started

    def _waitFor(self, ready: re.Pattern[str]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not ready.search(self.output):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NotMeasured(f"the server did not start: {self.output.strip().rpartition(chr(10))[2]}")
            time.sleep(POLL)

    @property
    def output(self) -> str:
        """What it has printed."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode("utf-8", "replace")

    def cpuSeconds(self) -> float:
        """Return the CPU time that it has used; see L{bench.machine.cpuSeconds}."""
        return cpuSeconds(self.pid)

    def residentBytes(self) -> int:
        """Return its resident memory."""
        return residentBytes(self.pid)

    def stop(self) -> None:
        """End it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(number)
                try:
                    self._process.wait(DEADLINE / 4)
                except subprocess.TimeoutExpired:
                    continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.stop()
        self._output.close()


def need(path: Path, hint: str) -> Path:
    """
    Return a path.

    @param hint: what to run if it does not exist.
    @raise NotMeasured: if it does not exist.
    """
    if not path.exists():
        raise NotMeasured(hint)
    return path
