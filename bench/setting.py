"""What a run needs everywhere: where programs and files are, the network, the processors, and how thorough it is."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.loads import Loader
from bench.network import Network
from bench.processes import Process

ROOT: Final = Path(__file__).resolve().parents[1]

HERE: Final = ROOT / "bench"

BUILT: Final = ROOT / "build" / "bench"
"""Where make puts the programs in C, and where results go."""

PEERS_PYTHON: Final = HERE / ".venv" / "bin" / "python"
"""The interpreter of the environment of other servers."""

STATUS: Final = "Happy and well"
"""In the status of each user."""


@dataclass(frozen=True)
class Effort:
    """
    How thorough a run is.

    @ivar turns: how often each server is measured, in turn with the others.
    @ivar requests: the requests of one measurement from many clients; from one client, a third of that.
    @ivar clients: the numbers of clients of finger's measurements.
    @ivar users: the users of the server, for random queries.
    @ivar lists: the numbers of users in measurements of lists.
    @ivar growth: the numbers of users to which it grows.
    @ivar idle: the numbers of idle connections.
    @ivar starts: the number of starts for each of C{growth}.
    """

    turns: int
    requests: int
    clients: tuple[int, ...]
    users: int
    lists: tuple[int, ...]
    growth: tuple[int, ...]
    idle: tuple[int, ...]
    starts: int

    @property
    def someClients(self) -> int:
        """The number of clients where it is not what matters: 50, if any measurement has as many."""
        return min(50, max(self.clients))


EFFORTS: Final = {
    "full": Effort(
        turns=5,
        requests=4000,
        clients=(1, 50, 500),
        users=100_000,
        lists=(1_000, 100_000),
        growth=(10, 1_000, 100_000, 1_000_000),
        idle=(100, 1_000, 10_000),
        starts=3,
    ),
    "quick": Effort(
        turns=3,
        requests=1500,
        clients=(1, 50, 500),
        users=100_000,
        lists=(1_000, 100_000),
        growth=(10, 1_000, 100_000),
        idle=(100, 1_000),
        starts=1,
    ),
    "smoke": Effort(
        turns=1, requests=20, clients=(1, 5), users=20, lists=(10, 20), growth=(10, 20), idle=(5, 10), starts=1
    ),
}


@dataclass(frozen=True)
class Setting:
    """
    What a run needs.

    @ivar network: the addresses.
    @ivar effort: how thorough it is.
    @ivar checkout: the checkout of the server to measure, with its environment in C{.venv}.
    @ivar processor: the number of the servers' processor.
    @ivar loader: sends requests.
    @ivar directory: for files.
    @ivar peersPython: the interpreter for other servers in Python.
    """

    network: Network
    effort: Effort
    checkout: Path
    processor: int
    loader: Loader
    directory: Path
    peersPython: Path

    def usersFile(self, count: int) -> Path:
        """Return a users file with C{user0} and so on."""
        path = self.directory / f"users-{count}"
        if not path.exists():
            path.write_text("".join(f"user{number}: {STATUS}, number {number}\n" for number in range(count)))
            path.chmod(0o644)
        return path

    def freePort(self) -> int:
        """Return a port that is free now, for a server that cannot choose one."""
        with socket.socket() as probe:
            probe.bind((self.network.ipv4, 0))
            port: int = probe.getsockname()[1]
            return port


class Running:
    """
    The servers that run.  They all end with the C{with} statement.

    @param setting: what they need.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._stack = ExitStack()

    def start(self, command: list[str], ready: str = "", environment: dict[str, str] = {}) -> Process:
        """Start a server; see L{Process}."""
        return self._stack.enter_context(Process(command, ready, self.setting.processor, environment))

    def keep(self, held: socket.socket) -> None:
        """Keep a socket open until the end."""
        self._stack.enter_context(held)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()


def ownPython(checkout: Path) -> Path:
    """Return the interpreter of a checkout's environment; without one, the interpreter that runs this."""
    python = checkout / ".venv" / "bin" / "python"
    return python if python.exists() else Path(sys.executable)
