"""Slots for work on behalf of peers."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from finger.client.slots import FairFlight, Limits, Place, Slots
from finger.errors import RemoteUnreachable

LIMITS = Limits(total=6, perHost=4, perPeer=3, perPeerAndHost=2, waiting=8, waitingPerPeer=4)


class SlotsTests(SynchronousTestCase):
    """L{Slots}."""

    def setUp(self) -> None:
        self.slots = Slots(LIMITS)

    def take(self, *names: str) -> list[Deferred[None]]:
        """Take a slot for each name, of a peer and a host: C{ah} is for the peer C{a} at the host C{h}."""
        return [self.slots.take(Place(name[:-1], name[-1])) for name in names]

    def giveBack(self, name: str) -> None:
        """Give back a slot."""
        self.slots.giveBack(Place(name[:-1], name[-1]))

    def granted(self, taken: list[Deferred[None]]) -> str:
        """Return which of the slots are granted: C{+} for each that is, C{.} for each that is not."""
        return "".join("+" if one.called else "." for one in taken)

    def test_limits(self) -> None:
        """There are limits in all, for each host, for each peer, and for each peer at a host."""
        for names, granted in {
            "ax bx cx dx ex": "++++.",
            "ax ay az a1": "+++.",
            "ax ax ax ay": "++.+",
            "a1 a2 a3 b1 b2 b3 c4": "++++++.",
            # For no peer, only the limits in all and for each host hold.
            "x x x x x y y z": "++++.++.",
        }.items():
            self.setUp()
            self.assertEqual(self.granted(self.take(*names.split())), granted, names)

    def test_turns(self) -> None:
        """Work waits until there is a slot that it may have; other work passes it meanwhile."""
        taken = self.take("ax", "ax", "ax", "ax", "bx", "ay")
        self.assertEqual(self.granted(taken), "++..++")
        self.giveBack("bx")
        self.assertEqual(self.granted(taken), "++..++")
        self.giveBack("ax")
        self.assertEqual(self.granted(taken), "+++.++")
        self.giveBack("ax")
        self.giveBack("ax")
        self.assertEqual(self.granted(taken), "++++++")

    def test_fair(self) -> None:
        """When all slots are in use, the next one goes to the peer that uses the fewest, and to its oldest work."""
        self.take("a1", "a2", "a3", "b4", "b5", "b6")
        greedy, other = self.take("a1", "b4", "a2"), self.take("c7", "c8", "c9")
        for name, granted in (("a1", "... +.."), ("b4", "... ++."), ("b5", ".+. ++."), ("c7", ".+. +++")):
            self.giveBack(name)
            self.assertEqual(f"{self.granted(greedy)} {self.granted(other)}", granted)

    def test_tooMany(self) -> None:
        """The work that waits is limited, in all and for each peer."""
        taken = self.take("ax", "ax", *["ax"] * 4)
        for refused in self.take("ax"):
            self.assertEqual(
                self.failureResultOf(refused, RemoteUnreachable).getErrorMessage(), "too many queries are under way"
            )
        self.take("bx", "bx", *["bx"] * 4)
        self.failureResultOf(self.take("cx")[0], RemoteUnreachable)
        self.failureResultOf(self.take("x")[0], RemoteUnreachable)
        self.assertEqual(self.granted(self.take("cy", "y")), "++")
        self.assertEqual(self.granted(taken), "++....")

    def test_cancel(self) -> None:
        """Work that is cancelled waits no more."""
        taken = self.take("ax", "ax", "ax", "ax")
        taken[2].cancel()
        self.failureResultOf(taken[2], CancelledError)
        self.giveBack("ax")
        self.assertEqual(self.granted(taken[3:]), "+")

    def test_nothingKept(self) -> None:
        """Peers and hosts that use no slots are forgotten."""
        for name in ("ax", "by", "z"):
            self.take(name)
            self.giveBack(name)
        self.assertEqual(self.slots._taken, {})


class FairFlightTests(SynchronousTestCase):
    """L{FairFlight}."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.started: list[Deferred[str]] = []
        self.flights: FairFlight[str] = FairFlight(self.clock, LIMITS, 20)

    def start(self) -> Deferred[str]:
        """Start an operation."""
        self.started.append(Deferred())
        return self.started[-1]

    def join(self, key: str, peer: str = "a", host: str = "x") -> Deferred[str]:
        """Join an operation."""
        return self.flights.join(key, Place(peer, host), self.start)

    def test_shared(self) -> None:
        """An operation that runs is joined without a slot."""
        waiting = [self.join("1") for _ in range(9)]
        self.assertEqual(len(self.started), 1)
        self.assertEqual(self.flights._slots._taken["peer", "a"], 1)
        self.started[0].callback("done")
        self.assertEqual([self.successResultOf(one) for one in waiting], ["done"] * 9)
        self.assertEqual(self.flights._slots._taken, {})

    def test_waitingIsNotShared(self) -> None:
        """A peer that waits does not make another one wait; once it has a slot, it joins the running operation."""
        self.join("1")
        self.join("2")
        waiting, other = self.join("3"), self.join("3", peer="b")
        self.assertEqual(len(self.started), 3)
        self.started[0].callback("one")
        self.assertEqual(len(self.started), 3)
        self.started[2].callback("three")
        self.assertEqual([self.successResultOf(one) for one in (waiting, other)], ["three"] * 2)
        self.started[1].callback("two")
        self.assertEqual(self.flights._slots._taken, {})

    def test_slotIsKept(self) -> None:
        """An operation keeps its slot until it ends, also when the caller that started it has left."""
        first, _ = self.join("1"), self.join("1")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.flights._slots._taken["peer", "a"], 1)
        self.started[0].callback("done")
        self.assertEqual(self.flights._slots._taken, {})

    def test_abandoned(self) -> None:
        """An operation without callers is cancelled, and its slot is free."""
        waiting = self.join("1")
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(self.started[0].called)
        self.assertEqual(self.flights._slots._taken, {})

    def test_patience(self) -> None:
        """Waiting for a slot has a time limit, and can be cancelled."""
        self.join("1")
        self.join("2")
        waiting, cancelled = self.join("3"), self.join("4")
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.clock.advance(19)
        self.assertNoResult(waiting)
        self.clock.advance(1)
        self.failureResultOf(waiting, RemoteUnreachable)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_manyAtOnce(self) -> None:
        """Operations that end at once end all that wait."""
        self.join("1")
        self.join("2")
        waiting = [self.flights.join(number, Place("a", "x"), lambda: succeed("done")) for number in range(4)]
        self.started[0].callback("done")
        self.assertEqual([self.successResultOf(one) for one in waiting], ["done"] * 4)
