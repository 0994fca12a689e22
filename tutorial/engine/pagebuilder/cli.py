"""python -m tutorial.engine.pagebuilder: check the pages, bring their transcripts up to date, build the site.

python -m tutorial.engine.pagebuilder check [NUMBER ...]    form and transcripts; the exit status is 1 if one is wrong
python -m tutorial.engine.pagebuilder update NUMBER ...     rewrite the outputs in transcripts by running them
python -m tutorial.engine.pagebuilder build [FOLDER]        the site, in build/docs unless a folder is named
"""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..stages import Stage, load_stages
from . import transcripts
from .page import load, pagePath


def main(argv: Sequence[str] | None = None) -> int:
    """Do what was asked; the exit status."""
    parser = ArgumentParser(
        prog="python -m tutorial.engine.pagebuilder",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, nargs, help in ("check", "*", "form and transcripts"), ("update", "+", "rewrite the outputs"):
        commands.add_parser(name, help=help).add_argument("numbers", nargs=nargs, metavar="NUMBER")
    commands.add_parser("build", help="the site").add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args(argv)
    if arguments.command == "build":
        from .site import build  # only this needs Sphinx

        return build(arguments.folder)
    stages = list(named(arguments.numbers))
    return sum([{"check": check, "update": update}[arguments.command](stage) for stage in stages]) and 1


def named(numbers: Sequence[str]) -> Iterator[Stage]:
    """The stages that were named; without a name, all that have a page."""
    stages = {number.lower(): stage for number, stage in load_stages().items()}
    for number in numbers:
        if number.lower() not in stages:
            sys.exit(f"There is no stage {number}.")
        yield stages[number.lower()]
    if not numbers:
        yield from (stage for stage in stages.values() if pagePath(stage).exists())


def check(stage: Stage) -> int:
    """Say what is wrong with a page; how many things are."""
    page = load(stage)
    wrong = page.problems() or transcripts.differences(page, transcripts.run(page))
    print(f"{stage.number}: {'wrong' if wrong else 'ok'}", *wrong, sep="\n", flush=True)
    return len(wrong)


def update(stage: Stage) -> int:
    """Rewrite a page's outputs; one that somebody has changed meanwhile stays as it is."""
    page = load(stage)
    text = transcripts.updated(page, transcripts.run(page))
    if load(stage).text != page.text:
        print(f"{stage.number}: changed while its commands ran, so it was left alone")
        return 1
    if text != page.text:
        pagePath(stage).write_text(text, "utf-8")
    print(f"{stage.number}: {'as before' if text == page.text else 'rewritten'}", flush=True)
    for problem in page.problems():
        print(f"    {problem}")
    return 0
