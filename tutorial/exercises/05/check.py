"""The check of exercise 05."""

from tutorial.engine.exercises import expectAnswer
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """The answer is two lines, each with its CR LF."""
    expectAnswer(running, b"moshez\r\n", b"No such user\r\nTry again tomorrow\r\n")
