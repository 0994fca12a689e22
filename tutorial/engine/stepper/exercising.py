"""exercise: a task, a stub to begin with, a check."""

from argparse import Namespace
from pathlib import Path

from .. import exercises
from ..exercises import Exercise
from ..harness import DidNotStart, PromiseBroken
from .checking import tell
from .copies import target, write
from .finding import Learner, existing
from .paper import Problem, command, page, paint, relative
from .reading import listing
from .starting import checkSource, chosenOffset, whyNotStarted


def exercise(learner: Learner, arguments: Namespace) -> int:
    """Without a number, list them; the first time with one, hand out the stub; from then on, check."""
    if not arguments.stage:
        return listExercises(learner)
    chosen = find(learner, arguments.stage)
    if arguments.task or arguments.solution:
        page(listing(chosen.solution) if arguments.solution else chosen.task.rstrip())
        return 0
    own = learner.copyOf(key(chosen.number))
    if arguments.file or own:
        file = existing(arguments.file) if arguments.file else own
        assert file is not None
        return checkExercise(learner, chosen, file, arguments.portOffset)
    return handOut(learner, chosen)


def key(number: str) -> str:
    """What an exercise is called in the learner's progress."""
    return f"exercise {number}"


def find(learner: Learner, typed: str) -> Exercise:
    stage = learner.stage(typed)
    try:
        return exercises.load(stage.number)
    except KeyError:
        there = ", ".join(exercises.numbers())
        raise Problem(f"Stage {stage.number} has no exercise. These have one: {there}.") from None


def listExercises(learner: Learner) -> int:
    for number in exercises.numbers():
        done = "ok" if key(number) in learner.progress.passed else ""
        print(f"{done:4} {number:5} {exercises.load(number).title}")
    print(f"\nTo begin one: {command('exercise', exercises.numbers()[0])}")
    return 0


def handOut(learner: Learner, chosen: Exercise) -> int:
    """The task, and a stub to change."""
    file = target(None, chosen.copyName)
    print(chosen.task.rstrip() + "\n")
    if file.exists():
        print(f"{relative(file)} is there already, and stays as it is.")
    else:
        write(file, chosen.stub.read_text("utf-8"))
        print(f"{relative(file)} is where you begin.")
    learner.progress.copies[key(chosen.number)] = str(file)
    print(f"Change it, then: {paint(command('exercise', chosen.number), 'bold')}")
    return 0


def checkExercise(learner: Learner, chosen: Exercise, file: Path, wanted: str | None) -> int:
    """Say whether the task is done; the exit status is 0 if it is."""
    checkSource(file)
    offset = chosenOffset(chosen.stage, wanted, ["exercise", chosen.number])
    print(f"Checking {relative(file)}: exercise {chosen.number}, {chosen.title}.", flush=True)
    broken = outcome(chosen, file, offset)
    if not tell(chosen.sentence, broken):
        task, solution = (command("exercise", chosen.number, option) for option in ("--task", "--solution"))
        print(f"\nThe task again: {task}\nOne way to do it: {solution}")
        return 1
    learner.progress.passed[key(chosen.number)] = "passed"
    print(f"\nDone. Another way to do it: {command('exercise', chosen.number, '--solution')}")
    return 0


def outcome(chosen: Exercise, file: Path, offset: int | None) -> PromiseBroken | None:
    try:
        with chosen.running(file, offset) as running:
            chosen.keep(running)
    except PromiseBroken as broken:
        return broken
    except DidNotStart as error:
        raise Problem(whyNotStarted(file, str(error))) from error
    return None
