"""Types what a page shows, against the running stage, and compares or rewrites what comes.

    with Session(stage) as session:
        session.type("python -m finger -p 1079 moshez@localhost")   # ["Happy and well"]

The stage runs as `python -m tutorial run` would start it, and with the harness's stand-ins for what is
outside; the commands are typed into bash, one shell each, in a directory that looks like the checkout.
What a page shows differs from what is run in these ways, and in no others:

- Ports are the stage's own on the page. Free ones take their places in what is typed, and go out
  again of what is printed. `try` and `check` find free ports by themselves; here, too, the page has the
  stage's own.
- A command that would go on until Ctrl-C (`python -m tutorial run`, `twistd -n`, a stage's file) is run
  until its ports are open, and then gets its Ctrl-C. All it prints is its output.
- Whoever waits long (`sleep 31`) waits a second: here the users file is read again ten times a second.
- The stepper's last line, `Next: ...`, is about the learner and is left out; so is what twistd says only to root.
  Paths are shown as seen from the checkout, and Python is `python`.

Two outputs are the same if they are, line by line, but for what VOLATILE names. A line `...` stands for any
number of lines, and `...` inside a line for any text.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from ..harness import Running, end, free_offset
from ..promises._lines import cpu_seconds
from ..stages import TUTORIAL, Stage, load_stages
from ..stepper.starting import COMPANIONS
from ..world import HOST
from .page import Exchange, Page, Transcript

CHECKOUT = TUTORIAL.parent
START_DEADLINE = 60.0  # seconds until a command that goes on has opened its ports
DEADLINE = 120.0  # seconds for a command that ends
QUIET = 0.5  # seconds without output, after which a command that goes on has said what it has to say
IDLE = 1.0  # seconds without processor time, after which a command without ports has started
LONG_WAIT = re.compile(r"\bsleep (?:[3-9]|\d\d+)\b")

# What is never twice the same, and what stands for it when two outputs are compared.
VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d:?\d\d|Z)?"), "TIME"),
    (re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"), "TIME"),
    (re.compile(r"\bpid \d+|\bprocess \d+"), "PID"),
    (re.compile(r"0x[0-9a-f]+"), "ADDRESS"),
    (re.compile(r"(?<![\d.])\d+\.\d+\.\d+(?![.\d])"), "VERSION"),
    (re.compile(r"(?<!\d)[3-6]\d{4}(?!\d)"), "CLIENT-PORT"),
)

# Commands that end only when they are told to.
GOES_ON = re.compile(
    r"(?:\w+=\S* )*"
    r"(?:python -m tutorial run\b|twistd (?:-\S+ )*-n|python tutorial/finger(?!XR|PB)\w+\.py$)"
)
STARTS_ITS_OWN = re.compile(r"python -m tutorial (?:try|check|exercise|run)\b|python tutorial/finger\d|twistd ")
STARTING_ON = re.compile(r"starting on \d+")
OFFSET = re.compile(r"\bFINGER_PORT_OFFSET=\d+ ")
LEFT_OUT = re.compile(r"Next: python -m tutorial .*|.* set uid/gid \d+/\d+|.* No permission to delete pid file")
PYTHON = re.compile(re.escape(os.path.dirname(sys.executable)) + r"/(python|twistd)[\d.]*")
SHOWN = ("tutorial", "etc")  # folders the commands may change: they get a copy
SEEN = ("finger", "twisted", "docs", "templates")  # folders they only read


class Session:
    """A stage that runs, and a place to type."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._stack = ExitStack()

    def __enter__(self) -> "Session":
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    # Before anything is typed.

    def _start(self) -> None:
        self._makeCheckout()
        served = load_stages()[self.stage.server] if self.stage.server else self.stage
        companions = [name for name in served.companions if name in COMPANIONS]
        self.ports = served.ports | {name: COMPANIONS[name] for name in companions}
        self.offset = free_offset(self.ports | {"client": 1079})
        self.beside = self.offset
        while self.beside == self.offset:
            self.beside = free_offset(self.ports | {"client": 1079})
        environment = {"FINGER_USERS": str(self.folder / "etc" / "users")}
        for name in companions:
            self._startCompanion(name)
            environment["FINGER_PREFIX"] = f"http://{HOST}:{COMPANIONS[name] + self.offset}/"
        self.running = Running(self.stage, file=self._file(), offset=self.offset, environment=environment)
        self._stack.enter_context(self.running)

    def _makeCheckout(self) -> None:
        made = tempfile.TemporaryDirectory(prefix="finger-page-", ignore_cleanup_errors=True)
        self.folder = Path(self._stack.enter_context(made)).resolve()
        self.folder.chmod(0o755)  # a stage started as root reads it as nobody
        for name in SHOWN:
            shutil.copytree(CHECKOUT / name, self.folder / name, ignore=unneeded)
        for name in SEEN:
            if (CHECKOUT / name).is_dir():
                (self.folder / name).symlink_to(CHECKOUT / name)
        self.home = self.folder / ".home"
        self.home.mkdir()
        (self.home / ".curlrc").write_text("silent\nshow-error\n")  # no meter, as on a terminal

    def _file(self) -> Path:
        return self.folder / "tutorial" / self.stage.file

    def _startCompanion(self, name: str) -> None:
        file = self.folder / "tutorial" / name
        process = subprocess.Popen([sys.executable, str(file)], cwd=self.folder, env=self._environment(self.offset))
        self._stack.callback(end, process)
        port = COMPANIONS[name] + self.offset
        waitUntil(lambda: listens(port), START_DEADLINE)

    def _environment(self, offset: int) -> dict[str, str]:
        beside = os.path.dirname(sys.executable)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FINGER_", "XDG_"))}
        return kept | {
            "PATH": os.pathsep.join([beside, kept.get("PATH", os.defpath)]),
            "HOME": str(self.home),
            "CURL_HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "COLUMNS": "100",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "FINGER_PORT_OFFSET": str(offset),
        }

    # Typing.

    def type(self, command: str) -> list[str]:
        """The lines a command prints, as a page would show them."""
        goesOn = GOES_ON.match(command) is not None
        offset = self.beside if STARTS_ITS_OWN.search(command) else self.offset
        typed = LONG_WAIT.sub("sleep 1", self._withFreePorts(command, offset))
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                ["bash", "-c", typed],
                cwd=self.folder,
                env=self._environment(offset),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                if goesOn:
                    self._letGoOn(command, process, output.fileno())
                process.wait(DEADLINE)
            finally:
                endGroup(process)
            output.seek(0)
            return self._asShown(output.read().decode("utf-8", "replace"))

    def _letGoOn(self, command: str, process: "subprocess.Popen[bytes]", output: int) -> None:
        ports = self._portsOf(command)
        if ports is None:
            waitUntil(lambda: bool(STARTING_ON.search(text(output))) or ended(process), START_DEADLINE)
        elif ports:
            waitUntil(lambda: ended(process) or all(listens(port + self.beside) for port in ports), START_DEADLINE)
        else:
            waitUntilIdle(process)
        waitUntilQuiet(output)
        if not ended(process):
            os.killpg(process.pid, signal.SIGINT)

    def _portsOf(self, command: str) -> list[int] | None:
        """The ports of the stage that a command starts; None if it starts none."""
        for stage in load_stages().values():
            run = rf"tutorial run 0*{re.escape(stage.number.lstrip('0'))}\b"
            if f"tutorial/{stage.file}" in command or re.search(run, command):
                return list(stage.ports.values())
        if command.endswith("tutorial run"):
            return []
        return next(([port] for name, port in COMPANIONS.items() if name in command), None)

    def _withFreePorts(self, command: str, offset: int) -> str:
        for port in {1079, *self.ports.values()}:
            command = re.sub(rf"(?<![\d.]){port}(?!\d)", str(port + offset), command)
        return command

    def _asShown(self, printed: str) -> list[str]:
        for port in {1079, *self.ports.values()}:
            for offset in self.offset, self.beside:
                printed = re.sub(rf"(?<!\d){port + offset}(?!\d)", str(port), printed)
        for path in (f"{self.folder}/", f"{CHECKOUT}/"):
            printed = printed.replace(path, "")
        printed = PYTHON.sub(r"\1", printed.replace(str(self.folder), "."))
        printed = OFFSET.sub("", printed)
        lines = [line.rstrip() for line in printed.replace("\r\n", "\n").split("\n")]
        lines = [line for line in lines if not LEFT_OUT.fullmatch(line)]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def unneeded(folder: str, names: list[str]) -> set[str]:
    """What of the checkout no command reads."""
    return {"__pycache__", "tests", "pages", "pagebuilder", ".ruff_cache", "twistd.pid"}.intersection(names)


def run(page: Page) -> list[Transcript]:
    """The page's transcripts as they are today."""
    with Session(page.stage) as session:
        return [
            Transcript(
                transcript.start,
                transcript.end,
                [Exchange(one.command, session.type(one.command)) for one in transcript.exchanges],
            )
            for transcript in page.transcripts()
        ]


def differences(page: Page, today: list[Transcript]) -> list[str]:
    """What a page shows and no longer comes, in words."""
    return [
        f"$ {old.command}\n--- the page shows:\n{joined(old)}\n--- what came:\n{joined(new)}"
        for before, after in zip(page.transcripts(), today, strict=True)
        for old, new in zip(before.exchanges, after.exchanges, strict=True)
        if not same(old.output, new.output)
    ]


def updated(page: Page, today: list[Transcript]) -> str:
    """The page's text with what comes today; what is the same but for volatile parts stays as it was."""
    transcripts = []
    for before, after in zip(page.transcripts(), today, strict=True):
        kept = [
            old if same(old.output, new.output) else new
            for old, new in zip(before.exchanges, after.exchanges, strict=True)
        ]
        transcripts.append(Transcript(before.start, before.end, kept))
    return page.withTranscripts(transcripts)


def same(shown: list[str], came: list[str]) -> bool:
    """Whether what came is what is shown, but for what is volatile."""
    pattern = "".join(lineExpression(line) for line in shown)
    return re.fullmatch(pattern, "".join(f"{steady(line)}\n" for line in came)) is not None


def lineExpression(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return ".*?".join(re.escape(part) for part in steady(line.rstrip()).split("...")) + r"\n"


def steady(line: str) -> str:
    for pattern, name in VOLATILE:
        line = pattern.sub(name, line)
    return line


def joined(exchange: Exchange) -> str:
    return "\n".join(exchange.output)


def text(output: int) -> str:
    """What is in a file by now."""
    return os.pread(output, 1 << 20, 0).decode("utf-8", "replace")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def ended(process: "subprocess.Popen[bytes]") -> bool:
    return process.poll() is not None


def waitUntil(condition: Callable[[], bool], seconds: float) -> None:
    """Poll; `TimeoutError` if it takes too long."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError("a program did not open its ports in time")
        time.sleep(0.02)


def waitUntilIdle(process: "subprocess.Popen[bytes]") -> None:
    """Until it has used no processor time for a while: of a program without a port, that is all one can see."""
    used, since = -1.0, time.monotonic()
    while not ended(process) and time.monotonic() - since < IDLE:
        now = cpu_seconds(process.pid)
        if now != used:
            used, since = now, time.monotonic()
        time.sleep(0.02)


def waitUntilQuiet(output: int) -> None:
    size, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET:
        now = os.fstat(output).st_size
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(0.02)


def endGroup(process: "subprocess.Popen[bytes]") -> None:
    """End a shell we started, and what it has left behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
