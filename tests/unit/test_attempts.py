"""Tests for L{finger.access.attempts}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from finger.access.attempts import ATTEMPT_INTERVAL, ATTEMPTS, MAX_LOGINS, MAX_NAME, MAX_NETWORKS, Attempts
from finger.errors import TooManyAttempts
from finger.timing import MAX_KEYS

HOME = "192.0.2.1"
"""The address where Ada logs in."""


class AttemptsTests(SynchronousTestCase):
    """The limits."""

    def setUp(self) -> None:
        """Make the limits."""
        self.clock = Clock()
        self.attempts = Attempts(self.clock)

    def count(self, peers: list[str], name: str = "ada", *, isIn: bool = False) -> int:
        """Make an attempt from each address, and return the number of those within the limits."""
        allowed = 0
        for peer in peers:
            try:
                self.attempts.begin(peer, name)(isIn)
            except TooManyAttempts:
                continue
            allowed += 1
        return allowed

    def test_address(self) -> None:
        """An address has a number of attempts at once, for all names, and gets another one with time."""
        self.assertEqual(sum(self.count([HOME], f"user{number}") for number in range(60)), ATTEMPTS)
        error = self.assertRaises(TooManyAttempts, self.attempts.begin, HOME, "other")
        self.assertEqual(error.seconds, ATTEMPT_INTERVAL)
        self.clock.advance(ATTEMPT_INTERVAL - 0.5)
        self.assertEqual(self.assertRaises(TooManyAttempts, self.attempts.begin, HOME, "other").seconds, 1)
        self.clock.advance(0.5)
        self.assertEqual(self.count([HOME] * 2, "other"), 1)
        self.assertEqual(self.count(["192.0.2.2"], "other"), 1)

    def test_successes(self) -> None:
        """Successful attempts count for the address, too."""
        self.assertEqual(self.count([HOME] * 20, isIn=True), ATTEMPTS)

    def test_subnet(self) -> None:
        """The IPv6 addresses of a subnet share their attempts."""
        self.assertEqual(self.count([f"2001:db8::{number}" for number in range(60)], "other"), ATTEMPTS)
        self.assertEqual(self.count(["2001:db8:0:1::1"]), 1)

    def test_name(self) -> None:
        """Many networks together have the attempts of one, for each name, whether or not there is such a user."""
        networks = [f"198.51.100.{number}" for number in range(60)]
        self.assertEqual(self.count(networks), ATTEMPTS)
        self.assertEqual(self.count(networks, "nobody"), ATTEMPTS)
        self.assertEqual(self.count(networks), 0)
        self.clock.advance(60)
        self.assertEqual(self.count(networks), 60 / ATTEMPT_INTERVAL)

    def test_user(self) -> None:
        """An attack does not keep a user out: not at a known network at all, and not for ever at a new one."""
        self.assertEqual(self.count([HOME], isIn=True), 1)
        for number in range(60):
            self.assertEqual(self.count([f"198.51.100.{number}"] * 2), 2 if number < ATTEMPTS / 2 else 0)
        self.assertEqual(self.count([HOME] * 4, isIn=True), 4)
        self.assertEqual(self.count(["203.0.113.1"], isIn=True), 0)
        self.clock.advance(ATTEMPT_INTERVAL)
        self.assertEqual(self.count(["203.0.113.1"] * 5, isIn=True), 5)
        self.assertEqual(self.count(["198.51.100.60"] * 2), 1)

    def test_knownNetwork(self) -> None:
        """Wrong passwords at a user's own network count for the address only, and one's success is not another's."""
        self.count([HOME], isIn=True)
        self.assertEqual(self.count([HOME] * 20), ATTEMPTS - 1)
        self.assertEqual(self.count([f"198.51.100.{number}" for number in range(60)]), ATTEMPTS)
        self.clock.advance(ATTEMPT_INTERVAL * ATTEMPTS)
        self.assertEqual(self.count([f"198.51.100.{number}" for number in range(60)], "boss"), ATTEMPTS)
        self.assertEqual(self.count([HOME], "boss"), 0)

    def test_refused(self) -> None:
        """A refused attempt costs nothing."""
        self.count([HOME] * 20)
        self.clock.advance(ATTEMPT_INTERVAL)
        self.assertEqual(self.count([HOME] * 20), 1)

    def test_atOnce(self) -> None:
        """The number of logins at once is limited, except for users at their own networks."""
        self.count([HOME], isIn=True)
        ends = [self.attempts.begin(f"198.51.100.{number}", f"user{number}") for number in range(MAX_LOGINS)]
        self.assertEqual(self.assertRaises(TooManyAttempts, self.attempts.begin, "203.0.113.1", "other").seconds, 1)
        ends.append(self.attempts.begin(HOME, "ada"))
        for end in ends:
            end(False)
        self.assertEqual(self.count(["203.0.113.1"], "other"), 1)

    def test_memory(self) -> None:
        """What is remembered is bounded: long names, many names, and a user's many networks."""
        self.count([HOME], "x" * MAX_NAME, isIn=True)
        self.assertEqual(self.count(["203.0.113.1"] * ATTEMPTS, "x" * 100_000), ATTEMPTS)
        self.assertEqual(self.count(["203.0.113.2"], "x" * 200_000), 0)
        for number in range(MAX_NETWORKS):
            self.count([f"198.51.100.{number}", HOME], isIn=True)
            self.clock.advance(ATTEMPT_INTERVAL)
        networks = self.attempts._networks["ada"]
        self.assertEqual(len(networks), MAX_NETWORKS)
        self.assertIn(HOME, networks)
        self.assertNotIn("198.51.100.0", networks)
        for number in range(MAX_KEYS + 5):
            self.count([f"10.0.{number // 256}.{number % 256}"], f"user{number}")
        self.assertEqual(len(self.attempts._names._buckets), MAX_KEYS)
