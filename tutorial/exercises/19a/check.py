"""The check of exercise 19a."""

from tutorial.engine.exercises import expect, expectAnswer
from tutorial.engine.harness import Running

REPLACES = "finger19a_changes.py"


def check(running: Running) -> None:
    """A status for an unknown user is passed over; a known user's is set, and seen on the web as well."""
    running.set_status("stranger", "Here I am")
    expectAnswer(running, b"stranger\r\n", b"No such user\r\n")
    expect("stranger" not in running.get("/").body, "no stranger in the list", running.get("/").body)
    running.set_status("moshez", "At sea")
    expectAnswer(running, b"moshez\r\n", b"At sea\r\n")
    expect("At sea" in running.get("/moshez").body, "At sea on the web", running.get("/moshez").body)
    expect("Traceback" not in running.log(), "no traceback in the log", running.log())
