"""Stages 27 and 29 to 33: lists, the log, the store, who may write to it, and other back ends."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3

from ..harness import DidNotStart, PromiseBroken, Running
from ..stages import TUTORIAL
from ._registry import (
    NSU,
    expect,
    expect_answer,
    expect_in_log,
    expect_on_page,
    promise,
    promise_elsewhere,
)


@promise
def empty_query_lists_the_users(running: Running) -> None:
    """An empty query is answered with a line for each user; an unknown name is `No such user`."""
    for query in b"\r\n", b"\n":
        lines = running.ask(query).split(b"\r\n")
        expect(b"moshez           Happy and well" in lines, "a line for moshez", lines)
        guest = [line for line in lines if line.startswith(b"guest ")]
        expect(len(guest) == 1 and b"bell: ?" in guest[0], "one line for guest", lines)
    for query in b"nobody-of-that-name\r\n", b"  nobody-of-that-name \n", b"\xff\xfe\r\n":
        expect_answer(running, query, NSU)


@promise_elsewhere
def queries_are_events(running: Running) -> None:
    """Each query is logged, in a line and as JSON: by what way, who, what, the outcome, the ms."""
    file = running.directory / "events"
    logging = running.variant("events", FINGER_EVENTS=str(file))
    logging.ask(b"moshez\r\n")
    logging.ask(b"nobody\x1b[31m\r forged: a line\r\n")
    logging.get("/nobody-of-that-name")
    expect_in_log(logging, "/nobody-of-that-name")
    text = logging.log()
    found = re.search(r"finger 127\.0\.0\.1 'moshez' ok \d+\.\d ms\n", text)
    expect(found, "finger 127.0.0.1 'moshez' ok ... ms", text)
    expect("\x1b" not in text and "\n forged" not in text, "the query escaped", text)
    expect(file.exists(), "a file of events", "none")
    events = [json.loads(line) for line in file.read_text().splitlines()]
    told = [(e["adapter"], e["query"], e["outcome"]) for e in events if "adapter" in e]
    expect(("finger", "moshez", "ok") in told, "an event for moshez", told)
    expect(("web", "/nobody-of-that-name", "404") in told, "an event for the page", told)
    event = next(e for e in events if e.get("query") == "moshez")
    expect(event["peer"] == "127.0.0.1" and event["ms"] >= 0, "peer and ms", event)


@promise
def store_is_shared(running: Running) -> None:
    """What another process writes to the database is told at once."""
    path = running.world.store / "users.sqlite"
    expect(path.exists(), "a database", "none")
    with contextlib.closing(sqlite3.connect(path, timeout=running.patience)) as store, store:
        store.execute("REPLACE INTO users VALUES (?, ?)", ["neighbour", "Next door"])
    expect_answer(running, b"neighbour\r\n", b"Next door\r\n")
    expect_on_page(running, "/neighbour", "<p>Next door</p>")


@promise
def queries_are_no_sql(running: Running) -> None:
    """A name that looks like SQL is a name: it finds nobody and changes nothing."""
    path = running.world.store / "users.sqlite"
    expect(path.exists(), "a database", "none")
    for query in b"' OR '1'='1\r\n", b"x'; DROP TABLE users; --\r\n":
        expect_answer(running, query, NSU)
    expect_answer(running, b"moshez\r\n", b"Happy and well\r\n")


def told(running: Running, *lines: str) -> bytes:
    """What the setter says to a message."""
    with running.call("setter") as caller:
        caller.send("".join(line + "\r\n" for line in lines).encode())
        caller.socket.shutdown(socket.SHUT_WR)
        return caller.read()


@promise_elsewhere
def answers_whoever_half_closes(running: Running) -> None:
    """Who ends the own half of the connection, as `nc -N` does, hears the answer all the same."""
    with running.troubled().call() as caller:
        caller.send(b"slow-half-closed\r\n")
        caller.socket.shutdown(socket.SHUT_WR)
        got = caller.read()
    expect(got == b"slow answer\r\n", "the slow answer", repr(got))
    with running.troubled().call() as caller:
        caller.send(b"half a li")
        caller.socket.shutdown(socket.SHUT_WR)
        expect(caller.read() == b"", "no answer to half a line", repr(caller.received))


def expect_outlived(running: Running, name: str, *message: str) -> None:
    """Set a status, pull the plug as soon as it is acknowledged, and start again."""
    store = {"FINGER_STORE": str(running.directory / "store" / f"{name}.sqlite")}
    victim = running.variant(f"{name}, to be killed", **store)
    answer = told(victim, *message)
    os.kill(victim.pid, signal.SIGKILL)
    expect(b"is set" in answer, "... is set", answer)
    again = running.variant(f"{name}, started again", **store)
    expect_answer(again, message[0].encode() + b"\r\n", message[-1].encode() + b"\r\n")


@promise_elsewhere
def setter_says_when_it_is_kept(running: Running) -> None:
    """The setter acknowledges, and what is acknowledged survives `kill -9` right after."""
    expect_outlived(running, "setter", "survivor", "Still here")


@promise_elsewhere
def only_the_owner_sets_a_status(running: Running) -> None:
    """With the own password one sets the own status, which is kept; without, nobody's."""
    expect_outlived(running, "owner", "webmaster", "retsambew", "Weaving")
    variant = running.variant("owner, started again")
    for user, password in [
        ("moshez", "wrong"),
        ("moshez", "retsambew"),
        ("moshez", ""),
        ("nobody-of-that-name", ""),
    ]:
        answer = told(variant, user, password, "Pwned")
        expect(answer == b"Permission denied\r\n", "Permission denied", answer)
    expect_answer(variant, b"moshez\r\n", b"Happy and well\r\n")
    expect_in_log(variant, "failed to log in")
    expect("retsambew" not in variant.log(), "no password in the log", variant.log())
    expect("Traceback" not in variant.log(), "no traceback", variant.log())


def with_plugin(running: Running, name: str, module: str, text: str, **more: str) -> Running:
    """A variant that finds this module among Twisted's plugins."""
    folder = running.directory / name / "twisted" / "plugins"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / module).write_text(text)
    path = os.pathsep.join([str(TUTORIAL), str(running.directory / name)])
    return running.variant(name, PYTHONPATH=path, **more)


@promise_elsewhere
def finds_other_peoples_back_ends(running: Running) -> None:
    """A back end in a module `twisted/plugins/...` on Python's path is found by its name."""
    plugin = (TUTORIAL / "thirdparty" / "twisted" / "plugins" / "rooms_backend.py").read_text()
    rooms = with_plugin(running, "rooms", "rooms_backend.py", plugin, FINGER_BACKEND="rooms")
    expect_answer(rooms, b"aquarium\r\n", b"free\r\n")
    expect_on_page(rooms, "/library", "<p>taken until four</p>")
    expect(rooms.xmlrpc("getUsers") == ["aquarium", "library"], "the rooms", "others")
    expect("Traceback" not in rooms.log(), "no traceback", rooms.log())


@promise_elsewhere
def broken_back_end_spoils_no_other(running: Running) -> None:
    """A plugin that cannot be imported is logged, and the others are found."""
    broken = with_plugin(running, "broken", "broken_backend.py", "raise ValueError('not today')")
    expect_answer(broken, b"moshez\r\n", b"Happy and well\r\n")
    expect_in_log(broken, "not today")


@promise_elsewhere
def unknown_back_end_is_named(running: Running) -> None:
    """A back end that nobody has written ends the stage at once, which names those there are."""
    try:
        running.variant("unknown back end", FINGER_BACKEND="nosuch")
    except DidNotStart as error:
        expect("nosuch" in str(error) and "store" in str(error), "the names", error)
        expect("Traceback" not in str(error), "no traceback", error)
    else:
        raise PromiseBroken("a stage that does not start", "one that does")
