"""What the site is made of: pages with code and diffs put in, links that lead somewhere.

Everything is taken from the checkout as it is. The README becomes the site's first page, docs/ and the
tutorial's pages keep their names; any other file that one of them links to gets a page that shows it.
"""

import difflib
import os
import posixpath
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..stages import TUTORIAL, Stage, load_stages
from .page import CODE, DIFF, pagePath

CHECKOUT = TUTORIAL.parent
STAGES = "<!-- stages -->"
PROJECT = "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"
IMAGES = "docs/images"
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
MENTION = re.compile(r"`[^`]*`|\[[^\]]*\]\([^)]*\)|\b[Ss]tage (?P<number>\d\d[a-z]?)\b")
LANGUAGES = {".py": "python", ".tac": "python", ".toml": "toml", ".md": "markdown", ".service": "ini", ".sh": "bash"}

FRONT = """
```{{toctree}}
:hidden:
:caption: The tutorial

tutorial/index
{tutorial}
```

```{{toctree}}
:hidden:
:caption: The package

{docs}
api/index
```
"""

API = "# API reference\n\nThe API reference is built by pydoctor.\n"


class BrokenLink(Exception):
    """A page links to a file that is not there."""


class Sources:
    """Writes the site's sources into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stages = load_stages()
        self.pages = dict(self._pages())
        self.shown: set[str] = set()  # files that are no pages, and are linked to

    def _pages(self) -> Iterator[tuple[str, str]]:
        """Each page's path in the checkout, and the name it has in the site."""
        yield "README.md", "index.md"
        yield "tutorial/pages/index.md", "tutorial/index.md"
        for stage in self.stages.values():
            if pagePath(stage).exists():
                yield relative(pagePath(stage)), f"tutorial/{pagePath(stage).name}"
        for path in sorted((CHECKOUT / "docs").glob("*.md")):
            yield relative(path), relative(path)
        for name in PROJECT:
            yield name, f"project/{name}"

    def write(self) -> None:
        """Write all of it."""
        for source, target in self.pages.items():
            self._write(target, self._page(source))
        for source in sorted(self.shown):
            self._write(shownName(source), showFile(source))
        shutil.copytree(CHECKOUT / IMAGES, self.folder / IMAGES, dirs_exist_ok=True)
        self._write("api/index.md", API)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")

    def _page(self, source: str) -> str:
        text = self._withLinks(source, (CHECKOUT / source).read_text("utf-8"))
        if source == "README.md":
            return text + self._front()
        if source == "tutorial/pages/index.md":
            return text.replace(STAGES, "\n".join(self._table()))
        stage = next((s for s in self.stages.values() if relative(pagePath(s)) == source), None)
        return self._withCode(stage, text) if stage else text

    def _front(self) -> str:
        names = [name.removesuffix(".md") for name in self.pages.values()]
        stages = [name for name in names if name.startswith("tutorial/") and name != "tutorial/index"]
        docs = [name for name in names if name.startswith(("docs/", "project/"))]
        return FRONT.format(tutorial="\n".join(stages), docs="\n".join(docs))

    def _table(self) -> Iterator[str]:
        yield "| | | new idea | file |"
        yield "|---|---|---|---|"
        for stage in self.stages.values():
            name = pagePath(stage).name
            title = f"[{stage.title}]({name})" if pagePath(stage).exists() else stage.title
            yield f"| {stage.number} | {title} | {stage.introduces} | `{stage.file}` |"

    # Code and diffs.

    def _withCode(self, stage: Stage, text: str) -> str:
        lines = []
        inside = False
        for line in text.splitlines():
            inside ^= line.startswith("```")
            if line == DIFF:
                lines += self._diff(stage)
            elif line == CODE:
                lines += code(stage.file)
                lines += [line for name in self._newFiles(stage) for line in code(name)]
            elif inside or line.startswith("#"):
                lines.append(line)
            else:
                lines.append(MENTION.sub(lambda found: self._mention(stage, found), line))
        return "\n".join(lines) + "\n"

    def _mention(self, stage: Stage, found: "re.Match[str]") -> str:
        """Another stage, named in the text, leads to its page."""
        other = self.stages.get(found["number"] or "")
        if other is None or other == stage or not pagePath(other).exists():
            return found[0]
        return f"[{found[0]}]({pagePath(other).name})"

    def _diff(self, stage: Stage) -> list[str]:
        """What the stage changes, the files it brings along, and a link to the whole of it."""
        before = self.stages[stage.after]
        changes = difflib.unified_diff(
            before.path.read_text("utf-8").splitlines(),
            stage.path.read_text("utf-8").splitlines(),
            before.file,
            stage.file,
            lineterm="",
        )
        lines = fenced("diff", changes)
        lines += [line for name in self._newFiles(stage) for line in code(name)]
        whole = f"tutorial/{stage.file}"
        self.shown.add(whole)
        return [*lines, f"The whole of it: [{whole}](/{shownName(whole)})", ""]

    def _newFiles(self, stage: Stage) -> list[str]:
        before = self.stages[stage.after].helpers if stage.after else ()
        return [name for name in (*stage.helpers, *stage.companions) if name not in before]

    # Links.

    def _withLinks(self, source: str, text: str) -> str:
        """Links to files of the checkout become links within the site."""
        inside = False
        lines = []
        for line in text.splitlines():
            inside ^= line.startswith("```")
            lines.append(line if inside else LINK.sub(lambda link: self._link(source, link), line))
        return "\n".join(lines) + "\n"

    def _link(self, source: str, link: "re.Match[str]") -> str:
        text, target = link.groups()
        if re.match(r"[a-z]+:|#", target):
            return link[0]
        name, mark, anchor = target.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
        if file in self.pages:
            return f"[{text}](/{self.pages[file]}{mark}{anchor})"
        if not (CHECKOUT / file).is_file():
            raise BrokenLink(f"{source}: there is no file {target}")
        self.shown.add(file)
        return f"[{text}](/{shownName(file)})"


def relative(path: Path) -> str:
    """A file's path in the checkout."""
    return path.relative_to(CHECKOUT).as_posix()


def shownName(source: str) -> str:
    """What the page is called that shows a file."""
    return f"files/{source}.md"


def showFile(source: str) -> str:
    """A page with nothing but a file."""
    text = (CHECKOUT / source).read_text("utf-8").splitlines()
    return "\n".join(["---", "orphan: true", "---", "", f"# {source}", "", *fenced(languageOf(source), text)])


def languageOf(name: str) -> str:
    """What a file is written in."""
    return LANGUAGES.get(os.path.splitext(name)[1], "text")


def code(name: str) -> list[str]:
    """A whole file of the tutorial's, below its name."""
    text = (TUTORIAL / name).read_text("utf-8").splitlines()
    return [f"`tutorial/{name}`:", "", *fenced(languageOf(name), text)]


def fenced(language: str, lines: "Iterator[str] | list[str]") -> list[str]:
    """A block; its fence is longer than any in it."""
    inner = list(lines)
    longest = max((len(run) for line in inner for run in re.findall(r"^`{3,}", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *inner, fence, ""]
