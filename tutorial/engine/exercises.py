"""Exercises: a task, a stub that does not do it yet, a solution that does, and the check of both.

Each has a folder in tutorial/exercises/, named for its stage:

    README.md            the task; it ends with what the check says of the stub
    stub.py, .tac        where to begin
    solution.py, .tac    one way to do it
    check.py             check(running), a promise as those of the stages are

    exercise = load("07")
    with exercise.running(file) as running:
        exercise.keep(running)               # returns, or raises PromiseBroken
"""

import http.client
import importlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from .harness import HarnessError, PromiseBroken, Running
from .stages import TUTORIAL, Stage, load_stages

HERE = TUTORIAL / "exercises"


@dataclass(frozen=True)
class Exercise:
    """One folder."""

    number: str
    folder: Path
    stage: Stage
    module: ModuleType  # its check.py

    @property
    def task(self) -> str:
        return (self.folder / "README.md").read_text("utf-8")

    @property
    def title(self) -> str:
        return self.task.splitlines()[0].lstrip("# ")

    @property
    def stub(self) -> Path:
        return next(self.folder.glob("stub.*"))

    @property
    def solution(self) -> Path:
        return next(self.folder.glob("solution.*"))

    @property
    def copyName(self) -> str:
        """What the learner's copy of the stub is called."""
        return f"exercise{self.number}{self.stub.suffix}"

    @property
    def sentence(self) -> str:
        """What is to be seen when it is done."""
        return " ".join((self.module.check.__doc__ or "").split())

    @contextmanager
    def running(self, file: Path, offset: int | None = None, patience: float = 8.0) -> Iterator[Running]:
        """A run of a learner's file. One that replaces a helper runs under the stage that imports it."""
        replaces = getattr(self.module, "REPLACES", "")
        with tempfile.TemporaryDirectory(prefix="finger-exercise-") as folder:
            Path(folder).chmod(0o755)  # a stage started as root reads it as nobody
            started = self.assemble(Path(folder), file, replaces) if replaces else file
            with Running(self.stage, file=started, offset=offset, patience=patience) as running:
                yield running

    def assemble(self, folder: Path, file: Path, replaces: str) -> Path:
        for name in self.stage.file, *self.stage.helpers:
            shutil.copy(TUTORIAL / name, folder / name)
        shutil.copyfile(file, folder / replaces)
        return folder / self.stage.file

    def keep(self, running: Running) -> None:
        """Check it; whatever goes wrong on the way is a `PromiseBroken`."""
        try:
            self.module.check(running)
        except (HarnessError, OSError, http.client.HTTPException) as error:
            raise PromiseBroken(self.sentence, f"{type(error).__name__}: {error}") from error


def numbers() -> list[str]:
    """The stages that have an exercise, in the order of the tutorial."""
    return [number for number in load_stages() if (HERE / number / "check.py").is_file()]


def load(number: str) -> Exercise:
    """The exercise of a stage; `KeyError` if it has none."""
    if number not in numbers():
        raise KeyError(number)
    module = importlib.import_module(f"tutorial.exercises.{number}.check")
    return Exercise(number, HERE / number, load_stages()[number], module)


def expect(good: object, expected: str, got: object) -> None:
    """For checks: what must be true, what that is called, and what came."""
    if not good:
        raise PromiseBroken(expected, str(got))


def expectAnswer(running: Running, query: bytes, answer: bytes) -> None:
    """For checks: the bytes that come back for these."""
    got = running.ask(query)
    expect(got == answer, f"{answer!r} for {query!r}", repr(got))
