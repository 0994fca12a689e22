"""What is measured of growth: idle connections, and users."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Final

from bench.loads import Load, Sample
from bench.measure import Bench
from bench.processes import DEADLINE, POLL, NotMeasured, Process
from bench.servers import Server, Start, finger, python
from bench.setting import STATUS, Running, Setting

RESERVED: Final = 700
"""File descriptors that a process needs besides those of idle connections: 500 clients, and files."""

WIDTH: Final = 250
"""The addresses of the sources that end in the same byte but one."""

IDLE: Final[dict[str, tuple[Start, str, bytes, str]]] = {
    "finger": (
        finger(10, "--max-connections=10500", "--query-timeout=600", ports=("fingerport",)),
        "fingerport",
        b"user7\r\n",
        STATUS,
    ),
    "linereceiver": (python("finger_linereceiver"), "", b"user0\r\n", "Alice"),
    "asyncio": (python("finger_asyncio"), "", b"user0\r\n", "Alice"),
}
"""The servers that are measured with idle connections, with their port, and a query and its answer."""


def measureIdle(bench: Bench) -> None:
    """Measure the memory of idle connections, and queries besides them."""
    for name, (start, port, request, expected) in IDLE.items():
        steps = [step for step in bench.setting.effort.idle if bench.wants(f"idle/{name}/{step}")]
        if steps:
            with Running(bench.setting) as running:
                server = bench.attempt(f"idle/{name}/{steps[0]}", partial(start, running))
                if server is not None:
                    load = fewClients(bench.setting, server.ports[port], request, expected)
                    _openMoreAndMore(bench, f"idle/{name}", server.process, load, steps)


def _openMoreAndMore(bench: Bench, name: str, process: Process, load: Load, steps: list[int]) -> None:
    _repeat(bench.setting, process, load, turns=1)
    before = process.residentBytes()
    with ExitStack() as stack:
        held = 0
        for step in steps:
            if bench.attempt(f"{name}/{step}", partial(_checkDescriptors, step)) is None:
                return
            for number in range(held, step):
                stack.enter_context(_idleConnection(load, number))
            held = step
            _waitForDescriptors(process, step)
            grown = (process.residentBytes() - before) / step
            bench.note(f"{name}/{step}", bytes=grown, microseconds=_repeat(bench.setting, process, load))


def _checkDescriptors(count: int) -> bool:
    """Raise the limit of descriptors, for this process and those it starts."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and count + RESERVED > most:
        raise NotMeasured(f"the limit of file descriptors is {most}: raise it by 'ulimit -Hn'")
    return True


def _idleConnection(load: Load, number: int) -> socket.socket:
    source = number % load.sources if load.sources else 0
    prefix = load.address.rpartition(".")[0].rpartition(".")[0]
    address = (f"{prefix}.{1 + source // WIDTH}.{1 + source % WIDTH}", 0) if load.sources else None
    return socket.create_connection((load.address, load.port), DEADLINE, address)


def _waitForDescriptors(process: Process, count: int) -> None:
    """Wait until a process has accepted connections."""
    deadline = time.monotonic() + DEADLINE
    while len(os.listdir(f"/proc/{process.pid}/fd")) < count:
        if time.monotonic() > deadline:
            raise NotMeasured("the connections were not accepted")
        time.sleep(POLL)


def measureGrowth(bench: Bench) -> None:
    """Measure the start, the memory and queries, by the number of users."""
    for users in bench.setting.effort.growth:
        name = f"growth/{users}"
        if bench.wants(name):
            figures = bench.attempt(name, partial(_startAndQuery, bench.setting, users))
            if figures is not None:
                bench.note(name, **figures)


def _startAndQuery(setting: Setting, users: int) -> dict[str, float]:
    setting.usersFile(users)
    seconds, cpu, start = [], [], finger(users)
    for last in _endingWithTrue(setting.effort.starts):
        with Running(setting) as running:
            server = start(running)
            seconds.append(server.process.readySeconds)
            cpu.append(server.process.cpuSeconds())
            if last:
                query = _repeat(setting, server.process, _randomUsers(setting, server, users))
                resident = server.process.residentBytes()
    return {"seconds": median(seconds), "cpuSeconds": median(cpu), "bytes": resident, "microseconds": query}


def _endingWithTrue(count: int) -> Iterator[bool]:
    yield from [False] * (count - 1)
    yield True


def _randomUsers(setting: Setting, server: Server, users: int) -> Load:
    return fewClients(setting, server.ports["fingerport"], b"user%\r\n", STATUS, users)


def fewClients(setting: Setting, port: int, request: bytes, expected: str, users: int = 0) -> Load:
    """Return a load over IPv4; see L{Load}."""
    return Load(
        address=setting.network.ipv4,
        port=port,
        request=request,
        expected=expected,
        clients=setting.effort.someClients,
        requests=setting.effort.requests,
        users=users,
        sources=setting.network.sources,
    )


def _repeat(setting: Setting, process: Process, load: Load, turns: int = 0) -> float:
    """Return the median CPU time for a request, in microseconds."""
    samples: list[Sample] = [setting.loader.run(process, load) for _ in range(turns or setting.effort.turns)]
    return median(sample.microseconds for sample in samples)
