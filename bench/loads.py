"""What sends requests, and how long servers worked for them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import NotMeasured, Process, need

COMPILER: Final = "no compiler: run 'sudo apt install gcc libc6-dev', and 'make bench' again"


@dataclass(frozen=True)
class Load:
    """
    Requests.

    @ivar address: the server's address.
    @ivar port: the server's port.
    @ivar request: the bytes of a request.
    @ivar expected: a text that is in every answer.
    @ivar clients: the number of clients, each with one request at a time.
    @ivar requests: the number of requests.
    @ivar users: if not 0, a C{%} in the request is a random number below it.
    @ivar sources: the number of addresses to connect from; 0 for one.
    @ivar isHTTP: whether they are HTTP requests, on connections that stay open.
    """

    address: str
    port: int
    request: bytes
    expected: str
    clients: int = 1
    requests: int = 1000
    users: int = 0
    sources: int = 0
    isHTTP: bool = False

    def arguments(self) -> list[str]:
        """Return the arguments for C{load}."""
        options = {"c": self.clients, "n": self.requests, "u": self.users, "s": self.sources, "e": self.expected}
        flags = [f"-{letter}{value}" for letter, value in options.items()]
        return [*flags, *(["-k"] if self.isHTTP else []), self.address, str(self.port)]


@dataclass(frozen=True)
class Sample:
    """
    One turn's measurement.

    @ivar microseconds: the server's CPU time for a request.
    @ivar slowest: the time until the slowest answer, in milliseconds.
    @ivar perSecond: the answers a second.
    """

    microseconds: float
    slowest: float
    perSecond: float


class Loader:
    """
    Sends requests by a process on a processor of its own.

    @param program: the load generator, with options that come first.
    @param processor: the number of the processor.
    """

    def __init__(self, program: Path, processor: int) -> None:
        self._program = program
        self._processor = processor

    def run(self, server: Process, load: Load) -> Sample:
        """
        Send requests.

        @raise NotMeasured: if the load generator does not exist, or not all requests were answered.
        """
        return self.measure(server, [str(need(self._program, COMPILER)), *load.arguments()], load.request)

    def measure(self, server: Process, command: Sequence[str], request: bytes = b"") -> Sample:
        """
        Run a load generator, which prints a report in JSON.

        @param command: the program and its arguments.
        @param request: its standard input.
        """
        before = server.cpuSeconds()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            os.sched_setaffinity(process.pid, {self._processor})
            output, errors = process.communicate(request)
        used = server.cpuSeconds() - before
        if process.returncode != 0:
            raise NotMeasured(f"requests failed: {(errors + output).decode('utf-8', 'replace').strip()}")
        return parse(output, used)


def parse(output: bytes, used: float) -> Sample:
    """
    Read a load generator's report.

    @param output: the report.
    @param used: the server's CPU time, in seconds.
    """
    report = json.loads(output)
    return Sample(
        microseconds=used * 1e6 / report["done"],
        slowest=report["slowest"],
        perSecond=report["done"] / max(report["seconds"], 1e-9),
    )
