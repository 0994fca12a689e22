"""A clock with turns, as a reactor has them."""

from __future__ import annotations

from twisted.internet.task import Clock


class TurningClock(Clock):
    """A clock that can make one turn: a call that is scheduled in it is left for a later one."""

    def turn(self) -> None:
        """Make the calls that are due now."""
        for call in [call for call in self.calls if call.getTime() <= self.seconds()]:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
