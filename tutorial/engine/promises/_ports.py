"""Stages 23, 26 and 34: where a stage listens, and how much it takes there."""

import contextlib
import errno
import select
import socket
import subprocess
import sys
from collections.abc import Iterator

from ..harness import PromiseBroken, Running, end
from ..world import HOST
from ._registry import MOSHEZ, expect, expect_in_log, promise, promise_elsewhere

HOST6 = "::1"


def has_ipv6() -> bool:
    try:
        socket.create_server((HOST6, 0), family=socket.AF_INET6).close()
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return False
        raise
    return True


@promise
def answers_over_ipv6(running: Running) -> None:
    """Every port that is open on 127.0.0.1 is open on ::1, and finger answers there."""
    if not has_ipv6():
        expect_in_log(running, "no ::1")  # nothing to be seen on this machine but that
        return
    for service in running.ports:
        if service != "setter":
            running.call(service, host=HOST6).close()
    with running.call(host=HOST6) as caller:
        caller.send(b"moshez\r\n")
        expect(caller.read() == MOSHEZ, repr(MOSHEZ), repr(caller.received))


@promise_elsewhere
def each_family_has_its_own_socket(running: Running) -> None:
    """Told to listen on all addresses of both families, it opens two sockets for each port."""
    everywhere = running.variant("everywhere", FINGER_HOSTS="0.0.0.0,::")
    if not has_ipv6():
        expect_in_log(everywhere, "no ::")
        return
    for host in HOST, HOST6:
        with everywhere.call(host=host) as caller:
            caller.send(b"moshez\r\n")
            expect(caller.read() == MOSHEZ, repr(MOSHEZ), repr(caller.received))
    everywhere.end()
    port = everywhere.port("finger")
    closed = everywhere.log().count(f"(Port {port} Closed)")
    closed += everywhere.log().count(f"(TCP Port {port} Closed)")
    expect(closed == 2, f"two sockets at port {port}", f"{closed}: {everywhere.log()}")


def others(running: Running) -> list[str]:
    """The services that had no limits when finger had."""
    return [name for name in running.ports if name not in ("finger", "setter")]


@promise
def every_port_limits_connections(running: Running) -> None:
    """On every port fifty callers at once are enough: one more is hung up on, the first is kept."""
    for service in others(running):
        with contextlib.ExitStack() as stack:
            callers = [stack.enter_context(running.call(service)) for _ in range(52)]
            last = callers[-1].socket
            closed = select.select([last], [], [], running.patience)[0]
            received = last.recv(65536) if closed else b"silence"
            expect(closed and not received, f"{service}: a caller too many hung up on", received)
            expect_connected(callers[0].socket, service)


def expect_connected(first: socket.socket, service: str) -> None:
    first.setblocking(False)
    try:
        kept = bool(first.recv(65536))
    except BlockingIOError:
        kept = True
    expect(kept, f"{service}: the first caller kept", "a closed connection")


@promise_elsewhere
def every_port_lets_silent_callers_go(running: Running) -> None:
    """On every port a caller who says nothing is hung up on at the time limit."""
    quick = running.troubled()
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(quick.call(service)) for service in others(quick)]
        for caller in callers:
            caller.read()


@promise
def takes_only_so_much(running: Running) -> None:
    """A request of a megabyte is cut off, and others are served on."""
    with running.call("web") as caller:
        caller.send(b"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        with contextlib.suppress(OSError):
            caller.socket.sendall(b"x" * 999_999)
        expect(caller.closed_within(running.patience), "a close", "an open connection")
    expect(running.get("/moshez").status == 200, "a page for the next", "none")


@contextlib.contextmanager
def activated(running: Running, listening: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """The stage, started by a service manager that has opened the finger port for it."""
    environment = running._environment() | {
        "FINGER_PORT_OFFSET": str((running.offset or 0) + 1),  # its own ports lie elsewhere
        "FINGER_ENDPOINTS": "systemd:domain=INET:name=finger",
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": "finger",
    }
    command = [sys.executable, "-c", HAND_OVER, str(listening.fileno()), *running._command()]
    with open(running.directory / "activated.log", "wb") as log:
        process = subprocess.Popen(
            command,
            cwd=running.directory,
            env=environment,
            pass_fds=[listening.fileno()],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        end(process)


HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@promise_elsewhere
def takes_a_socket_that_is_open(running: Running) -> None:
    """systemd may open the finger port; who calls while the stage restarts is answered after it."""
    log = running.directory / "activated.log"
    with socket.create_server((HOST, 0)) as listening:
        for _ in range(2):
            caller = socket.create_connection(listening.getsockname(), running.patience)
            caller.sendall(b"moshez\r\n")  # nobody is there yet
            with caller, activated(running, listening) as process:
                try:
                    got = caller.recv(1024)
                except TimeoutError:
                    raise PromiseBroken(repr(MOSHEZ), f"silence: {log.read_text()}") from None
                expect(got == MOSHEZ, repr(MOSHEZ), repr(got))
                expect(process.poll() is None, "a stage that goes on", log.read_text())
    expect("Traceback" not in log.read_text(), "no traceback", log.read_text())
