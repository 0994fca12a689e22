"""The check of exercise XR."""

from tutorial.engine.exercises import expect
from tutorial.engine.harness import Running

LINES = ["nobody-of-that-name: No such user", "moshez: Happy and well"]


def check(running: Running) -> None:
    """It prints `name: status` for each name, in order, and ends."""
    result = running.run_client("nobody-of-that-name", "moshez")
    wanted = "a line for each of nobody-of-that-name and moshez"
    expect(result.returncode == 0, wanted, f"an exit code of {result.returncode}")
    expect(result.stdout.splitlines() == LINES, wanted, result.stdout.strip())
    alone = running.run_client("moshez").stdout
    expect(alone.splitlines() == LINES[1:], LINES[1], alone)
