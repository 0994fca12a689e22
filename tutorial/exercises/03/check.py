"""The check of exercise 03."""

from tutorial.engine.exercises import expect
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """It prints the caller's address, and still closes at once without a byte."""
    with running.call() as caller:
        expect(caller.read() == b"", "not a byte for the caller", repr(caller.received))
    running.wait_for(
        lambda: "127.0.0.1" in running.log(), "127.0.0.1 in what it prints", lambda: running.log() or "nothing"
    )
