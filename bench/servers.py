"""How each server is started."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.loads import COMPILER
from bench.processes import DEADLINE, POLL, NotMeasured, Process, need
from bench.setting import BUILT, ROOT, Running, ownPython

NO_PEERS: Final = "the environment of the other servers does not exist: run 'make bench'"

PRINTED_PORT: Final = r"^(\d+)$"

LISTENING: Final = re.compile(r"--(\w+)=\S*: listening on \S+:(\d+)$", re.MULTILINE)

LIMITS: Final = ("--rate=1000000", "--burst=1000000", "--max-per-address=1000", "--max-connections=1000")
"""Limits that are counted and never reached."""

BACKENDS: Final = ("--backend=file", "--backend=memory")
"""The users come from the file; memory is where statuses can be set."""

TRIES: Final = 5
"""The number of times that free ports are tried."""

PORTS: Final = ("fingerport", "webport", "httpsport", "pbport", "setport", "statusport")


@dataclass(frozen=True)
class Server:
    """
    A server that runs.

    @ivar process: its process.
    @ivar ports: its ports, by the name of an option; a peer has one with an empty name.
    """

    process: Process
    ports: dict[str, int]


Start = Callable[[Running], Server]


def finger(users: int, *options: str, ports: tuple[str, ...] = PORTS) -> Start:
    """
    Return what starts the server itself, with all its ports, an IRC bot, and its log in a file.

    @param users: the number of its users.
    @param options: further options.
    @param ports: the options for ports; the others are closed.
    """

    def start(running: Running) -> Server:
        setting = running.setting
        given = [f"--{name}=0" for name in ports]
        closed = [f"--{name}=none" for name in ("fingerport", "webport", "pbport") if name not in ports]
        bot = (
            []
            if ports != PORTS
            else ["--ssl", "--ircnick=bench", f"--ircserver=tcp:127.0.0.1:{_silentServer(running)}"]
        )
        # Started as root, it would give up its privileges, and could not read this checkout.
        user = [f"--uid={os.getuid()}", f"--gid={os.getgid()}"] if os.geteuid() == 0 else []
        command = [str(ownPython(setting.checkout).with_name("twistd")), "-n", "--pidfile=", *user, "finger"]
        users_ = [*BACKENDS, f"--file={setting.usersFile(users)}"]
        process = _startWithPorts(running, [*command, *users_, *given, *closed, *bot, *LIMITS, *options])
        return Server(process, {name: int(port) for name, port in LISTENING.findall(process.output)})

    return start


def _startWithPorts(running: Running, command: list[str]) -> Process:
    """Start the server.  A free port of one family may be in use for the other, so this tries more than once."""
    for _ in range(TRIES):
        try:
            return running.start(command, "finger is ready", {"FINGER_CONFIG": ""})
        except NotMeasured as reason:
            if "is taken by another program" not in str(reason):
                raise
    return running.start(command, "finger is ready", {"FINGER_CONFIG": ""})


def _silentServer(running: Running) -> int:
    """Return the port of a server that accepts the IRC bot's connection and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    running.keep(listener)
    port: int = listener.getsockname()[1]
    return port


def limit(running: Running) -> Server:
    """Start the least that a server can do."""
    return _printingItsPort(running, [str(need(BUILT / "limit", COMPILER))])


def python(module: str, *arguments: str) -> Start:
    """
    Return what starts a server in Python.

    @param module: its module in C{bench.peers}.
    @param arguments: its arguments.
    """

    def start(running: Running) -> Server:
        interpreter = need(running.setting.peersPython, NO_PEERS)
        command = [str(interpreter), "-m", f"bench.peers.{module}", *arguments]
        return _printingItsPort(running, command, {"PYTHONPATH": str(ROOT)})

    return start


def pyfingerd(running: Running) -> Server:
    """Start pyfingerd, which cannot choose a port."""
    setting = running.setting
    server = python("finger_pyfingerd", setting.network.ipv4, str(setting.freePort()))(running)
    waitForPort(setting.network.ipv4, server.ports[""])
    return server


def waitForPort(address: str, port: int) -> None:
    """
    Wait until a port is open.

    @raise NotMeasured: if it stays closed.
    """
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            socket.create_connection((address, port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise NotMeasured("the server did not start") from None
            time.sleep(POLL)


def _printingItsPort(running: Running, command: list[str], environment: dict[str, str] = {}) -> Server:
    process = running.start(command, PRINTED_PORT, environment)
    match = re.search(PRINTED_PORT, process.output, re.MULTILINE)
    assert match is not None
    return Server(process, {"": int(match[1])})
