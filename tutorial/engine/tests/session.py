"""A learner's session with the stepper, for its tests."""

import contextlib
import io
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ..stages import load_stages
from ..stepper.cli import main

STAGES = load_stages()


class Session(SynchronousTestCase):
    """A learner in an empty folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        for name in [name for name in os.environ if name.startswith("FINGER_")]:
            self.setVariable(name, None)
        self.setVariable("NO_COLOR", None)
        self.state = self.folder / "state" / "progress.json"
        self.setVariable("FINGER_TUTORIAL_STATE", str(self.state))
        self.setVariable("COLUMNS", "100")

    def setVariable(self, name: str, value: str | None) -> None:
        self.addCleanup(putBack, name, os.environ.get(name))
        putBack(name, value)

    def step(self, *words: str, status: int = 0) -> str:
        """Type a command; what it says."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            got = main(words)
        self.error = err.getvalue()
        self.assertNotIn("Traceback", self.error)
        self.assertEqual(got, status, f"{words}: {out.getvalue()}{self.error}")
        return out.getvalue()

    def refused(self, *words: str) -> str:
        """A command that ends with one clear line."""
        self.step(*words, status=1)
        self.assertEqual(len(self.error.splitlines()), 1, self.error)
        return self.error

    def changeCopy(self, old: str, new: str, name: str = "my/finger07.py") -> None:
        file = self.folder / name
        text = file.read_text()
        self.assertIn(old, text)
        file.write_text(text.replace(old, new))


def putBack(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
