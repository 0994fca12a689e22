"""One page: what it must have, and the transcripts in it.

A page is tutorial/pages/NUMBER.md, the stage's number in lower case. Its headings are always the
same ones, in the same order. Where a line says `<!-- diff -->` or `<!-- code -->`, the build puts in
what the stage changes, or its whole file; pages never contain a copy of the code.

A fenced block in the language `console` is a transcript: lines that begin with `$ ` were typed
(`> ` continues them), the others came back. One below `<!-- not run: the reason -->` is for readers only.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..stages import TUTORIAL, Stage

PAGES = TUTORIAL / "pages"
DIFF = "<!-- diff -->"
CODE = "<!-- code -->"
HEADINGS = (
    "What is missing so far",
    "The idea: ",
    "The code",
    "Try it",
    "Why it is written so",
    "Still wrong",
    "Exercises",
    "Further reading",
)
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")


@dataclass
class Exchange:
    """One command and what it printed."""

    command: str
    output: list[str]

    def lines(self) -> list[str]:
        """As it stands on the page."""
        first, *more = self.command.split("\n")
        return [f"$ {first}", *(f"> {line}" for line in more), *self.output]


@dataclass
class Transcript:
    """One block: lines `start` to `end` of the page, without its fences."""

    start: int
    end: int
    exchanges: list[Exchange] = field(default_factory=list)

    def lines(self) -> list[str]:
        return [line for exchange in self.exchanges for line in exchange.lines()]


@dataclass(frozen=True)
class Page:
    """The page of a stage."""

    stage: Stage
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def transcripts(self) -> list[Transcript]:
        """Its console blocks, except those that say why they are not run."""
        found = []
        above = ""
        opened: int | None = None
        run = False
        for number, line in enumerate(self.lines):
            if opened is None and line.startswith("```"):
                opened = number + 1
                run = line == "```console" and not NOT_RUN.match(above)
            elif opened is not None and line == "```":
                if run:
                    found.append(Transcript(opened, number, parse(self.lines[opened:number])))
                opened = None
            if line.strip():
                above = line
        return found

    def problems(self) -> list[str]:
        """What is wrong with its form, in sentences."""
        return [*self._headingProblems(), *self._codeProblems(), *self._transcriptProblems()]

    def _headingProblems(self) -> Iterator[str]:
        title = f"# Stage {self.stage.number}: {self.stage.title}"
        if self.lines[:1] != [title]:
            yield f"The first line is to be {title!r}."
        there = [line[3:] for line in withoutBlocks(self.lines) if line.startswith("## ")]
        if len(there) != len(HEADINGS) or not all(map(matches, there, HEADINGS)):
            yield f"The headings are to be {', '.join(HEADINGS)}; they are {', '.join(there)}."

    def _codeProblems(self) -> Iterator[str]:
        section = list(self.section("The code"))
        if DIFF not in section and CODE not in section:
            yield f"Below `The code` there is neither {DIFF} nor {CODE}."
        if DIFF in section and not self.stage.after:
            yield f"{DIFF}: this stage begins afresh, so {CODE} is wanted."

    def _transcriptProblems(self) -> Iterator[str]:
        if not self.transcripts():
            yield "It has no transcript."
        for transcript in self.transcripts():
            if not transcript.exchanges:
                yield f"The block of line {transcript.start} begins with no command."

    def section(self, heading: str) -> Iterator[str]:
        """The lines below a heading, without its blocks."""
        inside = False
        for line in withoutBlocks(self.lines):
            if line.startswith("## "):
                inside = line == f"## {heading}"
            elif inside:
                yield line

    def withTranscripts(self, transcripts: Iterable[Transcript]) -> str:
        """The page's text with these in the place of its own."""
        lines = self.lines
        for transcript in sorted(transcripts, key=lambda one: one.start, reverse=True):
            lines[transcript.start : transcript.end] = transcript.lines()
        return "\n".join(lines) + "\n"


def pagePath(stage: Stage) -> Path:
    """Where the page of a stage is, or should be."""
    return PAGES / f"{stage.number.lower()}.md"


def load(stage: Stage) -> Page:
    """The page of a stage; `FileNotFoundError` if it is not written."""
    return Page(stage, pagePath(stage).read_text("utf-8"))


def matches(heading: str, wanted: str) -> bool:
    """Whether a heading is the one that is wanted; one that ends in a colon goes on."""
    if wanted.endswith(": "):
        return heading.startswith(wanted) and len(heading) > len(wanted)
    return heading == wanted


def withoutBlocks(lines: Iterable[str]) -> Iterator[str]:
    """The lines outside of fenced blocks."""
    inside = False
    for line in lines:
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield line


def parse(lines: Iterable[str]) -> list[Exchange]:
    """The commands of a block and their outputs; nothing if it does not begin with a command."""
    exchanges: list[Exchange] = []
    for line in lines:
        if line.startswith("$ "):
            exchanges.append(Exchange(line[2:], []))
        elif not exchanges:
            return []
        elif line.startswith("> ") and not exchanges[-1].output:
            exchanges[-1].command += "\n" + line[2:]
        else:
            exchanges[-1].output.append(line)
    return exchanges
