"""Tests for the adapter of docs/adapters.md, installed as a package of its own."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.test_packaging import Environment, closure, copyDistributions, work
from tests.support.pages import PAGES
from tests.support.tools import DEADLINE, FAMILIES, ROOT, Server, ask, receive

FILES = PAGES["adapters.md"].files
PLUGIN = "finger/plugins/jsonlines.py"
USERS = f"--file={ROOT / 'etc' / 'users'}"
BROWSER = build_opener(ProxyHandler({}))


def writePackage(directory: Path, name: str = "finger-jsonlines", module: str = PLUGIN, before: str = "") -> Path:
    """
    Write the package that the page shows, and return its directory.

    @param name: the distribution's name.
    @param module: the module's path.
    @param before: a statement to insert before the others.
    """
    path = directory / module
    path.parent.mkdir(parents=True)
    path.write_text(FILES[PLUGIN].replace("import json\n", f"{before}\nimport json\n", 1), "utf-8")
    (directory / "pyproject.toml").write_text(FILES["pyproject.toml"].replace("finger-jsonlines", name), "utf-8")
    return directory


class ThirdPartyAdapterTests(SynchronousTestCase):
    """An environment with finger and the adapter's package."""

    def setUp(self) -> None:
        """Make a clean environment with finger."""
        self.environment = Environment(Path(tempfile.mkdtemp(dir=work().directory)))
        self.addCleanup(shutil.rmtree, self.environment.directory)
        self.environment.install(work().wheel)

    def package(self, *arguments: str) -> Path:
        """Write the adapter's package; see L{writePackage}."""
        return writePackage(Path(tempfile.mkdtemp(dir=work().directory)), *arguments)

    def finger(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """Run C{twistd finger}, and return its output."""
        return self.environment.run("twistd", "finger", *arguments, status=status, COLUMNS="80", **environment)

    def start(self, *options: str) -> Server:
        """Start a server in this environment."""
        server = Server(USERS, *options, program=str(self.environment.twistd), PYTHONPATH="")
        self.addCleanup(server.__exit__)
        return server

    def test_options(self) -> None:
        """The option is in the help, the configuration and the completion; an invalid value is refused by name."""
        self.assertNotIn("jsonport", self.finger("--help"))
        self.environment.install(self.package())
        self.assertIn("\nJSON lines:\n      --jsonport=PORT       JSON ports, with", self.finger("--help"))
        self.assertIn("jsonport = []  # default", self.finger("--print-config"))
        self.assertIn('jsonport = ["0"]  # FINGER_JSONPORT', self.finger("--print-config", FINGER_JSONPORT="0"))
        self.assertIn("--jsonport=", self.finger("--completion=bash"))
        configuration = self.environment.directory / "finger.toml"
        configuration.write_text("jsonport = 65536\n")
        for arguments, variables, expected in (
            ((USERS, "--jsonport=x"), {}, "twistd finger: --jsonport=x: "),
            ((USERS,), {"FINGER_JSONPORT": "99999"}, "twistd finger: FINGER_JSONPORT=99999: a port is a number"),
            ((USERS, f"--config={configuration}"), {}, f"twistd finger: {configuration}: jsonport=65536: a port is"),
            ((USERS, "--jsonprt=1"), {}, "did you mean --jsonport?"),
        ):
            refusal = self.finger(*arguments, "--check-config", status=1, **variables)
            self.assertIn(expected, refusal)
            self.assertEqual(refusal.count("\n"), 1)

    def test_served(self) -> None:
        """The port opens on both families if its option is set, and is limited, logged, counted and drained."""
        self.environment.install(self.package())
        copyDistributions(closure(["prometheus-client"]), self.environment.packages)
        self.assertNotIn("--jsonport=", self.start("--fingerport=0").log)
        server = self.start("--jsonport=0", "--statusport=0", "--max-connections=3")
        port = server.port("jsonport")
        for host in FAMILIES.values():
            self.assertEqual(json.loads(ask(host, port, b'{"user": "moshez"}\n'))["plan"], "Happy and well")
            self.assertEqual(json.loads(ask(host, port, b'{"user": "x"}\n')), {"error": "No such user"})
        self.assertIn('json ::1 \'{"user": "moshez"}\' ok', server.log)
        with BROWSER.open(f"http://127.0.0.1:{server.port('statusport')}/metrics", timeout=DEADLINE) as page:
            metrics = page.read().decode()
        self.assertIn('finger_queries_total{adapter="json",outcome="NoSuchUser"} 2.0', metrics)
        self.assertIn('finger_connections_limit{option="jsonport"} 3.0', metrics)
        waiting = [self.connect(port) for _ in range(3)]
        self.assertEqual(receive(self.connect(port)), b"")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual([receive(connection) for connection in waiting], [b"", b"", b""])
        server.stop()
        self.assertNotIn("Traceback", server.log)

    def connect(self, port: int) -> socket.socket:
        """Open a connection that sends nothing."""
        connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.addCleanup(connection.close)
        return connection

    def test_broken(self) -> None:
        """The server starts without a broken adapter, but an option of that adapter is an error that names it."""
        self.environment.install(self.package("finger-jsonlines", PLUGIN, "import nothing_of_that_name"))
        why = "finger.plugins.jsonlines (package finger-jsonlines 1.0) cannot be used: ModuleNotFoundError: No module"
        configuration = self.environment.directory / "finger.toml"
        configuration.write_text("jsonport = 1081\n")
        for arguments, variables, where in (
            (("--jsonport=1081",), {}, "option --jsonport not recognized; "),
            ((), {"FINGER_JSONPORT": "1081"}, "FINGER_JSONPORT: "),
            ((f"--config={configuration}",), {}, f"{configuration}: jsonport: unknown option; "),
        ):
            refusal = self.finger(USERS, *arguments, status=1, **variables)
            self.assertIn(f"twistd finger: {where}{why}", refusal)
            self.assertEqual(refusal.count("\n"), 1)
        log = self.start("--fingerport=0").log
        self.assertEqual(len([line for line in log.splitlines() if why in line]), 1)
        self.assertNotIn("Traceback", log)

    def test_twice(self) -> None:
        """Of two packages with an adapter of the same name, neither is loaded."""
        self.environment.install(self.package(), self.package("finger-other", "finger/plugins/other.py"))
        refusal = self.finger(USERS, "--jsonport=1081", status=1)
        why = "cannot be used: its name, json, is also that of another package's plugin"
        self.assertIn(f"finger.plugins.jsonlines (package finger-jsonlines 1.0) {why}", refusal)
        self.assertIn(f"finger.plugins.other (package finger-other 1.0) {why}", refusal)
