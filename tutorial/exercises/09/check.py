"""The check of exercise 09."""

from tutorial.engine.exercises import expect, expectAnswer
from tutorial.engine.harness import Running

REFUSED = (b".last", b"first.", b"first..last", b"..", b".", b"../passwd", b"-l", b"a b", b"root@host")


def check(running: Running) -> None:
    """first.last reaches the program; a dot at an end, or two in a row, and all else refused so far does not."""
    running.ask(b"first.last\r\n")
    calls = running.calls()
    expect(calls, "the program to be called with first.last", "no call")
    expect(calls == ["1:first.last"], "the program to be called with first.last", calls)
    for name in REFUSED:
        expectAnswer(running, name + b"\r\n", b"No such user\r\n")
    expect(running.calls() == calls, "no other call", running.calls())
