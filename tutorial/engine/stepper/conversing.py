"""try and ask: what goes over the wire, byte by byte."""

import socket
import xmlrpc.client
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from ..harness import Caller, PromiseBroken, Running
from ..stages import TUTORIAL, Stage, promises_of
from .copies import lentUsers
from .finding import Learner, chosen, whose
from .paper import Problem, command, relative, showBytes
from .reading import sayNext
from .starting import checkSource, chosenOffset, portOffset, started

QUIET = 1.0  # seconds of silence that are worth watching
PATIENCE = 15.0  # seconds to wait for a stage that does answer

# Which promise says that a stage can be talked to in this way.
WAYS = {
    "finger": "accepts-connections",
    "setter": "users-set-their-status",
    "web": "page-names-the-user",
    "irc": "irc-bot-answers",
    "xmlrpc": "xmlrpc-gets-a-user",
    "pb": "pb-gets-a-user",
    "https": "https-shows-the-same-site",
}

PORTLESS = ("irc", "xmlrpc")  # one has no port here, the other that of the web

# What a stage asks that is not in the tutorial, and what answers here instead.
STANDINS = {
    "FINGER_PROGRAM": "the system's finger program",
    "FINGER_PREFIX": "the web site",
    "FINGER_ASK_PORT": "the other host's finger server",
}


def tryStage(learner: Learner, arguments: Namespace) -> int:
    """Start it, ask it, show what was sent and received, end it."""
    stage = learner.stage(arguments.stage)
    file = chosen(learner, stage, arguments.file, arguments.original)
    checkSource(file)
    query = " ".join(arguments.query) or "moshez"
    offset = chosenOffset(stage, arguments.portOffset, ["try", stage.number])
    ways = chooseWays(learner, stage, arguments.over)
    print(f"Stage {stage.number}, {stage.title}: {whose(stage, file)}.")
    for line in standIns(stage, file):
        print(line)
    with lentUsers(file) as users, started(stage, file, offset, users) as running:
        converse(stage, running, query, ways, patience(learner, stage))
    if not arguments.over:
        sayOtherWays(learner, stage, ways)
    print("\nThe stage has been ended.")
    learner.progress.note(stage.number, "try")
    sayNext(learner)
    return 0


def standIns(stage: Stage, file: Path) -> list[str]:
    sources = [path.read_text("utf-8", "replace") for path in (file, *(TUTORIAL / name for name in stage.helpers))]
    missing = [what for name, what in STANDINS.items() if any(name in source for source in sources)]
    missing += ["the accounts of this machine"] if stage.accounts else []
    return [f"Instead of {what}, a stand-in is asked here: it knows moshez and guest." for what in missing]


def converse(stage: Stage, running: Running, query: str, ways: list[str], seconds: float) -> None:
    if stage.kind == "client":
        result = running.run_client(query)
        print(f"\nIt was run as `{relative(running.client_file)} {query}`, and printed:\n")
        print(result.stdout + result.stderr, end="")
    elif not stage.ports:
        tryClosedPort(running)
    else:
        for way in ways:
            CONVERSATIONS[way](running, query, seconds)


def chooseWays(learner: Learner, stage: Stage, over: str | None) -> list[str]:
    """finger and what is new in this stage; or the one way that was asked for."""
    possible = possibleWays(learner, stage)
    if over:
        if over not in possible:
            raise Problem(
                f"Stage {stage.number} does not speak {over}; it speaks {', '.join(possible) or 'nothing yet'}."
            )
        return [over]
    return [way for way in possible if way == "finger" or WAYS[way] in stage.promises]


def possibleWays(learner: Learner, stage: Stage) -> list[str]:
    promises = promises_of(learner.stages, stage.number)
    promised = [way for way, name in WAYS.items() if name in promises]
    return [way for way in promised if way in stage.ports or way in PORTLESS]


def sayOtherWays(learner: Learner, stage: Stage, ways: list[str]) -> None:
    others = [way for way in possibleWays(learner, stage) if way not in ways]
    if others:
        print(f"\nIt also speaks {', '.join(others)}: {command('try', stage.number, '--over', others[0])}")


def patience(learner: Learner, stage: Stage) -> float:
    silent = "says-nothing-and-stays" in promises_of(learner.stages, stage.number)
    return QUIET if silent else PATIENCE


def tryClosedPort(running: Running) -> None:
    port = 1079 + (running.offset or 0)
    print(f"\nConnecting to port {port} ...")
    with socket.socket() as probe:
        refused = probe.connect_ex(("127.0.0.1", port))
    print("The connection is refused: nobody listens." if refused else "Somebody listens there.")


def exchange(port: int, data: bytes, seconds: float, thenClose: bool = False) -> None:
    """Send, and show both sides of what happens."""
    with Caller(port, seconds) as caller:
        showBytes("sent", data)
        caller.send(data)
        if thenClose:
            caller.socket.shutdown(socket.SHUT_WR)
            print("  and closed our side")
        closed = caller.closed_within(seconds)
        showBytes("received", caller.received)
        print(f"  {outcome(caller.received, closed, seconds)}")


def outcome(received: bytes, closed: bool, seconds: float) -> str:
    what = "Then it closed the connection." if received else "It closed the connection without a byte."
    if closed:
        return what
    return f"{'No more came' if received else 'Nothing came'} in {seconds:g} s; the connection is still open."


def overFinger(running: Running, query: str, seconds: float) -> None:
    print(f"\nfinger, port {running.port('finger')}:")
    exchange(running.port("finger"), f"{query}\r\n".encode(), seconds)


def overSetter(running: Running, query: str, seconds: float) -> None:
    print(f"\nsetter, port {running.port('setter')}:")
    exchange(running.port("setter"), f"{query}\r\nLearning Twisted\r\n".encode(), seconds, thenClose=True)
    overFinger(running, query, seconds)


def overWeb(running: Running, query: str, seconds: float) -> None:
    print(f"\nweb, port {running.port('web')}:")
    exchange(running.port("web"), f"GET /{quote(query, safe='')} HTTP/1.0\r\n\r\n".encode(), seconds)


def overXMLRPC(running: Running, query: str, seconds: float) -> None:
    body = xmlrpc.client.dumps((query,), "getUser").encode()
    head = f"POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    print(f"\nXML-RPC, port {running.port('web')}:")
    exchange(running.port("web"), head.encode() + body, seconds)


def overIRC(running: Running, query: str, seconds: float) -> None:
    irc = running.world.irc
    print("\nIRC, where a stand-in for a server waits:")
    running.wait_for(lambda: irc.bot, "a bot that logs in on IRC", lambda: irc.lines)
    irc.tell(query)
    print(f"  said to {irc.nick}:  {query}")
    running.wait_for(irc.said, "an answer on IRC", lambda: irc.lines)
    print(f"  it sent:  {irc.said()[0]}")


def overPB(running: Running, query: str, seconds: float) -> None:
    print(f"\nPerspective Broker, port {running.port('pb')}:")
    print(f"  called    getUser({query!r})")
    print(f"  came      {running.pb('getUser', query)!r}")


def overHTTPS(running: Running, query: str, seconds: float) -> None:
    page = running.get(f"/{quote(query, safe='')}", "https")
    print(f"\nHTTPS, port {running.port('https')} (the wire itself shows nothing readable: that is the point):")
    print(f"  asked     GET /{quote(query, safe='')}")
    print(f"  came      status {page.status}, and")
    showBytes("", page.body.encode())


CONVERSATIONS: dict[str, Callable[[Running, str, float], None]] = {
    "finger": overFinger,
    "setter": overSetter,
    "web": overWeb,
    "irc": overIRC,
    "xmlrpc": overXMLRPC,
    "pb": overPB,
    "https": overHTTPS,
}


def ask(learner: Learner, arguments: Namespace) -> int:
    """Ask whatever listens on a port of this machine, for those who have no nc."""
    query = " ".join(arguments.query).replace("\\r", "\r").replace("\\n", "\n")
    port = arguments.port if arguments.port else 1079 + (portOffset(None) or 0)
    try:
        exchange(port, f"{query}\r\n".encode(), arguments.seconds, arguments.close)
    except PromiseBroken as error:
        raise Problem(f"Nobody listens on port {port}. Start a stage there: {command('run', 'N')}") from error
    return 0
