"""The check of exercise 10."""

from tutorial.engine.exercises import expect, expectAnswer
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """The same question twice is one request to the site; a failure is asked again."""
    asked = running.world.site.asked
    for _ in range(2):
        expectAnswer(running, b"moshez\r\n", b"Happy and well\r\n")
    expect(asked.count("/moshez") == 1, "one request for two questions", asked.count("/moshez"))
    expectAnswer(running, b"webmaster\r\n", b"Only the site knows me\r\n")
    for _ in range(2):
        expectAnswer(running, b"broken\r\n", b"Internal error in server\r\n")
    expect(asked.count("/broken") == 2, "a failure to be asked again", asked.count("/broken"))
