"""What a query for a user in memory costs, counted: not in time, which differs between machines, but in steps."""

from __future__ import annotations

import gc
import socket
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from finger.net.oneturn import OneTurnPort
from finger.service import makeServer
from tests.support.typed import addressOf
from tests.unit.test_service import configure

MOST_CALLS = 30
"""The calls of Python functions for a query that was asked before."""

MOST_FIRST_CALLS = 45
"""The same for a query that was not."""


class HotQueryTests(SynchronousTestCase):
    """A complete server with its log and limits, and its finger port; the tests are its reactor."""

    def setUp(self) -> None:
        """Make the server, and open its port on this machine."""
        users = Path(self.mktemp())
        users.write_text("".join(f"user{number}: status of user {number}\n" for number in range(100)))
        self.reactor: Any = MemoryReactorClock()
        with patch("finger.ops.turns.startThread"):
            server = makeServer(configure(usersFile=str(users), fingerPorts=("0",)), self.reactor)
        (factory,) = [one for one in server.factories if one.label == "fingerport"]
        self.port = OneTurnPort(0, factory, 100, "127.0.0.1", self.reactor)
        self.port.startListening()
        self.addCleanup(self.port.connectionLost, Failure(ZeroDivisionError()))
        address = addressOf(self.port)
        self.address = address.host, address.port
        for _ in range(300):  # Until the log reaches its rate limit.
            self.ask(b"user1\r\n")

    def ask(self, query: bytes) -> Counter[str]:
        """Send a query, and return how often each function was called for it."""
        calls: Counter[str] = Counter()

        def count(frame: FrameType, event: str, argument: object) -> None:
            if event == "call":
                calls[f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"] += 1

        with socket.create_connection(self.address, 5) as peer:
            peer.sendall(query)
            gc.disable()  # It may call weak references' callbacks.
            sys.setprofile(count)
            try:
                self.port.doRead()
            finally:
                sys.setprofile(None)
                gc.enable()
            self.assertRegex(b"".join(iter(lambda: peer.recv(65536), b"")), b"^status of user [0-9]+\r\n$")
        return calls

    def test_calls(self) -> None:
        """A query takes few calls of functions, and fewer if it was asked before."""
        first, again = self.ask(b"user2\r\n"), self.ask(b"user2\r\n")
        self.assertLessEqual(first.total(), MOST_FIRST_CALLS, first)
        self.assertLessEqual(again.total(), MOST_CALLS, again)

    def test_objects(self) -> None:
        """It takes no Deferred and no delayed call."""
        made: list[str] = []
        with (
            patch.object(Deferred, "__init__", lambda self, canceller=None: made.append("Deferred")),
            patch.object(self.reactor, "callLater", lambda *arguments: made.append("DelayedCall")),
        ):
            self.ask(b"user3\r\n")
        self.assertEqual(made, [])
