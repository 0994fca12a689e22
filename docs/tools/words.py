"""
Count the words that make a text hard to read as subjects: who, whom, whoever, nobody, somebody, anybody.

Usage: C{words.py PERCENT PATH ...}.  If they are more than that share of all words in the files, the check fails and
prints the lines that have them.  Code is not counted: blocks and spans in Markdown, C{C{}} and C{L{}} in docstrings,
and lines with macros in manual pages.  Generated parts are counted where they come from.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

COUNTED: Final = re.compile(r"\b(?:who|whom|whoever|nobody|somebody|anybody)\b", re.IGNORECASE)

SUFFIXES: Final = {".md", ".py", ".html", ".toml", ".1", ".5", ".8"}
"""The names of the files in a directory that are read."""

MACRO: Final = r'^\.\\" generated[\s\S]*?^\.\\" end$|^\..*$'

CODE: Final = {
    ".md": r"^<!-- generated[\s\S]*?^<!-- end -->|^```[\s\S]*?^```|`[^`\n]*`",
    ".py": r"[CL]\{[^}]*\}",
    **dict.fromkeys((".1", ".5", ".8"), MACRO),
}
"""What is not counted, by suffix."""


def files(paths: list[Path]) -> Iterator[Path]:
    """Return the files, and those in the directories."""
    for path in paths:
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.suffix in SUFFIXES)
        else:
            yield path


def text(path: Path) -> str:
    """Return the text of a file, with code removed and lines kept."""
    content = path.read_text("utf-8")
    code = CODE.get(path.suffix)
    if code is None:
        return content
    return re.sub(code, lambda match: re.sub(r"[^\n]", " ", match[0]), content, flags=re.MULTILINE)


def main() -> int:
    """Count; return the exit status."""
    parser = argparse.ArgumentParser(description="Count who, whom, whoever, nobody, somebody and anybody.")
    parser.add_argument("percent", type=float, help="how many percent of the words they may be")
    parser.add_argument("paths", nargs="+", type=Path, help="files, or directories with files")
    arguments = parser.parse_args()
    words, lines = 0, []
    for path in files(arguments.paths):
        for number, line in enumerate(text(path).splitlines(), 1):
            words += len(re.findall(r"\w+", line))
            lines += [f"{path}:{number}: {line.strip()}"] * len(COUNTED.findall(line))
    allowed = words * arguments.percent / 100
    if len(lines) <= allowed:
        return 0
    print(*lines, sep="\n", file=sys.stderr)
    print(
        f"{len(lines)} of {words} words are 'who', 'nobody' and the like; the limit is {allowed:.0f}", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
