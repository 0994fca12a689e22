"""C{python -m finger}."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from shlex import quote
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from finger import __version__
from finger.__main__ import Asking, main, makeParser
from finger.adapters.finger import FingerFactory
from finger.client.client import Answer, FingerClient
from finger.client.targets import Target, parseTarget
from finger.errors import RemoteUnreachable, Stage
from finger.profile import Profile
from finger.testing import ProfilesDouble
from tests.support.othernet import UNREACHABLE, ClientDouble, Network, ScriptedServer
from tests.support.typed import addressOf, listenOn

ROOT = str(Path(__file__).resolve().parents[2])


class AskingTests(SynchronousTestCase):
    """L{Asking} and its output."""

    def run_(self, answers: dict[bytes, Any], *arguments: str, out: Any = None) -> tuple[int, str, str]:
        self.client = ClientDouble(answers)
        options = makeParser().parse(arguments)
        targets = [parseTarget(text, options.long) for text in options.targets or [""]]
        out, err = out or StringIO(), StringIO()
        status = self.successResultOf(Deferred.fromCoroutine(Asking(self.client, options, out, err).run(targets)))
        return status, out.getvalue() if isinstance(out, StringIO) else "", err.getvalue()

    def test_here(self) -> None:
        """Without a host, this machine is queried."""
        self.assertEqual(self.run_({b"\r\n": b"moshez\r\n"}), (0, "moshez\n", ""))
        self.assertEqual(self.client.asked, [("localhost", 79, b"\r\n")])

    def test_several(self) -> None:
        """Each query is answered, under the name of its host if one was given."""
        answers = {b"/W a\r\n": b"A!\r\n", b"/W \r\n": b"B!\r\nC!\r\n"}
        printed = self.run_(answers, "a@h1", "-l", "@::1", "-p", "1079", "a")
        self.assertEqual(printed, (0, "[h1]\nA!\n\n[::1]\nB!\nC!\n\nA!\n", ""))
        self.assertEqual(
            self.client.asked,
            [("h1", 1079, b"/W a\r\n"), ("::1", 1079, b"/W \r\n"), ("localhost", 1079, b"/W a\r\n")],
        )

    def test_noSuchUser(self) -> None:
        """No such user is an answer."""
        self.assertEqual(self.run_({}, "nobody"), (0, "No such user\n", ""))

    def test_unreachable(self) -> None:
        """One line reports the host that did not answer, and why; the other queries are still sent."""
        answers = {b"a\r\n": UNREACHABLE, b"b\r\n": b"B!\r\n"}
        status, out, err = self.run_(answers, "a@h1", "b@h2", "a")
        self.assertEqual((status, out), (1, "[h2]\nB!\n"))
        self.assertEqual(
            err,
            "finger: could not connect to h1 port 79: Connection refused\n"
            "finger: could not connect to localhost port 79: Connection refused\n",
        )

    def test_stages(self) -> None:
        """The line says how far a query without an answer came."""
        for error, line in (
            (RemoteUnreachable("no address found", Stage.RESOLVING), "could not resolve h: no address found"),
            (RemoteUnreachable("Connection refused"), "could not connect to h port 79: Connection refused"),
            (
                RemoteUnreachable("no connection within 5 s"),
                "could not connect to h port 79: no connection within 5 s",
            ),
            (
                RemoteUnreachable("no answer: time limit of 20 s", Stage.WAITING),
                "connected to h port 79, but no answer: time limit of 20 s",
            ),
            (RemoteUnreachable("empty answer", Stage.EMPTY), "h port 79 sent an empty answer"),
        ):
            self.assertEqual(self.run_({b"a\r\n": error}, "a@h"), (1, "", f"finger: {line}\n"))

    def test_ports(self) -> None:
        """C{-p} is the port of those hosts that are given without one."""
        arguments = (
            "a@h:1079",
            "-p",
            "2079",
            "a@h",
            "finger://h:3079/a",
            "finger://a@h",
            "a",
            "a@[::1]:79",
            "@::1:4079",
        )
        self.assertEqual(self.run_({}, *arguments)[0], 0)
        self.assertEqual(
            [(host, port) for host, port, _ in self.client.asked],
            [
                *(("h", 1079), ("h", 2079), ("h", 3079), ("h", 2079), ("localhost", 2079), ("::1", 79)),
                ("::1:4079", 2079),
            ],
        )

    def test_endOfOptions(self) -> None:
        """What follows C{--} is no option."""
        for arguments, asked in {
            ("--", "-l"): [b"-l\r\n"],
            ("-p", "1079", "--", "-l"): [b"-l\r\n"],
            ("-l", "--", "-4", "--set", "--"): [b"/W -4\r\n", b"/W --set\r\n", b"/W --\r\n"],
            ("a", "--", "-x@h"): [b"a\r\n", b"-x\r\n"],
            ("a", "--"): [b"a\r\n"],
            ("--",): [b"\r\n"],
        }.items():
            self.run_({}, *arguments)
            self.assertEqual([query for _, _, query in self.client.asked], asked)

    def test_cut(self) -> None:
        """A truncated answer is printed, and is a failure."""
        status, out, err = self.run_({b"a\r\n": Answer(b"half", "connection lost")}, "a@h")
        self.assertEqual((status, out), (1, "[h]\nhalf\n"))
        self.assertEqual(err, "finger: the answer of h was truncated: connection lost\n")

    def test_controlBytes(self) -> None:
        """Control characters do not reach the terminal."""
        status, out, _ = self.run_({b"a\r\n": bytes(range(256)) + b"\xe2\x80\xae\r\n"}, "a")
        self.assertEqual(status, 0)
        self.assertEqual({character for character in out if not character.isprintable()}, {"\t", "\n"})

    def test_family(self) -> None:
        """C{-4} and C{-6} exclude the addresses of the other family."""
        for option, address in (("-4", "127.0.0.1"), ("-6", "::1"), ("--ipv4", "127.0.0.1"), ("--ipv6", "::1")):
            network = Network()
            options = makeParser().parse_args([option])
            asking = Asking(FingerClient(network), options, StringIO(), None)
            status = Deferred.fromCoroutine(asking.run([Target(b"\r\n", "")]))
            network.pump([0.3] * 3)
            self.assertEqual(network.attempts, [address])
            network.accept().answer(b"here\r\n")
            self.assertEqual(self.successResultOf(status), 0)

    def test_noFamily(self) -> None:
        """A host without an address of the selected family is a failure."""
        for option, address, family in (("-4", "::1", "IPv4"), ("-6", "127.0.0.1", "IPv6")):
            err = StringIO()
            asking = Asking(FingerClient(Network()), makeParser().parse_args([option]), StringIO(), err)
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(asking.run([Target(b"\r\n", address)]))), 1)
            self.assertEqual(err.getvalue(), f"finger: could not connect to {address} port 79: no {family} address\n")

    def test_brokenPipe(self) -> None:
        """If the reader closes the pipe, no more queries are sent, and no error is printed, even at Python's exit."""
        reading, writing = os.pipe()
        os.close(reading)
        out = open(writing, "w")
        self.assertEqual(self.run_({}, "a", "b", out=out), (1, "", ""))
        self.assertEqual(len(self.client.asked), 1)
        out.close()

    def test_fullDisk(self) -> None:
        """If an answer cannot be written, that is a failure of one line."""
        out = open("/dev/full", "w")
        status, _, err = self.run_({}, "a", out=out)
        self.assertEqual((status, err), (1, "finger: could not write the answer: No space left on device\n"))
        out.close()

    def test_noOutput(self) -> None:
        """Both outputs may be closed."""
        with patch.multiple(sys, stdout=None, stderr=None):
            asking = Asking(ClientDouble({b"b\r\n": UNREACHABLE}), makeParser().parse_args([]), None, None)
            targets = [Target(b"a\r\n", ""), Target(b"b\r\n", "")]
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(asking.run(targets))), 1)


class MainTests(SynchronousTestCase):
    """L{main}, up to its exit."""

    def setUp(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        self.addCleanup(signal.signal, signal.SIGINT, before)

    def exit(self, *arguments: str, encoding: str = "utf-8", **options: Any) -> tuple[Any, str, str]:
        out, err = (TextIOWrapper(BytesIO(), encoding) for _ in range(2))
        with patch.multiple(sys, stdout=out, stderr=err):
            status = self.assertRaises(SystemExit, main, arguments, **options).code
        for stream in (out, err):
            stream.flush()
        return status, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()

    def test_help(self) -> None:
        """The help has every option, and examples."""
        status, out, err = self.exit("--help")
        self.assertEqual((status, err), (0, ""))
        for text in ("-l", "-4", "-6", "-p PORT", "[user][@host ...]", "moshez@inner@outer", "exit status"):
            self.assertIn(text, out)
        self.assertTrue(max(map(len, out.splitlines())) <= 80)

    def test_program(self) -> None:
        """The help and the errors have the name by which the command was called."""
        for script, name in (
            ("/opt/finger/bin/twisted-finger", "twisted-finger"),
            ("twisted-finger", "twisted-finger"),
            ("/usr/lib/python3/dist-packages/finger/__main__.py", "python -m finger"),
            ("-c", "python -m finger"),
            ("", "python -m finger"),
        ):
            with patch.object(sys, "argv", [script]):
                self.assertEqual(self.exit("-p", "0")[2].partition(": error: ")[0], name)
                out = self.exit("--help")[1]
            self.assertIn(f"usage: {name} [-l]", out)
            self.assertIn(f"  {name} @[2001:db8::79]  ", out)

    def test_version(self) -> None:
        """C{--version} prints the version."""
        self.assertEqual(self.exit("--version"), (0, f"finger {__version__}\n", ""))

    def test_usage(self) -> None:
        """With invalid options, the exit status is 2, and one line has the reason."""
        for arguments, why in {
            ("-p", "http"): "argument -p/--port: 'http' is not a port: expected a number from 1 to 65535",
            ("-p", "0"): "argument -p/--port: '0' is not a port: expected a number from 1 to 65535",
            ("-4", "-6"): "argument -6/--ipv6: not allowed with argument -4/--ipv4",
            ("a\x1b[1m",): "'a\\x1b[1m': a name must not contain control characters",
            ("a@no host",): "'no host' is neither a host name nor an address",
            ("finger://a@h/b",): "'finger://a@h/b': the user is given before the host and after it; give it once",
            ("--a\x1b[2J\nb",): "unrecognized arguments: --a\\x1b[2J\\nb",
            ("-p", "--", "1079"): "argument -p/--port: expected one argument",
        }.items():
            self.assertEqual(self.exit(*arguments), (2, "", f"python -m finger: error: {why}\n"))

    def test_answer(self) -> None:
        """The reactor runs, and the answer is printed, with characters that the encoding lacks replaced."""
        for encoding, out in (
            ("utf-8", "[127.0.0.1]\nz\N{LATIN SMALL LETTER E WITH ACUTE}\n"),
            ("ascii", "[127.0.0.1]\nz?\n"),
        ):
            network = RunningNetwork(b"z\xc3\xa9\r\n")
            self.assertEqual(self.exit("@127.0.0.1", encoding=encoding, reactor=network), (0, out, ""))
            self.assertTrue(network.hasStopped)
            self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_DFL)

    def test_failure(self) -> None:
        """A failure sets the exit status."""
        status, out, err = self.exit("@127.0.0.1", reactor=RunningNetwork(b""))
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(err, "finger: 127.0.0.1 port 79 sent an empty answer\n")

    def test_completion(self) -> None:
        """C{--completion} prints a completion script."""
        status, out, err = self.exit("--completion=fish")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("complete -c twisted-finger -s 4 -l ipv4", out)

    def test_noStreams(self) -> None:
        """The command runs with both outputs closed."""
        with patch.multiple(sys, stdout=None, stderr=None):
            error = self.assertRaises(SystemExit, main, ["@127.0.0.1"], RunningNetwork(b"here\r\n"))
        self.assertEqual(error.code, 0)

    def test_module(self) -> None:
        """C{python -m finger} runs L{main}."""
        out = StringIO()
        with patch.multiple(sys, argv=["finger", "--version"], stdout=out):
            error = self.assertRaises(SystemExit, runpy.run_module, "finger", run_name="__main__")
        self.assertEqual((error.code, out.getvalue()), (0, f"finger {__version__}\n"))


class RunningNetwork(Network):
    """
    A network in which every connection succeeds and gets the same answer, once the reactor runs.
    """

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def run(self) -> None:
        """See L{IReactorCore.run}."""
        connection = self.accept()
        if self._answer:
            connection.say(self._answer)
        connection.close()
        super().run()


class RealTests(TestCase):
    """The command as a process, with real servers on loopback."""

    def setUp(self) -> None:
        self.environment = {**os.environ, "PYTHONPATH": ROOT, "PYTHONIOENCODING": "utf-8"}
        self.users = FingerFactory(ProfilesDouble(Profile("moshez", name="Moshe Zadka", plan="Happy \u2603\x1b[1m")))

    def listen(self, factory: Any, interface: str = "127.0.0.1") -> str:
        listening = listenOn(interface, factory)
        self.addCleanup(listening.stopListening)
        return str(addressOf(listening).port)

    def finger(self, *arguments: str, **environment: str) -> Deferred[tuple[str, str, int]]:
        run: Deferred[tuple[bytes, bytes, int]] = getProcessOutputAndValue(
            sys.executable, ["-m", "finger", *arguments], {**self.environment, **environment}, "/"
        )
        return run.addCallback(lambda result: (result[0].decode(), result[1].decode(), result[2]))

    async def test_families(self) -> None:
        """All kinds of queries, over IPv4 and IPv6."""
        for host, option in (("127.0.0.1", "-4"), ("::1", "-6")):
            port = self.listen(self.users, host)
            long = "Login: moshez         \t\t\tName: Moshe Zadka\nPlan:\nHappy \u2603?[1m\n"
            for arguments, out in (
                ((f"moshez@{host}",), f"[{host}]\n{long}"),
                (("-l", f"moshez@[{host}]"), f"[{host}]\n{long}"),
                ((f"@{host}",), f"[{host}]\nmoshez           Moshe Zadka\n"),
                ((option, "nobody"), "No such user\n"),
                ((f"moshez@h1@{host}",), f"[{host}]\nFinger forwarding service denied\n"),
            ):
                self.assertEqual(await self.finger("-p", port, *arguments), (out, "", 0))

    async def test_ascii(self) -> None:
        """An output with ASCII as its encoding."""
        port = self.listen(self.users)
        out, err, status = await self.finger("-p", port, "moshez@127.0.0.1", PYTHONIOENCODING="ascii")
        self.assertIn("Happy ??[1m\n", out)
        self.assertEqual((err, status), ("", 0))

    async def test_refused(self) -> None:
        """A closed port is reported in one line, and by the exit status."""
        listening = listenOn("127.0.0.1", self.users)
        port = str(addressOf(listening).port)
        await maybeDeferred(listening.stopListening)
        self.assertEqual(
            await self.finger("-p", port, "@127.0.0.1"),
            ("", f"finger: could not connect to 127.0.0.1 port {port}: Connection refused\n", 1),
        )

    async def test_usage(self) -> None:
        """An invalid option."""
        out, err, status = await self.finger("-p", "http")
        self.assertEqual((out, status), ("", 2))
        self.assertIn("is not a port", err)

    async def test_head(self) -> None:
        """If the reader ends early, no traceback is printed."""
        users = FingerFactory(ProfilesDouble(Profile("moshez", plan="Happy\n" * 30_000)))
        command = f"{quote(sys.executable)} -m finger -p {self.listen(users)} moshez@127.0.0.1 | head -n 2"
        out, err, status = await getProcessOutputAndValue("/bin/sh", ["-c", command], self.environment, "/")
        self.assertEqual((out, err, status), (b"[127.0.0.1]\nHappy\n", b"", 0))

    async def test_interrupted(self) -> None:
        """Ctrl-C ends the command at once and silently, with the status that shells expect."""
        said: list[bytes] = []
        ended: Deferred[int | None] = Deferred()

        class Process(ProcessProtocol):
            def childDataReceived(self, childFD: int, data: bytes) -> None:
                said.append(data)

            def processEnded(self, reason: Any) -> None:
                ended.callback(reason.value.signal)

        server = ScriptedServer(lambda connection, query: process.signalProcess("INT"))
        arguments = [sys.executable, "-m", "finger", "-p", self.listen(server), "@127.0.0.1"]
        process = reactor.spawnProcess(Process(), sys.executable, arguments, self.environment, "/")
        self.assertEqual(await ended, signal.SIGINT)
        self.assertEqual(said, [])
        await server.allEnded()
