"""The command line: which command was meant, and errors as one clear line."""

import difflib
import os
import signal
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

from ..harness import HarnessError, PortTaken, PromiseBroken
from ..stages import load_stages
from . import progress
from .checking import check, nextStage
from .conversing import WAYS, ask, tryStage
from .copies import FOLDER, start
from .exercising import exercise
from .finding import Learner, canonical
from .paper import Problem, command
from .reading import compare, diff, listStages, show, where
from .running import run

Command = Callable[[Learner, Namespace], int]
INTERRUPTED = 130  # the exit status of a program that Ctrl-C has ended

EPILOG = """\
N is a stage: 7, 07 or 18a; without it, the one you are at is meant. Where a file may be named and
is not, your copy of the stage is meant if you have one, else the tutorial's own. Without a command
you hear where you are, and the one next thing to type.
"""


class Parser(ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        words = self.prog.split()[-1:] if self.prog != command() else []
        raise Problem(f"{message[:1].upper()}{message[1:]}. See: {command(*words, '--help')}")


def makeParser() -> ArgumentParser:
    parser = Parser(
        prog=command(),
        description="Step through the tutorial.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=where)
    commands = parser.add_subparsers(title="commands", metavar="", parser_class=Parser)

    def add(name: str, function: Command, help: str, *arguments: str) -> ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(command=function)
        for argument in arguments:
            sub.add_argument(argument[0].lower() + argument[1:], **ARGUMENTS[argument])
        return sub

    add("list", listStages, "all stages, where you are, and what is done")
    add("show", show, "what is missing so far, the new idea, and the code", "stage")
    add("diff", diff, "what the stage changes in the one before", "stage")
    add("try", tryStage, "start it, ask it, show the bytes, end it", "stage", "Query", *RUNS, "--file", "--over")
    add("run", run, "start it here, and say what to type elsewhere", "stage", "File", *RUNS)
    add("start", start, f"a copy to change, in {FOLDER}/ unless you name a file", "stage", "File", "--before")
    add("check", check, "does your file keep the stage's promises?", "stage", "File", *RUNS)
    add("compare", compare, "what your file changes in the stage", "stage", "File")
    add("next", nextStage, "go on to the next stage, when your copy passes its check", "--port-offset", "--skip")
    add("exercise", exercise, "a task: the first time a stub, from then on the check; without N, all of them", *TASKS)
    add("ask", ask, "send a line to a port of this machine, and show what comes back", "Query", "--port", *ASKS)
    return parser


RUNS = ("--original", "--port-offset")
TASKS = ("stage", "File", "--task", "--solution", "--port-offset")
ASKS = ("--seconds", "--close")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "stage": {"nargs": "?", "default": "", "metavar": "N", "help": "the stage; the one you are at, unless you say"},
    "File": {"nargs": "?", "metavar": "FILE", "help": "a file of your own"},
    "Query": {"nargs": "*", "metavar": "QUERY", "help": "what to ask; moshez, unless you say"},
    "--file": {"help": "a file of your own"},
    "--original": {"action": "store_true", "help": "the tutorial's own file, not your copy"},
    "--over": {"choices": list(WAYS), "help": "in which way to ask it"},
    "--before": {"action": "store_true", "help": "begin with the stage before, and write the step yourself"},
    "--skip": {"action": "store_true", "help": "go on without the check"},
    "--task": {"action": "store_true", "help": "show the task again"},
    "--solution": {"action": "store_true", "help": "show one way to do it"},
    "--port-offset": {
        "dest": "portOffset",
        "metavar": "NUMBER",
        "help": "added to every port; else FINGER_PORT_OFFSET is",
    },
    "--port": {"type": int, "help": "the port; 1079 unless you say"},
    "--seconds": {"type": float, "default": 15.0, "help": "how long to wait for the answer; 15 unless you say"},
    "--close": {"action": "store_true", "help": "close our side after the line"},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what was asked; the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return dispatch(words)
    except Problem as problem:
        return complain(str(problem))
    except PortTaken as taken:
        return complain(f"{str(taken).capitalize()}. Without --port-offset a free one is chosen.")
    except (HarnessError, PromiseBroken) as error:
        return complain(f"{' '.join(str(error).split())[:300]}")
    except KeyboardInterrupt:
        return complain("Stopped.", INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def complain(message: str, status: int = 1) -> int:
    sys.stdout.flush()
    print(message, file=sys.stderr)
    return status


def dispatch(words: list[str]) -> int:
    parser = makeParser()
    learner = Learner(load_stages(), progress.load())
    helpOnUnknownCommand(learner, words)
    arguments = parser.parse_args(words)
    before = repr(learner.progress)
    previous = stopOnTerminate()
    try:
        status: int = arguments.command(learner, arguments)
        sys.stdout.flush()
        return status
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)
        if repr(learner.progress) != before:
            progress.save(learner.progress)


def stopOnTerminate() -> Any:
    """Told to end, end what was started too, as on Ctrl-C; None if this thread may not say so."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    try:
        return signal.signal(signal.SIGTERM, stop)
    except ValueError:
        return None


COMMANDS = ("list", "show", "diff", "try", "run", "start", "check", "compare", "next", "exercise", "ask")


def helpOnUnknownCommand(learner: Learner, words: list[str]) -> None:
    """Something that is no command: perhaps one was misspelt, or left out before a stage."""
    if not words or words[0].startswith("-") or words[0] in COMMANDS:
        return
    if canonical(words[0]) in (number.lower() for number in learner.stages):
        raise Problem(f"What about stage {words[0]}? For instance: {command('show', words[0])}")
    near = difflib.get_close_matches(words[0].lower(), COMMANDS, 1)
    hint = f"Did you mean {command(*near)}?" if near else f"All commands: {command('--help')}"
    raise Problem(f"There is no command {words[0]}. {hint}")
