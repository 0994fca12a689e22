"""run: a stage in the foreground, as its learner would start it by hand."""

import os
import shlex
import shutil
import subprocess
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

from ..harness import ORDERLY, TWISTD
from ..harness import end as endProcess
from ..stages import TUTORIAL, Stage
from .copies import usersFile
from .finding import Learner, chosen, whose
from .paper import Problem, command, python, relative, wrap
from .reading import sayNext
from .starting import COMPANIONS, checkSource, freeOffset, started

GRACE = 0.5  # seconds a stage may take to end after Ctrl-C, before it is told by us

REMARKS = {
    "FINGER_IRC": "Its bot wants an IRC server on this machine, port 6667, and tries again until there is one."
    " FINGER_IRC=host:port names another.",
    "FINGER_PROGRAM": "It asks /usr/bin/finger; FINGER_PROGRAM names another program.",
    "FINGER_PREFIX": "The little web site it asks runs beside it.",
    "FINGER_ASK_PORT": "It asks port 79 of the host; FINGER_ASK_PORT names another, such as that of a stage you run.",
}


def run(learner: Learner, arguments: Namespace) -> int:
    """Start it, say what to type elsewhere, and wait for Ctrl-C."""
    stage = learner.stage(arguments.stage)
    file = chosen(learner, stage, arguments.file, arguments.original)
    checkSource(file)
    if stage.kind == "client":
        return runClient(learner, stage, file)
    again = ["run", stage.number, *([arguments.file] if arguments.file else [])]
    offset = freeOffset(stage, arguments.portOffset, again)
    environment = usersFile(file) | ({"FINGER_PORT_OFFSET": str(offset)} if offset else {})
    print(f"Stage {stage.number}, {stage.title}: {whose(stage, file)}. By hand this would be:\n")
    print(f"  {byHand(stage, file, environment)}\n")
    for line in whatToType(stage, offset) + remarks(stage, file) + unreadable(environment):
        print(line)
    print("Ctrl-C ends it.\n", flush=True)
    learner.progress.note(stage.number, "try")
    status = foreground(stage, file, environment)
    sayNext(learner)
    return status


def byHand(stage: Stage, file: Path, environment: dict[str, str]) -> str:
    setting = "".join(f"{name}={shlex.quote(relative(Path(value)))} " for name, value in environment.items())
    path = shlex.quote(relative(file))
    if stage.start == "twistd":
        return f"{setting}{twistd()} -ny {path}"
    return f"{setting}{python()} {path}"


def twistd() -> str:
    """twistd, as the learner would type it."""
    beside = Path(sys.executable).with_name("twistd")
    return "twistd" if shutil.which("twistd") == str(beside) else relative(beside)


def whatToType(stage: Stage, offset: int) -> list[str]:
    """What to try in another terminal."""
    lines = [hint(name, port + offset) for name, port in stage.ports.items()]
    if not lines:
        return ["It listens on no port yet: there is nobody to ask. Watch it with `top`: waiting costs nothing."]
    return ["In another terminal:", *lines]


def remarks(stage: Stage, file: Path) -> list[str]:
    """What the stage asks of the world outside, which may not be there."""
    source = file.read_text("utf-8", "replace")
    said = [remark for name, remark in REMARKS.items() if name in source]
    tests = [TUTORIAL / name for name in stage.companions if name.startswith("test_")]
    trial = f"FINGER_STAGE={relative(file)} {python()} -m twisted.trial"
    said += [f"It comes with tests: {trial} {relative(test)}" for test in tests]
    return [wrap(remark) for remark in said]


def unreadable(environment: dict[str, str]) -> list[str]:
    """Started as root, a stage goes on as nobody, who may not be able to read the users file."""
    if os.getuid() != 0 or "FINGER_USERS" not in environment:
        return []
    users = Path(environment["FINGER_USERS"])
    closed = [folder for folder in users.parents if not folder.stat().st_mode & 0o001]
    closed += [] if users.stat().st_mode & 0o004 else [users]
    text = "It gives up being root, and then cannot read the users, for {} is closed to it."
    return [wrap(text.format(path)) for path in closed[:1]]


def hint(service: str, port: int) -> str:
    address = f"127.0.0.1 {port}"
    finger = rf"printf 'moshez\r\n' | nc {address}" if shutil.which("nc") else ask("moshez", port)
    hints = {
        "finger": finger,
        "setter": ask(r"'moshez\r\nLearning Twisted'", port, "--close"),
        "web": f"a browser at http://127.0.0.1:{port}/moshez",
        "https": f"a browser at https://127.0.0.1:{port}/moshez    (it warns: nobody vouches for this certificate)",
        "pb": f"FINGER_PORT_OFFSET={port - 8889} {python()} {relative(TUTORIAL / 'fingerPBclient.py')}",
    }
    return f"  {port:5}  {service:7} {hints.get(service, finger)}"


def ask(query: str, port: int, *more: str) -> str:
    return command("ask", query, "--port", str(port), *more)


def startCommand(stage: Stage, file: Path) -> list[str]:
    if stage.start == "twistd":
        return [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "-y", str(file)]
    return [sys.executable, str(file)]


def foreground(stage: Stage, file: Path, environment: dict[str, str]) -> int:
    """Run it, and its companions, until it ends or Ctrl-C is typed."""
    surroundings = os.environ | {"PYTHONPATH": str(TUTORIAL), "PYTHONDONTWRITEBYTECODE": "1"} | environment
    with ExitStack() as stack:
        for name in COMPANIONS.keys() & set(stage.companions):
            site = subprocess.Popen([sys.executable, str(TUTORIAL / name)], env=surroundings)
            stack.callback(endProcess, site)
        process = subprocess.Popen(startCommand(stage, file), env=surroundings)
        stack.callback(endProcess, process)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            code = endAfterInterrupt(process)
            print("\nEnded.")
    if code not in (*ORDERLY, -2):
        raise Problem(f"{relative(file)} ended by itself, with exit code {code}. Why is said above.")
    return 0


def endAfterInterrupt(process: "subprocess.Popen[bytes]") -> int:
    """The terminal has told the stage as well; one that has not heard it is told again."""
    try:
        return process.wait(GRACE)
    except subprocess.TimeoutExpired:
        return endProcess(process)


def runClient(learner: Learner, stage: Stage, file: Path) -> int:
    """A client needs its server: start that, run the client, end the server."""
    print(f"Starting stage {stage.server}, which it asks; then {whose(stage, file)} moshez:\n")
    with started(stage, file) as running:
        result = running.run_client("moshez")
    print(result.stdout + result.stderr, end="")
    print("\nIt has ended, and so has the server.")
    return result.returncode
