"""How things look on the terminal: colours, pages, bytes, and what to type."""

import os
import pydoc
import shutil
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

COLOURS = {"green": "32", "red": "31", "cyan": "36", "bold": "1", "dim": "2"}


class Problem(Exception):
    """Something the learner can put right; the message is one clear line that says how."""


def interactive() -> bool:
    return sys.stdout.isatty()


def coloured() -> bool:
    return interactive() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if coloured() else text


def paintDiff(lines: Iterable[str]) -> str:
    """A unified diff as `diff -u` has it, in colours where there are any."""
    return "\n".join(paintDiffLine(line.rstrip("\n")) for line in lines)


def paintDiffLine(line: str) -> str:
    if line.startswith(("+++", "---")):
        return paint(line, "bold")
    colours = {"+": "green", "-": "red", "@": "cyan"}
    return paint(line, colours[line[0]]) if line[:1] in colours else line


def page(text: str) -> None:
    """Print a text; through a pager if it is longer than the terminal."""
    if interactive() and len(text.splitlines()) >= shutil.get_terminal_size().lines:
        os.environ.setdefault("LESS", "FRX")  # colours as colours, and the text stays when it ends
        pydoc.pager(text + "\n")
    else:
        print(text)


def wrap(text: str, indent: str = "", hang: str = "") -> str:
    """A paragraph in lines; those after the first are indented further by what hangs."""
    width = min(shutil.get_terminal_size().columns, 100)
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent + hang)


def visible(data: bytes) -> list[str]:
    """The bytes line by line, with what cannot be seen written as Python does: CR LF is \\r\\n."""
    return [repr(line)[2:-1].replace("\\'", "'") for line in data.splitlines(keepends=True)]


def showBytes(label: str, data: bytes) -> None:
    for number, line in enumerate(visible(data)):
        print(f"  {'' if number else label:10}{line}")


def python() -> str:
    """This Python, as the learner would type it."""
    here = os.path.dirname(sys.executable)
    for name in "python", "python3":
        found = shutil.which(name)
        if found and os.path.dirname(found) == here:
            return name
    return relative(Path(sys.executable))


def command(*words: str) -> str:
    """A command of the stepper, as the learner would type it."""
    return " ".join([python(), "-m", "tutorial", *words])


def relative(path: Path) -> str:
    """A path, seen from here if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
