"""The site: Sphinx for the pages, pydoctor for the API reference. A warning is an error, and nothing is fetched."""

import shutil
import subprocess
import sys
from pathlib import Path

from . import inventory
from .sources import CHECKOUT, Sources

HERE = Path(__file__).resolve().parent


def build(folder: Path | None = None) -> int:
    """Build it; the exit status."""
    target = folder or CHECKOUT / "build" / "docs"
    work = target.with_name(f"{target.name}-sources")
    for old in target, work:
        shutil.rmtree(old, ignore_errors=True)
    Sources(work / "pages").write()
    status = buildPages(work, target) or buildReference(work, target / "api")
    if not status:
        print(f"The site begins at {target / 'index.html'}")
    return status


def buildPages(work: Path, target: Path) -> int:
    """The pages, by Sphinx."""
    options = ["-W", "--keep-going", "-q", "-n", "-b", "html", "-c", str(HERE), "-d", str(work / "doctrees")]
    return call("sphinx", *options, str(work / "pages"), str(target))


def buildReference(work: Path, target: Path) -> int:
    """The API reference, by pydoctor, in the place of the page Sphinx has made for it."""
    shutil.rmtree(target)
    options = [
        "--project-name=finger",
        "--project-url=../index.html",
        "--docformat=epytext",
        "--system-class=tutorial.engine.pagebuilder.reference.System",
        f"--project-base-dir={CHECKOUT}",
        f"--html-output={target}",
        "--warnings-as-errors",
        "--quiet",
        *inventory.write(work / "inventories"),
    ]
    return call("pydoctor", *options, str(CHECKOUT / "finger"))


def call(module: str, *arguments: str) -> int:
    """Run another project's program with this Python."""
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=CHECKOUT).returncode
