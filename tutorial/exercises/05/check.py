"""The check of exercise 05."""

from ...harness import Running
from .. import expectAnswer


def check(running: Running) -> None:
    """The answer is two lines, each with its CR LF."""
    expectAnswer(running, b"moshez\r\n", b"No such user\r\nTry again tomorrow\r\n")
