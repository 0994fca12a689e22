"""The check of exercise 04."""

from tutorial.engine.exercises import expect
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """Empty lines are passed over; the first that is not empty ends the connection."""
    for empty in b"\r\n", b"\n", b"  \r\n":
        with running.call() as caller:
            caller.send(empty)
            expect(not caller.closed_within(0.2), "an open connection after an empty line", "a closed one")
            caller.send(b"moshez\r\n")
            expect(caller.read() == b"", "not a byte", repr(caller.received))
