"""The rules of HTTP, tested with bytes; C{tests.process.test_http_conformance} tests them over sockets."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from finger.adapters.web.repeats import RepeatingSite
from finger.adapters.web.resource import FingerResource
from finger.backends.memory import MemoryFingerService
from finger.net.http import BoundedSite
from tests.support.httprules import PLAIN_RULES, RULES, SECURE_RULES, Rule
from tests.support.turns import TurningClock

READ = 64 * 1024
"""The data that the reactor reads at once, in bytes."""


class _Transport(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


class MemoryPeer:
    """A connection in memory to a site."""

    def __init__(self, site: BoundedSite, clock: TurningClock, isSecure: bool) -> None:
        self.clock = clock
        self._channel = site.buildProtocol(None)
        self._transport: Any = _Transport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5), lenient=True)
        if isSecure:
            alsoProvides(self._transport, ISSLTransport)
        self._channel.makeConnection(self._transport)

    def send(self, data: bytes) -> None:
        """Send data."""
        for at in range(0, len(data), READ):
            self._channel.dataReceived(data[at : at + READ])
            self.clock.advance(0)

    def receive(self) -> bytes:
        """Return what arrived; empty at the end."""
        if not self._transport.value():
            self.clock.advance(self._channel.discardTimeout)
            assert self._transport.value() or self._transport.disconnecting
        data: bytes = self._transport.value()
        self._transport.clear()
        return data

    def leave(self) -> None:
        """Leave, and check that no timer is left."""
        self._channel.connectionLost(Failure(ConnectionDone()))
        assert not self.clock.getDelayedCalls()


class RuleTests(SynchronousTestCase):
    """The tables."""

    def check(self, rules: tuple[Rule, ...], isSecure: bool) -> None:
        """
        Check each rule on a connection of its own, and that nothing is logged as a failure.  On a site that keeps
        responses, check it three times: a page is kept the first time, and its response the second time.
        """
        clock, resource = TurningClock(), FingerResource(MemoryFingerService({"moshez": "Happy and well"}))
        self.checkSite(BoundedSite(resource, clock), clock, rules, isSecure)
        repeating = RepeatingSite(resource, clock)
        repeating.version = resource.version
        self.checkSite(repeating, clock, rules * 3, isSecure)
        self.assertGreater(len(repeating.repeatsBy(isSecure)), 20)

    def checkSite(self, site: BoundedSite, clock: TurningClock, rules: tuple[Rule, ...], isSecure: bool) -> None:
        """Check one site."""
        wrong = {}
        for rule in rules:
            with capturedLogs() as logs:
                try:
                    peer = MemoryPeer(site, clock, isSecure)
                    rule.check(peer)
                    peer.leave()
                except AssertionError as error:
                    wrong[f"RFC {rule.section}: {rule.words}"] = str(error)[:300]
            if [event for event in logs if "log_failure" in event]:
                wrong[f"RFC {rule.section}: {rule.words}"] = "a failure is logged"
        self.assertEqual(wrong, {}, "\n" + "\n".join(f"{rule}: {problem}" for rule, problem in wrong.items()))

    def test_plain(self) -> None:
        """HTTP."""
        self.check(RULES + PLAIN_RULES, False)

    def test_secure(self) -> None:
        """HTTPS."""
        self.check(RULES + SECURE_RULES, True)
