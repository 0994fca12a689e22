"""What the harness and the promises talk to a stage with: ports, connections, pages, errors."""

import contextlib
import http.client
import random
import select
import socket
import time
from dataclasses import dataclass

from .world import HOST


class HarnessError(Exception):
    """A stage could not be run."""


class PortTaken(HarnessError):
    """Another program listens on a port that the stage needs."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(f"port {port} ({name}) is taken by another program")
        self.name = name
        self.port = port


class DidNotStart(HarnessError):
    """The stage ended, or did not open its ports in time; the message ends with its log."""


class PromiseBroken(Exception):
    """What was expected and what came instead."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


@dataclass(frozen=True)
class Page:
    """An answer over HTTP."""

    status: int
    headers: http.client.HTTPMessage
    body: str


def taken_port(ports: dict[str, int], offset: int) -> tuple[str, int] | None:
    """The name and number of a port that is not free, if there is one."""
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port + offset))
            except OSError:
                return name, port + offset
    return None


def free_offset(ports: dict[str, int]) -> int:
    """An offset at which all these ports are free, below those the system gives to clients."""
    for _ in range(1000):
        offset = random.randrange(2000, 22000)
        if taken_port(ports, offset) is None:
            return offset
    raise HarnessError("found no free ports")


class Caller:
    """One connection to a stage. A reset counts as a close."""

    def __init__(self, port: int, patience: float, host: str = HOST) -> None:
        self.patience = patience
        self.received = b""
        try:
            self.socket = socket.create_connection((host, port), patience)
        except OSError as error:
            raise PromiseBroken(f"a connection to port {port}", str(error)) from error

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def closed_within(self, seconds: float) -> bool:
        """Read until the stage closes; False if it has not after so many seconds."""
        ends = time.monotonic() + seconds
        while select.select([self.socket], [], [], max(0.0, ends - time.monotonic()))[0]:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return True
            if not data:
                return True
            self.received += data
        return False

    def read(self) -> bytes:
        """All that comes until the stage closes."""
        if not self.closed_within(self.patience):
            raise PromiseBroken(
                "the stage to answer and close",
                f"{self.received!r} and an open connection after {self.patience:g} seconds",
            )
        return self.received
