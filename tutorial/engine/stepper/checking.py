"""check and next: the stage's promises, against the learner's own file."""

from argparse import Namespace
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ..harness import ORDERLY, PromiseBroken, Running
from ..promises import ELSEWHERE, describe, keep
from ..stages import Stage, promises_of
from .finding import Learner, chosen, digest, whose
from .paper import Problem, command, paint, wrap
from .reading import sayNext
from .starting import checkSource, chosenOffset, started

LESS_PATIENCE = 2.0  # seconds, once one promise was broken: others may be for the same reason
LONGEST = 300  # characters of an expectation, or of what came, that are shown


def check(learner: Learner, arguments: Namespace) -> int:
    """Say of each promise whether it is kept; the exit status is 0 if all are."""
    stage = learner.stage(arguments.stage)
    file = chosen(learner, stage, arguments.file, arguments.original)
    kept = checkFile(learner, stage, file, arguments.portOffset)
    if kept and file != stage.path:
        learner.progress.passed[stage.number] = digest(stage, file)
        learner.progress.note(stage.number, "check")
        sayNext(learner)
    elif kept:
        print(f"To check your own: {command('start', stage.number)}, change it, and check again.")
    return 0 if kept else 1


def checkFile(learner: Learner, stage: Stage, file: Path, wanted: str | None) -> bool:
    """Check one file against all the promises of a stage, and print what comes of it."""
    checkSource(file)
    names = promises_of(learner.stages, stage.number)
    inherited = [name for name in names if name not in stage.promises]
    offset = chosenOffset(stage, wanted, ["check", stage.number])
    print(f"Checking {whose(stage, file)} against stage {stage.number}, {stage.title}.", flush=True)
    broken = 0
    with started(stage, file, offset) as running, Checks(running, names) as checks:
        if inherited:
            print("\nFrom the stages before:")
        for name in inherited:
            broken += not tell(describe(name), checks.result(name))
        print(f"\nNew in stage {stage.number}:")
        for name in names[len(inherited) :]:
            broken += not tell(describe(name), checks.result(name))
        checks.finish()
        broken += not tell("It ends when it is told to, and its log holds no traceback.", ending(running))
    total = len(names) + 1
    if broken:
        print(f"\n{broken} of {total} promises broken. What you have changed: {command('compare', stage.number)}")
    else:
        print(f"\nAll {total} promises kept.")
    return not broken


class Checks:
    """Checks promises in two threads: those on the run itself, and those on variants of it."""

    def __init__(self, running: Running, names: list[str]) -> None:
        self.running = running
        self.here = ThreadPoolExecutor(1)
        self.elsewhere = ThreadPoolExecutor(1)
        pools = {name: self.elsewhere if name in ELSEWHERE else self.here for name in names}
        self.results: dict[str, Future[PromiseBroken | None]] = {
            name: pool.submit(self.keep, name) for name, pool in pools.items()
        }

    def __enter__(self) -> "Checks":
        return self

    def __exit__(self, *exception: object) -> None:
        self.finish()

    def keep(self, name: str) -> PromiseBroken | None:
        try:
            keep(name, self.running)
        except PromiseBroken as broken:
            self.running.set_patience(LESS_PATIENCE)
            return broken
        return None

    def result(self, name: str) -> PromiseBroken | None:
        return self.results[name].result()

    def finish(self) -> None:
        for pool in self.here, self.elsewhere:
            pool.shutdown(cancel_futures=True)


def ending(running: Running) -> PromiseBroken | None:
    code = running.end()
    log = running.log()
    if "Traceback" in log:
        return PromiseBroken("a log without a traceback", log[log.index("Traceback") :])
    if code not in ORDERLY:
        return PromiseBroken("an end in good order", f"exit code {code}")
    return None


def tell(sentence: str, broken: PromiseBroken | None) -> bool:
    """Print what became of one promise."""
    if broken is None:
        print(f"  {paint('ok', 'green')}  {sentence}", flush=True)
        return True
    print(f"  {paint('--', 'red')}  {sentence}")
    print(wrap(f"expected {shorten(broken.expected)}", "        "))
    print(wrap(f"got {shorten(broken.got)}", "        "), flush=True)
    return False


def shorten(text: str) -> str:
    """Of a long text, such as a log, the end: that is where the reason stands."""
    return text if len(text) <= LONGEST else "... " + text[-LONGEST:].lstrip()


def nextStage(learner: Learner, arguments: Namespace) -> int:
    """Go on to the next stage, once the learner's copy of this one passes its check."""
    stage = learner.current
    following = learner.after(stage)
    if arguments.skip:
        learner.progress.skipped = sorted({*learner.progress.skipped, stage.number} - learner.progress.passed.keys())
    elif not passes(learner, stage, arguments):
        print(f"\nStage {stage.number} is not done yet. To go on without it: {command('next', '--skip')}")
        return 1
    if following is None:
        print("That was the last stage: you have seen them all.")
        return 0
    learner.progress.current = following.number
    print(f"Now stage {following.number}, {following.title}. The new idea: {following.introduces}.")
    sayNext(learner)
    return 0


def passes(learner: Learner, stage: Stage, arguments: Namespace) -> bool:
    """Whether the copy keeps the promises; one that has not changed since it did is not asked again."""
    file = learner.copyOf(stage.number)
    if file is None:
        raise Problem(
            f"You have no copy of stage {stage.number} yet: {command('start', stage.number)}."
            f" To go on without one: {command('next', '--skip')}"
        )
    if learner.progress.passed.get(stage.number) == digest(stage, file):
        return True
    kept = checkFile(learner, stage, file, arguments.portOffset)
    if kept:
        learner.progress.passed[stage.number] = digest(stage, file)
    return kept
