"""The tools that write and check the documents, run as programs on copies of the documents."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.tools import ROOT

GENERATE = ROOT / "docs" / "tools" / "generate.py"


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
