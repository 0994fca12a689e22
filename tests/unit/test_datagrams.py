"""The rate limit of datagrams."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from finger.log.querylog import QueryLog
from finger.net.datagrams import LimitedDatagramProtocol
from finger.timing import Buckets


class Recorder(DatagramProtocol):
    """Records the datagrams that it receives."""

    noisy = False

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Record a datagram."""
        self.received.append((datagram, addr))


class LimitedDatagramProtocolTests(SynchronousTestCase):
    """The rate limit for each address."""

    def setUp(self) -> None:
        """Make a protocol with a burst of two, and one more datagram each second."""
        self.clock = Clock()
        self.wrapped = Recorder()
        self.queries = QueryLog(self.clock)
        self.outcomes: list[tuple[str, str]] = []
        self.queries.listeners.append(lambda adapter, outcome, seconds: self.outcomes.append((adapter, outcome)))
        self.protocol = LimitedDatagramProtocol(self.wrapped, "x", Buckets(self.clock, 2, 1.0), self.queries)

    def send(self, host: str, count: int) -> int:
        """Send datagrams from an address; return how many reach the wrapped protocol."""
        self.wrapped.received.clear()
        for _ in range(count):
            self.protocol.datagramReceived(b"?", (host, 5))
        return len(self.wrapped.received)

    def test_limit(self) -> None:
        """Datagrams over the limit are dropped and logged."""
        self.assertEqual(self.send("192.0.2.1", 5), 2)
        self.assertEqual(self.outcomes, [("x", "TooManyDatagrams")] * 3)
        self.clock.advance(1.0)
        self.assertEqual(self.send("192.0.2.1", 5), 1)

    def test_others(self) -> None:
        """Each address, or IPv6 /64, has its own limit; local addresses have none."""
        self.assertEqual(self.send("192.0.2.1", 5), 2)
        self.assertEqual(self.send("192.0.2.2", 5), 2)
        self.assertEqual(self.send("2001:db8::1", 1), 1)
        self.assertEqual(self.send("2001:db8::2", 5), 1)
        self.assertEqual(self.send("127.0.0.1", 50), 50)

    def test_noLimit(self) -> None:
        """Without buckets, the rate is unlimited."""
        self.protocol = LimitedDatagramProtocol(self.wrapped, "x", None, self.queries)
        self.assertEqual(self.send("192.0.2.1", 50), 50)

    def test_port(self) -> None:
        """The wrapped protocol has the same transport, from start to stop."""
        transport = Mock()
        self.protocol.makeConnection(transport)
        self.assertIs(self.wrapped.transport, transport)
        self.protocol.doStop()
        self.assertIsNone(self.wrapped.transport)
