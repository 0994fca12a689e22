"""
A parser for the documentation: pages, their sections, and their fenced blocks.

The language of a fenced block determines how tests run it:

- C{console}: the text after C{$} is a shell command (C{>} continues it), and the lines below are its expected output,
  where C{...} matches anything.
- C{pycon}: a session of the Python interpreter.
- C{diff}: a change to a copy of the package.
- C{python}, C{toml}, C{ini} or C{text}, followed by a name: a file of that name.

A block below C{<!-- not run: the reason -->} is not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

from tests.support.tools import ROOT

FENCE = re.compile(r"```(\w*) *(\S*)$")
NOT_RUN = re.compile(r"<!-- not run: \S.* -->$")
FILES = {"python", "toml", "ini", "text"}
"""The languages of blocks that can be files."""


@dataclass(frozen=True)
class Block:
    """
    A fenced block.

    @ivar where: its page and line.
    @ivar language: its language.
    @ivar name: the name of its file; empty for none.
    @ivar isRun: whether it is run: it has no comment with a reason against that.
    """

    where: str
    language: str
    name: str
    text: str
    isRun: bool


@dataclass
class Section:
    """The blocks below one heading of the second level."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    def of(self, language: str) -> list[Block]:
        """Return the blocks of a language that are run."""
        return [block for block in self.blocks if block.isRun and block.language == language]


class Page:
    """
    One page.

    @ivar sections: its sections; the first one is above all headings.
    @ivar prose: its lines outside of blocks.
    @ivar anchors: the anchors of its headings, for links.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections = [Section("")]
        self.prose: list[str] = []
        lines = enumerate(path.read_text("utf-8").splitlines(), 1)
        for number, line in lines:
            fence = FENCE.match(line)
            if fence is not None:
                text = _untilFence(lines)
                isRun = not self._saysNotRun()
                self.sections[-1].blocks.append(Block(f"{path.name}:{number}", fence[1], fence[2], text, isRun))
                self.prose.append("```")
                continue
            if line.startswith("## "):
                self.sections.append(Section(line[3:]))
            self.prose.append(line)
        self.anchors = {_anchor(line.lstrip("# ")) for line in self.prose if line.startswith("#")}

    def _saysNotRun(self) -> bool:
        above = next((line for line in reversed(self.prose) if line), "")
        return NOT_RUN.match(above) is not None

    @property
    def blocks(self) -> list[Block]:
        """All blocks of the page."""
        return [block for section in self.sections for block in section.blocks]

    @property
    def files(self) -> dict[str, str]:
        """The contents of the files that the page shows, by name."""
        return {block.name: block.text for block in self.blocks if block.name}

    def section(self, title: str) -> list[str]:
        """Return the prose below a heading."""
        start = self.prose.index(f"## {title}") + 1
        rest = self.prose[start:]
        ends = [number for number, line in enumerate(rest) if line.startswith("## ")]
        return rest[: ends[0]] if ends else rest

    @property
    def code(self) -> list[str]:
        """The texts of its code spans."""
        return [code for line in self.prose for code in re.findall(r"`([^`]+)`", line)]

    @property
    def links(self) -> list[tuple[str, str]]:
        """The texts and targets of its links."""
        return [link for line in self.prose for link in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", line)]


def _untilFence(lines: Iterator[tuple[int, str]]) -> str:
    text = ""
    for _, line in lines:
        if line == "```":
            return text
        text += f"{line}\n"
    raise AssertionError("a block has no end")


def _anchor(heading: str) -> str:
    """Return the anchor that code hosting sites generate for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


PAGES = {path.name: Page(path) for path in [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]}


def rows(lines: list[str]) -> list[list[str]]:
    """Return the cells of tables, without their heads."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    ruled = [number for number, row in enumerate(cells) if set(row[0]) <= set("-:")]
    return [row for number, row in enumerate(cells) if number not in ruled and number + 1 not in ruled]


def typed(text: str) -> Iterator[tuple[str, str]]:
    """Return the commands of a block, and the text below each."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        first, *rest = part.split("\n")
        continued = [line for line in rest if line == ">" or line.startswith("> ")]
        command = "\n".join([first, *(line[2:] for line in continued)])
        yield command, "\n".join(rest[len(continued) :])


def isPrinted(expected: str, printed: str) -> bool:
    """Return whether an output matches the one that a page shows."""
    return OutputChecker().check_output(normal(expected), normal(printed), ELLIPSIS)


def differs(command: str, expected: str, printed: str) -> str:
    """Return a message about a command whose output does not match."""
    return f"$ {command}\nshould print:\n{normal(expected)}\nbut prints:\n{normal(printed)}"


def normal(text: str) -> str:
    lines = [line.expandtabs().rstrip() for line in text.split("\n")]
    return "\n".join(lines).strip("\n") + "\n"
