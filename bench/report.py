"""The results as Markdown, and their place in a document.  No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bench.measure import Results

ABSENT: Final = "not measured"


@dataclass(frozen=True)
class Server:
    """
    A server in a table.

    @ivar name: its name in cases' names.
    @ivar title: its title.
    """

    name: str
    title: str


FINGER: Final = (
    Server("limit", "C limit"),
    Server("limit-ipv6", "C limit, IPv6"),
    Server("uvloop", "uvloop, bare `Protocol`"),
    Server("linereceiver", "Twisted, bare `LineReceiver`"),
    Server("tutorial", "Twisted, the tutorial's `LineReceiver` and `Deferred`"),
    Server("asyncio", "asyncio, bare `Protocol`"),
    Server("pyfingerd", "pyfingerd"),
    Server("hot", "**finger**, one user"),
    Server("random", "**finger**, random users"),
    Server("ipv6", "**finger**, one user, IPv6"),
    Server("fingerd", "fingerd (BSD) under inetd"),
    Server("efingerd", "efingerd under inetd"),
)

WEB: Final = (
    Server("web/nginx", "a page: nginx"),
    Server("web/aiohttp-uvloop", "a page: aiohttp on uvloop"),
    Server("web/aiohttp", "a page: aiohttp"),
    Server("web/twisted", "a page: bare twisted.web"),
    Server("web/page", "a user's page: **finger**"),
    Server("list/1000-static", "as many bytes as the list of 1,000 users: bare twisted.web"),
    Server("list/1000", "the list of 1,000 users: **finger**"),
    Server("list/100000-static", "as many bytes as the list of 100,000 users: bare twisted.web"),
    Server("list/100000", "the list of 100,000 users: **finger**"),
    Server("xmlrpc/stdlib", "XML-RPC: the standard library, with threads"),
    Server("xmlrpc/twisted", "XML-RPC: bare twisted.web.xmlrpc"),
    Server("xmlrpc/finger", "XML-RPC: **finger**"),
    Server("pb/twisted/1", "PB, one call at a time: bare twisted.spread"),
    Server("pb/finger/1", "PB, one call at a time: **finger**"),
    Server("pb/twisted/50", "PB, 50 calls at once: bare twisted.spread"),
    Server("pb/finger/50", "PB, 50 calls at once: **finger**"),
)

IDLE: Final = (
    Server("finger", "**finger**, with a deadline for each"),
    Server("linereceiver", "Twisted, bare `LineReceiver`"),
    Server("asyncio", "asyncio, bare `Protocol`"),
)


@dataclass(frozen=True)
class Comparison:
    """
    A row of the summary.

    @ivar title: what is measured.
    @ivar ours: its case.
    @ivar theirs: the case that it is compared with.
    @ivar other: a title for that.
    @ivar goal: the least ratio to reach.
    """

    title: str
    ours: str
    theirs: str
    other: str
    goal: float


COMPARISONS: Final = (
    Comparison("finger, one user, 50 clients", "finger/hot/50", "finger/limit/50", "C limit", 0.6),
    Comparison("finger, one user, 500 clients", "finger/hot/500", "finger/limit/500", "C limit", 0.6),
    Comparison("finger, random users, 50 clients", "finger/random/50", "finger/limit/50", "C limit", 0.5),
    Comparison("finger, random users, 500 clients", "finger/random/500", "finger/limit/500", "C limit", 0.5),
    Comparison("finger, IPv6, 50 clients", "finger/ipv6/50", "finger/limit-ipv6/50", "C limit, IPv6", 0.55),
    Comparison("finger, IPv6, 500 clients", "finger/ipv6/500", "finger/limit-ipv6/500", "C limit, IPv6", 0.55),
    Comparison("a user's page", "web/page", "web/twisted", "bare twisted.web, as many bytes", 0.9),
    Comparison("a user's page", "web/page", "web/aiohttp-uvloop", "aiohttp on uvloop, as many bytes", 1.0),
    Comparison("list of 1,000 users", "list/1000", "list/1000-static", "bare twisted.web, as many bytes", 0.5),
    Comparison("list of 100,000 users", "list/100000", "list/100000-static", "bare twisted.web, as many bytes", 0.5),
    Comparison("XML-RPC `getUser`", "xmlrpc/finger", "xmlrpc/stdlib", "the standard library, with threads", 1.0),
    Comparison("PB `getUser`, one at a time", "pb/finger/1", "pb/twisted/1", "bare twisted.spread", 0.8),
    Comparison("PB `getUser`, 50 at once", "pb/finger/50", "pb/twisted/50", "bare twisted.spread", 0.8),
)

MANY: Final = 1_000_000

BOUNDS: Final = (
    ("slowest answer, 500 clients", "finger/hot/500", "slowest", "ms", 1.0, "50 ms"),
    ("an idle connection, of 10,000", "idle/finger/10000", "bytes", "bytes", 1.0, "1,500 bytes"),
    ("1,000,000 users: CPU time of the start", f"growth/{MANY}", "cpuSeconds", "s", 1.0, "3 s"),
    ("1,000,000 users: memory", f"growth/{MANY}", "bytes", "MB", 1e6, "350 MB"),
    ("100,000 users: CPU time of the start", "growth/100000", "cpuSeconds", "s", 1.0, "1 s"),
)
"""Figures with an upper bound: the title, the case, the figure, its unit, by what to divide it, and the bound."""


def number(value: float) -> str:
    """Return a number with about three digits."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table, whose columns after the first are numbers or short."""
    titles = list(head)
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def figure(results: Results, case: str, name: str, by: float = 1.0) -> str:
    """Return a figure as text."""
    figures = results.figures.get(case)
    return number(figures[name] / by) if figures is not None and name in figures else ABSENT


def ratio(results: Results, ours: str, theirs: str) -> str:
    """Return how fast one case is, compared with another: 1 is as fast."""
    if ours not in results.figures or theirs not in results.figures:
        return ABSENT
    return number(results.figures[theirs]["microseconds"] / results.figures[ours]["microseconds"])


def summary(results: Results) -> str:
    """Return the comparisons, and the figures with a bound."""
    compared = table(
        ("", "µs a request", "compared with", "its µs", "ratio", "goal"),
        (
            (
                row.title,
                figure(results, row.ours, "microseconds"),
                row.other,
                figure(results, row.theirs, "microseconds"),
                ratio(results, row.ours, row.theirs),
                f"{row.goal:g}",
            )
            for row in COMPARISONS
        ),
    )
    bounded = table(
        ("", "figure", "goal: below"),
        (
            (title, _withUnit(figure(results, case, name, by), unit), goal)
            for title, case, name, unit, by, goal in BOUNDS
        ),
    )
    return f"{compared}\n{bounded}"


def _withUnit(text: str, unit: str) -> str:
    return text if text == ABSENT else f"{text} {unit}"


def finger(results: Results) -> str:
    """Return the table of finger servers."""
    clients = sorted({int(name.split("/")[2]) for name in results.figures if name.startswith("finger/")})
    some, most = min(50, max(clients, default=0)), max(clients, default=0)
    head = ("µs a query, by clients", *map(str, clients), f"of the C limit, {some}", f"slowest, {most}")
    return table(
        head,
        (
            (
                server.title,
                *(figure(results, f"finger/{server.name}/{count}", "microseconds") for count in clients),
                ratio(results, f"finger/{server.name}/{some}", f"finger/limit/{some}"),
                _withUnit(figure(results, f"finger/{server.name}/{most}", "slowest"), "ms"),
            )
            for server in FINGER
        ),
    )


def web(results: Results) -> str:
    """Return the table of what is asked on connections that stay open."""
    return table(
        ("", "µs a request", "slowest"),
        (
            (
                server.title,
                figure(results, server.name, "microseconds"),
                _withUnit(figure(results, server.name, "slowest"), "ms"),
            )
            for server in WEB
        ),
    )


def memory(results: Results) -> str:
    """Return the tables of idle connections, and of users."""
    steps = sorted({int(name.split("/")[2]) for name in results.figures if name.startswith("idle/")})
    idle = table(
        (
            "bytes for each of so many idle connections",
            *(f"{step:,}" for step in steps),
            "µs a query besides the most",
        ),
        (
            (
                server.title,
                *(figure(results, f"idle/{server.name}/{step}", "bytes") for step in steps),
                figure(results, f"idle/{server.name}/{max(steps, default=0)}", "microseconds"),
            )
            for server in IDLE
        ),
    )
    users = sorted(int(name.split("/")[1]) for name in results.figures if name.startswith("growth/"))
    growth = table(
        ("users", "start", "its CPU time", "memory", "µs a query"),
        (
            (
                f"{count:,}",
                _withUnit(figure(results, f"growth/{count}", "seconds"), "s"),
                _withUnit(figure(results, f"growth/{count}", "cpuSeconds"), "s"),
                _withUnit(figure(results, f"growth/{count}", "bytes", 1e6), "MB"),
                figure(results, f"growth/{count}", "microseconds"),
            )
            for count in users
        ),
    )
    return f"{idle}\n{growth}"


def machine(results: Results) -> str:
    """Return what the results depend on, and what is not measured."""
    lines = [f"- {name}: {value}" for name, value in results.machine.items()]
    return "".join(f"{line}\n" for line in [*lines, *_absent(results)])


def _absent(results: Results) -> Iterator[str]:
    """Return a line for each reason why something is not measured."""
    for reason in dict.fromkeys(reason.splitlines()[0] for reason in results.missing.values()):
        yield f"- Not measured: {reason}"


PARTS: Final = {"summary": summary, "finger": finger, "web": web, "memory": memory, "machine": machine}
"""The measured parts of a document, and what makes each."""


def write(document: str, results: Results) -> str:
    """
    Return a document with its measured parts made anew.  They stand between C{<!-- measured: NAME -->} and
    C{<!-- end -->}.

    @raise ValueError: if a part is not in the document.
    """
    for name, make in PARTS.items():
        before = f"<!-- measured: {name} -->\n"
        part = re.compile(f"{re.escape(before)}.*?<!-- end -->", re.DOTALL)
        if not part.search(document):
            raise ValueError(f"there is no measured part {name!r}")
        made = f"{before}\n{make(results)}\n<!-- end -->"
        document = part.sub(lambda match, made=made: made, document, count=1)  # type: ignore[misc]
    return document


def plain(results: Results) -> str:
    """Return the comparisons that were measured, for a terminal."""
    lines = [
        f"{row.title:36} {figure(results, row.ours, 'microseconds'):>8} µs   "
        f"{ratio(results, row.ours, row.theirs):>5} of {row.other} (goal {row.goal:g})"
        for row in COMPARISONS
        if row.ours in results.figures and row.theirs in results.figures
    ]
    return "".join(f"{line}\n" for line in lines)
