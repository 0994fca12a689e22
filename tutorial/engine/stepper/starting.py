"""What comes before a stage runs: is the file Python, are the ports free, and does it start?"""

import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

from ..harness import DidNotStart, Running
from ..stages import TUTORIAL, Stage
from ..talk import taken_port
from .paper import Problem, command, relative

HIGHEST_PORT = 65535
START_DEADLINE = 20.0  # seconds a learner's file may take until its ports are open
PATIENCE = 8.0  # seconds to wait for what a promise expects
COMPANIONS = {"finger10_site.py": 8079}  # programs that run beside a stage, and their ports


def checkSource(file: Path) -> None:
    """A file that is no Python needs no start to find that out."""
    if importlib.util.find_spec("twisted.internet") is None:  # twisted alone may be our folder of plugins
        raise Problem(withoutTwisted())
    try:
        compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise Problem(f"{relative(file)}, line {error.lineno}: this is no Python: {error.msg}.") from error
    except ValueError as error:
        raise Problem(f"{relative(file)}: this is no Python: {error}.") from error
    except OSError as error:
        raise Problem(f"{relative(file)} cannot be read: {error.strerror}.") from error


def withoutTwisted() -> str:
    prepared = TUTORIAL.parent / ".venv" / "bin" / "python"
    if prepared.exists():
        return f"This Python has no Twisted; the one in .venv has. Type: {relative(prepared)} -m tutorial"
    return f"This Python has no Twisted. `make run` sets one up that has; then type: {relative(prepared)} -m tutorial"


def portOffset(typed: str | None) -> int | None:
    """The number from --port-offset or FINGER_PORT_OFFSET; None if neither is there."""
    text = typed if typed is not None else os.environ.get("FINGER_PORT_OFFSET") or None
    if text is None:
        return None
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        raise Problem(f"The port offset is a number to add to every port, such as 1000; this is {text!r}.")
    return int(text)


def freeOffset(stage: Stage, wanted: str | None, again: list[str]) -> int:
    """The offset that is wanted, if its ports are free; else a problem that names one that is."""
    offset = portOffset(wanted) or 0
    if any(port + offset > HIGHEST_PORT for port in stage.ports.values()):
        raise Problem(f"With a port offset of {offset} the ports would be higher than {HIGHEST_PORT}.")
    ports = stage.ports | {name: COMPANIONS[name] for name in stage.companions if name in COMPANIONS}
    taken = taken_port(ports, offset)
    if taken is None:
        return offset
    name, port = taken
    raise Problem(f"Port {port} ({name}) is taken by another program. {offer(ports, again)}")


def chosenOffset(stage: Stage, wanted: str | None, again: list[str]) -> int | None:
    """The offset the learner wants, if its ports are free; None where any will do."""
    return None if portOffset(wanted) is None else freeOffset(stage, wanted, again)


def offer(ports: dict[str, int], again: list[str]) -> str:
    for offset in range(1000, 20000, 1000):
        if taken_port(ports, offset) is None:
            typed = command(*again, "--port-offset", str(offset))
            return f"Free: {', '.join(str(port + offset) for port in ports.values())}. Type: {typed}"
    return "End that program first."


@contextmanager
def started(
    stage: Stage, file: Path, offset: int | None = None, environment: dict[str, str] | None = None
) -> Iterator[Running]:
    """A run in the harness's little world; why it did not start is one line."""
    running = Running(stage, file=file, offset=offset, patience=PATIENCE, environment=environment)
    timer = Timer(START_DEADLINE, endRun, [running])  # sooner than the harness would give up
    timer.start()
    try:
        running.start()
    except DidNotStart as error:
        late = not timer.is_alive()
        raise Problem(neverReady(running, file) if late else whyNotStarted(file, str(error))) from error
    finally:
        timer.cancel()
    try:
        yield running
    finally:
        running.stop()


def endRun(running: Running) -> None:
    if running.process is not None:
        running.process.terminate()


def neverReady(running: Running, file: Path) -> str:
    ports = ", ".join(f"{port} ({name})" for name, port in running.ports.items())
    return f"{relative(file)} runs, but after {START_DEADLINE:g} s not all its ports are open: {ports}."


def whyNotStarted(file: Path, message: str) -> str:
    """The line of the learner's file where it went wrong, and what went wrong there."""
    first, _, log = message.partition("\n")
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    places = re.findall(rf'File "{re.escape(str(file))}", line (\d+)', log)
    errors = [line for line in lines if re.search(r"\b\w*(Error|Exception|Exit|Interrupt): ", line)]
    if places:
        return f"{relative(file)}, line {places[-1]}: {strip(errors[-1] if errors else lines[-1])}"
    return f"{first.rstrip(':')}. {strip(lines[-1]) if lines else 'It said nothing.'}"


def strip(line: str) -> str:
    """A line of a log without the time in front."""
    return re.sub(r"^\d{4}-\d\d-\d\dT\S+ \[[^\]]*\] ", "", line)
