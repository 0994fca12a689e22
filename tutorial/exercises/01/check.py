"""The check of exercise 01."""

from tutorial.engine.exercises import expect
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """It prints `waiting`, by way of the reactor, and runs on."""
    running.wait_for(
        lambda: "waiting" in running.log(), "`waiting` in what it prints", lambda: running.log() or "nothing"
    )
    expect(running.log().count("waiting") == 1, "`waiting` once", running.log())
    expect("callWhenRunning" in running.sources()[0], "a call of reactor.callWhenRunning", "none")
    expect(running.alive(), "a program that runs on", "one that has ended")
