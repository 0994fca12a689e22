"""A picture of the results: bars, as SVG that is readable on light and dark pages.  No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from bench.measure import Results

WIDTH: Final = 760
LABELS: Final = 230
BARS: Final = 420
ROW: Final = 26
HEADING: Final = 44

STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.heading { font-weight: 600; }
.bar { fill: #a9b4c0; }
.own { fill: #1f6feb; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .bar { fill: #57606a; }
  .own { fill: #58a6ff; }
}
"""

PANELS: Final[dict[str, dict[str, str]]] = {
    "Finger queries a second of one processor, 50 clients": {
        "finger/limit/50": "C limit",
        "finger/uvloop/50": "uvloop, bare",
        "finger/linereceiver/50": "Twisted, LineReceiver",
        "finger/tutorial/50": "Twisted, the tutorial's server",
        "finger/asyncio/50": "asyncio, bare",
        "finger/pyfingerd/50": "pyfingerd",
        "finger/hot/50": "finger, one user",
        "finger/random/50": "finger, random users",
        "finger/fingerd/50": "fingerd under inetd",
        "finger/efingerd/50": "efingerd under inetd",
    },
    "Pages a second of one processor, 50 connections": {
        "web/nginx": "nginx",
        "web/aiohttp-uvloop": "aiohttp on uvloop",
        "web/aiohttp": "aiohttp",
        "web/twisted": "twisted.web, bare",
        "web/page": "finger, a user's page",
    },
}
"""The panels: the titles of cases, by name."""

OWN: Final = "finger,"
"""What the titles of this server's cases begin with."""


def picture(results: Results) -> str:
    """Return the picture: how many requests a processor can answer in a second, as bars, the longest first."""
    parts, height = [], 0
    for heading, titles in PANELS.items():
        rates = _rates(results, titles)
        parts.append(_panel(heading, rates, height))
        height += HEADING + ROW * len(rates)
    body = "".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 10}" width="{WIDTH}" role="img">\n'
        f"<title>Requests a second of one processor</title>\n<style>{STYLE}</style>\n{body}</svg>\n"
    )


def _rates(results: Results, titles: Mapping[str, str]) -> list[tuple[str, float]]:
    """Return titles with the requests a second, the most first."""
    figures = results.figures
    rates = [(title, 1e6 / figures[case]["microseconds"]) for case, title in titles.items() if case in figures]
    return sorted(rates, key=lambda rate: -rate[1])


def _panel(heading: str, rates: list[tuple[str, float]], top: int) -> str:
    lines = [f'<text class="heading" x="10" y="{top + 28}">{escape(heading)}</text>\n']
    most = max((rate for _, rate in rates), default=1.0)
    for row, (title, rate) in enumerate(rates):
        y, width = top + HEADING + ROW * row, max(1.0, BARS * rate / most)
        kind = "own" if title.startswith(OWN) else "bar"
        lines += [
            f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(title)}</text>\n',
            f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{width:.1f}" height="18" rx="2"/>\n',
            f'<text x="{LABELS + width + 8:.1f}" y="{y + 13}">{rate:,.0f}</text>\n',
        ]
    return "".join(lines)
