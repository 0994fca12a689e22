"""What systemd passes to a service and receives from it, tested without systemd."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from finger.errors import ConfigError
from finger.net.ports import InheritedPortService
from finger.net.systemd import (
    inheritedSockets,
    notify,
    notifyAddress,
    startEnvironment,
    watchdogSeconds,
)
from finger.ops.notify import Notifier
from finger.ops.server import FingerServer
from finger.service import makeServer
from tests.unit.test_service import configure

PID = 4711


class EnvironmentTests(SynchronousTestCase):
    """The environment variables."""

    def sockets(self, **environment: str) -> list[tuple[int, str]]:
        """Return the sockets in an environment."""
        given = {"LISTEN_PID": str(PID), "LISTEN_FDS": "2", **environment}
        return [(one.descriptor, one.name) for one in inheritedSockets(given, PID)]

    def test_named(self) -> None:
        """Descriptors are numbered from 3, and have names, which may repeat."""
        self.assertEqual(self.sockets(LISTEN_FDNAMES="finger:web"), [(3, "finger"), (4, "web")])
        self.assertEqual(self.sockets(LISTEN_FDNAMES="finger:finger"), [(3, "finger"), (4, "finger")])

    def test_unnamed(self) -> None:
        """Names may be missing, all or some."""
        self.assertEqual(self.sockets(), [(3, ""), (4, "")])
        self.assertEqual(self.sockets(LISTEN_FDNAMES="finger"), [(3, "finger"), (4, "")])

    def test_none(self) -> None:
        """Sockets for another process are ignored, and so are invalid numbers."""
        self.assertEqual(inheritedSockets({}, PID), ())
        self.assertEqual(self.sockets(LISTEN_PID="1"), [])
        for number in ("", "-1", "x", "0", "\u0662", "65537", "9" * 9, "9" * 5000):
            self.assertEqual(self.sockets(LISTEN_FDS=number), [])

    def test_notifyAddress(self) -> None:
        """A path, or an abstract address; any other value is ignored."""
        for value, address in (("/run/n", "/run/n"), ("@/run/n", "\0/run/n"), ("vsock:2:1", None), ("", None)):
            self.assertEqual(notifyAddress({"NOTIFY_SOCKET": value}), address)
        self.assertIsNone(notifyAddress({}))

    def test_watchdog(self) -> None:
        """In seconds, for this process or for any."""
        self.assertEqual(watchdogSeconds({"WATCHDOG_USEC": "30000000"}, PID), 30.0)
        self.assertEqual(watchdogSeconds({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(PID)}, PID), 0.5)
        self.assertIsNone(watchdogSeconds({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, PID))
        for value in ({}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "9" * 400}):
            self.assertIsNone(watchdogSeconds(value, PID))

    def test_startEnvironment(self) -> None:
        """Removed variables are restored; changed ones keep their new values."""
        block = Path(self.mktemp())
        block.write_bytes(b"LISTEN_FDS=2\0HOME=/a=b\0ODD=\xff\0nonsense\0")
        self.assertEqual(
            startEnvironment({"HOME": "/c", "NEW": "1"}, block),
            {"LISTEN_FDS": "2", "HOME": "/c", "ODD": "\udcff", "NEW": "1"},
        )
        self.assertEqual(startEnvironment({"NEW": "1"}, block.with_name("nowhere")), {"NEW": "1"})


class NotifyTests(SynchronousTestCase):
    """Notifications."""

    def receive(self, address: str) -> bytes:
        """Send two assignments to an address; return what arrives."""
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
            manager.bind(address)
            notify(address, ["READY=1", "STATUS=a\nb"])
            return manager.recv(1024)

    def test_send(self) -> None:
        """The assignments are sent in one datagram, and a line break in one is replaced."""
        directory = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, directory)
        path = f"{directory}/notify"
        self.addCleanup(os.unlink, path)
        for address in (path, f"\0{path}"):
            self.assertEqual(self.receive(address), b"READY=1\nSTATUS=a b")

    def test_noListener(self) -> None:
        """Sending to an address without a listener fails."""
        self.assertRaises(OSError, notify, self.mktemp(), ["READY=1"])


class ServiceTests(SynchronousTestCase):
    """The notifications and sockets of a whole server."""

    def make(self, **environment: str) -> FingerServer:
        """Make a server with an environment."""
        with patch("finger.service.startEnvironment", return_value=environment):
            return makeServer(configure(fingerPorts=("systemd:finger",)), Clock())

    def test_onlyMade(self) -> None:
        """A server can be made, to check its configuration, without inherited sockets."""
        server = self.make()
        self.assertEqual(server.observers, [])
        (service,) = (one for one in server if isinstance(one, InheritedPortService))
        self.assertIn("systemd passed no sockets", str(self.assertRaises(ConfigError, service.open)))

    def test_notifier(self) -> None:
        """With C{NOTIFY_SOCKET}, the server has a notifier."""
        notify = self.mktemp()
        server = self.make(NOTIFY_SOCKET=os.path.abspath(notify), WATCHDOG_USEC="20000000")
        self.assertEqual([type(one) for one in server.observers], [Notifier])

    def test_inherited(self) -> None:
        """The options can adopt the sockets passed to this process."""
        server = self.make(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="fingr")
        error = self.assertRaises(ConfigError, server.open)
        self.assertEqual(str(error), "--fingerport=systemd:finger: no such socket; systemd passed 'fingr' (1)")
