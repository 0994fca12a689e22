"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bench.loads import Loader
from bench.machine import commit, describe, processors
from bench.measure import Bench, Results
from bench.network import chooseNetwork
from bench.picture import picture
from bench.report import plain, write
from bench.sections import SECTIONS
from bench.setting import BUILT, EFFORTS, PEERS_PYTHON, ROOT, Setting, ownPython

WHOLE: Final = BUILT / "results.json"
"""The results of the last whole run."""

PARTIAL: Final = BUILT / "partial.json"
"""The results of the last other run."""

DOCUMENT: Final = ROOT / "docs" / "performance.md"
PICTURE: Final = ROOT / "docs" / "images" / "performance.svg"


def makeParser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure this server and others.")
    effort = parser.add_mutually_exclusive_group()
    for name, about in {
        "quick": "a shorter run",
        "smoke": "a few requests each, to test this program",
    }.items():
        effort.add_argument(f"--{name}", dest="effort", action="store_const", const=name, default="full", help=about)
    parser.add_argument("--loopback", action="store_true", help="use loopback instead of a network namespace")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="the checkout of the server to measure")
    parser.add_argument(
        "--peers", type=Path, default=PEERS_PYTHON, help="the interpreter for other servers in Python"
    )
    parser.add_argument("--rewrite", action="store_true", help="write the document from the last whole run")
    parser.add_argument("names", nargs="*", help="what to measure, such as 'finger', 'finger/hot', 'finger/*/50'")
    return parser


def main() -> None:
    """Measure, print the comparisons, and after a whole run, write the document."""
    arguments = makeParser().parse_args()
    isWhole = arguments.effort == "full" and not arguments.names
    if arguments.rewrite:
        writeDocument(Results(**json.loads(WHOLE.read_text())))
        return
    results = measure(arguments)
    print(plain(results), end="")
    BUILT.mkdir(parents=True, exist_ok=True)
    (WHOLE if isWhole else PARTIAL).write_text(json.dumps(asdict(results), indent=1))
    if isWhole:
        writeDocument(results)


def measure(arguments: argparse.Namespace) -> Results:
    """Measure what the command line says."""
    network = chooseNetwork(arguments.loopback)
    serverProcessor, loadProcessor = processors()
    os.sched_setaffinity(0, {loadProcessor})
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        setting = Setting(
            network=network,
            effort=EFFORTS[arguments.effort],
            checkout=arguments.checkout.resolve(),
            processor=serverProcessor,
            loader=Loader(BUILT / "load", loadProcessor),
            directory=Path(directory),
            peersPython=arguments.peers,
        )
        bench = Bench(setting, arguments.names)
        pythons = {"This server": ownPython(setting.checkout), "Others": setting.peersPython}
        bench.results.machine = describe(pythons) | {"Commit": commit(setting.checkout)}
        for section in SECTIONS.values():
            section(bench)
    return bench.results


def writeDocument(results: Results) -> None:
    """Write the results into the document, and the picture beside it."""
    DOCUMENT.write_text(write(DOCUMENT.read_text("utf-8"), results), "utf-8")
    PICTURE.write_text(picture(results), "utf-8")


if __name__ == "__main__":
    main()
