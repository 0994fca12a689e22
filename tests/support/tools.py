"""Tools for tests: programs of the system, and a server as a process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from unittest import SkipTest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60.0
"""The time limit, in seconds, for what takes almost no time on a machine that is not overloaded."""

TIMES = int(os.environ.get("FINGER_TIMES", "1"))
"""How many times as often what is repeated under load is repeated: C{make test-long} asks for more."""

FAMILIES = {"IPv4": "127.0.0.1", "IPv6": "::1"}


def need(program: str, package: str) -> str:
    """
    Return the path of a program, or skip the test and name the Debian package to install.  With FINGER_NO_SKIP in the
    environment, as in CI, a missing program is a failure.
    """
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/games")
    if path is not None:
        return path
    message = f"{program} is not installed: run 'sudo apt install {package}'"
    if os.environ.get("FINGER_NO_SKIP"):
        raise AssertionError(message)
    raise SkipTest(message)


def needRoot(why: str) -> None:
    """Skip the test if it does not run as root; in CI, fail."""
    if os.geteuid() == 0:
        return
    if os.environ.get("FINGER_NO_SKIP"):
        raise AssertionError(f"only root can test this: {why}")
    raise SkipTest(f"only root can test this: {why}")


class Server:
    """
    C{twistd finger} as a process, on free ports of this machine.

    Each port option not given is C{none}.  Started as root, it drops its privileges as usual.

    @ivar ports: the ports of each option, such as C{fingerport}.
    @param program: the path of another environment's twistd.
    @param before: a command, with its arguments, that starts the server.
    @param sockets: sockets for the process to inherit.
    """

    LISTENING = re.compile(r"--(\w+)=\S*: listening on \S+:(\d+)$", re.MULTILINE)

    def __init__(
        self,
        *options: str,
        twistd: tuple[str, ...] = (),
        program: str | None = None,
        before: tuple[str, ...] = (),
        sockets: Sequence[socket.socket] = (),
        **environment: str,
    ):
        given = {option.split("=")[0] for option in options}
        unwanted = [f"--{name}=none" for name in ("fingerport", "webport", "pbport") if f"--{name}" not in given]
        self.directory = Path(tempfile.mkdtemp())
        self._log = open(self.directory / "log", "wb")
        self.directory.chmod(0o755)
        self.process = subprocess.Popen(
            [*before, program or twistdPath(), "-n", "--pidfile=", *twistd, "finger", *options, *unwanted],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self.directory,
            pass_fds=[sock.fileno() for sock in sockets],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        )
        self.ports: defaultdict[str, list[int]] = defaultdict(list)
        self.waitFor("finger is ready")
        for option, port in self.LISTENING.findall(self.log):
            if int(port) not in self.ports[option]:
                self.ports[option].append(int(port))

    @property
    def log(self) -> str:
        """The log so far."""
        return (self.directory / "log").read_text("utf-8", "replace")

    def waitFor(self, text: str) -> None:
        """Wait for a text in the log."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.log:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the server never logged {text!r}:\n{self.log}")
            time.sleep(0.02)

    def port(self, option: str) -> int:
        """Return the port of an option."""
        return self.ports[option][0]

    def stop(self) -> int:
        """Stop the server, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._log.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def venv(program: str) -> str:
    """Return the path of a program in the environment of the tests."""
    return str(Path(sys.executable).with_name(program))


def twistdPath() -> str:
    """Return the path of twistd in the environment of the tests."""
    return venv("twistd")


def ask(host: str, port: int, query: bytes, *, half: bool = False) -> bytes:
    """Send a query, and return all data until the server closes."""
    with socket.create_connection((host, port), timeout=DEADLINE) as connection:
        connection.sendall(query)
        if half:
            connection.shutdown(socket.SHUT_WR)
        return receive(connection)


def receive(connection: socket.socket) -> bytes:
    """Return all data until the server closes."""
    answer = b""
    while data := connection.recv(65536):
        answer += data
    return answer
