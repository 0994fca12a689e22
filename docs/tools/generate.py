"""
Write the generated parts of the documents: tables of options, limits, metrics and modules, and the manual's options.

A generated part stands between two comments, C{<!-- generated: NAME -->} and C{<!-- end -->} in Markdown, or
C{.\\" generated: NAME} and C{.\\" end} in a manual page.  Everything else in a page is written by hand.

Run with C{--check}, it changes nothing, and fails if anything would change.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from finger import Config, makeService
from finger.config.options import Option
from finger.config.types import Number, Switch, Whole
from finger.plugins.discovery import findAdapters
from finger.testing import ThreadlessReactor

ROOT: Final = Path(__file__).resolve().parents[2]

LIMITS: Final = (
    ("query", "bytes", "finger.protocol.wire.MAX_LINE"),
    ("names in one query", "", "finger.protocol.wire.MAX_NAMES"),
    ("lines in an answer of the IRC bot", "", "finger.adapters.irc.messages.MAX_LINES"),
    ("users on one page of the web's list", "", "finger.adapters.web.pages.PAGE_SIZE"),
    ("body of an HTTP request", "bytes", "finger.net.httprequest.MAX_BODY"),
    ("request line of an HTTP request", "bytes", "finger.net.httphead.MAX_REQUEST_LINE"),
    ("fields of an HTTP request", "", "finger.net.httphead.MAX_FIELDS"),
    ("fields of an HTTP request, in all", "bytes", "finger.net.httphead.MAX_FIELDS_SIZE"),
    ("name of a field of an HTTP request", "bytes", "finger.net.httphead.MAX_FIELD_NAME"),
    ("requests on one HTTP connection", "", "finger.net.http.MAX_REQUESTS"),
    ("HTTP requests that wait for earlier ones", "bytes", "finger.net.http.MAX_WAITING"),
    ("values in an XML-RPC call", "", "finger.adapters.xmlrpc.messages.MAX_VALUES"),
    ("depth of a value in an XML-RPC call", "", "finger.adapters.xmlrpc.messages.MAX_DEPTH"),
    ("calls in one system.multicall", "", "finger.adapters.xmlrpc.resource.MAX_CALLS"),
    ("answers of one system.multicall", "characters", "finger.adapters.xmlrpc.resource.MAX_ANSWERS"),
    ("Perspective Broker message", "bytes", "finger.adapters.pb.broker.MAX_MESSAGE"),
    ("depth of a Perspective Broker message", "", "finger.adapters.pb.broker.MAX_DEPTH"),
    ("data on one Perspective Broker connection", "bytes", "finger.adapters.pb.broker.MAX_CONNECTION"),
    ("PROXY protocol header, version 1", "bytes", "finger.net.proxyprotocol.MAX_LINE"),
    ("PROXY protocol header, version 2", "bytes", "finger.net.proxyprotocol.MAX_HEADER"),
    ("message to the setter", "bytes", "finger.protocol.setting.MAX_MESSAGE"),
    ("status in memory", "characters", "finger.backends.memory.MAX_STATUS"),
    ("text of --texts", "bytes", "finger.access.texts.MAX_BYTES"),
    ("plan of an account of this machine", "bytes", "finger.backends.safefile.MAX_BYTES"),
    ("query for an account of this machine", "seconds", "finger.backends.local.DEADLINE"),
    ("connecting to another server", "seconds", "finger.client.client.CONNECT_TIMEOUT"),
    ("query to another server, in total", "seconds", "finger.client.client.TIMEOUT"),
    ("answer of another server", "bytes", "finger.client.client.MAX_BYTES"),
    ("queries to other servers at once", "", "finger.client.client.MAX_QUERIES"),
    ("the same to one host", "", "finger.client.client.MAX_QUERIES_PER_HOST"),
    ("the same for one peer", "", "finger.client.client.MAX_QUERIES_PER_PEER"),
    ("the same for one peer to one host", "", "finger.client.client.MAX_QUERIES_PER_PEER_AND_HOST"),
    ("queries to other servers that wait for those", "", "finger.client.client.MAX_WAITING"),
    ("the same for one peer", "", "finger.client.client.MAX_WAITING_PER_PEER"),
    ("lookups of hosts at once", "", "finger.client.client.MAX_LOOKUPS"),
    ("the same for one peer", "", "finger.client.client.MAX_LOOKUPS_PER_PEER"),
    ("attempts to log in at once, from one address or at one user name", "", "finger.access.attempts.ATTEMPTS"),
    ("interval between further attempts", "seconds", "finger.access.attempts.ATTEMPT_INTERVAL"),
    ("logins in progress at once", "", "finger.access.attempts.MAX_LOGINS"),
    ("networks remembered for a user who has logged in", "", "finger.access.attempts.MAX_NETWORKS"),
    ("lines of queries in the log at once", "", "finger.log.querylog.BURST"),
    ("further lines of queries per second", "", "finger.log.querylog.PER_SECOND"),
    ("log entries at once for one internal error", "", "finger.log.failures.BURST"),
    ("interval between further entries", "seconds", "finger.log.failures.INTERVAL"),
    ("lines at once in the log for another event that peers cause", "", "finger.log.peerlog.BURST"),
    ("interval between further lines", "seconds", "finger.log.peerlog.INTERVAL"),
    ("value from a peer in such a line", "characters", "finger.log.peerlog.MAX_VALUE"),
    ("query in the log", "characters", "finger.log.querylog.MAX_QUERY"),
)
"""The limits that no option sets: what is limited, the unit, and the constant."""


def optionRows() -> list[Option]:
    """Return all options, in the order of the help."""
    return list(findAdapters().table)


def optionGroups() -> Iterator[tuple[str, list[Option]]]:
    """Return the options by group."""
    rows = optionRows()
    for group in dict.fromkeys(option.group for option in rows):
        yield group, [option for option in rows if option.group == group]


def kindOf(option: Option) -> str:
    """Return the type of an option's value in the configuration file."""
    if option.repeated:
        return "list"
    if isinstance(option.kind, Switch):
        return "switch"
    return "number" if isinstance(option.kind, Whole | Number) else "text"


# Markdown.


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def code(text: str) -> str:
    """Return a code span; empty for an empty text."""
    return f"`{text}`" if text else ""


def options() -> str:
    """Return the tables of options."""
    head = ("option", "default", "environment", "file", "")
    return "\n".join(f"**{group}**\n\n{table(head, map(optionRow, found))}" for group, found in optionGroups())


def optionRow(option: Option) -> list[str]:
    """Return an option's row in its table."""
    short = [code(f"-{option.short}")] if option.short else []
    long = code(f"--{option.name}" + (f"={option.value}" if option.value else ""))
    isSetting = not option.action
    key = f"{code(option.name)}, {kindOf(option)}" if isSetting else ""
    variable = code(option.variable) if isSetting or option.name == "config" else ""
    about = re.sub(r"(?<!\S)--[a-z-]+", r"`\g<0>`", f"{option.help} Repeatable." if option.repeated else option.help)
    return [" ".join([*short, long]), code(option.defaultText), variable, key, about]


def limits() -> str:
    """Return the table of limits."""
    rows = [(what, amount(constant(name), unit), code(name)) for what, unit, name in LIMITS]
    return table(("limit on", "value", "constant"), rows)


def constant(name: str) -> float:
    """Return the value of a constant, by its full name."""
    module, _, attribute = name.rpartition(".")
    value = getattr(import_module(module), attribute)
    assert isinstance(value, int | float)
    return value


def amount(value: float, unit: str) -> str:
    """Return a number with its unit, as people write it."""
    if unit == "bytes" and value % 1024**2 == 0:
        return f"{value // 1024**2:,} MiB"
    if unit == "bytes" and value % 1024 == 0 and value > 1024:
        return f"{value // 1024:,} KiB"
    return f"{value:,g} {unit.replace('seconds', 's')}".strip() if value < 10_000 else f"{value:,} {unit}".strip()


def metrics() -> str:
    """Return the table of metrics."""
    rows = []
    for family in text_string_to_metric_families(scrape()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        rows.append((code(name), family.type, ", ".join(map(code, labels)), family.documentation))
    return table(("metric", "type", "labels", ""), rows)


def scrape() -> str:
    """Return what C{/metrics} answers on a server that has every adapter with metrics of its own."""
    config = Config(backends=("memory",), ssl=True, statusPorts=("9079",))
    server = makeService(config, ThreadlessReactor())
    for part in server.reloadables:
        for listener in server.reloadListeners:
            listener(part, True, 0.0)  # Some metrics have no series, and so no labels, before the first reload.
    factory = next(factory for factory in server.factories if factory.label == "statusport")
    factory.doStart()
    protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 9))
    assert protocol is not None
    transport = StringTransport()
    protocol.makeConnection(transport)
    protocol.dataReceived(b"GET /metrics HTTP/1.0\r\n\r\n")
    answer: bytes = transport.value()
    return answer.decode().partition("\r\n\r\n")[2]


def modules() -> str:
    """Return the table of modules: each folder, and the modules in it."""
    rows = [(code(shownPath(path.relative_to(ROOT))), summary(path)) for path in moduleFiles()]
    return table(("module", ""), [row for row in rows if row[1]])


def moduleFiles() -> list[Path]:
    """Return the modules of the package: of each folder, the modules before the folders in it."""
    return sorted((ROOT / "finger").rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path))


def shownPath(path: Path) -> str:
    """Return a module's path; of a package, that of its folder."""
    return f"{path.parent.as_posix()}/" if path.name == "__init__.py" else path.as_posix()


def summary(path: Path) -> str:
    """Return the first paragraph of a module's docstring, as Markdown."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    text = re.sub(r"\s+", " ", docstring.split("\n\n")[0]).removesuffix(".")
    return re.sub(r"[CL]\{([^}]*)\}", r"`\1`", re.sub(r"[UIB]\{([^}]*)\}", r"\1", text))


# The manual, in mdoc(7).


def manualOptions() -> str:
    """Return the options of twisted-fingerd(8)."""
    return manualLists(optionGroups(), manualTag)


def manualKeys() -> str:
    """Return the keys of finger.toml(5)."""
    settings = ((group, [option for option in found if not option.action]) for group, found in optionGroups())
    found = [(group, options) for group, options in settings if options]
    return manualLists(found, lambda option: f".It Cm {option.name} No = Ar {kindOf(option)}")


def manualLists(found: Iterable[tuple[str, list[Option]]], tag: Callable[[Option], str]) -> str:
    """Return a list of options for each group, below its heading."""
    lines = []
    for group, options in found:
        lines += [f".Ss {group}", ".Bl -tag -width Ds"]
        for option in options:
            lines += [tag(option), *manualText(option)]
        lines.append(".El")
    return "".join(f"{line}\n" for line in lines)


def manualTag(option: Option) -> str:
    """Return what introduces an option: its names, each with its value."""
    value = option.value.lower()
    short = f"Fl {option.short} {f'Ar {value} ' if value else ''}, " if option.short else ""
    return f".It {short}Fl -{option.name}" + (f" Ns = Ns Ar {value}" if value else "")


def manualText(option: Option) -> Iterator[str]:
    """Return what there is to say about an option, a sentence a line."""
    sentences = re.split(r"(?<=\.) (?=[A-Z])", option.help)
    if option.repeated and kindOf(option) == "list":
        sentences.append("Repeatable.")
    if option.defaultText:
        sentences.append(f"The default is {option.defaultText}.")
    for sentence in sentences:
        for line in textwrap.wrap(sentence, 78, break_on_hyphens=False):
            yield escaped(line)


def escaped(line: str) -> str:
    """Return a line as text of mdoc: no request, no escape sequence."""
    return re.sub(r"^(?=[.'])", r"\\&", line.replace("\\", "\\e"))


# The pages.

PARTS: Final[dict[str, dict[str, Callable[[], str]]]] = {
    "docs/design.md": {"modules": modules},
    "docs/reference.md": {"options": options, "limits": limits, "metrics": metrics},
    "docs/man/finger.toml.5": {"keys": manualKeys},
    "docs/man/twisted-fingerd.8": {"options": manualOptions},
}
"""The pages that have generated parts, and what makes each part."""


def markers(name: str, isManual: bool) -> tuple[str, str]:
    """Return the comments before and after a generated part."""
    if isManual:
        return f'.\\" generated: {name}\n', '.\\" end\n'
    return f"<!-- generated: {name} -->\n", "<!-- end -->\n"


def generated(text: str, parts: dict[str, Callable[[], str]], isManual: bool) -> str:
    """
    Return a page with its generated parts made anew.

    @raise ValueError: if a part is not in the page.
    """
    for name, make in parts.items():
        before, after = (
            (f'.\\" generated: {name}\n', '.\\" end\n')
            if isManual
            else (f"<!-- generated: {name} -->\n", "<!-- end -->")
        )
        start, end = text.find(before), text.find(after, text.find(before))
        if start < 0 or end < 0:
            raise ValueError(f"there is no generated part {name!r}")
        space = "" if isManual else "\n"
        text = f"{text[:start]}{before}{space}{make()}{space}{text[end:]}"
    return text


def main() -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description="Write the generated parts of the documents.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if anything would change")
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="the directory with docs")
    arguments = parser.parse_args()
    stale = []
    for name, parts in PARTS.items():
        path = arguments.root / name
        old = path.read_text("utf-8")
        try:
            new = generated(old, parts, isManual=path.suffix != ".md")
        except ValueError as error:
            sys.exit(f"{name}: {error}")
        if new != old:
            stale.append(name)
            if not arguments.check:
                path.write_text(new, "utf-8")
    if stale and arguments.check:
        print(f"{', '.join(stale)}: out of date; run 'make generate'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
