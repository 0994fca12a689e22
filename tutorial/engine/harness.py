"""Starts a stage as its learner would, talks to it over real sockets, ends what it started.

    stages = load_stages()
    with Running(stages["07"]) as running:               # or Running(stages["07"], file=my_copy)
        running.ask(b"moshez\\r\\n")                       # b"Happy and well\\r\\n"
        running.get("/moshez").status                    # from stage 14a on
        running.log()

A stage runs on loopback with ports that were free a moment ago (or at the offset it is given, and
then a taken port is named: `PortTaken`), in a directory of its own, with a users file, a finger
program, a web site, a remote finger server and an IRC server that stand for the world outside: each
back end knows the same two users, `moshez` and `guest`.

`DidNotStart` says why a stage is not there; `PromiseBroken`, what was expected of it and what came.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from .doubles import IRCServer
from .stages import TUTORIAL, Stage, load_stages
from .talk import (
    Caller,
    DidNotStart,
    HarnessError,
    Page,
    PortTaken,
    PromiseBroken,
    free_offset,
    taken_port,
)
from .world import HOST, USERS, World

__all__ = [
    "Caller",
    "DidNotStart",
    "HarnessError",
    "Page",
    "PortTaken",
    "PromiseBroken",
    "Running",
    "free_offset",
    "taken_port",
]

T = TypeVar("T")
START_DEADLINE = 60.0  # seconds a stage may take until all its ports are open
STOP_DEADLINE = 20.0  # seconds it may take to end before it is killed
PATIENCE = 30.0  # seconds to wait for what a promise expects
ORDERLY = (0, -signal.SIGTERM)  # the exit codes of a stage that was told to end

TWISTD = "from twisted.scripts.twistd import run; run()"


class Running:
    """A stage that runs. Use it with `with`; or `start()` it and be sure to `stop()` it.

    `file` is the file to run, the stage's own unless given. `offset` is added to its ports, chosen
    so that all are free unless given. `environment` comes on top of what the harness sets.
    """

    def __init__(
        self,
        stage: Stage,
        file: Path | None = None,
        offset: int | None = None,
        patience: float = PATIENCE,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.stage = stage
        self.file = Path(file or stage.path).resolve()
        self.client_file = self.file
        self.served = stage
        if stage.kind == "client":
            self.served = load_stages()[stage.server]
            self.file = self.served.path
        self.ports = self.served.ports
        self.offset = offset
        self.patience = patience
        self.environment = environment or {}
        self.process: subprocess.Popen[bytes] | None = None
        self._cleanup = contextlib.ExitStack()
        self._variants: dict[str, Running] = {}
        self._lock = threading.RLock()
        self._late_irc: IRCServer | None = None

    # Starting and stopping.

    def __enter__(self) -> "Running":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the stage and wait until all its ports are open."""
        try:
            self.world = World()
            self._cleanup.callback(self.world.close)
            self._start_process()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> int | None:
        """End the stage, and all that was started with it; its exit code."""
        code = None
        if self.process is not None:
            code = end(self.process)
        self._cleanup.close()
        self._variants.clear()
        return code

    def end(self) -> int | None:
        """End the stage alone, so that its whole log can still be read; its exit code."""
        return None if self.process is None else end(self.process)

    @property
    def directory(self) -> Path:
        """Where the stage runs."""
        return self.world.directory

    def _environment(self) -> dict[str, str]:
        lent = {"FINGER_HARNESS_ACCOUNTS": str(self.world.accounts_file)}
        path = [str(TUTORIAL), *filter(None, [os.environ.get("PYTHONPATH")])]
        return (
            self.world.environment()
            | {"PYTHONPATH": os.pathsep.join(path)}  # a learner's copy finds our modules there
            | {"FINGER_PORT_OFFSET": str(self.offset)}
            | (lent if self.served.accounts else {})
            | self.environment
        )

    def _start_process(self) -> None:
        if self.offset is None:
            self.offset = free_offset(self.ports)
        else:
            taken = taken_port(self.ports, self.offset)
            if taken is not None:
                raise PortTaken(*taken)
        self.log_file = self.directory / "log"
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _command(self) -> list[str]:
        if any(v for k, v in self._environment().items() if k.startswith("FINGER_HARNESS_")):
            runner = TUTORIAL / "engine" / "stage_runner.py"
            return [sys.executable, str(runner), self.served.start, str(self.file)]
        if self.served.start == "twistd":
            return [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "-y", str(self.file)]
        return [sys.executable, str(self.file)]

    def _wait_until_ready(self) -> None:
        ends = time.monotonic() + START_DEADLINE
        waiting = dict(self.ports)
        offset = self.offset or 0
        while True:
            waiting = {n: p for n, p in waiting.items() if not self._listens(p, offset)}
            if self.process is None or self.process.poll() is not None:
                code = self.process and self.process.returncode
                raise DidNotStart(f"{self.file.name} ended with exit code {code}:\n{self.log()}")
            if not waiting:
                return
            if time.monotonic() > ends:
                names = ", ".join(f"{p + offset} ({n})" for n, p in waiting.items())
                raise DidNotStart(f"{self.file.name} opened no port {names}:\n{self.log()}")
            time.sleep(0.02)

    def _listens(self, port: int, offset: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port + offset)) == 0

    # The same stage in another world.

    def variant(self, name: str, **environment: str) -> "Running":
        """The same file, started once more with this environment; asked for again, the same run.

        It is ended together with this one.
        """
        return self.variant_at(name, None, **environment)

    def variant_at(self, name: str, offset: int | None, **environment: str) -> "Running":
        """As `variant`, at this port offset."""
        with self._lock:
            if name not in self._variants:
                variant = Running(self.stage, self.client_file, offset, self.patience, environment)
                variant.start()
                self._cleanup.callback(variant.stop)
                self._variants[name] = variant
            return self._variants[name]

    def troubled(self) -> "Running":
        """A variant with a time limit of a second, whose lookups fail as stage_runner.py says.

        There is no IRC server for it until `late_irc()` is called on it.
        """
        irc = f"{HOST}:{free_offset({'irc': 0})}"
        return self.variant("troubled", FINGER_HARNESS_TROUBLE="1", FINGER_TIMEOUT="1", FINGER_IRC=irc)

    def late_irc(self) -> IRCServer:
        """The IRC server of a stage that was started without one."""
        if self._late_irc is None:
            port = int(self.environment["FINGER_IRC"].rpartition(":")[2])
            self._late_irc = IRCServer(port)
            self.world.doubles.append(self._late_irc)
        return self._late_irc

    @contextlib.contextmanager
    def program_beside(self, file: Path, port: int) -> Iterator[str]:
        """A companion of the stage, a web server, for as long as the `with` lasts; its address."""
        offset = free_offset({file.name: port})
        environment = self._environment() | {"FINGER_PORT_OFFSET": str(offset)}
        process = subprocess.Popen([sys.executable, str(file)], env=environment)
        try:
            self.wait_for(lambda: self._listens(port, offset), f"{file.name} to listen", lambda: "nobody")
            yield f"http://{HOST}:{port + offset}/"
        finally:
            end(process)

    # What is known about it.

    def set_patience(self, seconds: float) -> None:
        """How long to wait for what a promise expects, here and in all variants."""
        self.patience = seconds
        for variant in self._variants.values():
            variant.set_patience(seconds)

    @property
    def pid(self) -> int:
        if self.process is None:
            raise HarnessError("the stage was not started")
        return self.process.pid

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        """All that the stage has written so far."""
        return self.log_file.read_text("utf-8", "replace")

    def calls(self) -> list[str]:
        """What the stand-in for the finger program was called with, as "count:arguments"."""
        return self.world.calls_file.read_text().splitlines()

    def port(self, name: str) -> int:
        """The number of a port as this run has it."""
        if name not in self.ports:
            raise PromiseBroken(f"a port for {name}", f"only {', '.join(self.ports) or 'none'}")
        return self.ports[name] + (self.offset or 0)

    def sources(self) -> list[str]:
        """The text of the stage's file and of the helper modules it imports."""
        helpers = [TUTORIAL / name for name in self.served.helpers]
        return [path.read_text("utf-8") for path in [self.file, *helpers]]

    def wait_for(self, condition: Callable[[], T], expected: str, got: Callable[[], object]) -> T:
        """Poll until the condition is true; else say what was expected and what there is."""
        ends = time.monotonic() + self.patience
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > ends:
                raise PromiseBroken(expected, str(got()))
            time.sleep(0.02)

    # Talking to it.

    def call(self, service: str = "finger", host: str = HOST) -> Caller:
        """A connection to one of its ports."""
        return Caller(self.port(service), self.patience, host)

    def ask(self, query: bytes, service: str = "finger") -> bytes:
        """Send these bytes and return all that comes until the stage closes."""
        with self.call(service) as caller:
            caller.send(query)
            return caller.read()

    def set_status(self, user: str, status: str) -> None:
        """Use the setter, and wait until the stage has seen the end of the message."""
        with self.call("setter") as caller:
            caller.send(f"{user}\r\n{status}\r\n".encode())
            caller.socket.shutdown(socket.SHUT_WR)
            caller.read()

    def get(self, path: str, service: str = "web") -> Page:
        """Fetch a page; `service` "https" speaks TLS and trusts any certificate."""
        return self._http("GET", path, None, service)

    def xmlrpc(self, method: str, *arguments: Any) -> Any:
        """Call a method at /RPC2; raises `xmlrpc.client.Fault` if that is the answer."""
        request = xmlrpc.client.dumps(arguments, method)
        page = self._http("POST", "/RPC2", request.encode(), "web")
        if page.status != 200:
            raise PromiseBroken("an XML-RPC answer", f"status {page.status}: {page.body!r}")
        return xmlrpc.client.loads(page.body)[0][0]

    def _http(self, verb: str, path: str, body: bytes | None, service: str) -> Page:
        port = self.port(service)
        connection: http.client.HTTPConnection
        if service == "https":
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(HOST, port, timeout=self.patience, context=context)
        else:
            connection = http.client.HTTPConnection(HOST, port, timeout=self.patience)
        headers = {"Content-Type": "text/xml"} if body else {}
        with contextlib.closing(connection):
            try:
                connection.request(verb, path, body, headers)
                answer = connection.getresponse()
                text = answer.read().decode("utf-8", "replace")
            except (OSError, http.client.HTTPException) as error:
                raise PromiseBroken(f"a page at {path}", repr(error)) from error
        return Page(answer.status, answer.headers, text)

    def pb(self, method: str, *arguments: str) -> Any:
        """Call a method of the Perspective Broker root object."""
        result = self.run([str(TUTORIAL / "pbcall.py"), str(self.port("pb")), method, *arguments])
        if result.returncode:
            raise PromiseBroken(f"an answer to {method}", result.stderr or result.stdout)
        return json.loads(result.stdout)

    def run_client(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the client that this stage is, against the server it belongs to."""
        if self.stage.kind != "client":
            raise PromiseBroken("a client program", f"a server, {self.file.name}")
        return self.run([str(self.client_file), *arguments])

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program that ends by itself, in the stage's environment."""
        try:
            return subprocess.run(
                [sys.executable, *command],
                env=self._environment() | environment,
                cwd=self.directory,
                capture_output=True,
                text=True,
                timeout=max(self.patience, 10.0),
            )
        except subprocess.TimeoutExpired as error:
            raise PromiseBroken(f"{command[0]} to end", "a program that still runs") from error

    @contextlib.contextmanager
    def users(self, text: str) -> Iterator[None]:
        """The users file with another text, for as long as the `with` lasts."""
        self.world.write_users(text)
        try:
            yield
        finally:
            self.world.write_users(USERS)
            self.wait_for(
                lambda: self.ask(b"guest\r\n").startswith(b"Two lines"),
                "the first users back when the users file is back",
                lambda: self.ask(b"guest\r\n"),
            )


def end(process: subprocess.Popen[bytes]) -> int:
    """End a process that we started: politely, then not; its exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
