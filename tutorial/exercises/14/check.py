"""The check of exercise 14."""

from tutorial.engine.exercises import expect
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """The number of users is logged when they have changed, and only then."""
    expectInLog(running, "users read: 4")
    readings = running.log().count("line 2")  # which is no user, and said to be none at each reading
    running.wait_for(lambda: running.log().count("line 2") > readings + 2, "more readings", running.log)
    times = running.log().count("users read: 4")
    expect(times == 1, "it once, as nothing has changed", f"{times} times")
    running.world.write_users("moshez: Happy and well\n")
    expectInLog(running, "users read: 1")


def expectInLog(running: Running, text: str) -> None:
    running.wait_for(lambda: text in running.log(), f"`{text}` in the log", lambda: "none")
