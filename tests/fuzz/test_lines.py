"""
Fuzzing tests for finger connections: telnet in any place, several queries, and the port that answers in one turn
(docs/fuzzing.md).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from finger.access.policy import PolicyFingerService
from finger.adapters.finger import FingerFactory
from finger.backends.memory import MemoryFingerService
from finger.log.querylog import QueryLog
from finger.net.oneturn import MOST_RECEIVED, OneTurnPort
from finger.protocol.telnet import MAX_TELNET, TelnetFilter
from tests.fuzz import inputs
from tests.fuzz.inputs import chunkings, tries
from tests.fuzz.peers import PEER, USERS, Behaviour, FuzzTestCase

IAC, SB, SE = b"\xff", b"\xff\xfa", b"\xff\xf0"

_commands = st.builds(lambda code: IAC + bytes([code]), st.integers(0xF1, 0xF9))
_codes = st.sampled_from((0, 1, 10, 13, 31, 240, 255)) | st.integers(0, 255)
_options = st.builds(lambda code, option: IAC + bytes([code, option]), st.integers(0xFB, 0xFE), _codes)
_contents = st.one_of(
    st.binary(max_size=12).map(lambda content: content.replace(IAC, IAC * 2)),
    st.sampled_from((b"", b"\n", b"\r\n", b"\r\0", b"\0", IAC * 2 + b"\xf0", IAC + b"\xfb\x01", b"\x18\0xterm")),
)
_subnegotiations = _contents.map(lambda content: SB + content + SE)
telnet = st.one_of(_commands, _options, _subnegotiations, st.just(b"\0"))
"""What telnet clients send besides text: commands, options with any byte, subnegotiations of any content, and NUL."""

queries = st.one_of(
    st.sampled_from(
        (b"moshez", b"/W moshez", b"moshez nasty", "zoë".encode(), b"", b"/W", b"moshez@h", b"\xc3", b" ")
    ),
    st.text("moshez /W@ë☃", max_size=12).map(str.encode),
)
"""Queries without anything of telnet's."""


def _inserted(query: bytes, items: Sequence[tuple[int, bytes]]) -> bytes:
    """Return a query with telnet's items at some places."""
    for place, item in sorted(((place % (len(query) + 1), item) for place, item in items), reverse=True):
        query = query[:place] + item + query[place:]
    return query


class _Recorder(Protocol):
    """Records what it receives."""

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        """Record data."""
        self.received += data


class _Recorded(FingerFactory):
    """A factory that records the connections that it cannot answer at once."""

    continued: list[_Recorder]

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return a recorder."""
        self.continued.append(_Recorder())
        return self.continued[-1]


def _factory(kind: type[FingerFactory] = FingerFactory) -> Any:
    clock = Clock()
    factory = kind(PolicyFingerService(MemoryFingerService(USERS), clock))
    factory.clock, factory.queries = clock, QueryLog(clock)
    return factory


class LineTests(FuzzTestCase):
    """Tests for L{finger.adapters.finger}."""

    def answer(self, data: bytes, behaviour: Behaviour) -> bytes:
        """Return the answer on a connection."""
        factory = _factory()
        return self.converse(factory, factory.clock, data, behaviour)

    def rightAnswer(self, query: bytes) -> bytes:
        """Return the answer to a query without telnet, whose end is not a part of it."""
        found: bytes = self.successResultOf(_factory().answer(query, "right"))
        return found

    @tries(60, "within", "before", "in the line end", "half-closed")
    @given(
        queries,
        st.lists(st.tuples(st.integers(0, 40) | st.just(-2), telnet), min_size=1, max_size=4),
        st.sampled_from((b"\r\n", b"\n", b"")),
        chunkings,
    )
    @example(b"moshez", [(7, b"\0")], b"\r\n", [1])
    @example(b"moshez", [(3, IAC + b"\xfb\n"), (5, SB + b"\n" + SE)], b"\r\n", [1])
    def test_telnet(self, query: bytes, items: list[tuple[int, bytes]], end: bytes, sizes: list[int]) -> None:
        """A query with telnet's commands, options and NULs at any places has the answer to the query alone."""
        with self.oneInput():
            places = {place % (len(query + end) + 1) for place, _ in items}
            answer = self.answer(_inserted(query + end, items), Behaviour(sizes, ends=not end))
            self.assertEqual(answer, self.rightAnswer(query) if query or end else b"")
            self.saw("within" if places & set(range(1, len(query))) else "elsewhere")
            self.saw("before" if query and 0 in places else "not before")
            self.saw("in the line end" if end == b"\r\n" and len(query) + 1 in places else "not in the line end")
            self.saw("half-closed" if not end else "ended by a line end")

    @tries(30)
    @given(queries, telnet, st.sampled_from((b"\r\n", b"\n", b"\r\0")))
    def test_everyPlace(self, query: bytes, item: bytes, end: bytes) -> None:
        """One item is removed at each place of a query, in pieces of each size."""
        with self.quiet():
            for place in range(len(query) + 1):
                data = query[:place] + item + query[place:] + end
                for size in (1, 2, 3, 5, len(data)):
                    removed = TelnetFilter()
                    found = b"".join(map(removed.feed, inputs.pieces(data, [size])))
                    self.assertEqual(found.partition(b"\n")[0].rstrip(b"\r"), query, (data, size))

    @tries(60, "begun")
    @given(queries, telnet, st.integers(1, 12), chunkings)
    def test_begun(self, query: bytes, item: bytes, length: int, sizes: list[int]) -> None:
        """The beginning of a telnet command at the end of the input is no part of the query."""
        with self.oneInput():
            if 1 <= length < len(item):
                self.saw("begun")
            answer = self.answer(query + item[:length], Behaviour(sizes, ends=True))
            self.assertEqual(answer, self.rightAnswer(query) if query else b"")

    @tries(30)
    @given(st.integers(MAX_TELNET - 20, MAX_TELNET + 400), telnet, chunkings)
    def test_tooMuchTelnet(self, length: int, item: bytes, sizes: list[int]) -> None:
        """Telnet's part of a query is bounded; more of it belongs to the query, which has an answer."""
        with self.oneInput():
            data = item * (length // len(item) + 1) + b"moshez\r\n"
            answer = self.answer(data, Behaviour(sizes))
            self.assertClean(answer)
            self.assertNotEqual(answer, b"")

    @tries(60, "several", "cut")
    @given(st.lists(st.tuples(queries, st.sampled_from((b"\r\n", b"\n"))), min_size=1, max_size=4), st.data())
    def test_pipelined(self, lines: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
        """
        The first of several queries is answered, wherever the data is split; if a half-close ends it before its line
        end, the part that has arrived is.
        """
        whole = b"".join(query + end for query, end in lines)
        first = lines[0][0]
        with self.oneInput():
            right = self.rightAnswer(first)
            split = data.draw(st.integers(1, len(whole)))
            for ends in (False, True):
                self.assertEqual(self.answer(whole, Behaviour([split, len(whole)], ends=ends)), right)
            cut = data.draw(st.integers(0, len(first) + 1))
            answer = self.answer(whole[:cut], Behaviour(data.draw(chunkings), ends=True))
            line = whole[:cut].removesuffix(b"\n")
            self.assertEqual(answer, self.rightAnswer(line) if cut else b"")
            self.saw("several" if len(lines) > 1 else "one")
            self.saw("cut" if 0 < cut < len(first) else "not cut")

    @tries(60, "at once", "continued", "late")
    @given(st.one_of(queries.map(lambda query: query + b"\r\n"), inputs.queries), st.integers(-20, 40))
    @example(b"moshez\r\n", 40)
    @example(b"moshez\r\n", 0)
    @example(b"\r\n", 40)
    def test_oneTurn(self, data: bytes, cut: int) -> None:
        """
        A port that answers in one turn sends what an ordinary one does, or continues with all the data.

        @param cut: the part of the data that arrives with the connection; nothing if it is negative.
        """
        first = data[: max(cut, 0)]
        with self.oneInput():
            factory = _factory(_Recorded)
            factory.continued = []
            received = self.connect(factory, first, data[len(first) :])
            self.saw("late" if not first else "early")
            if factory.continued:
                self.saw("continued")
                (recorder,) = factory.continued
                self.assertEqual(recorder.received, (first or data)[:MOST_RECEIVED])
                self.assertEqual(received, b"")
            else:
                self.saw("at once")
                self.assertEqual(received, self.answer(data, Behaviour()))

    def connect(self, factory: FingerFactory, first: bytes, rest: bytes) -> bytes:
        """Connect to a port with a pair of sockets, and return what it has sent after two turns."""
        reactor = MemoryReactorClock()
        port = OneTurnPort(0, factory, reactor=reactor)
        port.socket = None
        ours, its = socket.socketpair()
        its.setblocking(False)
        ours.setblocking(False)
        with contextlib.closing(ours), self.quiet():
            ours.send(first)
            accepted: Sequence[Any] = [(its.detach(), (PEER.host, PEER.port)), BlockingIOError()]
            with patch("finger.net.oneturn._accept", side_effect=accepted):
                port.doRead()
            with contextlib.suppress(BrokenPipeError):
                ours.send(rest)
            reactor.advance(0)
            return self.received(ours, reactor)

    def received(self, ours: socket.socket, reactor: MemoryReactorClock) -> bytes:
        """Return what a socket has received, up to its end, or so far if its other end is still read."""
        found = b""
        with contextlib.suppress(BlockingIOError):
            while more := ours.recv(65536):
                found += more
        for transport in reactor.getReaders():
            transport.connectionLost(Failure(ConnectionDone()))
        return found
