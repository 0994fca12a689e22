"""What is measured of requests, one section for each way to ask."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final
from xmlrpc.client import dumps

from bench.loads import Load, Sample
from bench.measure import Bench, Case
from bench.memory import measureGrowth, measureIdle
from bench.processes import need
from bench.programs import accountName, nginx, underInetd
from bench.servers import NO_PEERS, Server, Start, finger, limit, pyfingerd, python
from bench.setting import HERE, STATUS, Running, Setting

ALICE: Final = "Alice"
"""In the answers of the finger servers that know one user."""

SLOW: Final = 20
"""How many times fewer requests are sent to servers that start a process for each."""

Row = tuple[str, Start, Callable[[int, Server], Sample]]
"""A row of a table: the name in its cases' names, the server, and what measures it with a number of clients."""


def query(
    setting: Setting,
    address: str,
    port: str,
    request: bytes,
    expected: str,
    clients: int,
    server: Server,
    users: int = 0,
    fewer: int = 1,
    isHTTP: bool = False,
) -> Sample:
    """
    Measure requests; see L{Load} for most parameters.

    @param port: the name of the server's port.
    @param fewer: how many times fewer requests to send than usual.
    """
    load = Load(
        address=address,
        port=server.ports[port],
        request=request,
        expected=expected,
        clients=clients,
        requests=max(1, setting.effort.requests // (3 * fewer if clients == 1 else fewer)),
        users=users,
        sources=setting.network.sources,
        isHTTP=isHTTP,
    )
    return setting.loader.run(server.process, load)


def measureFinger(bench: Bench) -> None:
    """Measure queries over TCP, each on a connection of its own."""
    rows = list(_fingerRows(bench.setting))
    clients = bench.setting.effort.clients
    bench.measure(Case(f"finger/{name}/{n}", start, partial(run, n)) for n in clients for name, start, run in rows)


def _fingerRows(setting: Setting) -> Iterator[Row]:
    network, users = setting.network, setting.effort.users
    service = finger(users)
    other = partial(query, setting, network.ipv4, "", b"user0\r\n", ALICE)
    yield "limit", limit, other
    yield "limit-ipv6", limit, partial(query, setting, network.ipv6, "", b"user0\r\n", ALICE)
    yield "hot", service, partial(query, setting, network.ipv4, "fingerport", b"user7\r\n", STATUS)
    yield "random", service, partial(query, setting, network.ipv4, "fingerport", b"user%\r\n", STATUS, users=users)
    yield "ipv6", service, partial(query, setting, network.ipv6, "fingerport", b"user7\r\n", STATUS)
    yield "uvloop", python("finger_asyncio", "uvloop"), other
    yield "linereceiver", python("finger_linereceiver"), other
    yield "tutorial", python("finger_tutorial"), other
    yield "asyncio", python("finger_asyncio"), other
    yield "pyfingerd", pyfingerd, other
    name = accountName()
    account = partial(query, setting, network.ipv4, "", f"{name}\r\n".encode(), name, fewer=SLOW)
    yield "fingerd", underInetd("in.fingerd", "fingerd"), account
    yield "efingerd", underInetd("efingerd", "efingerd"), account


def measureWeb(bench: Bench) -> None:
    """Measure a user's page, on connections that stay open, and other servers with pages of the same bytes."""
    setting = bench.setting
    service, page = finger(setting.effort.users), partial(savePage, setting, setting.effort.users, "/user7")
    own = partial(_get, setting, "webport", "/user7")
    other = partial(_get, setting, "", "/user7")
    rows = {
        "page": (service, own),
        "twisted": (_static(page, "web_twisted"), other),
        "aiohttp": (_static(page, "web_aiohttp"), other),
        "aiohttp-uvloop": (_static(page, "web_aiohttp", "uvloop"), other),
        "nginx": (lambda running: nginx(page(), running), other),
    }
    bench.measure(Case(f"web/{name}", start, run) for name, (start, run) in rows.items())


def measureLists(bench: Bench) -> None:
    """Measure the list of users, which has been asked for before, and a page of the same bytes of bare Twisted."""
    setting = bench.setting

    def cases() -> Iterator[Case]:
        for users in setting.effort.lists:
            page = partial(savePage, setting, users, "/")
            yield Case(f"list/{users}", finger(users), partial(_get, setting, "webport", "/", fewer=10))
            static = _static(page, "web_twisted")
            yield Case(f"list/{users}-static", static, partial(_get, setting, "", "/", fewer=10))

    bench.measure(cases())


def _get(setting: Setting, port: str, path: str, server: Server, fewer: int = 1) -> Sample:
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    # The load generator keeps the beginning of an answer alone, so this is a name at the top of the list.
    return _http(setting, port, request, "user1" if path == "/" else path[1:], server, fewer)


def _http(setting: Setting, port: str, request: bytes, expected: str, server: Server, fewer: int = 1) -> Sample:
    address, clients = setting.network.ipv4, setting.effort.someClients
    return query(setting, address, port, request, expected, clients, server, fewer=fewer, isHTTP=True)


def _static(page: Callable[[], Path], module: str, *arguments: str) -> Start:
    return lambda running: python(module, str(page()), *arguments)(running)


def savePage(setting: Setting, users: int, path: str) -> Path:
    """
    Return a file with a page of the server, for other servers to serve the same.

    @param users: the number of its users.
    @param path: the path of the page.
    """
    file = setting.directory / f"page-{users}{path.replace('/', '-')}.html"
    if not file.exists():
        with Running(setting) as running:
            server = finger(users)(running)
            connection = http.client.HTTPConnection(setting.network.ipv4, server.ports["webport"])
            connection.request("GET", path)
            file.write_bytes(connection.getresponse().read())
            connection.close()
    return file


def measureXMLRPC(bench: Bench) -> None:
    """Measure calls of getUser over XML-RPC, on connections that stay open."""
    setting = bench.setting
    body = dumps(("user7",), "getUser").encode()
    head = f"POST /RPC2 HTTP/1.1\r\nHost: bench\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    other = partial(_http, setting, "", request, STATUS)
    rows: dict[str, tuple[Start, Callable[[Server], Sample]]] = {
        "finger": (finger(setting.effort.users), partial(_http, setting, "webport", request, STATUS)),
        "twisted": (python("xmlrpc_twisted"), other),
        "stdlib": (python("xmlrpc_stdlib"), other),
    }
    bench.measure(Case(f"xmlrpc/{name}", start, run) for name, (start, run) in rows.items())


def measurePB(bench: Bench) -> None:
    """Measure calls of getUser over Perspective Broker, on one connection, on which some are under way at once."""
    setting = bench.setting
    service, bare = finger(setting.effort.users), python("pb_twisted.py")
    bench.measure(
        Case(f"pb/{name}/{atOnce}", start, partial(_call, setting, port, atOnce))
        for atOnce in sorted({1, setting.effort.someClients})
        for name, start, port in (("finger", service, "pbport"), ("twisted", bare, ""))
    )


def _call(setting: Setting, port: str, atOnce: int, server: Server) -> Sample:
    """Measure calls.  The server's port is open on loopback alone."""
    interpreter, calls = need(setting.peersPython, NO_PEERS), max(1, setting.effort.requests // 2)
    command = [str(interpreter), str(HERE / "peers" / "pb_load.py"), "127.0.0.1", str(server.ports[port])]
    return setting.loader.measure(server.process, [*command, "user7", STATUS, str(calls), str(atOnce)])


SECTIONS: Final[dict[str, Callable[[Bench], None]]] = {
    "finger": measureFinger,
    "web": measureWeb,
    "list": measureLists,
    "xmlrpc": measureXMLRPC,
    "pb": measurePB,
    "idle": measureIdle,
    "growth": measureGrowth,
}
"""What measures each section, by the first part of its cases' names."""
