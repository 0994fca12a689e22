"""The check of exercise 07."""

from tutorial.engine.exercises import expectAnswer
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """moshez, Moshez and MOSHEZ get the same answer; others are unknown as before."""
    for query in b"moshez\r\n", b"Moshez\r\n", b"MOSHEZ\n":
        expectAnswer(running, query, b"Happy and well\r\n")
    expectAnswer(running, b"moshe\r\n", b"No such user\r\n")
