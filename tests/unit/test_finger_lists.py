"""The user list in pieces."""

from __future__ import annotations

import time
from functools import partial
from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from finger.adapters.finger.factory import FingerFactory
from finger.adapters.finger.lists import LENGTH, USERS, encodePieces, longPieces, shortPieces
from finger.profile import Profile
from finger.protocol.wire import encode, formatAnswer, formatList
from tests.support.doubles import CountingDouble
from tests.support.turns import TurningClock

MOST_SECONDS = 0.1
"""The CPU time, in seconds, that one piece may take: ten times as much as it does."""

SLOW = "a\u202e" * (32 * 1024)
"""The longest plan, with characters that take long to make visible."""

PLANS = ("", "x", "x\n", "\n\nx\n\n", "x\r", "\r\n", "\u200b", "x\n\u200b", "\u202ex\x1b", "é" * 50, None)
"""Plans whose beginnings and ends might be changed where pieces meet."""


class PiecesTests(SynchronousTestCase):
    """L{encodePieces} with the two forms."""

    def encode(self, profiles: list[Profile], verbose: bool, banner: str = "", utf8: bool = True) -> bytes:
        """Return a list, all of whose pieces are made at once."""
        pieces = (longPieces if verbose else shortPieces)(profiles)
        making = encodePieces(pieces, partial(encode, utf8=utf8), None, banner)
        return self.successResultOf(Deferred.fromCoroutine(making))

    def test_whole(self) -> None:
        """The pieces are the same bytes as the list in one piece."""
        profiles = [Profile(f"u{number}é", name="Née", plan=plan) for number, plan in enumerate(PLANS * 2)]
        short, long = formatList(profiles), "\n\n".join(formatAnswer(profile, True) for profile in profiles)
        for most in (1, 2, 7, len(profiles)):
            with patch.multiple("finger.adapters.finger.lists", USERS=most):
                for utf8 in (True, False):
                    for banner, before in (("", ""), ("Hello\n", "Hello\n\n"), ("Hello", "Hello\n")):
                        self.assertEqual(self.encode(profiles, False, banner, utf8), encode(before + short, utf8))
                        self.assertEqual(self.encode(profiles, True, banner, utf8), encode(before + long, utf8))

    def test_sizes(self) -> None:
        """A piece has a number of users, or a length, and a long one at most one user more."""
        users = [Profile(f"user{number}") for number in range(2 * USERS + 1)]
        self.assertEqual([piece.count("user") for piece in shortPieces(users)], [USERS, USERS, 1])
        self.assertEqual([piece.count("user") for piece in longPieces(users)], [USERS, USERS, 1])
        users = [Profile(f"user{number}", plan="x" * (LENGTH // 2)) for number in range(5)]
        self.assertEqual([piece.count("user") for piece in longPieces(users)], [2, 2, 1])
        self.assertEqual(list(shortPieces([])), ["No one logged on\n"])


class TurnTests(SynchronousTestCase):
    """Long lists of the finger adapter."""

    def setUp(self) -> None:
        """Make a server with long plans."""
        self.service = CountingDouble(*(Profile(f"user{number}", plan=SLOW) for number in range(30)))
        self.clock = TurningClock()
        self.factory = FingerFactory(self.service)
        self.factory.clock = self.clock

    def turn(self) -> None:
        """Run a turn of the reactor, which must not take long."""
        before = time.thread_time()
        self.clock.turn()
        self.assertLess(time.thread_time() - before, MOST_SECONDS)

    def test_turns(self) -> None:
        """Other connections have a turn between two pieces, and all that ask meanwhile wait for the same list."""
        first, second = (self.factory.answer(b"/W", f"192.0.2.{number}") for number in range(2))
        for _ in range(29):
            self.assertNoResult(first)
            self.turn()
        answer = self.successResultOf(first)
        self.assertIs(self.successResultOf(second), answer)
        self.assertEqual((answer.count(b"Login: "), self.service.listed), (30, 1))
        self.assertIs(self.successResultOf(self.factory.answer(b"/W", "192.0.2.3")), answer)

    def test_changed(self) -> None:
        """A list that changes while it is made is made again for the next query."""
        first = self.factory.answer(b"/W", "192.0.2.1")
        self.service.change(Profile("new"))
        second = self.factory.answer(b"/W", "192.0.2.2")
        while self.clock.getDelayedCalls():
            self.turn()
        self.assertEqual(self.successResultOf(first).count(b"Login: "), 30)
        new = self.successResultOf(second)
        self.assertEqual(new.count(b"Login: "), 1)
        self.assertIs(self.successResultOf(self.factory.answer(b"/W", "192.0.2.3")), new)

    def test_left(self) -> None:
        """If all that wait for a list leave, it is no longer made; one that leaves does not disturb the others."""
        waiting = [self.factory.answer(b"/W", f"192.0.2.{number}") for number in range(2)]
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        self.turn()
        self.assertNoResult(waiting[1])
        waiting[1].cancel()
        self.failureResultOf(waiting[1], CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
