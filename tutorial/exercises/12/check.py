"""The check of exercise 12."""

from tutorial.engine.exercises import expect, expectAnswer
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """An empty status removes the user; a message of one line changes nothing."""
    for _ in range(2):
        running.set_status("guest", "")
        expectAnswer(running, b"guest\r\n", b"No such user\r\n")
    with running.call("setter") as caller:
        caller.send(b"moshez\r\n")
    running.set_status("guest", "Back")
    expectAnswer(running, b"guest\r\n", b"Back\r\n")
    expectAnswer(running, b"moshez\r\n", b"Happy and well\r\n")
    expect("Traceback" not in running.log(), "no traceback in the log", running.log())
