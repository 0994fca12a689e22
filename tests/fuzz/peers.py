"""Peers: their behaviour besides the bytes they send, and checks for every conversation with one."""

from __future__ import annotations

import gc
import re
import unicodedata
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import Logger, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides, implementer

from finger.adapters.irc.messages import MAX_LINE
from finger.errors import BackendUnavailable
from finger.interfaces import IFingerService
from finger.log.formats import formatJSONLine
from finger.net.limits import LimitedFactory
from tests.fuzz.inputs import chunkings, pieces
from tests.support.typed import asType

_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""The controls of the writing direction, which can hide and reorder text."""

PEER = IPv4Address("TCP", "192.0.2.7", 54321)

BUFFER = 256
"""The size of the buffer, in bytes, after which a peer that does not read makes the server pause."""

MOST_SECONDS = 1000.0
"""A time, in seconds, that is later than every timeout."""

USERS = {
    "moshez": "Happy and well",
    "nasty": "\x1b[2J\0\r\nb\rc\u2028\u202e\ud800\ufffe\n\n",
    "empty": "",
    "a/b": "x" * 3000,
    "..": "\n",
    "zoë": "☕\ufdfa",
}


@dataclass(frozen=True)
class Behaviour:
    """
    The behaviour of a peer.

    @ivar sizes: the sizes of the pieces it sends, in bytes.
    @ivar pause: the time between two pieces, in seconds.
    @ivar isReading: whether it reads the answer.
    @ivar leaves: whether it disconnects as soon as it has sent everything.
    @ivar ends: whether it closes its half of the connection.
    @ivar isTLS: whether it uses TLS.  With TLS, its data arrives even while the connection is being closed.
    @ivar delay: the time that the back end takes for an answer, in seconds; L{None} for an immediate answer.
    """

    sizes: Sequence[int] = ()
    pause: float = 0.0
    isReading: bool = True
    leaves: bool = False
    ends: bool = False
    isTLS: bool = False
    delay: float | None = None

    @property
    def isPlain(self) -> bool:
        """Whether all its data arrives in time."""
        return not self.pause and not self.leaves and self.delay is None


behaviours = st.one_of(
    st.builds(Behaviour, chunkings, isTLS=st.booleans(), ends=st.booleans()),
    st.builds(
        Behaviour,
        chunkings,
        st.sampled_from([0.0, 0.0, 0.5, 20.0]),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, None, 0.0, 1.0, 29.0, 100.0]),
    ),
)


class Wire(StringTransport):
    """
    A transport that behaves like those of TCP and TLS.

    @ivar isLost: whether the connection is lost.
    @ivar hasEnded: whether the peer has closed its half of the connection.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__(peerAddress=PEER, lenient=True)
        self._behaviour = behaviour
        self.isLost = False
        self.hasEnded = False
        if behaviour.isTLS:
            alsoProvides(self, ISSLTransport)

    def write(self, data: bytes) -> None:
        """Send data, if the connection is still open."""
        if self.disconnected or self.isLost or (self.disconnecting and self._behaviour.isTLS):
            return
        before = len(self.value())
        super().write(data)
        if not self._behaviour.isReading and before <= BUFFER < len(self.value()) and self.producer is not None:
            self.producer.pauseProducing()

    def writeSequence(self, data: Sequence[bytes]) -> None:
        """Send data."""
        self.write(b"".join(data))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See L{twisted.internet.interfaces.ITCPTransport.setTcpNoDelay}."""

    def unregisterProducer(self) -> None:
        """Remove the producer, if any."""
        self.producer = None

    @property
    def takesMore(self) -> bool:
        """Whether data that the peer sends now would arrive."""
        if self.disconnected or self.producerState == "paused":
            return False
        return self._behaviour.isTLS or not self.disconnecting

    @property
    def isOver(self) -> bool:
        """Whether the server has closed the connection, as far as it can."""
        return self.disconnected or (self.disconnecting and self._behaviour.isReading)


@implementer(IFingerService)
class SlowDouble:
    """A back end that answers after a delay."""

    def __init__(self, service: IFingerService, clock: Clock, delay: float | None) -> None:
        self._service = service
        self._clock = clock
        self._delay = delay

    def getUser(self, user: str) -> Any:
        """See L{IFingerService.getUser}."""
        return self._later(self._service.getUser, user)

    def getUsers(self) -> Any:
        """See L{IFingerService.getUsers}."""
        return self._later(self._service.getUsers)

    def _later(self, ask: Any, *arguments: str) -> Any:
        return ask(*arguments) if self._delay is None else deferLater(self._clock, self._delay, ask, *arguments)


class FuzzTestCase(SynchronousTestCase):
    """Checks that hold for every input."""

    log = Logger()

    def setUp(self) -> None:
        """Start counting inputs."""
        self.count = 0
        self.seen: Counter[str] = Counter()
        self._isCounted = False

    def tearDown(self) -> None:
        """Check that no Deferred failed without being handled, and log the number of inputs."""
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])
        kinds = "".join(f", {count} {kind}" for kind, count in sorted(self.seen.items()))
        self.log.info("{count} inputs: {test}{kinds}", count=self.count, test=self.id(), kinds=kinds)

    def saw(self, kind: str) -> None:
        """Count an input as one of a kind; C{tries} checks that each kind occurs."""
        self.seen[kind] += 1

    @contextmanager
    def oneInput(self) -> Iterator[None]:
        """Count as one input all conversations in this context."""
        self.count += 1
        self._isCounted = True
        try:
            yield
        finally:
            self._isCounted = False

    @contextmanager
    def quiet(self, *expected: type[Exception]) -> Iterator[None]:
        """Check that no unexpected failure is logged, and that every log entry is one printable line."""
        self.count += not self._isCounted
        lost: list[object] = []  # Exceptions that cannot be caught, as in destructors.
        with capturedLogs() as logs, patch("sys.unraisablehook", lost.append):
            yield
        self.assertEqual(lost, [])
        if expected:
            self.flushLoggedErrors(*expected)
        self.assertEqual([failure.getTraceback() for failure in self.flushLoggedErrors()], [])
        for event in logs:
            line = formatEvent(event)
            self.assertEqual((formatJSONLine(event) or "\n").count("\n"), 1)
            if not (event.get("isError") or "log_failure" in event):
                self.assertTrue(line.isprintable(), repr(line))

    def assertClean(self, wire: bytes, *, utf8: bool = True) -> None:
        """Check for complete lines of displayable characters (RFC 1288, sections 2.2 and 3.3)."""
        self.assertEqual(wire[-2:] or b"\r\n", b"\r\n")
        for line in wire.decode("utf-8" if utf8 else "ascii").split("\r\n"):
            self.assertShowable(line)

    def assertShowable(self, text: str, besides: str = "\t") -> None:
        """Check that a text has no characters that a terminal obeys or that mislead a reader."""
        for character in set(text) - set(besides):
            self.assertNotIn(unicodedata.category(character), {"Cc", "Cs", "Zl", "Zp"}, repr(text))
            self.assertNotIn(unicodedata.bidirectional(character), _DIRECTIONS, repr(text))

    def assertIsLine(self, line: bytes) -> None:
        """Check that bytes are one valid line for an IRC server."""
        self.assertTrue(line.endswith(b"\r\n"))
        self.assertNotRegex(line[:-2], b"[\r\n\0]")
        self.assertLessEqual(len(line), MAX_LINE)
        line.decode("utf-8")

    def converse(self, factory: Any, clock: Clock, data: bytes, behaviour: Behaviour) -> bytes:
        """
        Run a conversation with a peer.  Check that the connection closes and leaves no timers.

        @return: all data that the peer received.
        """
        limited = LimitedFactory(factory, "fuzz")
        limited.clock = clock
        wire = Wire(behaviour)
        waiting = deque(pieces(data, behaviour.sizes))
        with self.quiet(*([BackendUnavailable] if behaviour.delay else [])):  # The back end may be too slow.
            protocol = limited.buildProtocol(PEER)
            protocol.makeConnection(wire)
            self._say(protocol, wire, clock, waiting, behaviour)
            if not behaviour.leaves:
                self._wait(protocol, wire, clock, waiting, behaviour)
                self.assertTrue(wire.isOver, "the connection never closes")
            wire.isLost = True
            protocol.connectionLost(Failure(ConnectionAborted() if wire.disconnected else ConnectionDone()))
            if behaviour.delay is not None:
                clock.advance(2 * MOST_SECONDS)  # After a disconnect, the back end may still be busy.
            self.assertEqual(limited.taken, 0)
            self.assertEqual(clock.getDelayedCalls(), [])
        return asType(bytes, wire.value())

    def _say(self, protocol: Any, wire: Wire, clock: Clock, waiting: deque[bytes], behaviour: Behaviour) -> None:
        while waiting and wire.takesMore and not wire.isOver:
            protocol.dataReceived(waiting.popleft())
            if behaviour.pause:
                clock.advance(behaviour.pause)
        if behaviour.ends and not waiting and wire.takesMore and not wire.isOver and not wire.hasEnded:
            wire.hasEnded = True
            if IHalfCloseableProtocol.providedBy(protocol):
                protocol.readConnectionLost()

    def _wait(self, protocol: Any, wire: Wire, clock: Clock, waiting: deque[bytes], behaviour: Behaviour) -> None:
        deadline = clock.seconds() + MOST_SECONDS
        while not wire.isOver and clock.getDelayedCalls():
            clock.advance(max(0.0, min(call.getTime() for call in clock.getDelayedCalls()) - clock.seconds()))
            self.assertLess(clock.seconds(), deadline, "the connection does not close in time")
            self._say(protocol, wire, clock, waiting, behaviour)


# HTTP.

_HEAD = re.compile(rb"HTTP/[0-9.]+ (\d\d\d) [\x20-\x7e]*((?:\r\n[!-9;-~]+: [\x20-\x7e]*)*)\r\n\r\n")


@dataclass(frozen=True)
class Response:
    """A response of a web server."""

    code: int
    headers: dict[bytes, bytes]
    body: bytes


def readResponses(data: bytes, methods: Sequence[bytes]) -> list[Response]:
    """
    Parse the responses of a web server.

    @param methods: the methods of the requests that were answered.
    @raise AssertionError: unless the data is one response for each request, and at most one refusal at the end.
    """
    found = []
    answered = iter(methods)
    while data:
        match = _HEAD.match(data)
        assert match, data
        headers = dict(line.lower().split(b": ", 1) for line in match[2].split(b"\r\n")[1:])
        code, data = int(match[1]), data[match.end() :]
        if code == 100:
            continue
        method = next(answered, b"refused") if b"server" in headers else b"refused"
        hasBody = method != b"HEAD" and code != 304 and (data or method != b"refused")  # That of HEAD is empty.
        size = int(headers.get(b"content-length", len(data))) if hasBody else 0
        assert size <= len(data), "the body is truncated"
        found.append(Response(code, headers, data[:size]))
        data = data[size:]
        assert method != b"refused" or not data, "a response follows a refusal"
    assert next(answered, None) is None, "a request has no response"
    return found
