"""The pages: every stage has one, of the same form; what they show is what comes; what they cite is there."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from ..pagebuilder import transcripts
from ..pagebuilder.page import PAGES, Exchange, Page, Transcript, load, pagePath, parse
from ..pagebuilder.sources import BrokenLink, Sources
from ..stages import Stage, load_stages

STAGES = load_stages()
NOT_WRITTEN_YET: set[str] = set()  # stages whose page may be missing; empty when all is done
WRITTEN = [stage for stage in STAGES.values() if pagePath(stage).exists()]

TWISTED = "https://docs.twisted.org/en/stable/"
API = re.compile(re.escape(TWISTED) + r"api/([\w.]+)\.html(?:#(\w+))?")
HOWTOS = {  # the pages there are, below core/howto
    *("amp", "application", "basics", "choosing-reactor", "clients", "components", "cred", "defer", "defer-intro"),
    *("design", "endpoints", "gendefer", "glossary", "internet-overview", "logger", "options", "pb", "pb-clients"),
    *("pb-copyable", "pb-cred", "pb-intro", "pb-limits", "pb-usage", "plugin", "process", "producers"),
    *("reactor-basics", "servers", "ssl", "systemd", "tap", "testing", "threading", "time", "trial", "udp"),
}
WEB_HOWTOS = {  # and those below web/howto
    *("client", "resource-templates", "twisted-templates", "using-twistedweb", "web-overview", "xmlrpc"),
    *("web-in-60/index", "web-in-60/asynchronous", "web-in-60/asynchronous-deferred", "web-in-60/custom-codes"),
    *("web-in-60/dynamic-content", "web-in-60/dynamic-dispatch", "web-in-60/error-handling"),
    *("web-in-60/interrupted", "web-in-60/static-content", "web-in-60/static-dispatch"),
}


class FormTests(SynchronousTestCase):
    """Each page as it is written."""

    def test_every_stage_has_a_page(self) -> None:
        missing = {stage.number for stage in STAGES.values() if stage not in WRITTEN}
        self.assertEqual(missing - NOT_WRITTEN_YET, set())

    def test_every_page_has_a_stage(self) -> None:
        there = {path.name for path in PAGES.glob("*.md")}
        self.assertEqual(there - {pagePath(stage).name for stage in STAGES.values()}, {"index.md"})

    def test_form(self) -> None:
        problems = {stage.number: load(stage).problems() for stage in WRITTEN}
        self.assertEqual({number: found for number, found in problems.items() if found}, {})

    def test_no_path_of_one_machine(self) -> None:
        for stage in WRITTEN:
            self.assertEqual(re.findall(r"(?<![\w.])/(?:tmp|home|root|work)/\S*", load(stage).text), [], stage.number)

    def test_pages_of_twisted_are_there(self) -> None:
        for path in PAGES.glob("*.md"):
            for url in re.findall(re.escape(TWISTED) + r"[^)\s]*", path.read_text("utf-8")):
                self.assertTrue(isThere(url), f"{path.name}: {url}")


def isThere(url: str) -> bool:
    """Whether Twisted's documentation has this page, as far as can be known without asking."""
    found = API.fullmatch(url)
    if found:
        with contextlib.suppress(AttributeError, ImportError, ValueError):
            thing = namedAny(found[1])
            return found[2] is None or hasattr(thing, found[2]) or found[2] in thing.names()
        return False
    page = url.removeprefix(TWISTED).partition("#")[0].removesuffix(".html")
    return page in {f"core/howto/{name}" for name in HOWTOS} | {f"web/howto/{name}" for name in WEB_HOWTOS}


class TranscriptTests(SynchronousTestCase):
    """What the pages show is what comes: one test a page; they are added below."""

    def checkPage(self, stage: Stage) -> None:
        page = load(stage)
        if "$ curl" in page.text and not shutil.which("curl") and not os.environ.get("FINGER_NO_SKIP"):
            raise SkipTest("the page types curl, and it is not there")
        wrong = transcripts.differences(page, transcripts.run(page))
        self.assertEqual(wrong, [], "\n\n".join(["", *wrong]))


def checking(stage: Stage) -> Callable[[TranscriptTests], None]:
    def test(self: TranscriptTests) -> None:
        self.checkPage(stage)

    test.__doc__ = f"The page of stage {stage.number}: python -m tutorial.engine.pagebuilder check {stage.number}"
    return test


for _stage in WRITTEN:
    setattr(TranscriptTests, f"test_page_{_stage.number}", checking(_stage))


class ComparisonTests(SynchronousTestCase):
    """When two outputs are the same."""

    def test_same(self) -> None:
        self.assertTrue(transcripts.same(["a", "", "b"], ["a", "", "b"]))
        self.assertTrue(transcripts.same([], []))

    def test_different(self) -> None:
        for shown, came in ([["a"], ["b"]], [["a"], []], [[], ["a"]], [["a"], ["a", "b"]], [["a.c"], ["abc"]]):
            self.assertFalse(transcripts.same(shown, came), (shown, came))

    def test_any_lines(self) -> None:
        for came in (["a", "z"], ["a", "b", "c", "z"]):
            self.assertTrue(transcripts.same(["a", "...", "z"], came))
        self.assertFalse(transcripts.same(["a", "...", "z"], ["a", "b"]))

    def test_any_text_of_a_line(self) -> None:
        self.assertTrue(transcripts.same(["took ... s"], ["took 0.21 s"]))
        self.assertFalse(transcripts.same(["took ... s"], ["took 1", "2 s"]))

    def test_volatile(self) -> None:
        for shown, came in (
            ("2026-01-02T03:04:05+0000 [-] up", "2031-11-12T13:14:15+0100 [-] up"),
            ("Date: Fri, 02 Jan 2026 03:04:05 GMT", "Date: Sun, 31 Aug 2031 13:14:15 GMT"),
            ("<Factory object at 0x7f12>", "<Factory object at 0x7fab34>"),
            ("twistd 26.10.0 (python 3.11.7)", "twistd 27.1.0 (python 3.13.0)"),
            ("from 127.0.0.1:41234", "from 127.0.0.1:59999"),
        ):
            self.assertTrue(transcripts.same([shown], [came]), shown)

    def test_addresses_and_statuses_are_not_volatile(self) -> None:
        for shown, came in (("on 127.0.0.1", "on 127.0.0.2"), ("port 1079", "port 1080"), ("404", "200")):
            self.assertFalse(transcripts.same([shown], [came]), shown)


PAGE = """\
# Stage 07: Users

```console
$ ask a
one
$ ask \\
> b
```

<!-- not run: it needs another machine -->
```console
$ ask elsewhere
```

```python
$ no console
```
"""


class PageTests(SynchronousTestCase):
    """Pages, taken apart and put together."""

    def setUp(self) -> None:
        self.page = Page(STAGES["07"], PAGE)

    def test_transcripts(self) -> None:
        (transcript,) = self.page.transcripts()
        self.assertEqual(transcript.exchanges, [Exchange("ask a", ["one"]), Exchange("ask \\\nb", [])])

    def test_round_trip(self) -> None:
        self.assertEqual(self.page.withTranscripts(self.page.transcripts()), PAGE)

    def test_differences_and_update(self) -> None:
        (old,) = self.page.transcripts()
        today = [Transcript(old.start, old.end, [Exchange("ask a", ["two"]), Exchange("ask \\\nb", [])])]
        (difference,) = transcripts.differences(self.page, today)
        self.assertIn("one", difference)
        self.assertIn("two", difference)
        self.assertEqual(transcripts.updated(self.page, today), PAGE.replace("one\n", "two\n"))

    def test_what_is_the_same_stays(self) -> None:
        page = Page(STAGES["07"], PAGE.replace("one\n", "...\n"))
        (old,) = page.transcripts()
        today = [Transcript(old.start, old.end, [Exchange("ask a", ["1", "2"]), Exchange("ask \\\nb", [])])]
        self.assertEqual(transcripts.updated(page, today), page.text)

    def test_output_without_a_command(self) -> None:
        self.assertEqual(parse(["one", "$ ask a"]), [])

    def test_problems(self) -> None:
        problems = "\n".join(self.page.problems())
        self.assertIn("The headings are to be", problems)
        self.assertIn("neither", problems)
        self.assertNotIn("first line", problems)

    def test_problems_of_a_beginning(self) -> None:
        page = Page(STAGES["01"], "# Stage 1\n## The code\n<!-- diff -->\n")
        problems = "\n".join(page.problems())
        for part in "first line", "begins afresh", "no transcript":
            self.assertIn(part, problems)


class SourceTests(SynchronousTestCase):
    """What the site is made of."""

    def setUp(self) -> None:
        self.sources = Sources(Path(self.mktemp()))

    def test_code_and_diffs_are_put_in(self) -> None:
        self.sources.write()
        first = (self.sources.folder / "tutorial/01.md").read_text()
        self.assertIn(STAGES["01"].path.read_text(), first)
        page = (self.sources.folder / "tutorial/07.md").read_text()
        self.assertIn('+USERS = {"moshez": "Happy and well"}\n', page)
        self.assertIn("--- finger06a.py\n+++ finger07.py\n", page)
        self.assertTrue((self.sources.folder / "files/tutorial/finger07.py.md").exists())
        for text in first, page:
            self.assertNotIn("<!-- ", text)

    def test_other_stages_are_linked(self) -> None:
        text = "# Stage 08\nStage 08, stage 04a and stages. `stage 01` [stage 02](x) stage 99\n```\nstage 03\n```\n"
        linked = text.replace("stage 04a", "[stage 04a](04a.md)")
        self.assertEqual(self.sources._withCode(STAGES["08"], text), linked)

    def test_table_of_stages(self) -> None:
        self.sources.write()
        table = (self.sources.folder / "tutorial/index.md").read_text()
        self.assertIn("| 07 | [Users](07.md) | a factory with arguments | `finger07.py` |", table)

    def test_links(self) -> None:
        text = self.sources._withLinks("docs/x.md", "[a](design.md#b) [c](../LICENSE) [d](https://e.f/) [g](#h)\n")
        self.assertEqual(text, "[a](/docs/design.md#b) [c](/files/LICENSE.md) [d](https://e.f/) [g](#h)\n")

    def test_broken_link(self) -> None:
        self.assertRaises(BrokenLink, self.sources._withLinks, "docs/x.md", "[a](nowhere.md)\n")
