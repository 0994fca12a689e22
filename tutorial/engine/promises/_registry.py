"""The register of promises, and how they say what they expect."""

import http.client
from collections.abc import Callable

from ..doubles import GUEST, IRCServer
from ..harness import Caller, HarnessError, Page, PromiseBroken, Running

Promise = Callable[[Running], None]
PROMISES: dict[str, Promise] = {}
ELSEWHERE: set[str] = set()  # those that never touch the run they are given, only variants of it

NSU = b"No such user\r\n"
IE = b"Internal error in server\r\n"
SECRET = "the reason is no business of the caller"  # what stage_runner.py's lookups fail with
MOSHEZ = b"Happy and well\r\n"
GUEST_PRINTABLE = GUEST.replace("\a", "?")
GUEST_ON_THE_WIRE = GUEST_PRINTABLE.replace("\n", "\r\n").encode() + b"\r\n"


def promise(function: Promise) -> Promise:
    """Register a promise under its function's name, with dashes."""
    PROMISES[function.__name__.replace("_", "-")] = function
    return function


def promise_elsewhere(function: Promise) -> Promise:
    """Register a promise that is checked on variants of the stage's run only.

    It may be checked while other promises are checked on the run itself.
    """
    ELSEWHERE.add(function.__name__.replace("_", "-"))
    return promise(function)


def describe(name: str) -> str:
    """The promise in a sentence."""
    return (PROMISES[name].__doc__ or "").strip()


def keep(name: str, running: Running) -> None:
    """Check one promise; whatever goes wrong on the way is a `PromiseBroken`."""
    try:
        PROMISES[name](running)
    except (HarnessError, OSError, http.client.HTTPException) as error:
        raise PromiseBroken(describe(name), f"{type(error).__name__}: {error}") from error


def expect(good: object, expected: str, got: object) -> None:
    if not good:
        raise PromiseBroken(expected, str(got))


def expect_answer(running: Running, query: bytes, answer: bytes) -> None:
    got = running.ask(query)
    expect(got == answer, f"{answer!r} for {query!r}", repr(got))


def expect_in_log(running: Running, text: str) -> None:
    running.wait_for(lambda: text in running.log(), f"{text!r} in the log", running.log)


def expect_waiting(caller: Caller, what: str) -> None:
    """The stage is still there and has said nothing: give it a moment to prove otherwise."""
    closed = caller.closed_within(0.1)
    expect(not closed, f"an open connection {what}", "a closed one")
    expect(not caller.received, f"silence {what}", repr(caller.received))


def expect_on_page(running: Running, path: str, text: str) -> Page:
    page = running.get(path)
    expect(text in page.body, f"{text} at {path}", page.body)
    return page


def bot_on_irc(running: Running) -> IRCServer:
    irc = running.world.irc
    running.wait_for(lambda: irc.bot, "a bot that logs in on IRC", lambda: irc.lines)
    return irc


def irc_answer(running: Running, irc: IRCServer, text: str) -> str:
    """What the bot says next, when it is told this."""
    before = len(irc.said())
    irc.tell(text)
    running.wait_for(lambda: len(irc.said()) > before, f"an answer to {text!r} on IRC", lambda: irc.lines)
    return irc.said()[before]
