"""Commands that only read: where one is, list, show, diff, compare."""

import difflib
from argparse import Namespace
from pathlib import Path

from .. import exercises
from ..promises import describe
from ..stages import TUTORIAL, Stage
from .finding import Learner, chosen, nextThing
from .paper import Problem, command, page, paint, paintDiff, plural, relative, wrap


def where(learner: Learner, arguments: Namespace) -> int:
    """No command at all: where the learner is, and the one next thing to type."""
    stage = learner.current
    count = sum(number in learner.progress.passed for number in learner.stages)
    if not learner.progress.current:
        print(wrap(f"A finger server in {plural(len(learner.stages), 'stage')}, from three lines to a finished one."))
        print("You are at the beginning.\n")
    else:
        print(f"You are at stage {stage.number}, {stage.title}. {count} of {len(learner.stages)} stages are done.")
        own = learner.copyOf(stage.number)
        print(f"Your copy of it: {relative(own)}\n" if own else "")
    sayNext(learner)
    print(f"All stages: {command('list')}    All commands: {command('--help')}")
    return 0


def sayNext(learner: Learner) -> None:
    typed, why = nextThing(learner)
    print(f"Next: {paint(typed, 'bold')}    ({why})")


def listStages(learner: Learner, arguments: Namespace) -> int:
    """All stages: title, what each introduces, what is done."""
    withExercise = set(exercises.numbers())
    width = max(len(stage.title) for stage in learner.stages.values())
    for number, stage in learner.stages.items():
        exercise = "*" if number in withExercise else " "
        line = f"{mark(learner, number):4} {number:5} {exercise} {stage.title:{width}}  {stage.introduces}"
        print(paint(line.rstrip(), "bold") if number == learner.current.number else line.rstrip())
    print("\n->  you are here    ok  your copy passed its check    --  skipped    *  has an exercise")
    sayNext(learner)
    return 0


def mark(learner: Learner, number: str) -> str:
    state = "ok" if number in learner.progress.passed else "--" if number in learner.progress.skipped else ""
    return ("->" if number == learner.current.number else "") + state


def show(learner: Learner, arguments: Namespace) -> int:
    """What is missing so far, the new idea, the code."""
    stage = learner.stage(arguments.stage)
    learner.progress.note(stage.number, "show")
    files = [stage.path, *newHelpers(learner, stage)]
    page("\n".join([*introduction(learner, stage), *(listing(file) for file in files)]))
    sayNext(learner)
    return 0


def introduction(learner: Learner, stage: Stage) -> list[str]:
    before = f"Stage {stage.after}" if stage.after else "What there is so far"
    lines = [paint(f"Stage {stage.number}: {stage.title}", "bold"), ""]
    if stage.kind == "client":
        lines += [f"A program that asks the server of stage {stage.server}, prints the answer and ends.", ""]
    else:
        lines += [f"{before} does not do this yet:" if stage.after else "There is nothing yet. This stage:"]
    lines += [wrap("- " + describe(name), "  ", "  ") for name in stage.promises]
    lines += ["", f"The new idea: {stage.introduces}", ""]
    if stage.retires:
        lines += ["No longer so:"]
        lines += [wrap(f"- {describe(name)} ({reason})", "  ", "  ") for name, reason in stage.retires.items()]
        lines += [""]
    if stage.after and learner.stages[stage.after] != previous(learner, stage):
        lines += [f"It goes on from stage {stage.after}.", ""]
    prose = TUTORIAL / "pages" / f"{stage.number}.md"
    return lines + ([f"The page about it: {relative(prose)}", ""] if prose.is_file() else [])


def previous(learner: Learner, stage: Stage) -> Stage | None:
    """The stage that stands before this one in the list."""
    numbers = list(learner.stages)
    place = numbers.index(stage.number)
    return learner.stages[numbers[place - 1]] if place else None


def newHelpers(learner: Learner, stage: Stage) -> list[Path]:
    """The modules this stage imports and the one before it does not, and its companions."""
    before = learner.stages[stage.after] if stage.after else None
    old = before.helpers if before else ()
    return [TUTORIAL / name for name in (*stage.helpers, *stage.companions) if name not in old]


def listing(file: Path) -> str:
    text = file.read_text("utf-8").rstrip("\n")
    head = f"---- {relative(file)}, {plural(len(text.splitlines()), 'line')} ----"
    return f"{paint(head, 'cyan')}\n{text}\n"


def diff(learner: Learner, arguments: Namespace) -> int:
    """What this stage changes in the one before it."""
    stage = learner.stage(arguments.stage)
    learner.progress.note(stage.number, "show")
    if not stage.after:
        print(f"Stage {stage.number} begins afresh. The whole of it: {command('show', stage.number)}")
        return 0
    before = learner.stages[stage.after]
    lines = difference(before.path, stage.path)
    for helper in newHelpers(learner, stage):
        lines += difference(None, helper)
    page(f"From stage {before.number}, {before.title}, to stage {stage.number}, {stage.title}:\n" + paintDiff(lines))
    sayNext(learner)
    return 0


def compare(learner: Learner, arguments: Namespace) -> int:
    """What the learner's file changes in the stage."""
    stage = learner.stage(arguments.stage)
    file = chosen(learner, stage, arguments.file)
    if file == stage.path:
        raise Problem(
            f"You have no copy of stage {stage.number} yet: {command('start', stage.number)},"
            f" or name a file: {command('compare', stage.number, 'FILE')}"
        )
    lines = difference(stage.path, file)
    page(paintDiff(lines) if lines else f"{relative(file)} is the same as {relative(stage.path)}.")
    return 0


def difference(old: Path | None, new: Path) -> list[str]:
    before = read(old) if old else []
    name = relative(old) if old else "(not there)"
    return list(difflib.unified_diff(before, read(new), name, relative(new), lineterm=""))


def read(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise Problem(f"{relative(path)} cannot be read: {error.strerror}.") from error
