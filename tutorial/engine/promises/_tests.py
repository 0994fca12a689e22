"""Stages 24 and 25: what can be imported, and what the tests of a stage notice."""

import subprocess

from ..harness import PromiseBroken, Running
from ..stages import TUTORIAL
from ._registry import expect, promise, promise_elsewhere


@promise
def finished_parts_are_modules(running: Running) -> None:
    """The texts are a module that needs no reactor; the finished adapters are another."""
    texts = [name for name in running.served.helpers if "def clean(" in source(name)]
    expect(texts, "a module with the function clean", running.served.helpers)
    module = texts[0].removesuffix(".py")
    result = running.run(["-c", f"import sys, {module}; print('twisted.internet' in sys.modules)"])
    expect(not result.returncode, f"{module} to be imported", result.stderr)
    result = running.run(["-c", f"from {module} import clean; print(clean('a\\a\\nb'))"])
    expect(result.stdout.strip() == "['a?', 'b']", "clean to work by itself", result.stderr)
    adapters = [name for name in running.served.helpers if "registerAdapter(" in source(name)]
    expect(adapters, "a module with adapters", running.served.helpers)


def source(helper: str) -> str:
    return (TUTORIAL / helper).read_text("utf-8")


def trial(running: Running, stage: str) -> subprocess.CompletedProcess[str]:
    """Run the stage's tests on a file, and forbid them the network."""
    modules = [name.removesuffix(".py") for name in running.served.helpers if name.startswith("test_")]
    if not modules:
        raise PromiseBroken("a stage with tests", "none")
    return running.run(["-c", TRIAL, *modules], FINGER_STAGE=stage)


TRIAL = """
import socket, sys
def forbidden(*arguments):
    raise AssertionError("a test has used the network")
socket.socket.bind = socket.socket.connect = socket.socket.listen = forbidden
from twisted.scripts.trial import run
sys.argv[1:1] = ["--temp-directory=trial", "--reporter=text"]
run()
"""


@promise_elsewhere
def tests_pass_without_a_network(running: Running) -> None:
    """The stage's tests pass, and open no socket."""
    result = trial(running, str(running.file))
    expect(result.returncode == 0, "tests that pass", result.stdout + result.stderr)
    expect("PASSED" in result.stdout, "PASSED", result.stdout)


def expect_noticed(running: Running, damage: str, what: str) -> None:
    """The stage with this done to it does not pass its tests."""
    mutant = running.directory / "mutant.tac"
    original = str(running.file)
    code = f"__file__ = {original!r}\nexec(compile(open(__file__).read(), __file__, 'exec'))\n"
    mutant.write_text(f"{code}{damage}\n")
    result = trial(running, str(mutant))
    noticed = result.returncode != 0 and "FAILED" in result.stdout
    expect(noticed, f"tests that notice {what}", result.stdout + result.stderr)


@promise_elsewhere
def tests_notice_what_is_broken(running: Running) -> None:
    """The tests fail if control characters get out."""
    expect_noticed(running, "clean = str.splitlines", "control characters")


@promise_elsewhere
def tests_notice_a_missing_time_limit(running: Running) -> None:
    """The tests fail if silent callers are kept, and need no time to see that."""
    damage = "LimitedLineReceiver.timeoutConnection = lambda self: None"
    expect_noticed(running, damage, "a missing time limit")
