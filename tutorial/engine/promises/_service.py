"""Stages 11 to 14: a service, its setter, its users file."""

import os
import socket
import subprocess

from ..harness import ORDERLY, Running
from ._registry import (
    NSU,
    expect,
    expect_answer,
    expect_in_log,
    expect_waiting,
    promise,
    promise_elsewhere,
)


@promise_elsewhere
def runs_under_twistd(running: Running) -> None:
    """twistd starts the stage, logs that, and ends it in good order when it is told to."""
    variant = running.variant("to be ended")
    variant.ask(b"nobody-of-that-name\r\n")
    expect_in_log(variant, "starting up")
    code = variant.end()
    expect(code in ORDERLY, "an end in good order", f"exit code {code}: {variant.log()}")
    expect_in_log(variant, "Server Shut Down")
    expect("Traceback" not in variant.log(), "no traceback", variant.log())


@promise
def is_not_root(running: Running) -> None:
    """Started as root, the stage gives root's rights up; started as another, it stays that."""
    shown = subprocess.run(
        ["ps", "-o", "uid=,gid=", "-p", str(running.pid)], capture_output=True, text=True
    ).stdout.split()
    if os.getuid() == 0:
        expect(shown and "0" not in shown, "neither user nor group 0", shown)
    else:
        expect(shown[:1] == [str(os.getuid())], f"user {os.getuid()}", shown)
    expect(running.served.start == "twistd", "a service for twistd", running.served.start)


@promise
def users_set_their_status(running: Running) -> None:
    """The setter takes a user and a status, one a line, and finger shows it from then on."""
    running.set_status("webmaster", "Weaving")
    expect_answer(running, b"webmaster\r\n", b"Weaving\r\n")
    running.set_status("webmaster", "Bell\a and escape\x1b[31m")
    expect_answer(running, b"webmaster\r\n", b"Bell? and escape?[31m\r\n")


@promise
def status_is_set_at_the_close(running: Running) -> None:
    """Only when the caller has closed is the message whole and the status set."""
    with running.call("setter") as caller:
        caller.send(b"closer\nset\n")
        expect_waiting(caller, "until we close")
        expect_answer(running, b"closer\r\n", NSU)
    running.wait_for(
        lambda: running.ask(b"closer\r\n") == b"set\r\n",
        "the status after the close",
        lambda: running.ask(b"closer\r\n"),
    )


@promise
def short_message_changes_nothing(running: Running) -> None:
    """A message of less than two lines changes nothing and breaks nothing; so does a long line."""
    for message in b"", b"webmaster", b"shorty\r\n", b"shorty\r\nunfinished":
        with running.call("setter") as caller:
            caller.send(message)
            caller.socket.shutdown(socket.SHUT_WR)
            expect(caller.read() == b"", "silence", caller.received)
    with running.call("setter") as caller:
        caller.send(b"shorty\r\n" + b"x" * 65536)
        caller.read()
    expect_answer(running, b"shorty\r\n", NSU)
    expect("Traceback" not in running.log(), "no traceback", running.log())


@promise
def setter_is_on_loopback_only(running: Running) -> None:
    """The setter listens on 127.0.0.1 and on no other address of the machine."""
    running.call("setter").close()
    with socket.socket() as probe:
        probe.settimeout(running.patience)
        refused = probe.connect_ex(("127.0.0.2", running.port("setter")))
    expect(refused, "a refused connection at 127.0.0.2", "an accepted one")


@promise_elsewhere
def setter_lets_silent_callers_go(running: Running) -> None:
    """A caller of the setter who never closes is hung up on at the time limit; nothing is set."""
    quick = running.troubled()
    with quick.call("setter") as caller:
        caller.send(b"moshez\r\nout of time\r\n")
        caller.read()
    expect("Traceback" not in quick.log().split("lookup:")[0], "no traceback", quick.log())


@promise
def reads_users_from_a_file(running: Running) -> None:
    """Users are the `user: status` and `user (Full Name): status` lines of the file."""
    expect_answer(running, b"postmaster\r\n", b"Reading the mail\r\n")
    expect_answer(running, b'a/b c?d#"e"\r\n', b"All of one name\r\n")
    expect_answer(running, b"#\r\n", NSU)


@promise
def bad_lines_spoil_no_others(running: Running) -> None:
    """A line that is none is left out and logged; those before and after it count."""
    expect_in_log(running, "line 2")
    expect_in_log(running, "line 3")
    expect_answer(running, b"this line has no colon\r\n", NSU)
    expect_answer(running, b"postmaster\r\n", b"Reading the mail\r\n")


@promise_elsewhere
def starts_without_a_users_file(running: Running) -> None:
    """Without a users file the stage starts, knows nobody, and the log says why."""
    nowhere = running.variant("no users", FINGER_USERS=str(running.directory / "no-such-file"))
    expect_answer(nowhere, b"moshez\r\n", NSU)
    expect_in_log(nowhere, "no-such-file")


@promise
def rereads_the_file(running: Running) -> None:
    """A user added to the file, and a status changed in it, are seen without a restart."""
    with running.users("moshez: Happy and well\npostmaster: Away\nwebmaster: New here\n"):
        expect_soon(running, b"webmaster", b"New here\r\n")
        expect_soon(running, b"postmaster", b"Away\r\n")


@promise
def removed_user_goes(running: Running) -> None:
    """A user removed from the file is gone."""
    with running.users("moshez: Happy and well\n"):
        expect_soon(running, b"postmaster", NSU)


@promise
def bad_file_keeps_the_last_users(running: Running) -> None:
    """While the file is missing, unreadable or no text, the last users stay; then it goes on."""
    world = running.world
    with running.users("moshez: Happy and well\npostmaster: Still here\n"):
        expect_soon(running, b"postmaster", b"Still here\r\n")
        for spoil in world.users_file.unlink, lambda: world.write_users(b"postmaster: \xff\xfe\n"):
            spoil()
            known = running.log().count("no users read")
            expect_unread(running, known + 2)
            expect_answer(running, b"postmaster\r\n", b"Still here\r\n")
        world.write_users("moshez: Happy and well\npostmaster: Back\n")
        expect_soon(running, b"postmaster", b"Back\r\n")


def expect_unread(running: Running, times: int) -> None:
    """The log says that often that no users were read: the re-reading goes on."""
    running.wait_for(
        lambda: running.log().count("no users read") >= times,
        "the failure in the log again and again: the re-reading goes on",
        running.log,
    )


def expect_soon(running: Running, user: bytes, answer: bytes) -> None:
    running.wait_for(
        lambda: running.ask(user + b"\r\n") == answer,
        f"{answer!r} for {user!r} once the file is read again",
        lambda: running.ask(user + b"\r\n"),
    )
