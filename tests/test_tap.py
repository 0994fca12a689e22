"""The command line."""

from __future__ import annotations

import os
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.application.service import IServiceMaker
from twisted.cred.checkers import FilePasswordDB
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.plugin import getPlugins
from twisted.python.usage import Options as UsageOptions
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from finger import __version__
from finger.config import Config
from finger.service import FingerServer
from finger.tap import Options, makeService
from tests.tools import ROOT

USERS = str(Path(ROOT, "etc", "users"))
NOWHERE = ["--fingerport=none", "--webport=none", "--pbport=none"]


class OptionsTests(TestCase):
    """Options, and the configuration they mean."""

    def parse(self, *options: str) -> Config:
        """What options mean."""
        parsed = Options()
        parsed.parseOptions(options)
        return parsed.config

    def test_defaults(self) -> None:
        """Without options, the defaults."""
        self.assertEqual(self.parse(), Config())

    def test_all(self) -> None:
        """Each option, with its short form, and repeated where it can be."""
        self.assertEqual(
            self.parse(
                *("-f", "/u", "--backend=file", "--backend=local", "-t", "/t", "--fingerport=1", "--fingerport=2"),
                *("--webport=3", "-s", "--httpsport=4", "--certificate=/c", "--privatekey=/k", "-p", "5"),
                *("--setport=6", "-n", "bot", "--ircserver=h:1", "--ircchannel=#a", "--ircchannel=#b", "--no-list"),
                *("--forward=h1", "--forward=any", "--hops=2", "--disclose=name, mail", "--ascii", "--match-names"),
                *("--max-connections=7", "--max-per-address=8", "--rate=0.5", "--burst=9"),
                *("--query-timeout=1.5", "--answer-timeout=2", "--drain-timeout=0", "--admin=ada", "--admin=boss"),
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
                connectionsPerSecond=0.5,
                connectionBurst=9,
                querySeconds=1.5,
                answerSeconds=2.0,
                drainSeconds=0.0,
                administrators=("ada", "boss"),
            ),
        )
        self.assertEqual(self.parse("--rate=0").connectionsPerSecond, 0)
        self.assertEqual(self.parse("--disclose=").disclose, frozenset())

    def test_wrong(self) -> None:
        """Wrong ones are one line that names the option."""
        for option in (
            "--nonsense",
            "--file=",
            "--disclose=age",
            "--hops=0",
            "--hops=x",
            "--hops=\u0661",
            "--max-connections=-1",
            "--max-per-address=",
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
            "stray",
        ):
            error = self.assertRaises(SystemExit, self.parse, option)
            self.assertIn(option.partition("=")[0], str(error.code))
            self.assertNotIn("\n", str(error.code))

    def test_auth(self) -> None:
        """What knows passwords, of any kind that Twisted has, and several of them."""
        path = Path(self.mktemp())
        path.write_bytes(b"ada:lovelace\n")
        (checker,) = self.parse(f"--auth=file:{path}").checkers
        assert isinstance(checker, FilePasswordDB)
        self.assertEqual(checker.getUser(b"ada"), (b"ada", b"lovelace"))
        self.assertEqual(len(self.parse(f"--auth=file:{path}", f"--auth=file:{path}").checkers), 2)

    def test_badAuth(self) -> None:
        """What knows none is one line that says so: a kind there is not, nothing to read, or none at all."""
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
            self.assertIn(f"--auth={value}: is no way to log in that can be used", str(error.code))
            self.assertNotIn("\n", str(error.code))

    def test_version(self) -> None:
        """The version is ours."""
        with redirect_stdout(StringIO()) as out:
            error = self.assertRaises(SystemExit, self.parse, "--version")
        self.assertEqual((error.code, out.getvalue()), (0, f"finger {__version__}\n"))

    def test_helpBackends(self) -> None:
        """The back ends there are."""
        with redirect_stdout(StringIO()) as out:
            error = self.assertRaises(SystemExit, self.parse, "--help-backends")
        self.assertEqual(error.code, 0)
        self.assertIn("memory[:PATH] ", out.getvalue())

    def test_help(self) -> None:
        """The help fits a terminal."""
        with patch.dict(os.environ, {"COLUMNS": "80"}):
            for line in str(Options()).splitlines():
                self.assertLessEqual(len(line), 80, line)


class MakeServiceTests(TestCase):
    """From the options to the service."""

    def makeService(self, options: Options) -> FingerServer:
        """Make a service, and give the reactor its clock back, which the tests' own timers follow."""
        with patch.object(reactor, "seconds", reactor.seconds):
            return makeService(options)

    def make(self, *options: str) -> FingerServer:
        """The service of some options, its ports open until the end of the test."""
        parsed = Options()
        parsed.parseOptions([f"--file={USERS}", *options])
        service = self.makeService(parsed)
        self.addCleanup(self.stop, service)
        return service

    def stop(self, service: FingerServer) -> Deferred[Any] | None:
        """Close the ports again."""
        service.startService()
        return service.stopService()

    def test_plugin(self) -> None:
        """twistd finds it."""
        (maker,) = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "finger"]
        verifyObject(IServiceMaker, maker)
        self.assertIs(maker.options, Options)
        self.assertIs(maker.makeService, makeService)

    def test_clock(self) -> None:
        """The reactor's time is what passes, not what a clock on the wall is set to."""
        parsed = Options()
        parsed.parseOptions([f"--file={USERS}", *NOWHERE])
        before = reactor.seconds
        with patch.object(reactor, "seconds", before):
            self.addCleanup(self.stop, makeService(parsed))
            self.assertIs(reactor.seconds, time.monotonic)
            with patch("time.time", return_value=0.0):
                timer = reactor.callLater(1000, lambda: None)
                self.assertLess(abs(timer.getTime() - time.monotonic() - 1000), 60)
            timer.cancel()
        self.assertEqual(reactor.seconds, before)

    def test_openedAtOnce(self) -> None:
        """The ports are open before twistd goes on."""
        service = self.make(*NOWHERE[1:], "--fingerport=tcp:0:interface=127.0.0.1")
        ((address,),) = service.openPorts().values()
        self.assertEqual(address.host, "127.0.0.1")

    def test_wrong(self) -> None:
        """What only shows when the service is made is one line, too."""
        error = self.assertRaises(SystemExit, self.make, "--fingerport=x")
        self.assertIn("twistd finger: --fingerport=x: ", str(error.code))

    def test_root(self) -> None:
        """Root is not what it stays, unless twistd is told otherwise."""
        parsed = Options()
        parsed.parseOptions([f"--file={USERS}", *NOWHERE])
        for uid, after in ((None, (65534, 65533)), (0, (0, 7)), (1234, (1234, 7))):
            parsed.parent = UsageOptions()
            parsed.parent.update({"uid": uid, "gid": None if uid is None else 7})
            with patch("finger.tap.unprivileged", return_value=(65534, 65533)):
                self.addCleanup(self.stop, self.makeService(parsed))
            self.assertEqual((parsed.parent["uid"], parsed.parent["gid"]), after)

    def test_notRoot(self) -> None:
        """Who is not root stays who he is."""
        parsed = Options()
        parsed.parseOptions([f"--file={USERS}", *NOWHERE])
        parsed.parent = UsageOptions()
        parsed.parent.update({"uid": None, "gid": None})
        with patch("os.geteuid", return_value=1000):
            self.addCleanup(self.stop, self.makeService(parsed))
        self.assertIsNone(parsed.parent["uid"])
