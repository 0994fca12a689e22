"""
All log calls of the package: those with values from peers, or that peers cause, pass L{finger.log.peerlog.PeerLog} or
L{finger.log.failures.FailureLog}; the others are listed here with a reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import finger

PACKAGE = Path(finger.__file__).parent

LEVELS = {"debug", "info", "warn", "error", "critical", "failure", "emit"}
"""The methods of a logger."""

GATES = {"events", "_events", "_lines"}
"""The names of gates."""

FAILURES = {"failures", "_failures"}
"""The names of logs of failures."""

OTHER_LOGS = {"logging", "syslog", "twisted.python.log"}
"""The modules that would pass the gate by."""

ALLOWED = {
    "an option, or a file that it names; logged at the start or a reload": {
        "access/texts.py": {
            "--texts={directory}: not used: {others}; the names of texts are {names}",
            "texts read from {directory}",
            "{problem}; the texts in use are kept",
        },
        "adapters/web/templating.py": {
            "templates read from {directory}",
            "the templates in use are kept: {error}",
        },
        "adapters/web/tls.py": {
            "{label}: certificate read again",
            "{problem}; the previous certificate stays in use",
        },
        "config/reload.py": {
            "{path} has changed: {options} will take effect after a restart",
            "{problem}; the settings read at the start stay in force",
        },
        "config/watchedfile.py": {
            "read {count} {things} from {path}",
            "{path} cannot be read, its current {things} stay: {why}",
            "{path} is not readable by the user of this process (uid {uid}): its changes will not be noticed",
            "{path}: {more} more lines skipped",
            "{path}:{number}: skipped: {problem}",
        },
        "ops/server.py": {"finger has reloaded all but: {parts}", "{name}: could not be reloaded"},
    },
    "a port or a socket of this server; logged at the start": {
        "net/inherited.py": {
            "systemd passed sockets that no option adopts; connections to them hang: {sockets}",
            "{label}: the socket is not {domain}; its actual family is used",
        },
        "net/ports.py": {
            "{label}: listening on {address}",
            "{label}: this machine has no {family}",
            "{problem}",
        },
        "service.py": {
            "{option}: accepts {most} connections at once, not {wanted}: the limit of open files is too low"
        },
    },
    "what is installed; logged at the start": {
        "ops/health.py": {"--statusport: {words} ({error})"},
        "service.py": {"{broken}", "{problem}", "gauge {name} cannot be used: {why}"},
    },
    "the administrator's password file": {
        "config/checkers.py": {
            "--auth=file: {problem}",
            "--auth=file:{path}: Perspective Broker sends no passwords, so users with a hash cannot log in there",
            "--auth=file:{path}: other users of this machine can read or change it; only the server's should",
            "--auth=file:{path}: passwords in plain text: {plain}; replace these lines by the output of "
            "'{command} USER'",
        },
    },
    "systemd, and this server's own counts; logged once": {
        "ops/notify.py": {"could not send {notification} to systemd: {why}", "users cannot be counted"},
    },
}
"""The formats of the log calls that need no gate, by reason and module."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Return the modules of the package, without the gate itself."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        if module not in {"log/peerlog.py", "log/failures.py"}:
            yield module, ast.parse(path.read_text("utf-8"))


def receiver(attribute: ast.Attribute) -> str:
    """Return the last name of what an attribute is of: C{events} in C{self.queries.events.info}."""
    return ast.unparse(attribute.value).rpartition(".")[2]


def constant(arguments: list[ast.expr], index: int) -> str | None:
    """Return an argument if it is a constant string."""
    argument = arguments[index] if len(arguments) > index else None
    return str(argument.value) if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None


def logCalls(tree: ast.Module) -> Iterator[ast.Call]:
    """Return the calls of a logger's own methods."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            name = receiver(node.func).strip("_")
            if name in {"log", "logger", "Logger()"}:
                yield node


def passesBy(tree: ast.Module) -> Iterator[str]:
    """Return the formats of the log calls that have values or failures, and do not pass the gate."""
    for call in logCalls(tree):
        format = constant(call.args, 0)
        assert isinstance(call.func, ast.Attribute)
        if format is None or call.keywords or len(call.args) > 1 or call.func.attr == "failure":
            yield ast.unparse(call) if format is None else format


class GateTests(SynchronousTestCase):
    """Log calls, found in the source."""

    def test_passedBy(self) -> None:
        """The log calls that pass the gate by are the listed ones."""
        allowed = {
            (module, format) for rules in ALLOWED.values() for module, formats in rules.items() for format in formats
        }
        found = {(module, format) for module, tree in modules() for format in passesBy(tree)}
        self.assertEqual(found, allowed)

    def test_formats(self) -> None:
        """Formats are constant: what a peer sent is never a format, or a kind of its own."""
        for module, tree in modules():
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    isGate = receiver(node.func) in GATES and node.func.attr in LEVELS
                    if isGate or (receiver(node.func) in FAILURES and node.func.attr == "report"):
                        self.assertIsNotNone(constant(node.args, 1), f"{module}: {ast.unparse(node)}")

    def test_otherNames(self) -> None:
        """A method of a logger has no other name, and a logger is called C{log}."""
        for module, tree in modules():
            called = {id(call.func) for call in logCalls(tree)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and node.attr in LEVELS and receiver(node) == "log":
                    self.assertIn(id(node), called, f"{module}: {ast.unparse(node)}")
                if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("Logger("):
                    self.assertEqual([ast.unparse(target) for target in node.targets], ["log"], module)

    def test_otherLogs(self) -> None:
        """No module uses another log."""
        for module, tree in modules():
            imported: set[str] = set()
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    imported |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
            self.assertEqual(imported & OTHER_LOGS, set(), module)

    def test_finds(self) -> None:
        """The search finds log calls that pass the gate by."""
        for source in (
            "self.log.info('{peer} came', peer=peer)",
            "self.log.warn(f'{peer} came')",
            "log.error(text)",
            "self.factory.log.failure('broken')",
            "Logger().info('{peer}', peer=peer)",
            "self._log.emit(level, '{peer}', peer=peer)",
        ):
            self.assertEqual(len(list(passesBy(ast.parse(source)))), 1, source)
        for source in ("self.log.info('ready')", "self.events.info(self.log, '{peer}', peer=peer)"):
            self.assertEqual(list(passesBy(ast.parse(source))), [])
