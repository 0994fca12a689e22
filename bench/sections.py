"""What is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from bench.loads import Load, Sample
from bench.measure import Bench, Case
from bench.servers import Server, Start, finger, limit, pyfingerd, python
from bench.setting import STATUS, Setting

ALICE = "Alice"
"""In the answers of the servers that know one user."""


def measureFinger(bench: Bench) -> None:
    """Measure queries over TCP, each on a connection of its own."""
    bench.measure(_fingerCases(bench.setting))


def _fingerCases(setting: Setting) -> Iterator[Case]:
    network, users = setting.network, setting.effort.users
    service = finger(users)
    hot = partial(_query, setting, network.ipv4, "fingerport", b"user7\r\n", STATUS)
    random = partial(_query, setting, network.ipv4, "fingerport", b"user%\r\n", STATUS, users=users)
    ipv6 = partial(_query, setting, network.ipv6, "fingerport", b"user7\r\n", STATUS)
    other = partial(_query, setting, network.ipv4, "", b"user0\r\n", ALICE)
    otherOverIPv6 = partial(_query, setting, network.ipv6, "", b"user0\r\n", ALICE)
    rows: list[tuple[str, Start, Callable[[int, Server], Sample]]] = [
        ("limit", limit, other),
        ("limit-ipv6", limit, otherOverIPv6),
        ("hot", service, hot),
        ("random", service, random),
        ("ipv6", service, ipv6),
        ("uvloop", python("finger_asyncio.py", "uvloop"), other),
        ("linereceiver", python("finger_linereceiver.py"), other),
        ("tutorial", python("finger_tutorial.py"), other),
        ("asyncio", python("finger_asyncio.py"), other),
        ("pyfingerd", pyfingerd, other),
    ]
    for clients in setting.effort.clients:
        for name, start, run in rows:
            yield Case(f"finger/{name}/{clients}", start, partial(run, clients))


def _query(
    setting: Setting, address: str, port: str, request: bytes, expected: str, clients: int, server: Server, users: int = 0
) -> Sample:
    load = Load(
        address=address,
        port=server.ports[port],
        request=request,
        expected=expected,
        clients=clients,
        requests=max(1, setting.effort.requests // (3 if clients == 1 else 1)),
        users=users,
        sources=setting.network.sources,
    )
    return setting.loader.run(server.process, load)


SECTIONS = {"finger": measureFinger}
"""What measures each section, by the first part of its cases' names."""
