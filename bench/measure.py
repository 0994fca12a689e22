"""Measuring servers in turns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from statistics import median
from typing import TypeVar

from bench.loads import Sample
from bench.processes import NotMeasured
from bench.servers import Server, Start
from bench.setting import Running, Setting

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """
    One thing to measure.

    @ivar name: its name, such as C{finger/hot/50}.
    @ivar start: starts its server.  Cases with the same C{start} share a server.
    @ivar run: measures once.
    """

    name: str
    start: Start
    run: Callable[[Server], Sample]


@dataclass
class Results:
    """
    The results of a run.

    @ivar figures: by the name of a case, its figures by their name: C{microseconds} and C{slowest} (milliseconds) for
        a request, or C{seconds} and C{bytes}.
    @ivar missing: by the name of a case, why it is not measured.
    @ivar machine: what the machine is; see L{bench.machine.describe}.
    """

    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)


class Bench:
    """
    A run.

    @ivar setting: what it needs.
    @ivar results: its results so far.
    @param patterns: the names of the cases to measure, or their beginnings, with wildcards; all if empty.
    """

    def __init__(self, setting: Setting, patterns: Iterable[str] = ()) -> None:
        self.setting = setting
        self.results = Results()
        self._patterns = tuple(patterns)

    def wants(self, name: str) -> bool:
        """Return whether a case is to be measured."""
        return not self._patterns or any(
            fnmatch(name, pattern) or fnmatch(name, f"{pattern}/*") for pattern in self._patterns
        )

    def measure(self, cases: Iterable[Case]) -> None:
        """
        Measure cases in turns, so that what slows the machine down for a while slows all of them.  The first turn
        does not count.
        """
        wanted = [case for case in cases if self.wants(case.name)]
        if wanted:
            turns = self.setting.effort.turns
            print(f"{wanted[0].name} and others: {len(wanted)} cases, {turns} turns", file=sys.stderr, flush=True)
        with Running(self.setting) as running:
            servers = _start(running, wanted, self.miss)
            samples: dict[str, list[Sample]] = {case.name: [] for case in wanted}
            for turn in range(self.setting.effort.turns + 1):
                for case in wanted:
                    if case.name not in self.results.missing:
                        sample = self.attempt(case.name, partial(case.run, servers[case.start]))
                        samples[case.name] += [sample] if sample is not None and turn > 0 else []
        for name, found in samples.items():
            if name not in self.results.missing:
                self.note(
                    name,
                    microseconds=median(sample.microseconds for sample in found),
                    slowest=median(sample.slowest for sample in found),
                    perSecond=median(sample.perSecond for sample in found),
                )

    def attempt(self, name: str, function: Callable[[], T]) -> T | None:
        """Return a function's result; if it cannot measure, note why, and return L{None}."""
        try:
            return function()
        except NotMeasured as reason:
            self.miss(name, str(reason))
            return None

    def note(self, name: str, **figures: float) -> None:
        """Note the figures of a case, and print them."""
        self.results.figures[name] = figures
        print(f"{name:32}", *(f"{key} {value:,.4g}" for key, value in figures.items()), sep="  ", flush=True)

    def miss(self, name: str, reason: str) -> None:
        """Note that a case is not measured, and print it."""
        self.results.missing[name] = reason
        print(f"{name:32}  not measured: {reason}", file=sys.stderr, flush=True)


def _start(running: Running, cases: list[Case], miss: Callable[[str, str], None]) -> dict[Start, Server]:
    """Start the servers of cases."""
    servers: dict[Start, Server] = {}
    reasons: dict[Start, str] = {}
    for case in cases:
        if case.start not in servers and case.start not in reasons:
            try:
                servers[case.start] = case.start(running)
            except NotMeasured as reason:
                reasons[case.start] = str(reason)
        if case.start in reasons:
            miss(case.name, reasons[case.start])
    return servers
