"""The check of exercise 08."""

from tutorial.engine.exercises import expect, expectAnswer
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """A lookup that takes too long is an internal error, and logged; one in time is answered."""
    expectAnswer(running, b"moshez\r\n", b"Happy and well\r\n")
    slow = running.variant("slow lookups", FINGER_HARNESS_TROUBLE="1", FINGER_LOOKUP_TIMEOUT="0.1")
    expectAnswer(slow, b"slow\r\n", b"Internal error in server\r\n")
    expect("TimeoutError" in slow.log(), "a TimeoutError in the log", slow.log())
    expectAnswer(slow, b"quick\r\n", b"quick answer\r\n")
