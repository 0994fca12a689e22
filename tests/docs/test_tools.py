"""The tools that write and check the documents, run as programs on copies of the documents."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.tools import ROOT

GENERATE = ROOT / "docs" / "tools" / "generate.py"
WORDS = ROOT / "docs" / "tools" / "words.py"


def runTool(*arguments: str | Path) -> tuple[int, str]:
    """Run a tool; return its exit status and its output."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


class GenerateTests(SynchronousTestCase):
    """C{docs/tools/generate.py}."""

    def setUp(self) -> None:
        """Copy the documents."""
        self.root = Path(self.mktemp()).absolute()
        shutil.copytree(ROOT / "docs", self.root / "docs")
        self.page = self.root / "docs" / "reference.md"
        self.text = self.page.read_text("utf-8")

    def test_upToDate(self) -> None:
        """The documents are up to date."""
        self.assertEqual(runTool(GENERATE, "--check", self.root), (0, ""))

    def test_labels(self) -> None:
        """The metrics of reloads have their labels, also those that have no series before the first reload."""
        reloads = [line for line in self.text.splitlines() if line.startswith("| `finger_last_reload_")]
        self.assertEqual(len(reloads), 3)
        for line in reloads:
            self.assertIn("| `part` |", line)

    def test_outOfDate(self) -> None:
        """A change of a generated part is reported, and undone; a change of other text is kept."""
        self.page.write_text(self.text.replace("`--hops=NUMBER`", "`--leaps=NUMBER`") + "By hand.\n", "utf-8")
        self.assertEqual(
            runTool(GENERATE, "--check", self.root), (1, "docs/reference.md: out of date; run 'make generate'\n")
        )
        self.assertEqual(runTool(GENERATE, self.root), (0, ""))
        self.assertEqual(self.page.read_text("utf-8"), f"{self.text}By hand.\n")

    def test_noMarker(self) -> None:
        """A page without one of its generated parts is an error."""
        self.page.write_text(self.text.replace("<!-- generated: limits -->\n", ""), "utf-8")
        status, output = runTool(GENERATE, self.root)
        self.assertEqual(
            (status, output.splitlines()[-1]), (1, "docs/reference.md: there is no generated part 'limits'")
        )


class WordsTests(SynchronousTestCase):
    """C{docs/tools/words.py}."""

    def check(self, name: str, text: str, percent: int = 0) -> tuple[int, str]:
        """Return what it says about a file."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        (directory / name).write_text(text, "utf-8")
        status, output = runTool(WORDS, str(percent), directory)
        return status, output.replace(f"{directory}/", "")

    def test_percent(self) -> None:
        """Up to the share is fine; above, the lines are printed."""
        text = "Whoever asks\nis anybody, says Nobody.\n"
        self.assertEqual(self.check("page.md", text, 50), (0, ""))
        status, output = self.check("page.md", text, 49)
        self.assertEqual((status, output.count("page.md:2: is anybody, says Nobody.\n")), (1, 2))
        self.assertIn("3 of 6 words", output)

    def test_code(self) -> None:
        """Code is not counted."""
        self.assertEqual(self.check("page.md", "Become `nobody`:\n\n```console\n$ who\n```\nThe end.\n"), (0, ""))
        self.assertEqual(self.check("module.py", '"""Become C{nobody}."""\n'), (0, ""))
        self.assertEqual(self.check("page.8", "Become\n.Ql nobody .\n"), (0, ""))
        self.assertEqual(self.check("page.8", ".Ql finger\nor nobody.\n")[0], 1)

    def test_generated(self) -> None:
        """Generated parts are not counted."""
        self.assertEqual(self.check("page.md", "<!-- generated: x -->\nwho\n<!-- end -->\nThe end.\n"), (0, ""))
        self.assertEqual(self.check("page.8", '.\\" generated: x\nwho\n.\\" end\nThe end.\n'), (0, ""))
        self.assertEqual(self.check("page.8", '.\\" generated: x\n.\\" end\nThe end of whom?\n')[0], 1)

    def test_otherFiles(self) -> None:
        """In a directory, only texts and programs are read."""
        self.assertEqual(self.check("page.png", "who\n"), (0, ""))
