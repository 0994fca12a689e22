"""Coalescing calls."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from finger.client.singleflight import SingleFlight


class SingleFlightTests(SynchronousTestCase):
    """L{SingleFlight}."""

    def setUp(self) -> None:
        self.started: list[Deferred[str]] = []
        self.cancelled: list[Deferred[str]] = []
        self.flights: SingleFlight[str] = SingleFlight(2)

    def start(self) -> Deferred[str]:
        self.started.append(Deferred(self.cancelled.append))
        return self.started[-1]

    def test_shared(self) -> None:
        """Callers with the same key share one operation."""
        first, second = (self.flights.join("a", self.start) for _ in range(2))
        self.assertEqual(len(self.started), 1)
        self.started[0].callback("done")
        self.assertEqual([self.successResultOf(first), self.successResultOf(second)], ["done", "done"])

    def test_failureIsShared(self) -> None:
        """All callers get a failure."""
        waiting = [self.flights.join("a", self.start) for _ in range(2)]
        self.started[0].errback(ZeroDivisionError())
        for one in waiting:
            self.failureResultOf(one, ZeroDivisionError)

    def test_again(self) -> None:
        """Results are not kept: a later caller starts a new operation."""
        for answer in "12":
            waiting = self.flights.join("a", self.start)
            self.started[-1].callback(answer)
            self.assertEqual(self.successResultOf(waiting), answer)

    def test_againAtOnce(self) -> None:
        """A caller that joins again in its callback starts a new operation."""
        again = self.flights.join("a", self.start).addCallback(lambda _: self.flights.join("a", self.start))
        self.started[0].callback("1")
        self.started[1].callback("2")
        self.assertEqual(self.successResultOf(again), "2")

    def test_atOnce(self) -> None:
        """An operation can succeed or fail at once, or raise on its start."""

        def broken() -> Deferred[str]:
            raise ZeroDivisionError

        self.assertEqual(self.successResultOf(self.flights.join("a", lambda: succeed("done"))), "done")
        self.failureResultOf(self.flights.join("a", lambda: fail(KeyError())), KeyError)
        self.failureResultOf(self.flights.join("a", broken), ZeroDivisionError)
        self.flights.join("a", self.start)
        self.assertEqual(len(self.started), 1)

    def test_most(self) -> None:
        """The number of operations is limited; joining a running one is always allowed."""
        for key in "aabbab":
            self.assertNoResult(self.flights.join(key, self.start))
        self.assertNoResult(self.flights.join("c", self.start))
        self.assertEqual(len(self.started), 2)
        for key, isIn in {"a": True, "c": True, "d": False}.items():
            self.assertEqual(key in self.flights, isIn)
        self.started[0].callback("done")
        self.assertEqual(len(self.started), 3)

    def test_cancel(self) -> None:
        """A caller that cancels does not affect the others; when the last cancels, so is the operation."""
        first, second = (self.flights.join("a", self.start) for _ in range(2))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.cancelled, [])
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.cancelled, self.started)
        self.assertNoResult(self.flights.join("a", self.start))
        self.assertEqual(len(self.started), 2)

    def test_notAbandoned(self) -> None:
        """Without C{cancelAbandoned}, an operation without callers counts until it ends."""
        flights: SingleFlight[str] = SingleFlight(1, cancelAbandoned=False)
        waiting = flights.join("a", self.start)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.cancelled, [])
        self.assertNoResult(flights.join("b", self.start))
        self.assertEqual(len(self.started), 1)
        self.started[0].callback("done")
        self.assertEqual(len(self.started), 2)

    def test_cancelInCallback(self) -> None:
        """A caller's callback can cancel another caller."""
        first, second = (self.flights.join("a", self.start) for _ in range(2))
        first.addCallback(lambda _: second.cancel())
        self.started[0].callback("done")
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)


class QueueTests(SynchronousTestCase):
    """A L{SingleFlight} that queues operations."""

    def setUp(self) -> None:
        self.started: dict[str, Deferred[str]] = {}
        self.flights: SingleFlight[str] = SingleFlight(2)

    def join(self, key: str) -> Deferred[str]:
        def start() -> Deferred[str]:
            self.started[key] = Deferred()
            return self.started[key]

        return self.flights.join(key, start)

    def test_turns(self) -> None:
        """Operations start in the order of their callers, as running ones end, and once for all callers."""
        waiting = {key: [self.join(key), self.join(key)] for key in "abcd"}
        self.assertEqual(list(self.started), ["a", "b"])
        self.started["b"].callback("B")
        self.assertEqual(list(self.started), ["a", "b", "c"])
        self.started["a"].callback("A")
        self.started["c"].callback("C")
        self.started["d"].callback("D")
        for key, both in waiting.items():
            self.assertEqual([self.successResultOf(one) for one in both], [key.upper()] * 2)

    def test_abandoned(self) -> None:
        """A queued operation without callers is not started; if joined again, it goes to the end of the queue."""
        waiting = [self.join(key) for key in "abcd"]
        waiting[2].cancel()
        self.failureResultOf(waiting[2], CancelledError)
        self.assertNoResult(self.join("c"))
        self.started["a"].callback("done")
        self.assertEqual(list(self.started), ["a", "b", "d"])
        self.started["b"].callback("done")
        self.assertEqual(list(self.started), ["a", "b", "d", "c"])

    def test_leaveLate(self) -> None:
        """A caller that cancels after its operation has ended does not affect the next one with the same key."""
        first, second = self.join("a"), self.join("a")
        self.join("b")
        self.join("c")
        again: list[Deferred[str]] = []

        def askAgain(result: str) -> None:
            again.append(self.join("a"))
            second.cancel()

        first.addCallback(askAgain)
        self.started["a"].callback("1")
        self.failureResultOf(second, CancelledError)
        self.started["b"].callback("done")
        self.started["c"].callback("done")
        self.started["a"].callback("2")
        self.assertEqual(self.successResultOf(again[0]), "2")

    def test_manyAtOnce(self) -> None:
        """A long queue of operations that end at once does not exceed the recursion limit."""
        for key in "ab":
            self.join(key)
        waiting = [self.flights.join(number, lambda: succeed("done")) for number in range(10_000)]
        self.started["a"].callback("done")
        for one in waiting:
            self.assertEqual(self.successResultOf(one), "done")

    def test_next(self) -> None:
        """With a key that counts started operations, callers share one that starts after their call."""
        flights: SingleFlight[str] = SingleFlight(1)
        begun: list[Deferred[str]] = []

        def start() -> Deferred[str]:
            begun.append(Deferred())
            return begun[-1]

        waiting = [flights.join(len(begun), start) for _ in range(3)]
        begun[0].callback("1")
        self.assertEqual(self.successResultOf(waiting[0]), "1")
        begun[1].callback("2")
        self.assertEqual([self.successResultOf(one) for one in waiting[1:]], ["2", "2"])
        self.assertEqual(len(begun), 2)
