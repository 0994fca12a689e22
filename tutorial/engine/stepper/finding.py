"""Which stage, and which file, the learner means."""

import difflib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ..stages import Stage
from .paper import Problem, command, relative
from .progress import Progress

STEPS = ("show", "try", "start", "check", "next")  # what one does with a stage, in this order


@dataclass
class Learner:
    """Who sits at the terminal: the stages there are, and what was done with them."""

    stages: dict[str, Stage]
    progress: Progress

    @property
    def current(self) -> Stage:
        """The stage the learner is at; at first the first."""
        first = next(iter(self.stages.values()))
        return self.stages.get(self.progress.current, first)

    def stage(self, typed: str) -> Stage:
        """The stage meant by `7`, `07`, `18A` or `finger07.py`; by nothing, where the learner is."""
        if not typed:
            return self.current
        number = canonical(typed)
        for stage in self.stages.values():
            if number == stage.number.lower() or typed == stage.file:
                return stage
        raise Problem(f"There is no stage {typed}. {self.nearby(number)} All of them: {command('list')}")

    def nearby(self, number: str) -> str:
        lowered = {name.lower(): name for name in self.stages}
        sameNumber = [name for name in self.stages if name[:2] == number[:2] and number[:2].isdigit()]
        begun = [lowered[name] for name in lowered if number and name.startswith(number)]
        near = sameNumber or begun or [lowered[name] for name in difflib.get_close_matches(number, lowered)]
        return f"Near it: {', '.join(near)}." if near else ""

    def after(self, stage: Stage) -> Stage | None:
        """The next stage of the tutorial."""
        numbers = list(self.stages)
        following = numbers[numbers.index(stage.number) + 1 :]
        return self.stages[following[0]] if following else None

    def copyOf(self, key: str) -> Path | None:
        """The learner's own file for a stage, or for "exercise NN", if it is still there."""
        name = self.progress.copies.get(key)
        return Path(name) if name and Path(name).is_file() else None


def canonical(typed: str) -> str:
    """A stage's number as stages.toml has it, in lower case: 7 and finger07.py are 07."""
    number = re.sub(r"^finger|\.(py|tac)$", "", typed.strip().lower())
    digits = re.match(r"(\d+)(.*)", number)
    return f"{int(digits[1]):02}{digits[2]}" if digits else number


def existing(name: str) -> Path:
    """A file the learner named."""
    path = Path(name)
    if path.is_dir():
        raise Problem(f"{name} is a folder; a file is wanted.")
    if not path.is_file():
        raise Problem(f"There is no file {name}.")
    return path.resolve()


def chosen(learner: Learner, stage: Stage, named: str | None, original: bool = False) -> Path:
    """The file to work on: the one that was named, else the learner's copy, else the stage's own."""
    if named:
        return existing(named)
    own = None if original else learner.copyOf(stage.number)
    return own or stage.path


def whose(stage: Stage, file: Path) -> str:
    """How to speak of that file."""
    return f"the tutorial's own {relative(file)}" if file == stage.path else f"your {relative(file)}"


def digest(stage: Stage, file: Path) -> str:
    """Changes when the file changes, or a helper module beside it."""
    files = [file, *(file.parent / name for name in stage.helpers)]
    return hashlib.sha256(b"\0".join(part.read_bytes() for part in files if part.is_file())).hexdigest()


def nextThing(learner: Learner) -> tuple[str, str]:
    """The one next thing to type, and why."""
    stage = learner.current
    number = stage.number
    own = learner.copyOf(number)
    done = [step for step in STEPS[:3] if step in learner.progress.seen.get(number, [])]
    if own and learner.progress.passed.get(number) == digest(stage, own):
        done.append("check")
    furthest = max((STEPS.index(step) for step in done), default=-1)
    wanted = STEPS[min(furthest + 1, len(STEPS) - 1)]
    if wanted == "check" and own is None:
        wanted = "start"
    if wanted == "next" and learner.after(stage) is None:
        return command("list"), "that was the last stage: you have seen them all"
    return command(*([wanted] if wanted == "next" else [wanted, number])), reason(wanted, own)


def reason(step: str, own: Path | None) -> str:
    return {
        "show": "read what is new, and the code",
        "try": "see it answer, byte by byte",
        "start": "get a working copy of your own to change",
        "check": f"change something in {relative(own)}, then see whether it still keeps its promises" if own else "",
        "next": "go on to the next stage",
    }[step]
