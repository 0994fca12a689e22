"""Tests for the command line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.application.service import Application, IServiceMaker
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.plugin import getPlugins
from twisted.python.usage import Options as UsageOptions
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from finger import __version__
from finger.config.checkers import PasswordFile
from finger.config.help import formatHelp
from finger.config.model import Config
from finger.config.reload import ConfigFile
from finger.ops.server import FingerServer
from finger.tap import FingerOptions, Options, makeService
from tests.support.files import makeFIFO
from tests.support.tools import DEADLINE, ROOT, venv
from tests.support.typed import Observer
from tests.unit.test_timing import WallClockReactor

USERS = str(Path(ROOT, "etc", "users"))
NOWHERE = ["--fingerport=none", "--webport=none", "--pbport=none"]


def twistd(**given: object) -> UsageOptions:
    """Return twistd's own options, by default those of the foreground."""
    options = UsageOptions()
    options.update({"uid": None, "gid": None, "logfile": None, "syslog": False, "nodaemon": True, **given})
    return options


class OptionsTests(TestCase):
    """Options, and the resulting configuration."""

    def parse(self, *options: str) -> Config:
        """Return the configuration that the options result in."""
        parsed = Options()
        parsed.parseOptions(options)
        return parsed.config

    def test_defaults(self) -> None:
        """Without options, all settings have their defaults."""
        self.assertEqual(self.parse(), Config())

    def test_all(self) -> None:
        """Each option is read, in its short form if it has one, and repeated if it is repeatable."""
        self.assertEqual(
            self.parse(
                *("-f", "/u", "--backend=file", "--backend=local", "-t", "/t", "--fingerport=1", "--fingerport=2"),
                *("--webport=3", "-s", "--httpsport=4", "--certificate=/c", "--privatekey=/k", "-p", "5"),
                *("--setport=6", "-n", "bot", "--ircserver=h:1", "--ircchannel=#a", "--ircchannel=#b", "--no-list"),
                *("--forward=h1", "--forward=any", "--hops=2", "--disclose=name, mail", "--ascii", "--match-names"),
                *("--max-connections=7", "--max-per-address=8", "--max-per-uid=3"),
                *("--rate=0.5", "--burst=9"),
                *("--query-timeout=1.5", "--answer-timeout=2", "--drain-timeout=0", "--admin=ada", "--admin=boss"),
                *("--trust-proxy=192.0.2.1", "--log-format=json"),
            ),
            Config(
                backends=("file", "local"),
                usersFile="/u",
                templates="/t",
                fingerPorts=("1", "2"),
                webPorts=("3",),
                ssl=True,
                httpsPorts=("4",),
                certificate="/c",
                privateKey="/k",
                pbPorts=("5",),
                setterPorts=("6",),
                ircNick="bot",
                ircServer="h:1",
                ircChannels=("#a", "#b"),
                listing=False,
                forward=("h1", "any"),
                maxHops=2,
                disclose=frozenset({"name", "mail"}),
                utf8=False,
                matchNames=True,
                maxConnections=7,
                maxConnectionsPerAddress=8,
                maxConnectionsPerUID=3,
                connectionsPerSecond=0.5,
                connectionBurst=9,
                querySeconds=1.5,
                answerSeconds=2.0,
                drainSeconds=0.0,
                administrators=("ada", "boss"),
                trustedProxies=("192.0.2.1",),
                logFormat="json",
            ),
        )
        self.assertEqual(self.parse("--rate=0").connectionsPerSecond, 0)
        self.assertEqual(self.parse("--disclose=").disclose, frozenset())

    def test_wrong(self) -> None:
        """An invalid option is reported in one line that names it."""
        for option in (
            "--nonsense",
            "--file=",
            "--disclose=age",
            "--hops=0",
            "--hops=x",
            "--hops=\u0661",
            "--max-connections=-1",
            "--max-per-address=",
            "--max-per-uid=0",
            "--rate=-1",
            "--rate=often",
            "--rate=nan",
            "--rate=inf",
            "--burst=0",
            "--burst=1.5",
            "--query-timeout=0",
            "--query-timeout=soon",
            "--query-timeout=inf",
            "--answer-timeout=-1",
            "--answer-timeout=nan",
            "--drain-timeout=-0.5",
            "--drain-timeout=",
            "--log-format=xml",
            "--hsts=-1",
            "--hsts=1y",
            "--hsts=",
            "--statushost=",
            "--statushost=http://x",
            "--completion=tcsh",
            "--config=/nowhere/finger.toml",
            "stray",
            "--hops=\n",
        ):
            error = self.assertRaises(SystemExit, self.parse, option)
            self.assertIn(option.partition("=")[0], str(error.code))
            self.assertNotIn("\n", str(error.code))

    def test_auth(self) -> None:
        """A credentials checker can be of any type of Twisted's, and several can be given."""
        path = self.mktemp()
        Path(path).write_bytes(b"ada:lovelace\n")
        (checker,) = self.parse(f"--auth=file:{path}").checkers
        assert isinstance(checker, PasswordFile)
        self.assertEqual(checker.path, path)
        self.assertEqual(len(self.parse(f"--auth=file:{path}", f"--auth=file:{path}").checkers), 2)

    def test_badAuth(self) -> None:
        """An unusable checker is reported in one line: an unknown type, an unreadable file, or no passwords."""
        for value in (
            "",
            "nonsense",
            "file",
            "file:",
            "file:/nowhere/passwords",
            "file:/",
            "memory:ada",
            "anonymous",
        ):
            with redirect_stderr(StringIO()) as err:
                error = self.assertRaises(SystemExit, self.parse, f"--auth={value}")
            self.assertEqual(err.getvalue(), "")
            self.assertIn(f"--auth={value}: is not a usable credentials checker", str(error.code))
            self.assertNotIn("\n", str(error.code))

    def test_version(self) -> None:
        """--version prints the package's version."""
        with redirect_stdout(StringIO()) as out:
            error = self.assertRaises(SystemExit, self.parse, "--version")
        self.assertEqual((error.code, out.getvalue()), (0, f"finger {__version__}\n"))

    def test_helpBackends(self) -> None:
        """--help-backends lists the back ends."""
        with redirect_stdout(StringIO()) as out:
            error = self.assertRaises(SystemExit, self.parse, "--help-backends")
        self.assertEqual(error.code, 0)
        self.assertIn("memory[:PATH] ", out.getvalue())

    def test_helpAuth(self) -> None:
        """--help-auth lists the types that --auth accepts, and --help-auth-type describes those."""
        with redirect_stdout(StringIO()) as out:
            error = self.assertRaises(SystemExit, self.parse, "--help-auth")
        self.assertEqual(error.code, 0)
        kinds = [line.split()[0] for line in out.getvalue().partition("ARGUMENT\n")[2].splitlines()]
        self.assertEqual(kinds, ["file", "unix"])
        for kind in kinds:
            with redirect_stdout(StringIO()) as out:
                error = self.assertRaises(SystemExit, self.parse, f"--help-auth-type={kind}")
            self.assertEqual(error.code, 0)
            self.assertTrue(out.getvalue().startswith(f"Usage: --auth={kind}[:ARGUMENT]\nARGUMENT: "))
            self.assertEqual("--hash-password" in out.getvalue(), kind == "file")

    def test_helpAuthRefused(self) -> None:
        """--help-auth-type reports a type that --auth refuses or does not know."""
        for kind in ("memory", "anonymous", "x", ""):
            error = self.assertRaises(SystemExit, self.parse, f"--help-auth-type={kind}")
            why = "is not an available type; available are file, unix"
            self.assertTrue(str(error.code).endswith(f" finger: --help-auth-type={kind}: {why}"), error.code)

    def test_help(self) -> None:
        """The help fits a terminal, lists every option, and shows examples with the command that was typed."""
        for name, command in (("/bin/twistd", "twistd -n finger --"), ("/bin/twisted-fingerd", "twisted-fingerd --")):
            with patch.dict(os.environ, {"COLUMNS": "80"}), patch.object(sys, "argv", [name]):
                text = str(Options())
            for line in text.splitlines():
                self.assertLessEqual(len(line), 80, line)
            for option in Options.adapters.table:
                self.assertIn(f" --{option.name}", text)
            self.assertEqual(text.count(f"\n  {command}"), 3)
            self.assertTrue(text.startswith("Usage: twist"))

    def test_narrow(self) -> None:
        """On a narrow terminal the help texts stand below the names; below a minimum width nothing changes."""
        for width in (1, 10, 27, 28, 40, 51):
            lines = formatHelp("twisted-fingerd", width, Options.adapters.table).splitlines()
            self.assertIn(" " * 10 + "Time to receive a query.", [line[:34] for line in lines])
            for line in lines:
                if len(line) > max(width, 34):
                    self.assertRegex(line, "^  (-.,|   ) --[^ ]+$")

    def test_brokenPipe(self) -> None:
        """A pipe that is closed before anything is printed is no error."""
        for option in ("--help", "--help-backends", "--help-auth", "--help-auth-type=unix"):
            reader, writer = os.pipe()
            os.close(reader)
            with open(writer, "w") as out, patch.object(sys, "stdout", out):
                error = self.assertRaises(SystemExit, self.parse, option)
            self.assertEqual(error.code, 0)

    def test_cannotPrint(self) -> None:
        """A failure to print is reported in one line."""
        with open("/dev/full", "w") as out, patch.object(sys, "stdout", out):
            error = self.assertRaises(SystemExit, self.parse, "--print-config")
        self.assertEqual(error.code, "standard output cannot be written: No space left on device")

    def test_pipe(self) -> None:
        """A reader of only the first line gets that line, and no traceback is printed."""
        for program in ("twistd", "twisted-fingerd"):
            arguments = ["finger"] if program == "twistd" else []
            done = subprocess.run(
                ["bash", "-c", 'set -o pipefail; "$@" --help | head -n 1', "bash", venv(program), *arguments],
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith("Usage: "))

    def test_encoding(self) -> None:
        """Characters that the terminal's encoding does not have are printed as escapes of Python."""
        with (
            TextIOWrapper(BytesIO(), encoding="ascii") as out,
            patch.object(sys, "stdout", out),
            patch.dict(os.environ, {"FINGER_ADMIN": "zo\u00eb \udcff"}),
        ):
            error = self.assertRaises(SystemExit, self.parse, "--print-config")
            self.assertEqual(error.code, 0)
            self.assertIn(b'admin = ["zo\\xeb", "\\udcff"]', out.buffer.getvalue())

    def test_unknown(self) -> None:
        """The error for a misspelt option suggests a similar one, if there is one."""
        for option, hint in (
            ("--webprot=3", "--webprot not recognized; did you mean --webport?"),
            ("--no-matchnames", "--no-matchnames not recognized; did you mean --no-match-names?"),
            ("--quux", "--quux not recognized"),
        ):
            error = self.assertRaises(SystemExit, self.parse, option)
            self.assertTrue(str(error.code).endswith(hint), error.code)

    def test_program(self) -> None:
        """An error message begins with the command that was typed."""
        for name, prefix in (("/bin/twistd", "twistd finger: "), ("/bin/twisted-fingerd", "twisted-fingerd: ")):
            with patch.object(sys, "argv", [name]):
                error = self.assertRaises(SystemExit, self.parse, "--hops=0")
            self.assertTrue(str(error.code).startswith(prefix))

    def test_switches(self) -> None:
        """A switch can be turned on and off; the last option counts."""
        self.assertNotIn("ssl", self.parse("--ssl", "--no-ssl").adapters)
        self.assertTrue(self.parse("--no-list", "--list").listing)
        self.assertNotIn("utf8", self.parse("--ascii", "--no-ascii").adapters)
        self.assertFalse(self.parse("--hops=2", "--hops=3", "--list", "--no-list").listing)

    def test_completion(self) -> None:
        """--completion prints a completion script."""
        with redirect_stdout(StringIO()) as out:
            error = self.assertRaises(SystemExit, self.parse, "--completion=bash")
        self.assertEqual(error.code, 0)
        self.assertIn("complete -F _twisted_fingerd twisted-fingerd", out.getvalue())


class ConfigurationTests(TestCase):
    """A configuration file, the environment, and options combined."""

    def parse(self, text: str, *options: str, **environment: str) -> FingerOptions:
        """Return the options that a file, an environment and a command line result in."""
        self.path = self.mktemp()
        Path(self.path).write_text(text, "utf-8")
        parsed = Options()
        with patch.dict(os.environ, environment):
            parsed.parseOptions([f"--config={self.path}", *options])
        return parsed

    def ended(self, *arguments: str, **environment: str) -> tuple[object, str]:
        """Return the exit status and the output."""
        with redirect_stdout(StringIO()) as out:
            error = self.assertRaises(SystemExit, self.parse, *arguments, **environment)
        return error.code, out.getvalue()

    def test_precedence(self) -> None:
        """An option overrides the environment, which overrides the file, which overrides the defaults."""
        text = "hops = 2\nburst = 2\nrate = 2\n"
        config = self.parse(text, "--hops=4", FINGER_HOPS="3", FINGER_BURST="3").config
        self.assertEqual((config.maxHops, config.connectionBurst, config.connectionsPerSecond), (4, 3, 2.0))
        self.assertEqual(config.maxConnections, Config().maxConnections)

    def test_environment(self) -> None:
        """FINGER_CONFIG names the file."""
        self.parse("hops = 2\n")
        parsed = Options()
        with patch.dict(os.environ, {"FINGER_CONFIG": self.path}):
            parsed.parseOptions([])
        self.assertEqual(parsed.config.maxHops, 2)
        with patch.dict(os.environ, {"FINGER_CONFIG": "/nowhere"}):
            error = self.assertRaises(SystemExit, Options().parseOptions, [])
        self.assertIn(" FINGER_CONFIG=/nowhere: cannot be read", str(error.code))

    def test_print(self) -> None:
        """The effective configuration can be printed, and the output is a valid configuration file."""
        code, printed = self.ended("no-list = true\n", "--fingerport=1", "--print-config", FINGER_FORWARD="a 'b c'")
        self.assertEqual(code, 0)
        self.assertIn(f"no-list = true  # {self.path}\n", printed)
        self.assertIn('fingerport = ["1"]  # --fingerport\n', printed)
        self.assertIn('forward = ["a", "b c"]  # FINGER_FORWARD\n', printed)
        self.assertEqual(self.ended(printed, "--print-config")[1].count(f"# {self.path}\n"), printed.count("\n"))

    def check(self, text: str, *options: str, **environment: str) -> tuple[object, str]:
        """Check a configuration without changing the log."""
        with patch("finger.tap.showWarnings") as show:
            ended = self.ended(text, "--check-config", *options, **environment)
        if show.called:
            show.assert_called_once_with(sys.stderr)
        return ended

    def test_check(self) -> None:
        """A valid configuration passes even if its ports are in use."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            code, printed = self.check(f"file = {USERS!r}\nfingerport = {port}\n")
        self.assertEqual((code, printed), (0, "twistd finger: the configuration is valid\n"))

    def test_wrong(self) -> None:
        """An error names the file and the option, or the variable."""
        file = f"file = {USERS!r}\n"
        for text, environment, expected in (
            ("hops = 0", {}, "PATH: hops = 0: should be a number, 1 or more"),
            ("hops = ", {}, "PATH: is not TOML, with lines such as hops = 2: "),
            ("hopps = 1", {}, "PATH: hopps: unknown option; did you mean hops?"),
            (file + 'fingerport = "tcp:x"', {}, "PATH: fingerport=tcp:x: is not a port number, "),
            ('file = "/nowhere"', {}, "PATH: file=/nowhere: cannot be read: "),
            (file, {"FINGER_WEBPORT": "x"}, "FINGER_WEBPORT=x: is not a port number, "),
            (file, {"FINGER_BURST": "x"}, "FINGER_BURST=x: should be a number, 1 or more"),
        ):
            code, printed = self.check(text, **environment)
            self.assertEqual(printed, "")
            self.assertTrue(str(code).startswith(f"twistd finger: {expected.replace('PATH', self.path)}"), code)
            self.assertNotIn("\n", str(code))


class MakeServiceTests(TestCase):
    """The service that is made from the options."""

    def make(self, *options: str) -> FingerServer:
        """Return the service of some options, with its ports open until the end of the test."""
        parsed = Options()
        parsed.parseOptions([f"--file={USERS}", *options])
        service = makeService(parsed)
        self.addCleanup(self.stop, service)
        return service

    def stop(self, service: FingerServer) -> Deferred[Any] | None:
        """Close a service's ports."""
        service.startService()
        return service.stopService()

    def test_plugin(self) -> None:
        """twistd finds the plugin."""
        (maker,) = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "finger"]
        verifyObject(IServiceMaker, maker)
        self.assertIs(maker.options, Options)
        self.assertIs(maker.makeService, makeService)

    def test_clock(self) -> None:
        """The reactor uses the monotonic clock, not the system's time of day."""
        wall = WallClockReactor()
        parsed = Options()
        parsed.parseOptions([f"--file={USERS}", *NOWHERE])
        with patch("twisted.internet.reactor", wall):
            makeService(parsed)
        self.assertIs(wall.seconds, time.monotonic)

    def test_openedAtOnce(self) -> None:
        """The ports are open when L{makeService} returns."""
        service = self.make(*NOWHERE[1:], "--fingerport=tcp:0:interface=127.0.0.1")
        ((address,),) = service.openPorts().values()
        self.assertEqual(address.host, "127.0.0.1")

    def test_wrong(self) -> None:
        """An error found while the service is made is reported in one line, too."""
        error = self.assertRaises(SystemExit, self.make, "--fingerport=x")
        self.assertIn("twistd finger: --fingerport=x: ", str(error.code))
        error = self.assertRaises(SystemExit, self.make, "--fingerport=x\n\x1b[2J")
        self.assertIn("twistd finger: --fingerport=x\\n\\x1b[2J: ", str(error.code))

    def test_root(self) -> None:
        """Started as root, twistd switches to an unprivileged user, unless its own options name one."""
        parsed = Options()
        parsed.parseOptions([f"--file={USERS}", *NOWHERE])
        for uid, after in ((None, (65534, 65533)), (0, (0, 7)), (1234, (1234, 7))):
            parsed.parent = twistd(uid=uid, gid=None if uid is None else 7)
            with patch("finger.tap.unprivileged", return_value=(65534, 65533)):
                self.addCleanup(self.stop, makeService(parsed))
            self.assertEqual((parsed.parent["uid"], parsed.parent["gid"]), after)

    def test_notRoot(self) -> None:
        """Started without root, twistd keeps its user."""
        parsed = Options()
        parsed.parseOptions([f"--file={USERS}", *NOWHERE])
        parsed.parent = twistd()
        with patch("os.geteuid", return_value=1000):
            self.addCleanup(self.stop, makeService(parsed))
        self.assertIsNone(parsed.parent["uid"])

    def test_file(self) -> Deferred[None]:
        """A server with a configuration file logs when it has changed."""
        path = self.mktemp()
        Path(path).write_text("hops = 2\n")
        service = self.make(*NOWHERE, f"--config={path}")
        (file,) = [part for part in service.reloadables.values() if isinstance(part, ConfigFile)]
        Path(path).write_text("hops = 3\n")
        events: list[LogEvent] = []
        file.log = Logger(observer=Observer(events.append))
        return file.reload().addCallback(lambda _: self.assertEqual(len(events), 1))

    def test_pipe(self) -> None:
        """The file may be a pipe, such as a shell's C{<(command)}; it is not checked for changes later."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.write(writer, f"file = {USERS!r}\nhops = 4\n".encode())
        os.close(writer)
        parsed = Options()
        parsed.parseOptions([*NOWHERE, f"--config=/dev/fd/{reader}"])
        self.assertEqual(parsed.config.maxHops, 4)
        service = makeService(parsed)
        self.addCleanup(self.stop, service)
        self.assertNotIn("config", service.reloadables)

    def test_fifo(self) -> None:
        """A FIFO in place of any file is refused in one line, without waiting for a writer."""
        directory = Path(self.mktemp())
        directory.mkdir()
        fifo = makeFIFO(self, directory / "user.html")
        for option, expected in (
            (f"--config={fifo}", f"--config={fifo}: cannot be read: is a pipe without content"),
            (f"--file={fifo}", f"--file={fifo}: cannot be read: is not a regular file; give a file of 'user: "),
            (f"--backend=memory:{fifo}", f"--backend=memory:{fifo}: cannot be read: is not a regular file"),
            (
                f"--templates={directory}",
                f"--templates={directory}: user.html: cannot be read: is not a regular file",
            ),
            (f"--certificate={fifo}", f"--certificate={fifo}: cannot be read: is not a regular file"),
            (
                f"--auth=file:{fifo}",
                f"--auth=file:{fifo}: is not a usable credentials checker (cannot be read: is not a regular file; "
                "give a file of 'user:password' lines)",
            ),
        ):
            error = self.assertRaises(SystemExit, self.make, *NOWHERE, "--httpsport=none", "--ssl", option)
            self.assertTrue(str(error.code).startswith(f"twistd finger: {expected}"), str(error.code))
            self.assertNotIn("\n", str(error.code))

    def test_log(self) -> None:
        """The log has the configured format, unless twistd logs elsewhere than to standard output."""
        for options, isOurs in (
            ({}, True),
            ({"logfile": "-"}, True),
            ({"logfile": "x"}, False),
            ({"syslog": True}, False),
            ({"nodaemon": False}, False),
        ):
            parsed = Options()
            parsed.parseOptions([f"--file={USERS}", *NOWHERE, "--log-format=json"])
            parsed.parent = twistd(uid=0, gid=0, **options)
            service = makeService(parsed)
            self.addCleanup(self.stop, service)
            application = Application("finger")
            service.setServiceParent(application)
            self.assertEqual(application.getComponent(ILogObserver, None) is not None, isOurs)
            service.disownServiceParent()
