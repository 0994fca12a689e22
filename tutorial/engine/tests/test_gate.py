"""The gate: every stage starts, keeps its promises, and teaches what the one before it lacks."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from ..harness import ORDERLY, DidNotStart, PortTaken, PromiseBroken, Running
from ..promises import ELSEWHERE, PROMISES, keep
from ..stages import TUTORIAL, Stage, added_lines, followers, load_stages, promises_of

STAGES = load_stages()
LARGEST_STEP = 41  # lines: about forty
SHORT_PATIENCE = 1.0  # seconds to wait for what a stage is not expected to do
RUFF = ["check", "--no-cache", "--isolated", "--line-length=100", "--select=E501"]


class Gate(SynchronousTestCase):
    """One test a stage; they are added below."""

    def pass_stage(self, stage: Stage) -> None:
        with Running(stage) as running:
            self.all_kept(promises_of(STAGES, stage.number), running)
            running.set_patience(SHORT_PATIENCE)
            for follower in followers(STAGES, stage.number):
                for name in follower.promises:
                    self.broken(name, running, follower)
            code = running.end()
            log = running.log()
        self.assertNotIn("Traceback", log)
        self.assertNotIn("Unhandled", log)
        self.assertIn(code, ORDERLY, log)

    def all_kept(self, names: list[str], running: Running) -> None:
        """Check promises; those that leave this run alone, at the same time as the others."""
        here = [name for name in names if name not in ELSEWHERE]
        elsewhere = [name for name in names if name in ELSEWHERE]
        with ThreadPoolExecutor(1) as pool:
            others = pool.submit(self.kept_in_turn, elsewhere, running)
            self.kept_in_turn(here, running)
            others.result()

    def kept_in_turn(self, names: list[str], running: Running) -> None:
        for name in names:
            self.kept(name, running)

    def kept(self, name: str, running: Running) -> None:
        try:
            keep(name, running)
        except PromiseBroken as broken:
            self.fail(f"stage {running.stage.number}, {name}: {broken}\n{running.log()[-2000:]}")

    def broken(self, name: str, running: Running, follower: Stage) -> None:
        """What is new in a stage is not true before it: else it is no lesson, or no test."""
        try:
            keep(name, running)
        except PromiseBroken:
            return
        self.fail(f"{name} is new in stage {follower.number}, yet {running.stage.number} keeps it")


def gate(stage: Stage) -> Callable[[Gate], None]:
    def test(self: Gate) -> None:
        self.pass_stage(stage)

    test.__doc__ = f"Stage {stage.number}, {stage.title}: starts and keeps its promises."
    return test


for _stage in STAGES.values():
    setattr(Gate, f"test_stage_{_stage.number}", gate(_stage))


class TableTests(SynchronousTestCase):
    """stages.toml, the files and the promises fit together."""

    def test_files_are_there(self) -> None:
        for stage in STAGES.values():
            for name in stage.file, *stage.helpers, *stage.companions:
                self.assertTrue((TUTORIAL / name).is_file(), name)

    def test_every_file_belongs_to_a_stage(self) -> None:
        named = {n for s in STAGES.values() for n in (s.file, *s.helpers, *s.companions)}
        there = {path.name for path in TUTORIAL.glob("finger*") if path.is_file()}
        self.assertEqual(there - named, set())

    def test_every_promise_is_defined_and_made(self) -> None:
        made = {name for stage in STAGES.values() for name in stage.promises}
        self.assertEqual(made, set(PROMISES))

    def test_every_stage_makes_a_promise(self) -> None:
        for stage in STAGES.values():
            self.assertTrue(stage.promises, stage.number)

    def test_only_promises_that_were_made_are_retired_and_in_words(self) -> None:
        for stage in STAGES.values():
            before = promises_of(STAGES, stage.after) if stage.after else []
            for name, reason in stage.retires.items():
                self.assertIn(name, before, stage.number)
                self.assertGreater(len(reason.split()), 2, stage.number)

    def test_a_stage_comes_after_one_before_it(self) -> None:
        numbers = list(STAGES)
        for stage in STAGES.values():
            for other in (stage.after, stage.server):
                if other:
                    self.assertLess(numbers.index(other), numbers.index(stage.number))

    def test_steps_are_small(self) -> None:
        steps = [stage.number for stage in STAGES.values() if stage.after or stage.number == "01"]
        sizes = {number: added_lines(STAGES, number) for number in steps}
        self.assertEqual({n: size for n, size in sizes.items() if size > LARGEST_STEP}, {})

    def test_promises_are_described(self) -> None:
        for name, function in PROMISES.items():
            self.assertTrue(function.__doc__, name)


class SourceTests(SynchronousTestCase):
    """The stages' sources."""

    def test_lines_are_short(self) -> None:
        """At most 100 columns, for the pages that show them; `make lint` checks the rest."""
        files = sorted(str(path) for kind in ("*.py", "*.tac") for path in TUTORIAL.glob(kind))
        command = [sys.executable, "-m", "ruff", *RUFF, *files]
        result = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_interfaces_are_kept(self) -> None:
        """Each class that declares an interface of the stage's has its methods."""
        for stage in STAGES.values():
            if "finger_interfaces.py" in stage.helpers:
                command = [sys.executable, "-c", VERIFY, str(stage.path)]
                result = subprocess.run(command, capture_output=True, text=True)
                self.assertEqual(result.returncode, 0, f"{stage.file}: {result.stderr}")
                self.assertIn("IFingerService", result.stdout)


VERIFY = """
import runpy, sys
from zope.interface import implementedBy
from zope.interface.verify import verifyClass
for thing in runpy.run_path(sys.argv[1]).values():
    for interface in implementedBy(thing) if isinstance(thing, type) else ():
        if "finger" in interface.__module__ or interface.__module__ == "<run_path>":
            verifyClass(interface, thing)
            print(interface.__name__)
"""


class HarnessTests(SynchronousTestCase):
    """The harness says what is wrong, and leaves nothing behind."""

    def test_taken_port_is_named(self) -> None:
        stage = STAGES["07"]
        with Running(stage) as running:
            again = Running(stage, offset=running.offset)
            error = self.assertRaises(PortTaken, again.start)
            self.assertIn(str(running.port("finger")), str(error))

    def test_says_why_a_stage_did_not_start(self) -> None:
        file = self.mktemp()
        with open(file, "w") as broken:
            broken.write("raise SystemExit('no such stage')")
        error = self.assertRaises(DidNotStart, Running(STAGES["07"], file=file).start)
        self.assertIn("no such stage", str(error))

    def test_ends_what_it_started(self) -> None:
        running = Running(STAGES["07"])
        running.start()
        process, directory = running.process, running.directory
        running.stop()
        assert process is not None
        self.assertIsNotNone(process.poll())
        self.assertFalse(directory.exists())

    def test_checks_a_learners_copy(self) -> None:
        file = self.mktemp()
        with open(file, "w") as copy:
            copy.write(STAGES["07"].path.read_text().replace("Happy and well", "Sad"))
        with Running(STAGES["07"], file=file) as running:
            keep("unknown-is-no-such-user", running)
            broken = self.assertRaises(PromiseBroken, keep, "moshez-is-happy-and-well", running)
        self.assertIn(r"expected b'Happy and well\r\n'", str(broken))
        self.assertIn(r"got b'Sad\r\n'", str(broken))

    def test_accounts_stage_starts_without_help(self) -> None:
        """Stage 19c as its learner starts it, with the machine's own accounts."""
        stage = STAGES["19c"]
        with Running(stage, environment={"FINGER_HARNESS_ACCOUNTS": ""}) as running:
            keep("unknown-is-no-such-user", running)
