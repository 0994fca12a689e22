"""Stages 09, 10, 19b, 19c and the proxy: where the answers come from."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from ..harness import Running, free_offset
from ..stages import TUTORIAL, load_stages
from ..world import HOST
from ._registry import (
    GUEST_ON_THE_WIRE,
    IE,
    MOSHEZ,
    NSU,
    bot_on_irc,
    expect,
    expect_answer,
    expect_in_log,
    expect_on_page,
    irc_answer,
    promise,
    promise_elsewhere,
)


@promise
def shows_the_systems_finger(running: Running) -> None:
    """The answer is what the finger program prints, with CRLF at the end of each line."""
    expect_answer(
        running,
        b"webmaster\r\n",
        "Login: webmaster \t\t\tName: The Webmaster\r\nNo Plan.\r\n".expandtabs().encode(),
    )
    real = shutil.which("finger")
    if real:
        shown = subprocess.run([real, "root"], capture_output=True, text=True).stdout
        wire = "".join(line + "\r\n" for line in shown.expandtabs().splitlines()).encode()
        expect_answer(running.variant("real program", FINGER_PROGRAM=real), b"root\r\n", wire)


@promise
def passes_only_plain_names(running: Running) -> None:
    """A plain name is passed to the program as its one argument; anything else never gets there."""
    before = len(running.calls())
    for query in (
        b"-l",
        b"--help",
        b"@host",
        b"root@host",
        b"/etc/passwd",
        b"a b",
        b";id",
        b"",
        b"*",
    ):
        expect_answer(running, query + b"\r\n", NSU)
    expect_answer(running, b"a\0b\r\n", NSU)
    expect(len(running.calls()) == before, "no call of the program", running.calls()[before:])
    running.ask(b"plain_name-1\r\n")
    calls = running.calls()[before:]
    expect(calls == ["1:plain_name-1"], "one call with one argument", calls)


@promise_elsewhere
def missing_program_is_internal_error(running: Running) -> None:
    """Without the program the answer is `Internal error in server`, and the log says why."""
    nowhere = running.directory / "no-such-program"
    without = running.variant("no program", FINGER_PROGRAM=str(nowhere))
    expect_answer(without, b"moshez\r\n", IE)
    expect_in_log(without, "no-such-program")


@promise
def shows_a_page(running: Running) -> None:
    """The answer is the body of the page at PREFIX and the user's name."""
    expect_answer(running, b"webmaster\r\n", b"Only the site knows me\r\n")
    asked = running.world.site.asked
    expect("/webmaster" in asked, "/webmaster to be fetched", asked)


@promise
def quotes_the_name(running: Running) -> None:
    """A name with spaces, slashes and question marks is one quoted part of the address."""
    expect_answer(running, b"a/b c?d#e\r\n", b"All of one name\r\n")
    asked = running.world.site.asked
    expect("/a%2Fb%20c%3Fd%23e" in asked, "the name quoted", asked)


@promise
def caps_the_page(running: Running) -> None:
    """Of a page without an end no more than a few kilobytes are read and passed on."""
    got = running.ask(b"big\r\n")
    expect(100 < len(got) < 65536, "the beginning of the page", f"{len(got)} bytes: {got[:60]!r}")


@promise_elsewhere
def slow_page_is_internal_error(running: Running) -> None:
    """A page that does not come within the time limit is an internal error, and so is a 500."""
    bad = running.variant("bad site")
    for query in b"slow\r\n", b"stalled\r\n", b"broken\r\n":
        expect_answer(bad, query, IE)
    expect("AlreadyCalled" not in bad.log(), "one result of each lookup", bad.log())


@promise_elsewhere
def unreachable_site_is_internal_error(running: Running) -> None:
    """If nobody listens at PREFIX, that is an internal error, and the log says why."""
    nowhere = running.variant("no site", FINGER_PREFIX=f"http://{HOST}:1/")
    expect_answer(nowhere, b"moshez\r\n", IE)
    expect_in_log(nowhere, "Connection")


@promise_elsewhere
def ships_its_site(running: Running) -> None:
    """The tutorial's own little site answers the stage when nothing else is asked for."""
    site = load_stages()[running.stage.number].companions
    expect(site, "a site that comes with the stage", "none")
    with running.program_beside(TUTORIAL / site[0], 8079) as prefix:
        reading = running.variant("own site", FINGER_PREFIX=prefix)
        expect_answer(reading, b"moshez\r\n", MOSHEZ)
        expect_answer(reading, b"nobody-of-that-name\r\n", NSU)


@promise
def every_adapter_shows_the_program(running: Running) -> None:
    """The finger program's output is seen over finger, the web, XML-RPC and IRC."""
    lines = ["Login: webmaster \t\t\tName: The Webmaster".expandtabs(), "No Plan."]
    expect_answer(running, b"webmaster\r\n", "".join(f"{line}\r\n" for line in lines).encode())
    expect_on_page(running, "/webmaster", "\n".join(lines))
    got = running.xmlrpc("getUser", "webmaster")
    expect(got == "\n".join(lines), repr("\n".join(lines)), repr(got))
    answer = " ".join(irc_answer(running, bot_on_irc(running), "webmaster").split())
    wanted = " ".join(" ".join(lines).split())
    expect(answer.endswith(wanted), wanted, answer)


@promise
def accounts_are_not_listed(running: Running) -> None:
    """The list of users is empty: accounts are told one name at a time."""
    expect_on_page(running, "/", "<ul></ul>")


@promise
def shows_the_plan(running: Running) -> None:
    """A user's ~/.plan is shown; a user without one has `No Plan.`."""
    expect_answer(running, b"planless\r\n", b"No Plan.\r\n")
    (running.world.homes / "planless" / ".plan").write_text("To have one\n")
    expect_answer(running, b"planless\r\n", b"To have one\r\n")
    (running.world.homes / "planless" / ".plan").unlink()


def make_foreign(plan: Path) -> None:
    plan.write_text("not mine")
    os.chown(plan, 65534, 65534)


@promise
def odd_plans_do_no_harm(running: Running) -> None:
    """A plan that is a FIFO, a device, a link or foreign is not shown; a huge one is cut."""
    homes = running.world.homes
    target = homes / "moshez" / ".plan"
    make: dict[str, Callable[[Path], None]] = {
        "fifo": os.mkfifo,
        "device": lambda plan: plan.symlink_to("/dev/zero"),
        "linked": lambda plan: plan.symlink_to(target),
    }
    if os.getuid() == 0:  # nobody else can make a foreign file
        make["foreign"] = make_foreign
    for user, maker in make.items():
        maker(homes / user / ".plan")
        expect_answer(running, user.encode() + b"\r\n", b"No Plan.\r\n")
        (homes / user / ".plan").unlink()
    with open(homes / "huge" / ".plan", "wb") as plan:
        plan.write(b"x" * 79 + b"\n")
        plan.truncate(10 * 2**30)  # ten gigabytes, of which the disk holds one block
    got = running.ask(b"huge\r\n")
    (homes / "huge" / ".plan").unlink()
    expect(len(got) < 65536, "the beginning of a huge plan", f"{len(got)} bytes")
    os.link(target, homes / "linked" / ".plan")
    expect_answer(running, b"linked\r\n", b"No Plan.\r\n")
    (homes / "linked" / ".plan").unlink()


@promise
def proxy_asks_the_host(running: Running) -> None:
    """user@host is asked of that host; without a host, of this machine."""
    asked = running.world.remote.asked
    for query in b"moshez@127.0.0.1", b"moshez@localhost", b"moshez@", b"moshez":
        expect_answer(running, query + b"\r\n", MOSHEZ)
        expect(asked[-1:] == [b"moshez\r\n"], "the name alone to be asked", asked)
    expect_answer(running, b"/W moshez@127.0.0.1\r\n", NSU)  # our double knows no /W
    expect(asked[-1:] == [b"/W moshez\r\n"], "what stands before the @ to be asked", asked)
    before = len(asked)
    expect_answer(running, b"guest@127.0.0.1\r\n", GUEST_ON_THE_WIRE)
    expect(len(asked) == before + 1, "one query", asked[before:])


@promise
def proxy_goes_one_step_only(running: Running) -> None:
    """A query for a further host is refused, and nobody is asked."""
    asked = len(running.world.remote.asked)
    for query in b"moshez@127.0.0.1@127.0.0.1", b"@" * 300, b"moshez@@":
        expect_answer(running, query + b"\r\n", b"Finger forwarding service denied\r\n")
    expect(len(running.world.remote.asked) == asked, "no query", running.world.remote.asked[asked:])


@promise_elsewhere
def proxy_says_it_cannot_connect(running: Running) -> None:
    """A host that cannot be reached is `Could not connect to remote host`."""
    nowhere = running.variant("nowhere", FINGER_ASK_PORT="1")
    for query in b"moshez@127.0.0.1\r\n", b"moshez\r\n", b"moshez@no such host\r\n":
        expect_answer(nowhere, query, b"Could not connect to remote host\r\n")


@promise
def proxy_has_limits(running: Running) -> None:
    """A host that does not answer is given up, and of an endless answer a part is enough."""
    expect_answer(running, b"slow@127.0.0.1\r\n", b"Remote host did not answer in time\r\n")
    got = running.ask(b"big@127.0.0.1\r\n")
    expect(1000 < len(got) < 200_000, "the beginning of the answer", f"{len(got)} bytes")


@promise_elsewhere
def proxy_does_not_ask_itself(running: Running) -> None:
    """A query that would come back to the proxy is refused."""
    offset = free_offset(running.ports)
    itself = running.variant_at("itself", offset, FINGER_ASK_PORT=str(7779 + offset))
    for query in b"moshez\r\n", b"moshez@127.0.0.1\r\n", b"moshez@localhost\r\n":
        expect_answer(itself, query, b"Finger forwarding service denied\r\n")
