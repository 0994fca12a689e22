"""The benchmark's own code: names of cases, results as tables and a picture, and the load generator's report."""

from __future__ import annotations

import os
import sys
import time
from io import StringIO
from pathlib import Path
from typing import TypeVar
from xml.dom.minidom import parseString

from twisted.trial.unittest import SynchronousTestCase

from bench.loads import Load, Loader, parse
from bench.machine import cpuSeconds, residentBytes
from bench.measure import Bench, Case, Results
from bench.network import LOOPBACK
from bench.picture import PANELS, picture
from bench.processes import NotMeasured
from bench.report import COMPARISONS, PARTS, plain, write
from bench.sections import SECTIONS
from bench.setting import EFFORTS, ROOT, Setting

T = TypeVar("T")

DOCUMENT = "Head\n" + "".join(f"<!-- measured: {name} -->\nold\n<!-- end -->\nText\n" for name in PARTS)


def results() -> Results:
    """Return results with round figures."""
    return Results(
        figures={
            "finger/limit/1": {"microseconds": 20.0, "slowest": 0.5},
            "finger/limit/50": {"microseconds": 9.0, "slowest": 1.0},
            "finger/hot/50": {"microseconds": 36.0, "slowest": 2.0},
            "web/page": {"microseconds": 40.0, "slowest": 3.0},
            "idle/finger/100": {"bytes": 1700.0, "microseconds": 37.0},
            "growth/1000000": {"seconds": 5.9, "cpuSeconds": 5.8, "bytes": 569e6, "microseconds": 38.0},
        },
        missing={
            "web/nginx": "nginx is not installed: run 'sudo apt install nginx-light'",
            "finger/asyncio/50": "gone",
        },
        machine={"Processor": "2 x Example"},
    )


def bench(directory: str, *patterns: str) -> Bench:
    """Return a run on loopback with the least effort, whose load generator does not exist."""
    path = Path(directory)
    loader = Loader(path / "no-load", 0)
    return Bench(Setting(LOOPBACK, EFFORTS["smoke"], ROOT, 0, loader, path, path / "no-python"), patterns)


class ReportTests(SynchronousTestCase):
    """The tables."""

    def test_parts(self) -> None:
        """Each part of the document is replaced, and the text around it is kept."""
        written = write(DOCUMENT, results())
        self.assertNotIn("old", written)
        self.assertTrue(written.startswith("Head\n"))
        self.assertEqual(written.count("<!-- end -->\nText\n"), len(PARTS))

    def test_again(self) -> None:
        """The same results make the same document."""
        written = write(DOCUMENT, results())
        self.assertEqual(write(written, results()), written)

    def test_ratio(self) -> None:
        """A ratio is one of speeds."""
        self.assertIn(
            "| finger, one user, 50 clients | 36.0 | C limit | 9.00 | 0.25 | 0.6 |\n", write(DOCUMENT, results())
        )

    def test_bounds(self) -> None:
        """Figures with a bound have their unit."""
        self.assertIn("| 1,000,000 users: memory | 569 MB | 350 MB |\n", write(DOCUMENT, results()))

    def test_absent(self) -> None:
        """What is not measured says so, with the reason, and what to install."""
        written = write(DOCUMENT, results())
        self.assertIn("| a page: nginx | not measured | not measured |\n", written)
        self.assertIn("- Not measured: nginx is not installed: run 'sudo apt install nginx-light'\n", written)

    def test_nothing(self) -> None:
        """Without any result, the tables are still tables."""
        self.assertIn("not measured", write(DOCUMENT, Results()))

    def test_noPart(self) -> None:
        """A document without a part is an error that names it."""
        self.assertIn("'summary'", str(self.assertRaises(ValueError, write, "", results())))

    def test_plain(self) -> None:
        """A terminal gets the comparisons that were measured alone."""
        line = "finger, one user, 50 clients             36.0 µs    0.25 of C limit (goal 0.6)\n"
        self.assertEqual(plain(results()), line)

    def test_realDocument(self) -> None:
        """The document has all parts."""
        write((ROOT / "docs" / "performance.md").read_text("utf-8"), results())


class PictureTests(SynchronousTestCase):
    """The picture."""

    def test_bars(self) -> None:
        """Each measured case has a bar, the longest first."""
        document = parseString(picture(results()))
        bars = [float(bar.getAttribute("width")) for bar in document.getElementsByTagName("rect")]
        self.assertEqual(bars, [420.0, 105.0, 420.0])

    def test_deterministic(self) -> None:
        """The same results make the same picture."""
        self.assertEqual(picture(results()), picture(results()))

    def test_schemes(self) -> None:
        """It has colors for light and for dark pages."""
        self.assertIn("prefers-color-scheme: dark", picture(results()))

    def test_nothing(self) -> None:
        """Without any result, it is a picture of headings."""
        document = parseString(picture(Results()))
        self.assertEqual(len(document.getElementsByTagName("text")), len(PANELS))


class CaseTests(SynchronousTestCase):
    """The choice and the order of cases."""

    def wanted(self, name: str, *patterns: str) -> bool:
        """Return whether a run with these patterns wants a case."""
        return bench(self.mktemp(), *patterns).wants(name)

    def test_all(self) -> None:
        """Without names, all is measured."""
        self.assertTrue(self.wanted("finger/hot/50"))

    def test_names(self) -> None:
        """A name stands for what begins with it, by whole parts."""
        self.assertTrue(self.wanted("finger/limit/50", "finger/limit"))
        self.assertTrue(self.wanted("finger/limit/50", "web", "finger"))
        self.assertFalse(self.wanted("finger/limit-ipv6/50", "finger/limit"))

    def test_wildcards(self) -> None:
        """Names have wildcards."""
        self.assertTrue(self.wanted("finger/hot/50", "finger/*/50"))
        self.assertFalse(self.wanted("finger/hot/500", "finger/*/50"))

    def test_comparisons(self) -> None:
        """Each comparison is of cases in sections that exist."""
        for row in COMPARISONS:
            self.assertIn(row.ours.partition("/")[0], SECTIONS)
            self.assertIn(row.theirs.partition("/")[0], SECTIONS)

    def test_notMeasured(self) -> None:
        """A server that cannot start keeps no other from being measured, and is named with the reason."""

        def start(running: object) -> object:
            raise NotMeasured("no such program")

        self.patch(sys, "stderr", StringIO())
        run = bench(self.mktemp())
        run.measure([Case("a/b", start, lambda server: self.fail("measured"))])  # type: ignore[arg-type]
        self.assertEqual(run.results, Results(missing={"a/b": "no such program"}))


class LoadTests(SynchronousTestCase):
    """What sends requests."""

    def test_arguments(self) -> None:
        """The arguments for the program are those of its comment."""
        load = Load("192.0.2.1", 79, b"user%\r\n", "Happy", clients=50, requests=100, users=9, sources=3, isHTTP=True)
        expected = ["-c50", "-n100", "-u9", "-s3", "-eHappy", "-k", "192.0.2.1", "79"]
        self.assertEqual(load.arguments(), expected)

    def test_report(self) -> None:
        """The program's report is divided by the number of requests."""
        sample = parse(b'{"done": 200, "seconds": 0.5, "slowest": 7.5}', used=0.01)
        self.assertAlmostEqual(sample.microseconds, 50.0)
        self.assertEqual((sample.slowest, sample.perSecond), (7.5, 400.0))

    def test_noCompiler(self) -> None:
        """Without the program, the reason says what to install."""
        run = bench(self.mktemp())
        load = Load("127.0.0.1", 79, b"", "")
        reason = self.assertRaises(NotMeasured, run.setting.loader.run, None, load)
        self.assertIn("sudo apt install gcc", str(reason))


class MachineTests(SynchronousTestCase):
    """What a process has used."""

    def test_cpuSeconds(self) -> None:
        """The CPU time of this process is what its own clock says."""
        before = time.process_time()
        used = cpuSeconds(os.getpid())
        self.assertGreaterEqual(used, before)

    def test_residentBytes(self) -> None:
        """The memory of this process is more than a megabyte."""
        self.assertGreater(residentBytes(os.getpid()), 1_000_000)
