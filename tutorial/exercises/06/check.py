"""The check of exercise 06."""

from tutorial.engine.exercises import expectAnswer
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """The answers count the questions of all connections."""
    for count in 1, 2, 3:
        expectAnswer(running, b"moshez\r\n", b"No such user (%d asked)\r\n" % count)
