"""Stages 17, 20 and 21, and both clients: XML-RPC and Perspective Broker."""

import xmlrpc.client

from ..harness import PromiseBroken, Running, free_offset
from ._registry import GUEST_PRINTABLE, SECRET, expect, promise, promise_elsewhere


@promise
def xmlrpc_gets_a_user(running: Running) -> None:
    """getUser at /RPC2 gives a user's status."""
    for user, status in ("moshez", "Happy and well"), ("nobody-of-that-name", "No such user"):
        got = running.xmlrpc("getUser", user)
        expect(got == status, status, got)
    got = running.xmlrpc("getUser", "guest")
    expect(got == GUEST_PRINTABLE, repr(GUEST_PRINTABLE), repr(got))


@promise_elsewhere
def xmlrpc_fault_gives_no_reason(running: Running) -> None:
    """A lookup that fails, and arguments that make no sense, are a Fault without the reason."""
    for arguments in ("fail",), ("raise",), (), ("too", "many"):
        try:
            got = running.troubled().xmlrpc("getUser", *arguments)
        except xmlrpc.client.Fault as fault:
            expect(SECRET not in fault.faultString, "no reason", fault)
            expect("getUser" not in fault.faultString, "no reason", fault)
        else:
            raise PromiseBroken("a Fault", repr(got))


@promise
def xmlrpc_client_prints_the_status(running: Running) -> None:
    """The client prints moshez's status, or that of the user it is given."""
    expect_printed(running, [], "Happy and well")
    expect_printed(running, ["nobody-of-that-name"], "No such user")


@promise
def xmlrpc_client_always_ends(running: Running) -> None:
    """Without a server the client says so and ends with an exit code that is not 0."""
    expect_failed_client(running)


@promise
def xmlrpc_gets_all_users(running: Running) -> None:
    """getUsers at /RPC2 gives the list of names."""
    try:
        got = running.xmlrpc("getUsers")
    except xmlrpc.client.Fault as fault:
        raise PromiseBroken("a list of users", str(fault)) from fault
    expect(isinstance(got, list) and "moshez" in got, "a list with moshez", got)


@promise
def pb_gets_a_user(running: Running) -> None:
    """getUser over Perspective Broker gives a user's status."""
    for user, status in ("moshez", "Happy and well"), ("nobody-of-that-name", "No such user"):
        got = running.pb("getUser", user)
        expect(got == status, status, got)


@promise
def pb_gets_all_users(running: Running) -> None:
    """getUsers over Perspective Broker gives the list of names."""
    got = running.pb("getUsers")
    expect(isinstance(got, list) and "moshez" in got, "a list with moshez", got)


@promise_elsewhere
def pb_gives_no_reason(running: Running) -> None:
    """A lookup that fails is `Internal error in server` over Perspective Broker too."""
    got = running.troubled().pb("getUser", "fail")
    expect(got == "Internal error in server", "Internal error in server", got)
    try:
        got = running.troubled().pb("getUsers")
    except Exception as error:
        expect(SECRET not in str(error), "no reason", str(error))
    else:
        expect(SECRET not in str(got), "no reason", str(got))


@promise
def pb_client_prints_the_status(running: Running) -> None:
    """The client prints moshez's status, or that of the user it is given."""
    expect_printed(running, [], "Happy and well")
    expect_printed(running, ["nobody-of-that-name"], "No such user")


@promise
def pb_client_always_ends(running: Running) -> None:
    """Without a server the client says so and ends with an exit code that is not 0."""
    expect_failed_client(running)


def expect_printed(running: Running, arguments: list[str], text: str) -> None:
    result = running.run_client(*arguments)
    expect(result.stdout.strip() == text, text, result.stdout + result.stderr)
    expect(result.returncode == 0, "exit code 0", result.returncode)


def expect_failed_client(running: Running) -> None:
    if running.stage.kind != "client":
        raise PromiseBroken("a client program", running.file.name)
    nowhere = str(free_offset(running.ports))
    result = running.run([str(running.client_file)], FINGER_PORT_OFFSET=nowhere)
    expect(result.returncode != 0, "an exit code that is not 0", result.stdout)
    expect("no status" in result.stderr, "the reason", result.stderr)
    expect("Traceback" not in result.stderr, "no traceback", result.stderr)
