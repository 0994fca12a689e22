"""Work that is shared."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from finger.client.singleflight import SingleFlight
from finger.errors import RemoteUnreachable


class UnderWayTests(SynchronousTestCase):
    """L{SingleFlight}."""

    def setUp(self) -> None:
        self.started: list[Deferred[str]] = []
        self.cancelled: list[Deferred[str]] = []
        self.underWay: SingleFlight[str] = SingleFlight(2)

    def start(self) -> Deferred[str]:
        self.started.append(Deferred(self.cancelled.append))
        return self.started[-1]

    def test_shared(self) -> None:
        """Who asks for the same waits for the same."""
        first, second = (self.underWay.join("a", self.start) for _ in range(2))
        self.assertEqual(len(self.started), 1)
        self.started[0].callback("done")
        self.assertEqual([self.successResultOf(first), self.successResultOf(second)], ["done", "done"])

    def test_failureIsShared(self) -> None:
        """A failure is everybody's."""
        waiting = [self.underWay.join("a", self.start) for _ in range(2)]
        self.started[0].errback(ZeroDivisionError())
        for one in waiting:
            self.failureResultOf(one, ZeroDivisionError)

    def test_again(self) -> None:
        """What is done is not remembered."""
        for answer in "12":
            waiting = self.underWay.join("a", self.start)
            self.started[-1].callback(answer)
            self.assertEqual(self.successResultOf(waiting), answer)

    def test_againAtOnce(self) -> None:
        """Who is told and asks again begins anew."""
        again = self.underWay.join("a", self.start).addCallback(lambda _: self.underWay.join("a", self.start))
        self.started[0].callback("1")
        self.started[1].callback("2")
        self.assertEqual(self.successResultOf(again), "2")

    def test_atOnce(self) -> None:
        """Work can be done at once, fail at once, and not even begin."""

        def broken() -> Deferred[str]:
            raise ZeroDivisionError

        self.assertEqual(self.successResultOf(self.underWay.join("a", lambda: succeed("done"))), "done")
        self.failureResultOf(self.underWay.join("a", lambda: fail(KeyError())), KeyError)
        self.failureResultOf(self.underWay.join("a", broken), ZeroDivisionError)
        self.underWay.join("a", self.start)
        self.assertEqual(len(self.started), 1)

    def test_most(self) -> None:
        """There is not more work than may be; joining what is there is no more work."""
        for key in "aabbab":
            self.assertNoResult(self.underWay.join(key, self.start))
        self.failureResultOf(self.underWay.join("c", self.start), RemoteUnreachable)
        self.started[0].callback("done")
        self.assertNoResult(self.underWay.join("c", self.start))
        self.assertEqual(len(self.started), 3)

    def test_cancel(self) -> None:
        """Who leaves does not trouble the others; the last to leave ends the work."""
        first, second = (self.underWay.join("a", self.start) for _ in range(2))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.cancelled, [])
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.cancelled, self.started)
        self.assertNoResult(self.underWay.join("a", self.start))
        self.assertEqual(len(self.started), 2)

    def test_notAbandoned(self) -> None:
        """Work that cannot be cancelled counts until it is done."""
        underWay: SingleFlight[str] = SingleFlight(1, abandoned=False)
        waiting = underWay.join("a", self.start)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.cancelled, [])
        self.failureResultOf(underWay.join("b", self.start), RemoteUnreachable)
        self.started[0].callback("done")
        self.assertNoResult(underWay.join("b", self.start))

    def test_leaveWhenTold(self) -> None:
        """One who is told can make another leave."""
        first, second = (self.underWay.join("a", self.start) for _ in range(2))
        first.addCallback(lambda _: second.cancel())
        self.started[0].callback("done")
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)
