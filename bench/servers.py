"""How each server is started."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.loads import COMPILER
from bench.processes import Process, need
from bench.setting import BUILT, HERE, Running, ownPython

PRINTED_PORT: Final = r"^(\d+)$"

LISTENING: Final = re.compile(r"--(\w+)=\S*: listening on \S+:(\d+)$", re.MULTILINE)

LIMITS: Final = ("--rate=1000000", "--burst=1000000", "--max-per-address=1000", "--max-connections=1000")
"""Limits that are counted and never reached."""

BACKENDS: Final = ("--backend=file", "--backend=memory")
"""The users come from the file; memory is where statuses can be set."""

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
        bot = [] if ports != PORTS else ["--ssl", "--ircnick=bench", f"--ircserver=tcp:127.0.0.1:{_silentServer(running)}"]
        # Started as root, it would give up its privileges, and could not read this checkout.
        user = [f"--uid={os.getuid()}", f"--gid={os.getgid()}"] if os.geteuid() == 0 else []
        command = [str(ownPython(setting.checkout).with_name("twistd")), "-n", "--pidfile=", *user, "finger"]
        arguments = [*BACKENDS, f"--file={setting.usersFile(users)}", *given, *closed, *bot, *LIMITS, *options]
        process = running.start([*command, *arguments], "finger is ready", {"FINGER_CONFIG": ""})
        return Server(process, {name: int(port) for name, port in LISTENING.findall(process.output)})

    return start


def _silentServer(running: Running) -> int:
    """Return the port of a server that accepts the IRC bot's connection and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    running.keep(listener)
    port: int = listener.getsockname()[1]
    return port


def limit(running: Running) -> Server:
    """Start the least that a server can do."""
    return _printingItsPort(running, [str(need(BUILT / "limit", COMPILER))])


def python(script: str, *arguments: str) -> Start:
    """
    Return what starts a server in Python.

    @param script: the name of its file in C{bench/peers}.
    @param arguments: its arguments.
    """

    def start(running: Running) -> Server:
        interpreter = need(running.setting.peersPython, "no environment of other servers: run 'make bench'")
        return _printingItsPort(running, [str(interpreter), str(HERE / "peers" / script), *arguments])

    return start


SCENARIO: Final = """
[[0s]]
type = "create"
login = "user0"
name = "Alice Liddell"
"""
"""One user, in pyfingerd's format."""


def pyfingerd(running: Running) -> Server:
    """Start pyfingerd, with one user."""
    setting = running.setting
    program = need(setting.peersPython.with_name("pyfingerd"), "no pyfingerd: run 'make bench'")
    scenario = setting.directory / "scenario.toml"
    scenario.write_text(SCENARIO)
    port = setting.freePort()
    options = [f"--binds={setting.network.ipv4}:{port}", "--type=scenario", f"--scenario={scenario}"]
    return Server(running.start([str(program), *options, "--start=2020-01-01"], "Starting pyfingerd"), {"": port})


def _printingItsPort(running: Running, command: list[str]) -> Server:
    process = running.start(command, PRINTED_PORT)
    match = re.search(PRINTED_PORT, process.output, re.MULTILINE)
    assert match is not None
    return Server(process, {"": int(match[1])})
