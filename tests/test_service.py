"""The one place where back ends meet adapters."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from finger.backends.chain import ChainFingerService
from finger.config import Config
from finger.errors import ConfigError
from finger.interfaces import IReloadable
from finger.service import FingerServer, makeService
from finger.tls import developmentCertificate
from tests.tools import ROOT

USERS = str(Path(ROOT, "etc", "users"))


def configure(**fields: Any) -> Config:
    """A configuration that listens nowhere but where it is told to."""
    nowhere = {"fingerPorts": ("none",), "webPorts": ("none",), "pbPorts": ("none",), "usersFile": USERS}
    return Config(**{**nowhere, **fields})


class MakeServiceTests(TestCase):
    """Configurations, and what is made of them."""

    def start(self, **fields: Any) -> FingerServer:
        """A server, running until the end of the test."""
        server = makeService(configure(**fields), reactor)
        server.privilegedStartService()
        server.startService()
        self.addCleanup(server.stopService)
        return server

    def test_ports(self) -> None:
        """Every adapter at its ports, the numbers of some on loopback alone."""
        server = self.start(
            fingerPorts=("tcp:0:interface=127.0.0.1", "none"),
            webPorts=("tcp:0:interface=127.0.0.1",),
            ssl=True,
            httpsPorts=("tcp:0:interface=127.0.0.1",),
            pbPorts=("0",),
            backends=("file", "memory"),
            setterPorts=("0",),
        )
        hosts = {label: [address.host for address in addresses] for label, addresses in server.openPorts().items()}
        self.assertEqual(
            hosts,
            {
                "--fingerport=tcp:0:interface=127.0.0.1": ["127.0.0.1"],
                "--webport=tcp:0:interface=127.0.0.1": ["127.0.0.1"],
                "--httpsport=tcp:0:interface=127.0.0.1": ["127.0.0.1"],
                "--pbport=0": ["127.0.0.1", "::1"],
                "--setport=0": ["127.0.0.1", "::1"],
            },
        )

    def test_stop(self) -> Deferred[None]:
        """Stopped, nothing listens, and it can be started again."""
        server = makeService(configure(pbPorts=("0",)), reactor)
        server.open()
        server.startService()
        stopped: Deferred[None] = server.stopService()
        return stopped.addCallback(lambda _: self.assertEqual(server.openPorts(), {"--pbport=0": []}))

    def test_backends(self) -> None:
        """One back end is itself, several are a chain, and both are started with the server."""
        with patch("finger.service.PolicyFingerService", side_effect=ZeroDivisionError) as policy:
            self.assertRaises(ZeroDivisionError, makeService, configure(backends=("memory",)), reactor)
            self.assertNotIsInstance(policy.call_args.args[0], ChainFingerService)
            both = configure(backends=("memory", f"file:{USERS}"))
            self.assertRaises(ZeroDivisionError, makeService, both, reactor)
            self.assertIsInstance(policy.call_args.args[0], ChainFingerService)

    def test_irc(self) -> None:
        """A bot only with a nickname."""
        with patch("finger.service.ircService") as irc:
            makeService(configure(), reactor)
            irc.assert_not_called()
            makeService(configure(ircNick="bot", ircServer="h:1", ircChannels=("#a",)), reactor)
        _, factory, server = irc.call_args.args
        self.assertEqual((factory.nickname, factory.channels, server), ("bot", ("#a",), "h:1"))

    def test_wrong(self) -> None:
        """What cannot be is an error of one line that says what would be right."""
        for fields, words in (
            ({"backends": ("nonsense",)}, "--backend=nonsense: no back end"),
            ({"usersFile": "/nowhere"}, "--file=/nowhere: cannot be read"),
            ({"setterPorts": ("0",)}, "--setport=0: none of the back ends (file) can be set"),
            ({"ssl": True, "privateKey": "/k"}, "--privatekey: needs the --certificate"),
            ({"ssl": True, "certificate": "/nowhere"}, "--certificate=/nowhere: cannot be read"),
            ({"templates": "/nowhere"}, "--templates=/nowhere: "),
            ({"fingerPorts": ("x",)}, "--fingerport=x: is no port number"),
            ({"forward": ("bad host",)}, "--forward=bad host"),
            ({"ircNick": "no nick"}, "--ircnick=no nick"),
            ({"backends": ("proxy",), "fingerPorts": ("79",)}, "--backend=proxy: would ask this server itself"),
            ({"backends": ("proxy:LOCALHOST:1079",), "fingerPorts": ("1079",)}, "would ask this server itself"),
        ):
            error = self.assertRaises(ConfigError, makeService, configure(**fields), reactor)
            self.assertIn(words, str(error))
            self.assertNotIn("\n", str(error))

    def test_proxy(self) -> None:
        """A proxy of another server, or another port, is fine."""
        makeService(configure(backends=("proxy",)), reactor)
        makeService(configure(backends=("proxy:finger.example.org",), fingerPorts=("79",)), reactor)


class ReloadTests(TestCase):
    """SIGHUP."""

    def test_reloadables(self) -> Deferred[Any]:
        """Users, templates and the certificate are read again; what is bad now stays as it was."""
        directory = Path(self.mktemp())
        directory.mkdir()
        users, pem = directory / "users", directory / "both.pem"
        users.write_text("a: 1\n")
        pem.write_bytes(developmentCertificate())
        server = makeService(
            configure(usersFile=str(users), ssl=True, httpsPorts=("none",), certificate=str(pem)), reactor
        )
        self.assertEqual(len(server.reloadables), 3)
        return server.reload()

    def test_hangup(self) -> Deferred[Any]:
        """The signal reloads; before the server is started and after it has stopped, it does not."""
        before = signal.getsignal(signal.SIGHUP)
        server = makeService(configure(), reactor)
        reloaded: Deferred[None] = Deferred()

        @implementer(IReloadable)
        class Reloadable:
            def reload(self) -> Deferred[None]:
                reloaded.callback(None)
                return succeed(None)

        server.reloadables = [Reloadable()]
        server.startService()
        os.kill(os.getpid(), signal.SIGHUP)

        def stopped(_: object) -> None:
            self.assertIs(signal.getsignal(signal.SIGHUP), before)

        return reloaded.addCallback(lambda _: server.stopService()).addCallback(stopped)
