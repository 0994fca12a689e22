"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench.loads import Loader
from bench.machine import describe, processors
from bench.measure import Bench
from bench.network import chooseNetwork
from bench.sections import SECTIONS
from bench.setting import BUILT, EFFORTS, PEERS_PYTHON, ROOT, Setting, ownPython


def makeParser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure this server and others.")
    effort = parser.add_mutually_exclusive_group()
    for name, about in {
        "quick": "a run of about two minutes",
        "smoke": "a few requests each, to test this program",
    }.items():
        effort.add_argument(f"--{name}", dest="effort", action="store_const", const=name, default="full", help=about)
    parser.add_argument("--loopback", action="store_true", help="use loopback instead of a network namespace")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="the checkout of the server to measure")
    parser.add_argument(
        "--peers", type=Path, default=PEERS_PYTHON, help="the interpreter for other servers in Python"
    )
    parser.add_argument("names", nargs="*", help="what to measure, such as 'finger', 'finger/hot', 'finger/*/50'")
    return parser


def main() -> None:
    """Measure."""
    arguments = makeParser().parse_args()
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
        bench.results.machine = describe({"finger": ownPython(setting.checkout), "others": setting.peersPython})
        for measure in SECTIONS.values():
            measure(bench)
    BUILT.mkdir(parents=True, exist_ok=True)
    (BUILT / "results.json").write_text(json.dumps(asdict(bench.results), indent=1))


if __name__ == "__main__":
    main()
