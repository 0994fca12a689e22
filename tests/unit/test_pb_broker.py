"""Tests of Perspective Broker's limits, with data as bytes and a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.spread.banana import Banana, encode
from twisted.spread.pb import Broker, PBClientFactory
from twisted.test.iosim import FakeTransport, connect
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import finger.adapters.profile  # noqa: F401  (registers the adapter)
from finger.adapters.pb.broker import (
    MAX_CONNECTION,
    MAX_DEPTH,
    MAX_MESSAGE,
    PIECE,
    BoundedPBServerFactory,
)
from finger.adapters.pb.root import PerspectiveFinger
from finger.backends.memory import MemoryFingerService
from finger.errors import NoSuchUser
from finger.interfaces import IDrainable, IFingerService
from finger.testing import SilentDouble
from tests.support.typed import notNone

DIALECT = encode(b"pb")
USERS = MemoryFingerService({"moshez": "Happy and well"})


def call(
    user: object = b"moshez", number: int = 1, *, wanted: int = 1, method: object = b"getUser", of: object = b"root"
) -> bytes:
    """Return a call as it is sent."""
    arguments = [b"tuple", [b"unicode", user]] if isinstance(user, bytes) else [b"tuple", user]
    return bytes(encode([b"message", number, of, method, wanted, arguments, [b"dictionary"]]))


class Reader(Banana):
    """A reader of what a broker has sent."""

    def __init__(self) -> None:
        super().__init__(isClient=False)
        self.setPrefixLimit(64)
        self.currentDialect = b"pb"
        self.read: list[Any] = []

    def expressionReceived(self, expression: Any) -> None:
        """Store the expression."""
        self.read.append(expression)


class BrokerTestCase(SynchronousTestCase):
    """
    A connection to a server with limits of 10 s for a message, 300 s between messages, and 30 s for the peer to
    receive answers.
    """

    def connect(self, service: IFingerService = USERS, dialect: bytes = DIALECT) -> None:
        """Connect, and choose a dialect."""
        self.clock = Clock()
        self.factory = BoundedPBServerFactory(PerspectiveFinger(service), self.clock)
        self.broker = self.factory.buildProtocol(None)
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5))
        self.broker.makeConnection(self.transport)
        self.broker.dataReceived(dialect)

    def producer(self) -> Any:
        """Return the producer that the transport pauses while the peer does not read."""
        return notNone(self.transport.producer)

    def leave(self) -> None:
        """Lose the connection, and check that no timer remains."""
        self.broker.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def answers(self) -> list[Any]:
        """Return the answers that have been sent."""
        reader = Reader()
        reader.dataReceived(self.transport.value())
        return [message for message in reader.read if message[0] in (b"answer", b"error")]

    def refused(self, *chunks: bytes, service: IFingerService = USERS, dialect: bytes = DIALECT) -> str:
        """Send data that must be refused, and return the only line in the log."""
        self.connect(service, dialect)
        with capturedLogs() as logs:
            for chunk in chunks:
                self.broker.dataReceived(chunk)
        self.assertTrue(self.transport.disconnected)
        (event,) = logs
        self.assertNotIn("log_failure", event)
        line = formatEvent(event)
        self.assertTrue(line.startswith("pb 192.0.2.1 refused: "), line)
        self.assertTrue(line.isprintable() and len(line) < 300, line)
        self.leave()
        return line


class SizeTests(BrokerTestCase):
    """Limits of size."""

    def test_message(self) -> None:
        """
        A message has a maximum size, whether it is one string, many strings, a list's announced length or a prefix.
        """
        size = MAX_MESSAGE // 1024
        for beginning, piece in (
            (b"\x00\x00\x10\x82", b"x" * 1024),
            (b"\x7f\x7f\x80", encode(b"x" * 14) * 64),
            (b"\x7f\x7f\x01\x80", b"\x01\x81" * 512),
        ):
            self.assertIn("too much data", self.refused(beginning, *[piece] * size))
            self.connect()
            self.broker.dataReceived(beginning)
            for _ in range(size - 1):
                self.broker.dataReceived(piece)
            self.assertFalse(self.transport.disconnected)
            self.leave()

    def test_atOnce(self) -> None:
        """The limit does not depend on how the data is split."""
        self.assertIn("too much data", self.refused(b"\x00\x00\x10\x82" + b"x" * MAX_MESSAGE))

    def test_afterRefusal(self) -> None:
        """Data after a refusal is ignored."""
        self.refused(b"x" * 100, call(), b"x" * 100)
        self.assertEqual(self.answers(), [])

    def test_manyMessages(self) -> None:
        """Many messages in a row do not count as one long message, however they are split."""
        calls = b"".join(call(number=number) for number in range(3 * MAX_MESSAGE // len(call())))
        for size in (MAX_MESSAGE, PIECE + 1, len(calls)):
            self.connect()
            for start in range(0, len(calls), size):
                self.broker.dataReceived(calls[start : start + size])
            self.assertFalse(self.transport.disconnected)
            self.assertEqual(len(self.answers()), calls.count(b"getUser"))
            self.leave()

    def test_connection(self) -> None:
        """The data received on a connection is limited."""
        self.connect()
        message = call(b"x" * (MAX_MESSAGE - 100), wanted=0)
        with capturedLogs() as logs:
            for _ in range(MAX_CONNECTION // len(message)):
                self.broker.dataReceived(message)
            self.assertFalse(self.transport.disconnected)
            self.broker.dataReceived(message)
        self.assertTrue(self.transport.disconnected)
        self.assertIn("too much data", formatEvent(logs[-1]))
        self.leave()

    def test_depth(self) -> None:
        """The depth of nested lists is limited."""
        nested: list[object] = [b"list"]
        for _ in range(MAX_DEPTH - 3):
            nested = [b"list", nested]
        self.connect()
        self.broker.dataReceived(call(nested))
        self.assertIn(b"getUser takes one string", self.transport.value())
        self.assertFalse(self.transport.disconnected)
        self.leave()
        self.assertIn("nested too deep", self.refused(call([b"list", nested])))
        self.assertIn("nested too deep", self.refused(b"\x01\x80" * (MAX_DEPTH + 1)))
        self.assertIn("nested too deep", self.refused(b"\x01\x80" * 4096))


class NonsenseTests(BrokerTestCase):
    """Invalid data ends the connection with one line in the log and no traceback."""

    def test_nonsense(self) -> None:
        """Data that is not Banana, not a message, or a message without meaning here."""
        for message in (
            b"\xff",
            b"GET / HTTP/1.0\r\n\r\n\x82",
            b"x" * 65,
            b"\x7f\x87",
            encode(5),
            encode([]),
            encode([5]),
            encode([b"\xff"]),
            encode([b"unheard-of", 1]),
            encode([b"message"]),
            encode([b"message", 1, b"root", 5, 1, [b"tuple"], [b"dictionary"]]),
            encode([b"version", 5]),
            encode([b"answer", 5, 5]),
            encode([b"error", 5, 5]),
            encode([b"decref", 5]),
            encode([b"decache", 5]),
            encode([b"uncache", 5]),
            encode([b"cachemessage", 1, 5, b"x", 1, [b"tuple"], [b"dictionary"]]),
            encode([b"didNotUnderstand", b"me"]),
        ):
            self.refused(message)

    def test_dialect(self) -> None:
        """An unknown dialect is refused, even if it is requested many times."""
        for dialect in (encode(b"klingon"), encode([b"pb"]), b"\x01\x81" * 2000):
            self.refused(dialect, dialect=b"")

    def test_refusedCalls(self) -> None:
        """An invalid call is reported to the client only, and the next call is answered."""
        tuple_: list[object] = [b"tuple"]
        for wrong in (
            call(of=b"nothing"),
            call(of=5),
            call(of=[b"root"]),
            call(method=b"remote_getUser"),
            call(method=b"\xc3\xa9"),
            call(user=5),
            call(user=[b"instance", b"os.system", [b"dictionary"]]),
            call(user=[b"unheard-of", 5]),
            call(user=[b"cached", 5]),
            call(user=[b"remote", 5]),
            encode([b"message", 1, b"root", b"getUser", 1, tuple_, [b"dictionary"]]),
            encode([b"message", 1, b"root", b"getUser", 1, [b"tuple", 1, 2, 3], [b"dictionary"]]),
            encode([b"message", 1, b"root", b"getUser", 1, b"x", [b"dictionary"]]),
            encode([b"message", 1, b"root", b"getUser", 1, tuple_, b"x"]),
            encode([b"message", 1, b"root", b"getUser", 1, tuple_, [b"dictionary", [[b"unicode", b"x"], 1]]]),
        ):
            self.connect()
            with capturedLogs() as logs:
                self.broker.dataReceived(wrong)
                self.broker.dataReceived(call(number=2))
            self.assertEqual([event for event in logs if event.get("isError") or "log_failure" in event], [])
            self.assertEqual([answer[:2] for answer in self.answers()], [[b"error", 1], [b"answer", 2]], wrong)
            self.leave()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_unanswered(self) -> None:
        """A call that wants no answer gets none, and its failure is handled."""
        self.connect()
        self.transport.clear()
        self.broker.dataReceived(call(b"nobody", wanted=0) + call(wanted=0) + call(of=b"nothing", wanted=0))
        self.assertEqual(self.transport.value(), b"")
        self.leave()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_unixPeer(self) -> None:
        """A peer without an address is logged as local."""
        self.connect()
        self.transport.peerAddr = object()
        with capturedLogs() as logs:
            self.broker.dataReceived(b"\xff")
        self.assertEqual(logs[0]["peer"], "local")
        self.leave()


class TimeTests(BrokerTestCase):
    """Limits of time."""

    def test_idle(self) -> None:
        """The time without a message is limited, from the connection and from each message."""
        self.connect()
        for _ in range(3):
            self.clock.advance(self.broker.idleTimeout - 1)
            self.assertFalse(self.transport.disconnected)
            self.broker.dataReceived(call())
        self.clock.advance(self.broker.idleTimeout)
        self.assertTrue(self.transport.disconnected)
        self.leave()
        self.connect(dialect=b"")
        self.clock.advance(self.broker.idleTimeout)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_message(self) -> None:
        """The time for receiving a message is limited, and further bytes do not extend it."""
        for beginning, more in ((b"\x7f\x80", b"\x01\x81"), (b"\x7f\x82", b"x"), (b"", b"\x01")):
            self.connect()
            self.broker.dataReceived(beginning)
            for _ in range(10):
                self.assertFalse(self.transport.disconnected)
                self.broker.dataReceived(more)
                self.clock.advance(1)
            self.assertTrue(self.transport.disconnected)
            self.leave()

    def test_next(self) -> None:
        """Each message has its own limit, even if it begins together with the end of the previous one."""
        self.connect()
        first, second = call(), call(number=2)
        self.broker.dataReceived(first[:1])
        self.clock.advance(9)
        self.broker.dataReceived(first[1:] + second[:1])
        self.clock.advance(9)
        self.broker.dataReceived(second[1:])
        self.clock.advance(100)
        self.assertFalse(self.transport.disconnected)
        self.assertEqual(len(self.answers()), 2)
        self.leave()

    def test_settings(self) -> None:
        """The limits are set by the factory."""
        self.connect()
        self.factory.messageTimeout, self.factory.closeTimeout = 1.0, 2.0
        broker = self.factory.buildProtocol(None)
        self.assertEqual((broker.messageTimeout, broker.closeTimeout), (1.0, 2.0))
        self.leave()

    def test_neverReads(self) -> None:
        """
        While the peer does not receive answers, its data is not read, and after a limit the connection is closed.
        """
        self.connect()
        self.producer().pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        self.clock.advance(self.broker.closeTimeout - 1)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_reads(self) -> None:
        """When the peer receives again, the calls that arrived meanwhile are answered."""
        self.connect()
        self.producer().pauseProducing()
        self.broker.dataReceived(call(number=1) + call(number=2))
        self.assertEqual(self.answers(), [])
        self.producer().resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual([answer[1] for answer in self.answers()], [1, 2])
        self.clock.advance(self.broker.closeTimeout)
        self.assertFalse(self.transport.disconnected)
        self.leave()

    def test_readsLittle(self) -> None:
        """
        Answers are made only as fast as the peer receives them, because 64 KiB of calls may have very long answers.
        """
        self.connect()
        write = self.transport.write

        def fill(data: bytes) -> None:
            write(data)
            if self.transport.producer is not None:
                self.producer().pauseProducing()

        self.patch(self.transport, "write", fill)
        self.broker.dataReceived(b"".join(call(number=number) for number in range(5)))
        for count in range(1, 6):
            self.assertEqual([answer[1] for answer in self.answers()], list(range(count)))
            self.producer().resumeProducing()
        self.leave()

    def test_nonsenseMeanwhile(self) -> None:
        """An invalid call that arrived while paused ends the connection on resuming."""
        self.connect()
        self.producer().pauseProducing()
        self.broker.dataReceived(encode([b"message", 1, b"root", b"getUser", 1]))
        self.assertFalse(self.transport.disconnected)
        with capturedLogs() as logs:
            self.producer().resumeProducing()
        self.assertTrue(self.transport.disconnected)
        self.assertNotIn("log_failure", logs[0])
        self.leave()

    def test_stopped(self) -> None:
        """A paused connection that is lost leaves no timer."""
        for end in (lambda: self.broker.stopProducing(), lambda: None):
            self.connect()
            self.producer().pauseProducing()
            end()
            self.leave()

    def test_leavesEarly(self) -> None:
        """An answer that arrives after the connection is lost causes no failure."""
        for outcome in ("Happy", Failure(NoSuchUser())):
            service = SilentDouble()
            self.connect(service)
            self.broker.dataReceived(call())
            self.leave()
            service.asked[0].callback(outcome)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_noClock(self) -> None:
        """Without a clock there are no time limits, and calls are answered."""
        self.connect()
        self.leave()
        self.broker = self.factory.buildProtocol(None)
        self.broker.clock = None
        self.transport = StringTransport()
        self.broker.makeConnection(self.transport)
        self.broker.dataReceived(DIALECT + call())
        self.assertEqual(self.answers(), [[b"answer", 1, [b"unicode", b"Happy and well"]]])
        self.leave()


class DrainTests(BrokerTestCase):
    """Draining connections."""

    def test_idle(self) -> None:
        """A connection without pending answers is closed at once, even within a message."""
        for sent in (b"", call(), call()[:5]):
            self.connect()
            self.broker.dataReceived(sent)
            verifyObject(IDrainable, self.broker)
            self.broker.drain()
            self.assertTrue(self.transport.disconnecting)
            self.leave()

    def test_busy(self) -> None:
        """A connection with pending answers is closed after the last one."""
        service = SilentDouble()
        self.connect(service)
        self.broker.dataReceived(call(number=1) + call(number=2) + call(number=3, wanted=0))
        self.broker.drain()
        service.asked[0].callback("one")
        service.asked[1].errback(NoSuchUser())
        self.assertFalse(self.transport.disconnecting)
        service.asked[2].callback("three")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual([answer[:2] for answer in self.answers()], [[b"answer", 1], [b"error", 2]])
        self.leave()

    def test_notTaken(self) -> None:
        """A paused connection sends all its data before it closes."""
        self.connect()
        producer = self.producer()
        producer.pauseProducing()
        self.broker.dataReceived(call())
        self.broker.drain()
        self.assertFalse(self.transport.disconnecting)
        producer.resumeProducing()
        self.assertEqual(len(self.answers()), 1)
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)
        self.leave()


class HalfCloseTests(BrokerTestCase):
    """Clients that close their sending sides."""

    def test_answered(self) -> None:
        """The calls that have arrived are answered, and the connection then closes."""
        service = SilentDouble()
        self.connect(service)
        verifyObject(IHalfCloseableProtocol, self.broker)
        self.broker.dataReceived(call(number=1) + call(number=2) + call(number=3)[:5])
        self.broker.readConnectionLost()
        service.asked[0].callback("one")
        self.assertFalse(self.transport.disconnecting)
        service.asked[1].callback("two")
        self.broker.writeConnectionLost()
        self.assertEqual([answer[:2] for answer in self.answers()], [[b"answer", 1], [b"answer", 2]])
        self.assertTrue(self.transport.disconnecting)
        self.leave()

    def test_idle(self) -> None:
        """Without calls under way, the connection closes at once."""
        for sent in (b"", call(), call()[:5]):
            self.connect()
            self.broker.dataReceived(sent)
            self.broker.readConnectionLost()
            self.assertTrue(self.transport.disconnecting)
            self.leave()

    def test_neverReads(self) -> None:
        """The time to receive the answers is limited."""
        self.connect()
        self.broker.dataReceived(call())
        self.broker.readConnectionLost()
        self.clock.advance(self.broker.closeTimeout)
        self.assertTrue(self.transport.disconnected)
        self.leave()

    def test_leaves(self) -> None:
        """An answer after the connection is lost leaves no timer."""
        service = SilentDouble()
        self.connect(service)
        self.broker.dataReceived(call())
        self.broker.readConnectionLost()
        self.leave()
        service.asked[0].callback("one")
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ClientTests(SynchronousTestCase):
    """Twisted's own client."""

    def test_calls(self) -> None:
        """Calls work as with Twisted's own server."""
        server = BoundedPBServerFactory(PerspectiveFinger(USERS), Clock())
        client = PBClientFactory()
        self.addCleanup(client.disconnect)
        near: Broker = client.buildProtocol(None)
        far = server.buildProtocol(None)
        pump = connect(far, FakeTransport(far, isServer=True), near, FakeTransport(near, isServer=False))
        root = client.getRootObject()
        pump.flush()
        ask: Callable[..., Any] = self.successResultOf(root).callRemote
        answers = [ask("getUser", "moshez") for _ in range(100)]
        pump.flush()
        self.assertEqual({self.successResultOf(answer) for answer in answers}, {"Happy and well"})
