"""The check of exercise proxy."""

from tutorial.engine.exercises import expect, expectAnswer
from tutorial.engine.harness import Running

DENIED = b"Finger forwarding service denied\r\n"


def check(running: Running) -> None:
    """Hosts that are not listed are refused, and nobody is asked; those that are, and this machine, are asked."""
    asked = running.world.remote.asked
    expectAnswer(running, b"moshez@127.0.0.2\r\n", DENIED)
    expectAnswer(running, b"moshez@elsewhere.invalid\r\n", DENIED)
    expect(not asked, "nobody to be asked", asked)
    for query in b"moshez@localhost\r\n", b"moshez@LOCALHOST\r\n", b"moshez@127.0.0.1\r\n", b"moshez\r\n":
        expectAnswer(running, query, b"Happy and well\r\n")
