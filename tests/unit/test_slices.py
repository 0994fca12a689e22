"""Tests of L{finger.net.slices}, and of peers that do not read what finger and the web send them."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import finger.adapters.profile  # noqa: F401  (registers the adapter)
from finger.adapters.finger import FingerFactory
from finger.adapters.web.resource import FingerResource
from finger.adapters.web.tls import ReloadingCertificate, developmentCertificate
from finger.net.http import BoundedSite
from finger.net.limits import LimitedFactory
from finger.net.slices import SLICE, sendInSlices
from finger.profile import Profile
from finger.testing import ProfilesDouble
from tests.support.doubles import FullTransport

LONG = bytes(range(256)) * 4096
MOST = FullTransport.MOST + SLICE
"""The most that a connection holds, in bytes."""

PEER = IPv4Address("TCP", "192.0.2.7", 54321)


class SlicesTests(SynchronousTestCase):
    """L{sendInSlices}."""

    def setUp(self) -> None:
        """Make a transport."""
        self.transport = FullTransport()
        self.done = 0

    def send(self, data: bytes) -> None:
        """Send bytes."""

        def count() -> None:
            self.done += 1

        sendInSlices(self.transport, data, count)

    def test_short(self) -> None:
        """Bytes that fit into one slice are written at once, without a producer."""
        for data in (b"", b"x", b"x" * SLICE):
            with patch.object(self.transport, "registerProducer", side_effect=AssertionError):
                self.send(data)
            self.assertEqual(self.transport.read(), data)
        self.assertEqual(self.done, 3)

    def test_long(self) -> None:
        """The transport holds a bounded number of bytes, and gets all of them as the peer reads."""
        self.send(LONG)
        verifyObject(IPushProducer, self.transport.producer)
        while self.done == 0:
            self.assertLessEqual(len(self.transport.value()), MOST)
            self.assertGreater(len(self.transport.value()), 0)
            self.transport.read()
        self.assertEqual(self.transport.readAll(), LONG)
        self.assertIsNone(self.transport.producer)
        self.assertEqual(self.done, 1)

    def test_neverPaused(self) -> None:
        """A transport that never asks for a pause gets everything at once."""
        transport = StringTransport()
        done: list[None] = []
        sendInSlices(transport, LONG, lambda: done.append(None))
        self.assertEqual((transport.value(), transport.producer, done), (LONG, None, [None]))

    def test_lost(self) -> None:
        """When the connection is lost, nothing more is written, and the answer is released."""
        self.send(LONG)
        producer: Any = self.transport.producer
        held = len(self.transport.value())
        producer.stopProducing()
        self.assertEqual(producer._data, b"")
        self.assertEqual((len(self.transport.value()), self.done), (held, 0))

    def test_lostBefore(self) -> None:
        """A transport whose connection is lost already stops the producer at once."""
        with patch.object(self.transport, "registerProducer", lambda producer, streaming: producer.stopProducing()):
            self.send(LONG)
        self.assertEqual((self.transport.value(), self.done), (b"", 0))


class SlowReaderTestCase(SynchronousTestCase):
    """Peers that do not read."""

    def setUp(self) -> None:
        """Make a back end with many users."""
        self.clock = Clock()
        self.service = ProfilesDouble(*(Profile(f"user{number:06}", "Some Name") for number in range(20_000)))


class FingerTests(SlowReaderTestCase):
    """The user list on port 79."""

    def connect(self, isLimited: bool = True) -> FullTransport:
        """Ask for the list, and return the transport."""
        self.factory = FingerFactory(self.service)
        self.factory.clock = self.clock
        factory: Any = LimitedFactory(self.factory, "fingerport") if isLimited else self.factory
        self.protocol = factory.buildProtocol(PEER)
        transport = FullTransport(PEER)
        self.protocol.makeConnection(transport)
        self.protocol.dataReceived(b"\r\n")
        self.clock.advance(0)  # The list is made in several turns.
        return transport

    def test_held(self) -> None:
        """The connection holds a bounded part of the list; a peer that reads gets all of it, and then it closes."""
        for isLimited in (True, False):
            transport = self.connect(isLimited)
            self.assertLessEqual(len(transport.value()), MOST)
            self.assertFalse(transport.disconnecting)
            answer = transport.readAll()
            self.assertTrue(transport.isClosed)
            self.assertEqual(len(answer.splitlines()), 20_000)
            self.assertTrue(answer.endswith(b"user019999       Some Name\r\n"))

    def test_deadline(self) -> None:
        """A peer that does not read in time is disconnected, even if it reads a little now and then."""
        transport = self.connect()
        for _ in range(3):
            self.clock.advance(self.factory.closeTimeout / 4)
            transport.read()
        self.assertFalse(transport.isAborted)
        self.clock.advance(self.factory.closeTimeout / 4)
        self.assertTrue(transport.isAborted)
        self.protocol.connectionLost(connectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drain(self) -> None:
        """When the server stops, a list on its way is still sent to its end."""
        transport = self.connect()
        self.protocol.drain()
        self.assertEqual(len(transport.readAll().splitlines()), 20_000)


class WebTests(SlowReaderTestCase):
    """A page of the user list."""

    def connect(self, requests: int = 1, method: bytes = b"GET") -> FullTransport:
        """Request a page a number of times, and return the transport."""
        self.site = BoundedSite(FingerResource(self.service), self.clock)
        self.channel = LimitedFactory(self.site, "webport").buildProtocol(PEER)
        transport = FullTransport(PEER)
        self.channel.makeConnection(transport)
        self.channel.dataReceived(b"%b / HTTP/1.1\r\nHost: h\r\n\r\n" % method * requests)
        return transport

    def test_held(self) -> None:
        """The connection holds a bounded part of a page, also of several requests at once."""
        page = self.connect().readAll().partition(b"\r\n\r\n")[2]
        self.assertGreater(len(page), MOST)
        transport = self.connect(requests=5)
        most = 0
        while transport.value():
            most = max(most, len(transport.value()))
            transport.read()
            self.clock.advance(0)  # The next request has a turn of its own.
        self.assertLessEqual(most, MOST + 1024)  # And the headers.
        self.assertEqual(transport.received.count(page), 5)

    def test_head(self) -> None:
        """The headers of a long page are complete without the page."""
        answer = self.connect(method=b"HEAD").readAll()
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

    def test_deadline(self) -> None:
        """A client that does not read in time is disconnected."""
        transport = self.connect()
        self.clock.advance(self.site.answerTimeout - 1)
        self.assertFalse(transport.isAborted)
        self.clock.advance(1)
        self.assertTrue(transport.isAborted)
        self.channel.connectionLost(connectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TLSTests(SlowReaderTestCase):
    """Long answers over TLS."""

    def answer(self, factory: Any, query: bytes, end: bytes) -> tuple[bytes, int]:
        """Send a query over TLS, and return the answer, and the most bytes that the connection held."""
        certificate = ReloadingCertificate(developmentCertificate, "test", self.clock)
        tls = TLSMemoryBIOFactory(certificate, False, factory, clock=self.clock)
        server, held = LimitedFactory(tls, "httpsport").buildProtocol(PEER), FullTransport(PEER)
        trusting, reader = CertificateOptions(verify=False), Reader()
        readers = Factory.forProtocol(lambda: reader)
        client: Any = TLSMemoryBIOFactory(trusting, True, readers, clock=self.clock).buildProtocol(PEER)
        away = StringTransport()
        server.makeConnection(held)
        client.makeConnection(away)
        client.write(query)
        most = 0
        while not reader.received.endswith(end):
            sent = away.value()
            away.clear()
            if sent:
                server.dataReceived(sent)
            self.clock.advance(0)
            most = max(most, len(held.value()))
            received = held.read()
            self.assertTrue(sent or received, "the answer never ends")
            if received:
                client.dataReceived(received)
        return reader.received, most

    def test_finger(self) -> None:
        """The whole list arrives, and the connection never holds more than it may."""
        factory = FingerFactory(self.service)
        answer, most = self.answer(factory, b"\r\n", b"user019999       Some Name\r\n")
        self.assertEqual(len(answer.splitlines()), 20_000)
        self.assertLess(most, 3 * MOST)

    def test_web(self) -> None:
        """The whole page arrives, and the connection never holds more than it may."""
        site = BoundedSite(FingerResource(self.service), self.clock)
        answer, most = self.answer(site, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"</html>")
        self.assertIn(b"user000999", answer)
        self.assertLess(most, 3 * MOST)


class Reader(Protocol):
    """A protocol that keeps what it receives."""

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        """Keep data."""
        self.received += data
