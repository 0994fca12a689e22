"""The stages that stand on the package: organized, simple, and 35, which is `twistd finger`."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator

from ..harness import TWISTD, DidNotStart, Running, end, free_offset
from ..stages import TUTORIAL
from ..world import HOST
from ._registry import expect, expect_answer, expect_on_page, promise, promise_elsewhere
from ._source import classes


@promise_elsewhere
def five_things_are_apart(running: Running) -> None:
    """Code is elsewhere; the users file and the templates change without it, each by itself."""
    names = [node.name for node in classes(running)]
    expect(not names, "no class: the code is elsewhere", names)
    templates = running.directory / "templates"
    templates.mkdir(exist_ok=True)
    (templates / "user.html").write_text(USER_PAGE)
    content = running.directory / "other users"
    content.write_text("moshez: Elsewhere\n")
    other = running.variant("other content", FINGER_TEMPLATES=str(templates), FINGER_USERS=str(content))
    expect_answer(other, b"moshez\r\n", b"Elsewhere\r\n")
    expect_on_page(other, "/moshez", "<em>Elsewhere</em>")


USER_PAGE = """\
<p xmlns:t="http://twistedmatrix.com/ns/twisted.web.template/0.1">
<em t:render="status"><t:slot name="status"/></em></p>
"""


@promise
def lists_the_users(running: Running) -> None:
    """An empty query is answered with the list, the page at / has links, RPC2 the names."""
    lines = running.ask(b"\r\n").split(b"\r\n")
    expect(b"moshez" in lines, "a line for moshez", lines)
    expect(b"postmaster       The Postmaster" in lines, "a line with a full name", lines)
    expect_on_page(running, "/", 'href="./moshez"')
    expect("postmaster" in running.xmlrpc("getUsers"), "postmaster", running.xmlrpc("getUsers"))


@promise
def answers_on_every_port(running: Running) -> None:
    """Finger, the page, XML-RPC and Perspective Broker tell the same status."""
    expect_answer(running, b"moshez\r\n", b"Happy and well\r\n")
    expect_on_page(running, "/moshez", "Happy and well")
    for got in running.xmlrpc("getUser", "moshez"), running.pb("getUser", "moshez"):
        expect(got == "Happy and well", "Happy and well", got)
    code = running.get("/nobody-of-that-name").status
    expect(code == 404, "status 404 for an unknown user", code)


@promise
def options_are_a_dict(running: Running) -> None:
    """A dict of texts is enough; 0 and no are false, and an option that is none is named."""
    expect("finger_config.makeService(" in running.sources()[0], "finger_config used", "none")
    result = running.run(["-c", ASK_CONFIG])
    expect(result.returncode == 0, "a dict read", result.stderr)
    for got in result.stdout.splitlines():
        wanted, _, made = got.partition(" ")
        expect(wanted == made, wanted, got)


ASK_CONFIG = """
import finger_config
for wanted, values in {"False": ["0", "no", "No", "false", ""], "True": ["1", "yes"]}.items():
    for value in values:
        print(wanted, finger_config.read("ssl", value))
for option, value in ("sll", "1"), ("ssl", "ssl=0"):
    try:
        finger_config.makeService({option: value}, None)
    except ValueError as error:
        print(option, str(error).partition(":")[0])
    else:
        print(option, "taken")
print("()", finger_config.read("fingerPorts", ""))
"""


# The last stage is `twistd finger`.

QUERIES = [
    b"moshez\r\n",
    b"moshez\n",
    b" moshez \r\n",
    b"/W moshez\r\n",
    b"guest\r\n",
    b"/W guest\n",
    b"postmaster\r\n",
    b"\r\n",
    b"\n",
    b"/W\r\n",
    b"/w \r\n",
    b"@\r\n",
    b"nobody-of-that-name\r\n",
    b"moshez guest nobody-of-that-name\r\n",
    b"moshez@localhost\r\n",
    b"moshez@127.0.0.1@localhost\r\n",
    b"\xff\xfe\r\n",
    b"\x1b[31m\r\n",
    b"x " * 17 + b"\r\n",
    b"x" * 1100 + b"\r\n",
]
PATHS = [
    "/",
    "/moshez",
    "/guest",
    "/postmaster",
    "/nobody-of-that-name",
    "/a%2Fb%20c%3Fd%23%22e%22",
]
PATHS += ["/?user=moshez", "/%3Cscript%3E", "/moshez/more", "/RPC2"]
CALLS = [
    xmlrpc.client.dumps(("moshez",), "getUser"),
    xmlrpc.client.dumps(("guest",), "getUser"),
    xmlrpc.client.dumps(("nobody-of-that-name",), "getUser"),
    xmlrpc.client.dumps((), "getUsers"),
    xmlrpc.client.dumps((1, 2), "getUser"),
    xmlrpc.client.dumps((), "noSuchMethod"),
    "no call at all",
]


@contextlib.contextmanager
def twistd_finger(running: Running) -> Iterator[dict[str, int]]:
    """`twistd finger` on the stage's users, for as long as the `with` lasts; its ports."""
    wanted = {"finger": 1079, "web": 8000, "https": 1443}
    offset = free_offset(wanted)
    ports = {name: port + offset for name, port in wanted.items()}
    options = [f"--file={running.world.users_file}", "--pbport=none", "--ssl"]
    options += [f"--{name}port=tcp:{port}:interface={HOST}" for name, port in ports.items()]
    path = os.pathsep.join([str(TUTORIAL.parent), os.environ.get("PYTHONPATH", "")])
    log_file = running.directory / "twistd-finger.log"
    with open(log_file, "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "finger", *options],
            cwd=running.directory,
            env=running.world.environment() | {"PYTHONPATH": path},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        ends = time.monotonic() + 60
        while "finger is ready" not in log_file.read_text():
            if process.poll() is not None or time.monotonic() > ends:
                raise DidNotStart(f"twistd finger did not start:\n{log_file.read_text()}")
            time.sleep(0.02)
        yield ports
    finally:
        end(process)


@promise
def answers_as_twistd_finger_does(running: Running) -> None:
    """Byte for byte the answers of `twistd finger` on the same users: finger, the web, XML-RPC."""
    with twistd_finger(running) as ports:
        for query in QUERIES:
            expect_same(repr(query), raw(running.port("finger"), query), raw(ports["finger"], query))
        for request in requests():
            ours, theirs = raw(running.port("web"), request), raw(ports["web"], request)
            expect_same(repr(request), dateless(ours), dateless(theirs))
    for path in "/", "/moshez":
        plain, secure = running.get(path), running.get(path, "https")
        expect_same(path, secure.body.encode(), plain.body.encode())


def requests() -> list[bytes]:
    """Whole HTTP requests: for pages, for their heads, for calls."""
    asked = [f"{verb} {path} HTTP/1.0\r\n\r\n" for verb in ("GET", "HEAD") for path in PATHS]
    asked += ["PUT /moshez HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "nonsense\r\n\r\n"]
    for call in CALLS:
        asked.append(f"POST /RPC2 HTTP/1.0\r\nContent-Length: {len(call)}\r\n\r\n{call}")
    return [request.encode() for request in asked]


def raw(port: int, question: bytes) -> bytes:
    """All that comes for these bytes, until the server closes."""
    answer = b""
    with socket.create_connection((HOST, port), 30) as connection:
        connection.sendall(question)
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                answer += data
    return answer


def dateless(answer: bytes) -> bytes:
    """An HTTP answer without the time that it was given at."""
    lines = answer.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"date:"))


def expect_same(question: str, ours: bytes, theirs: bytes) -> None:
    expect(theirs, f"an answer of twistd finger to {question}", repr(theirs))
    expect(ours == theirs, f"{theirs!r} for {question}", repr(ours))
