"""The benchmark runs, with a handful of requests and no figure asserted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.support.tools import DEADLINE, ROOT

OPTIONAL = ("uvloop", "aiohttp", "nginx", "pyfingerd", "fingerd")
"""Parts of the names of the servers that the environment of the tests lacks."""


class BenchTests(SynchronousTestCase):
    """The command that C{make bench} runs."""

    def bench(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the benchmark on loopback, with a few requests, and the servers that are in this environment."""
        command = [sys.executable, "-m", "bench", "--smoke", "--loopback", f"--peers={sys.executable}", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=4 * DEADLINE, check=False
        )

    def test_smoke(self) -> None:
        """
        Everything is measured that can be: what needs no other programs, if there is a compiler.  Without one, each
        case says what to install.
        """
        compiler = shutil.which("cc")
        subprocess.run(["make", "--silent", "bench-programs"], cwd=ROOT, check=True, capture_output=True)
        run = self.bench()
        self.assertEqual(run.returncode, 0, run.stderr)
        absent = [line for line in run.stderr.splitlines() if " not measured: " in line]
        if compiler is None:
            self.assertTrue(all("sudo apt install" in line for line in absent if "finger/limit" in line), run.stderr)
            return
        surprises = [line for line in absent if not any(part in line.split()[0] for part in OPTIONAL)]
        self.assertEqual(surprises, [])
        for name in (
            "finger/hot/5",
            "web/page",
            "list/20",
            "xmlrpc/finger",
            "pb/finger/5",
            "idle/finger/10",
            "growth/20",
        ):
            self.assertIn(f"\n{name} ", f"\n{run.stdout}")

    def test_names(self) -> None:
        """Nothing but what is named is measured."""
        run = self.bench("pb/twisted/1")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual([line.split()[0] for line in run.stdout.splitlines()], ["pb/twisted/1"])

    def test_unknownOption(self) -> None:
        """A wrong option is an error in one line, after the usage."""
        run = self.bench("--nonsense")
        self.assertEqual(run.returncode, 2)
        self.assertIn("unrecognized arguments: --nonsense", run.stderr.splitlines()[-1])
