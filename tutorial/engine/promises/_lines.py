"""Stages 01 to 08: connections, lines, replies, and answers that come later."""

import contextlib
import os
import select
import socket
import subprocess
import time
from pathlib import Path

from ..harness import Running
from ..world import HOST
from ._registry import (
    GUEST_ON_THE_WIRE,
    IE,
    MOSHEZ,
    NSU,
    SECRET,
    expect,
    expect_answer,
    expect_in_log,
    expect_waiting,
    promise,
    promise_elsewhere,
)

WINDOW = 0.3  # seconds


def cpu_seconds(pid: int) -> float:
    """The processor time a process has used."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    shown = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True)
    seconds = 0.0
    for part in shown.stdout.strip().replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


@promise
def stays_up_and_idle(running: Running) -> None:
    """The program runs until it is stopped, and uses hardly any processor time."""
    ends = time.monotonic() + running.patience
    while True:
        before = cpu_seconds(running.pid)
        time.sleep(WINDOW)  # this is what is measured: the processor time used in it
        used = cpu_seconds(running.pid) - before
        expect(running.alive(), "a program that keeps running", f"one that ended: {running.log()}")
        if used < WINDOW / 6:
            return
        expect(time.monotonic() < ends, "next to no processor time", f"{used:.2f} of {WINDOW} s")


@promise
def refuses_connections(running: Running) -> None:
    """Nothing listens yet: a connection to the finger port is refused."""
    with socket.socket() as probe:
        refused = probe.connect_ex((HOST, 1079 + (running.offset or 0)))
    expect(refused, "a refused connection", "an accepted one")


@promise
def accepts_connections(running: Running) -> None:
    """The finger port accepts a connection."""
    running.call().close()


@promise
def says_nothing_and_stays(running: Running) -> None:
    """Whatever is sent, the connection stays open and nothing comes back."""
    with running.call() as caller:
        expect_waiting(caller, "after connecting")
        caller.send(b"moshez\r\n")
        expect_waiting(caller, "after a line")


@promise
def closes_at_once(running: Running) -> None:
    """The connection is closed as soon as it is made, without a byte."""
    with running.call() as caller:
        expect(caller.read() == b"", "not a byte", repr(caller.received))


@promise
def waits_for_a_line(running: Running) -> None:
    """The connection stays open until a line has come, then it is closed."""
    with running.call() as caller:
        expect_waiting(caller, "before a line has come")
        caller.send(b"nobody-of-that-name")
        expect_waiting(caller, "while the line is not finished")
        caller.send(b"\r\n")
        caller.read()


@promise
def takes_lf_for_a_line_end(running: Running) -> None:
    """LF alone ends a line as CRLF does, so that nc works."""
    with running.call() as caller:
        expect_waiting(caller, "before a line has come")
        caller.send(b"nobody-of-that-name\n")
        caller.read()


@promise
def closes_silently_after_a_line(running: Running) -> None:
    """After the first line the connection is closed without a byte."""
    with running.call() as caller:
        expect_waiting(caller, "before a line has come")
        caller.send(b"moshez\r\n")
        expect(caller.read() == b"", "not a byte", repr(caller.received))


@promise
def cuts_off_long_lines(running: Running) -> None:
    """A line without an end, and one of 64 KiB, are cut off unanswered; others are served on."""
    for line in b"x" * 65536, b"x" * 65536 + b"\r\n":
        with running.call() as caller:
            expect_waiting(caller, "before a line has come")
            caller.send(line)
            expect(caller.read() == b"", "no answer to a long line", repr(caller.received[:80]))
    running.ask(b"nobody-of-that-name\r\n")


@promise
def hears_one_line_only(running: Running) -> None:
    """Of many lines sent at once only the first is heard: one answer at most, and a close."""
    with running.call() as caller:
        expect_waiting(caller, "before a line has come")
        caller.send(b"nobody-of-that-name\r\n" * 5)
        answers = caller.read().count(b"\n")
        expect(answers <= 1, "one answer at most", f"{answers}")


@promise_elsewhere
def lets_silent_and_slow_callers_go(running: Running) -> None:
    """Who sends nothing, or a byte now and then, is hung up on at the time limit."""
    quick = running.troubled()
    with quick.call() as silent, quick.call() as slow:
        ends = time.monotonic() + quick.patience
        while not slow.closed_within(0.1):
            expect(time.monotonic() < ends, "a close at the time limit", "a slow caller kept")
            slow.send(b"x")
        silent.read()
        expect(not silent.received + slow.received, "no answer", silent.received + slow.received)


@promise
def unknown_is_no_such_user(running: Running) -> None:
    """A name nobody has gets `No such user`, CRLF and a close; so does an empty one."""
    for query in b"nobody-of-that-name\r\n", b"\r\n", b"  nobody-of-that-name \n", b"\xff\xfe\r\n":
        expect_answer(running, query, NSU)


@promise
def everyone_is_unknown(running: Running) -> None:
    """There are no users yet, moshez included."""
    expect_answer(running, b"moshez\r\n", NSU)


@promise
def limits_connections(running: Running) -> None:
    """Fifty callers at once are enough: one more is hung up on, the first is kept."""
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(running.call()) for _ in range(52)]
        sockets = [caller.socket for caller in callers]
        closed = select.select(sockets, [], [], running.patience)[0]
        expect(closed, "a caller too many to be hung up on", f"{len(callers)} open connections")
        expect(sockets[0] not in closed, "the first caller to be kept", "a closed connection")
    running.wait_for(lambda: running.ask(b"nobody-of-that-name\r\n"), "room again", lambda: "a full house")


@promise
def moshez_is_happy_and_well(running: Running) -> None:
    """moshez is `Happy and well`, with or without spaces around the name."""
    for query in b"moshez\r\n", b"moshez\n", b" moshez \r\n":
        expect_answer(running, query, MOSHEZ)


@promise
def cleans_other_peoples_text(running: Running) -> None:
    """Every line of a status ends in CRLF, and no control character of it gets out."""
    expect_answer(running, b"guest\r\n", GUEST_ON_THE_WIRE)


@promise_elsewhere
def failed_lookup_is_internal_error(running: Running) -> None:
    """A lookup that fails, at once or later, is answered `Internal error in server`, no more."""
    for query in b"fail\r\n", b"raise\r\n":
        expect_answer(running.troubled(), query, IE)


@promise_elsewhere
def failed_lookup_is_logged(running: Running) -> None:
    """The reason why a lookup failed is in the log."""
    troubled = running.troubled()
    troubled.ask(b"fail-for-the-log\r\n")
    expect_in_log(troubled, SECRET)


@promise_elsewhere
def one_connection_is_one_lookup(running: Running) -> None:
    """While a lookup is under way, further lines of the same caller start no others."""
    troubled = running.troubled()
    with troubled.call() as caller:
        caller.send(b"slow-pipelined\r\n" * 3)
        expect(caller.read() == b"slow answer\r\n", "one late answer", repr(caller.received))
    lookups = troubled.log().count("lookup: slow-pipelined")
    expect(lookups == 1, "one lookup", f"{lookups}")


@promise_elsewhere
def slow_lookup_delays_nobody(running: Running) -> None:
    """While one caller waits for a slow lookup, another gets an answer."""
    troubled = running.troubled()
    with troubled.call() as slow:
        slow.send(b"slow\r\n")
        expect_answer(troubled, b"quick\r\n", b"quick answer\r\n")
        expect_waiting(slow, "while its lookup is under way")
        expect(slow.read() == b"slow answer\r\n", "the slow answer", repr(slow.received))
