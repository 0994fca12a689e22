"""The check of exercise PB."""

from tutorial.engine.exercises import expect
from tutorial.engine.harness import Running


def check(running: Running) -> None:
    """Without a name it prints all names, with one the status."""
    result = running.run_client()
    got = result.stdout.strip() or result.stderr.strip()
    expect("moshez" in result.stdout.splitlines(), "a line that says moshez", got)
    expect("guest" in result.stdout.splitlines(), "a line that says guest", got)
    one = running.run_client("moshez").stdout.strip()
    expect(one == "Happy and well", "Happy and well for moshez", one)
