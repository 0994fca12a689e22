"""Clocks with turns, as a reactor has them."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock


def turn(clock: Clock, call: Callable[..., object] = lambda do, *arguments, **named: do(*arguments, **named)) -> None:
    """
    Make the calls of a clock that are due now.  A call that is scheduled in one of them is left for a later turn.

    @param call: makes each call.
    """
    for due in [due for due in clock.calls if due.getTime() <= clock.seconds()]:
        if due.active():
            clock.calls.remove(due)
            due.called = 1
            call(due.func, *due.args, **due.kw)


class TurningClock(Clock):
    """A clock that can make one turn."""

    def turn(self) -> None:
        """Make the calls that are due now; see L{turn}."""
        turn(self)
