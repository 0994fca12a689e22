"""Each exercise: the stub fails its check for the reason the task names, the solution passes."""

import ast
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from .. import exercises
from ..exercises import Exercise
from ..harness import PromiseBroken
from ..stages import load_stages

SHORT_PATIENCE = 3.0  # seconds to wait for what a stub will not do
FEWEST = 10


class ExerciseTests(SynchronousTestCase):
    """One test an exercise; they are added below."""

    def passExercise(self, exercise: Exercise) -> None:
        with exercise.running(exercise.solution) as running:
            exercise.keep(running)
            self.assertNotIn("Unhandled", running.log())
        with exercise.running(exercise.stub, patience=SHORT_PATIENCE) as running:
            broken = self.assertRaises(PromiseBroken, exercise.keep, running)
        self.assertIn(str(broken), " ".join(exercise.task.split()))


def exerciseTest(exercise: Exercise) -> Callable[[ExerciseTests], None]:
    def test(self: ExerciseTests) -> None:
        self.passExercise(exercise)

    test.__doc__ = f"Exercise {exercise.number}, {exercise.title}"
    return test


for _number in exercises.numbers():
    setattr(ExerciseTests, f"test_exercise_{_number}", exerciseTest(exercises.load(_number)))


class FolderTests(SynchronousTestCase):
    """The folders are whole."""

    def test_enough_and_spread(self) -> None:
        there = exercises.numbers()
        self.assertGreaterEqual(len(there), FEWEST)
        stages = list(load_stages())
        places = [stages.index(number) for number in there]
        middle = len(stages) / 2
        self.assertTrue([place for place in places if place < middle])
        self.assertTrue([place for place in places if place >= middle])

    def test_every_folder_belongs_to_a_stage(self) -> None:
        folders = {path.name for path in exercises.HERE.iterdir() if path.is_dir() and path.name != "__pycache__"}
        self.assertEqual(folders, set(exercises.numbers()))

    def test_files(self) -> None:
        for number in exercises.numbers():
            exercise = exercises.load(number)
            self.assertTrue(exercise.sentence, number)
            self.assertLess(len(exercise.task.splitlines()), 15, number)
            self.assertEqual(exercise.stub.suffix, exercise.solution.suffix)
            for file in exercise.stub, exercise.solution:
                self.assertTrue(docstring(file).startswith(f"Exercise {number}: "), file)

    def test_no_exercise(self) -> None:
        self.assertRaises(KeyError, exercises.load, "02")


def docstring(file: Path) -> str:
    return ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
