"""
Fairness: while a greedy client does the worst that the limits allow, others are answered in the same turn of the
reactor, and no single step of a turn takes long.  Time is the CPU time of this thread, on a reactor double.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xmlrpc.client import dumps

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from finger.adapters.xmlrpc.resource import MAX_CALLS
from finger.net.http import MAX_REQUESTS
from finger.net.httprequest import MAX_BODY
from finger.net.limits import MAX_CONNECTIONS_PER_ADDRESS
from finger.service import makeServer
from tests.support.turns import turn
from tests.unit.test_service import Transport, configure

MOST_SECONDS = 0.5
"""
The CPU time, in seconds, that one step of a turn may take: one call by the reactor, for data or a timer.  A list
of a thousand users, the slowest, takes about a tenth of this.
"""

READ = 64 * 1024
"""The data that the reactor reads at once, in bytes."""

RECORD = 22 + 1
"""The length of a TLS record with one byte, in bytes."""

REQUESTS = 2 * MAX_CONNECTIONS_PER_ADDRESS
"""The requests that one address may send at once: the value of C{--burst}."""

GREEDY = "192.0.2.1"

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def post(body: bytes) -> bytes:
    """Return an XML-RPC request."""
    return b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def callWith(text: bytes) -> bytes:
    """Return a call, as long as a body may be, that repeats a text in its parameters."""
    head, tail = b"<methodCall><methodName>getUser</methodName><params>", b"</params></methodCall>"
    return head + text * ((MAX_BODY - len(head) - len(tail)) // len(text)) + tail


MULTICALL = dumps(([{"methodName": "getUsers", "params": []}] * MAX_CALLS,), "system.multicall").encode()

CALLS = {
    "entities": b"<!DOCTYPE x [<!ENTITY a '%b'>]><methodCall><methodName>%b</methodName></methodCall>"
    % (b"\n" * 1000, b"&a;" * 3000),
    "nested entities": b"<!DOCTYPE x [<!ENTITY a0 'ha'>%b]><methodCall><methodName>&a18;</methodName></methodCall>"
    % b"".join(b"<!ENTITY a%d '&a%d;&a%d;'>" % (number, number - 1, number - 1) for number in range(1, 19)),
    "values": callWith(b"<param><value/></param>"),
    "deep values": b"<methodCall><methodName>getUser</methodName><params><param>%b</param></params></methodCall>"
    % (b"<value><array><data>" * 1000 + b"</data></array></value>" * 1000),
    "references": callWith(b"<param><value>&#60;&#60;&#60;</value></param>"),
    "comments": callWith(b"<!---->"),
}
"""The calls that take most work for their length."""


class FairnessTestCase(SynchronousTestCase):
    """A server with a thousand users, a greedy client, and one that asks in each turn."""

    def setUp(self) -> None:
        """Make the server."""
        users = Path(self.mktemp())
        users.write_text("".join(f"user{number} (Name {number} of a Thousand): x\n" for number in range(1000)))
        self.reactor = MemoryReactorClock()
        server = makeServer(
            configure(usersFile=str(users), fingerPorts=("tcp:0",), webPorts=("tcp:0",), connectionBurst=REQUESTS),
            self.reactor,
        )
        self.factories = {factory.label: factory for factory in server.factories}
        self.count = 0

    def connect(self, option: str, host: str) -> tuple[Any, StringTransport]:
        """Connect until the end of the test."""
        address = IPv4Address("TCP", host, 5)
        protocol, transport = self.factories[option].buildProtocol(address), Transport(peerAddress=address)
        protocol.makeConnection(transport)
        return protocol, transport

    def step(self, do: Callable[..., object], *arguments: Any, **named: Any) -> None:
        """Make one call, as a reactor does, and check the time it takes."""
        before = time.thread_time()
        do(*arguments, **named)
        self.assertLess(time.thread_time() - before, MOST_SECONDS)

    def askInnocently(self) -> None:
        """Query the server as another client, and check that the answer is there at once."""
        protocol, transport = self.connect("fingerport", f"198.51.100.{self.count % 250}")
        self.count += 1
        self.step(protocol.dataReceived, b"user7\r\n")
        self.assertIn(b"Name 7 of a Thousand", transport.value())
        protocol.connectionLost(Failure(ConnectionDone()))

    def flood(self, data: bytes, connections: int = MAX_CONNECTIONS_PER_ADDRESS) -> bytes:
        """
        Send all data on each of several connections, as fast as the server reads it.

        @return: the answers.
        """
        peers = [(*self.connect("webport", GREEDY), pieces(data, READ)) for _ in range(connections)]
        answers, before = b"", 0
        while any(left for _, _, left in peers) or self.isBusy():
            turn(self.reactor, self.step)
            for protocol, transport, left in peers:
                if left and transport.producerState == "producing":
                    self.step(protocol.dataReceived, left.pop(0))
            self.askInnocently()
            answers = b"".join(transport.value() for _, transport, _ in peers)
            count = answers.count(b"HTTP/1.1 ")
            self.assertLessEqual(count - before, connections)
            before = count
        for protocol, _, _ in peers:
            protocol.connectionLost(Failure(ConnectionDone()))
        return answers

    def isBusy(self) -> bool:
        """Return whether the server has something to do in the next turn."""
        return any(call.getTime() <= self.reactor.seconds() for call in self.reactor.calls)


class FairnessTests(FairnessTestCase):
    """A greedy client's floods."""

    def test_lists(self) -> None:
        """Pages of the user list, on as many connections as one address may have."""
        answers = self.flood(GET * MAX_REQUESTS)
        self.assertEqual(answers.count(b"HTTP/1.1 200 "), REQUESTS)
        self.assertEqual(answers.count(b"HTTP/1.1 429 "), MAX_CONNECTIONS_PER_ADDRESS)

    def test_calls(self) -> None:
        """XML-RPC calls that are expensive to parse or to answer."""
        for name, call in CALLS.items():
            self.assertLessEqual(len(call), MAX_BODY, name)
            self.setUp()
            self.assertEqual(self.flood(post(call) * 4, connections=4).count(b"<methodResponse>"), 16, name)

    def test_multicall(self) -> None:
        """The calls in a request count like requests, so a connection can make no more of them."""
        answers = self.flood(post(MULTICALL) * 4, connections=1)
        self.assertEqual(answers.count(b"<methodResponse>"), 3)
        self.assertEqual(answers.count(b"user999"), REQUESTS)
        self.assertEqual(answers.count(b"too many calls"), 3 * MAX_CALLS - REQUESTS)
        self.assertEqual(answers.count(b"HTTP/1.1 429 "), 1)

    def test_pieces(self) -> None:
        """TLS records of one byte each, of which the reactor reads thousands at once, during an answer."""
        protocol, _ = self.connect("webport", GREEDY)
        records = pieces(GET * MAX_REQUESTS, 1)
        for at in range(0, len(records), READ // RECORD):
            self.step(self.receive, protocol, records[at : at + READ // RECORD])
        protocol.connectionLost(Failure(ConnectionDone()))

    def receive(self, protocol: Any, records: list[bytes]) -> None:
        """Pass data to a protocol in pieces."""
        for record in records:
            protocol.dataReceived(record)


def pieces(data: bytes, size: int) -> list[bytes]:
    """Return data in pieces."""
    return [data[at : at + size] for at in range(0, len(data), size)]
