"""The finger client."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import ConnectionLost, TimeoutError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

import finger.adapters.finger
from finger.access.policy import ANSWER_TIMEOUT
from finger.client.client import (
    CONNECT_TIMEOUT,
    LIMITS,
    LOOKUP_TIMEOUT,
    MAX_ADDRESSES,
    MAX_BYTES,
    MAX_LOOKUPS,
    MAX_QUERIES,
    MAX_QUERIES_PER_HOST,
    MAX_QUERIES_PER_PEER,
    ONE_HOST,
    TIMEOUT,
    Answer,
    FingerClient,
    formatName,
)
from finger.client.resolver import ResolvedReactor
from finger.errors import ForwardingRefused, NoSuchUser, RemoteUnreachable, Stage
from finger.interfaces import IFingerFactory
from finger.profile import Profile
from finger.testing import ProfilesDouble
from tests.support.othernet import Network, ResolverDouble, ScriptedServer
from tests.support.typed import addressOf, listenOn


class AnswerTests(SynchronousTestCase):
    """L{Answer}."""

    def test_text(self) -> None:
        """The text is safe to display, and says if the answer is truncated."""
        self.assertEqual(Answer(b"a\x1b[1mb\r\nc\r\n").text, "a?[1mb\nc")
        self.assertEqual(Answer(b"one\r\ntw", "connection lost").text, "one\ntw\n[answer cut: connection lost]")

    def test_wholeLines(self) -> None:
        """Without the incomplete last line of a truncated answer."""
        self.assertEqual(Answer(b"one\r\ntwo").wholeLines, "one\ntwo")
        self.assertEqual(Answer(b"one\r\ntwo", "x").wholeLines, "one")
        self.assertEqual(Answer(b"one", "x").wholeLines, "")


class FormatNameTests(SynchronousTestCase):
    """L{formatName}."""

    def test_good(self) -> None:
        """A name, with or without a host."""
        self.assertEqual(formatName("moshez"), b"moshez\r\n")
        self.assertEqual(formatName("moshez@host", True), b"/W moshez@host\r\n")
        self.assertEqual(formatName("\N{SNOWMAN}"), b"\xe2\x98\x83\r\n")
        self.assertEqual(formatName("mo\u200dshez@\ufe00ho\u00adst"), b"moshez@host\r\n")

    def test_bad(self) -> None:
        """A name that a server could read as another query is refused."""
        for name in (
            *("", " ", "a b", " a", "a ", "a\tb", "a\N{NO-BREAK SPACE}b", "/W", "/w", "/Wa", "/", "-l", "--", "-"),
            *("a\r\nb", "a\n", "a\0", "a\x1b", "a\x85b", "a\u2028b", "a\u202eb", "a\ud800", "x" * 2000),
            *("\ufeff", "\u200b/W", "\ufeff-l"),
        ):
            self.assertRaises(NoSuchUser, formatName, name)


class FingerClientTests(SynchronousTestCase):
    """L{FingerClient}, with a network double."""

    def setUp(self) -> None:
        self.network = Network(
            {
                "both": ("::1", "127.0.0.1"),
                "many": (*(f"2001:db8::{number}" for number in range(1, 100)), "192.0.2.1"),
                "four": ("192.0.2.1",),
                "rebound": ("127.0.0.1",),
            }
        )
        self.client = FingerClient(self.network)
        self.answers: list[Deferred[Answer]] = []

    def tearDown(self) -> None:
        for answer in self.answers:  # Not every test checks all answers.
            answer.addErrback(lambda failure: None)

    def ask(self, host: str = "127.0.0.1", query: bytes = b"moshez\r\n", **options: Any) -> Deferred[Answer]:
        self.answers.append(self.client.ask(host, 79, query, **options))
        return self.answers[-1]

    def assertUnreachable(self, answer: Deferred[Answer], why: str) -> None:
        self.assertEqual(self.failureResultOf(answer, RemoteUnreachable).getErrorMessage(), why)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_answer(self) -> None:
        """The answer is all that the server sends before it closes the connection."""
        answer = self.ask()
        self.assertEqual(self.network.tcpClients[0][:2], ("127.0.0.1", 79))
        connection = self.network.accept()
        self.assertEqual(connection.query, b"moshez\r\n")
        connection.say(b"Happy ")
        self.assertNoResult(answer)
        connection.answer(b"and well\r\n")
        self.assertEqual(self.successResultOf(answer), Answer(b"Happy and well\r\n"))
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_literals(self) -> None:
        """An address is not looked up, in any spelling."""
        for host in ("::1", "::ffff:127.0.0.1", "fe80::1%eth0", "127.0.0.1"):
            self.ask(host)
        self.assertEqual(self.network.attempts, ["::1", "127.0.0.1", "fe80::1%eth0"])
        self.assertEqual(self.network.resolver.asked, [])

    def test_localhost(self) -> None:
        """C{localhost} has both addresses, even if the resolver lacks one."""
        self.ask("LocalHost")
        self.network.advance(0.3)
        self.assertEqual(self.network.attempts, ["127.0.0.1", "::1"])
        self.assertEqual(self.network.resolver.asked, [])

    def test_noHost(self) -> None:
        """An invalid host is not looked up."""
        answer = self.ask("no such host")
        self.assertUnreachable(answer, "'no such host' is neither a host name nor an address")
        self.assertEqual(self.network.resolver.asked, [])

    def test_unknownHost(self) -> None:
        """A name without an address is unreachable."""
        self.assertUnreachable(self.ask("nowhere"), "no address found")

    def test_happyEyeballs(self) -> None:
        """The next address, of the other family, is tried before the first fails; the first to connect is used."""
        answer = self.ask("both")
        self.assertEqual(self.network.attempts, ["::1"])
        self.network.advance(0.3)
        self.assertEqual(self.network.attempts, ["::1", "127.0.0.1"])
        self.network.accept(1).answer(b"here\r\n")
        self.assertEqual(self.successResultOf(answer).text, "here")
        self.assertTrue(self.network.connectors[0].stoppedConnecting)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_manyAddresses(self) -> None:
        """The families alternate, and the number of addresses tried is limited."""
        answer = self.ask("many")
        self.network.pump([0.3] * 16)
        self.assertEqual(len(self.network.attempts), MAX_ADDRESSES)
        self.assertEqual(self.network.attempts[:3], ["2001:db8::1", "192.0.2.1", "2001:db8::2"])
        self.network.advance(1)
        self.assertUnreachable(answer, "no connection within 5 s")

    def test_refused(self) -> None:
        """If no address can be connected to, the error has the reason."""
        answer = self.ask("both")
        self.network.refuse()
        self.assertNoResult(answer)
        self.network.advance(0.3)
        self.network.refuse()
        self.network.advance(0.3)
        self.assertUnreachable(answer, "Connection refused")

    def test_otherErrors(self) -> None:
        """An error without a number is reported with its own text."""
        answer = self.ask()
        self.network.refuse(error=TimeoutError())
        self.network.advance(0.3)
        self.assertUnreachable(answer, "User timeout caused connection failure.")

    def test_badScope(self) -> None:
        """A connection attempt that fails at once is reported."""
        for error, why in (
            (OSError(19, "no such device"), "no such device"),
            (OSError("broken"), "broken"),
            (socket.gaierror(-2, "Name or service not known"), "this machine has no such network interface"),
        ):

            def connectTCP(*details: object, error: OSError = error, **options: object) -> None:
                raise error

            self.patch(self.network, "connectTCP", connectTCP)
            answer = self.ask("fe80::1%nothing")
            self.network.advance(0.3)
            self.assertUnreachable(answer, why)

    def test_connectTimeout(self) -> None:
        """Connecting has a timeout."""
        answer = self.ask("both")
        self.network.pump([0.1] * 40)
        self.assertNoResult(answer)
        self.network.advance(CONNECT_TIMEOUT - 4)
        self.assertUnreachable(answer, "no connection within 5 s")
        self.assertTrue(all(connector.stoppedConnecting for connector in self.network.connectors))

    def test_lookupTimeout(self) -> None:
        """A lookup has the same timeout, and a later result is ignored."""
        self.network.resolver.slow = True
        answer = self.ask("both")
        self.network.advance(CONNECT_TIMEOUT)
        error = self.failureResultOf(answer, RemoteUnreachable).value
        self.assertEqual((str(error), error.stage), ("no address found within 5 s", Stage.RESOLVING))
        self.network.resolver.answer()
        self.assertEqual(self.network.attempts, [])
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_sharedTimeout(self) -> None:
        """A slow lookup leaves less time to connect, and the error names the time for both."""
        self.network.resolver.slow = True
        answer = self.ask("both")
        self.network.advance(4)
        self.network.resolver.answer()
        self.network.advance(0.9)
        self.assertNoResult(answer)
        self.network.advance(0.1)
        self.assertUnreachable(answer, "no connection within 5 s")

    def test_stages(self) -> None:
        """An error says how far the query came: a server that answers nothing was connected to."""
        unconnected = self.ask()
        self.network.advance(CONNECT_TIMEOUT)
        silent = self.ask()
        connection = self.network.accept()
        self.network.advance(TIMEOUT)
        connection.close(ConnectionLost())
        lost = self.ask()
        self.network.accept().close(ConnectionLost())
        empty = self.ask()
        self.network.accept().close()
        for answer, stage in (
            (self.ask("no such host"), Stage.RESOLVING),
            (self.ask("nowhere"), Stage.RESOLVING),
            (unconnected, Stage.CONNECTING),
            (silent, Stage.WAITING),
            (lost, Stage.WAITING),
            (empty, Stage.EMPTY),
        ):
            self.assertIs(self.failureResultOf(answer, RemoteUnreachable).value.stage, stage)

    def test_maxLookups(self) -> None:
        """Lookups count until their threads end, even if cancelled; literal addresses need no lookup."""
        self.network.resolver.slow = True
        for number in range(MAX_LOOKUPS):
            self.ask(f"slow{number}")
        self.network.advance(CONNECT_TIMEOUT)
        both = self.ask("both")
        self.network.advance(CONNECT_TIMEOUT)
        self.assertEqual(
            self.failureResultOf(both, RemoteUnreachable).getErrorMessage(), "too many queries are under way"
        )
        self.assertNotIn("both", self.network.resolver.asked)
        self.ask("127.0.0.1")
        self.assertEqual(self.network.attempts, ["127.0.0.1"])
        self.ask("both")
        self.network.resolver.answer()
        self.assertIn("both", self.network.resolver.asked)

    def test_lostLookups(self) -> None:
        """A lookup that never ends is given up."""
        self.network.resolver.slow = True
        for number in range(MAX_LOOKUPS):
            self.ask(f"slow{number}")
        self.network.advance(CONNECT_TIMEOUT)
        self.network.advance(LOOKUP_TIMEOUT - CONNECT_TIMEOUT)
        self.ask("both")
        self.assertIn("both", self.network.resolver.asked)

    def test_lookupShared(self) -> None:
        """Different queries to one host share its lookup."""
        self.network.resolver.slow = True
        self.ask("both", b"a\r\n")
        self.ask("both", b"b\r\n")
        self.assertEqual(self.network.resolver.asked, ["both"])
        self.network.resolver.answer()
        self.assertEqual(self.network.attempts, ["::1", "::1"])

    def test_timeout(self) -> None:
        """No activity of the server extends the timeout; the answer received so far is returned."""
        answer = self.ask()
        self.network.advance(2)
        connection = self.network.accept()
        for _ in range(17):
            self.network.advance(1)
            connection.say(b".")
        self.assertFalse(connection.isAborted)
        self.network.advance(TIMEOUT - 19)
        self.assertTrue(connection.isAborted)
        connection.close(ConnectionLost())
        self.assertEqual(self.successResultOf(answer), Answer(b"." * 17, "time limit of 20 s"))
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_silence(self) -> None:
        """A server that sends nothing before the timeout is unreachable."""
        answer = self.ask()
        connection = self.network.accept()
        self.network.advance(TIMEOUT)
        connection.close(ConnectionLost())
        self.assertUnreachable(answer, "no answer: time limit of 20 s")

    def test_shortTimeout(self) -> None:
        """A short timeout applies to connecting, too."""
        self.client = FingerClient(self.network, connectTimeout=5, timeout=2)
        answer = self.ask()
        self.network.advance(2)
        self.assertUnreachable(answer, "no connection within 2 s")

    def test_timeoutFitsTheServers(self) -> None:
        """The client's timeout is shorter than that of our own server."""
        self.assertLess(CONNECT_TIMEOUT, TIMEOUT)
        self.assertLess(TIMEOUT, ANSWER_TIMEOUT)

    def test_maxBytes(self) -> None:
        """The size of an answer is limited."""
        for size in (MAX_BYTES, MAX_BYTES + 1):
            answer = self.ask()
            connection = self.network.accept()
            connection.say(b"x" * 10)
            connection.say(b"x" * (size - 10))
            self.assertEqual(connection.isAborted, size > MAX_BYTES)
            if size > MAX_BYTES:
                connection.say(b"more")
                connection.close(ConnectionLost())
            connection.close() if size == MAX_BYTES else None
            cut = f"size limit of {MAX_BYTES} bytes" if size > MAX_BYTES else ""
            self.assertEqual(self.successResultOf(answer), Answer(b"x" * MAX_BYTES, cut))

    def test_broken(self) -> None:
        """If the connection breaks, the answer so far is returned; if that is empty, the server is unreachable."""
        answer = self.ask()
        connection = self.network.accept()
        connection.say(b"half\r\n")
        connection.close(ConnectionLost())
        self.assertEqual(self.successResultOf(answer), Answer(b"half\r\n", "connection lost"))
        answer = self.ask()
        self.network.accept().close(ConnectionLost())
        self.assertUnreachable(answer, "no answer: connection lost")

    def test_nothing(self) -> None:
        """A server that closes the connection without sending anything has sent an empty answer."""
        answer = self.ask()
        self.network.accept().close()
        self.assertUnreachable(answer, "empty answer")

    def test_allowed(self) -> None:
        """Each address is checked, and only allowed ones are connected to."""
        asked: list[str] = []

        def allowed(address: str) -> bool:
            asked.append(address)
            return address == "127.0.0.1"

        self.ask("both", allowed=allowed)
        self.network.advance(1)
        self.assertEqual(asked, ["::1", "127.0.0.1"])
        self.assertEqual(self.network.attempts, ["127.0.0.1"])
        self.assertEqual(self.network.resolver.asked, ["both"])

    def test_noneAllowed(self) -> None:
        """If no address is allowed, the query is refused without a connection, for names and literal addresses."""
        for host in ("rebound", "127.0.0.1"):
            self.failureResultOf(self.ask(host, allowed=lambda address: False), ForwardingRefused)
        self.assertEqual(self.network.attempts, [])
        self.assertUnreachable(self.ask("nowhere", allowed=lambda address: False), "no address found")

    def test_shared(self) -> None:
        """Identical queries at the same time are sent once, whatever the spelling of the host."""
        answers = [self.ask(host) for host in ("both", "BOTH.", "both")]
        self.assertEqual(self.network.attempts, ["::1"])
        self.network.accept().answer(b"here\r\n")
        self.assertEqual([self.successResultOf(answer).text for answer in answers], ["here"] * 3)

    def test_notShared(self) -> None:
        """Queries that differ in anything are not shared, in particular if different addresses are allowed."""
        self.ask()
        self.ask(query=b"other\r\n")
        self.ask(host="127.0.0.2")
        self.client.ask("127.0.0.1", 80, b"moshez\r\n")
        self.ask(allowed=lambda address: True)
        self.assertEqual(len(self.network.attempts), 5)

    def test_maxQueries(self) -> None:
        """The number of different queries at once is limited; further ones wait, within their timeout."""
        self.client = FingerClient(self.network, limits=replace(ONE_HOST, total=2))
        self.ask(query=b"a\r\n")
        self.ask(query=b"b\r\n")
        late = [self.ask(query=b"%d\r\n" % number) for number in range(2)]
        self.assertEqual(len(self.network.attempts), 2)
        self.network.advance(1)
        self.network.accept(0).answer(b"done\r\n")
        self.assertEqual(len(self.network.attempts), 3)
        self.network.accept(1)
        connection = self.network.accept(2)
        self.network.advance(TIMEOUT - 1.1)
        self.assertNoResult(late[1])
        connection.say(b"so far")
        self.network.advance(0.1)
        self.assertTrue(connection.isAborted)
        connection.close(ConnectionLost())
        self.assertEqual(self.successResultOf(late[0]), Answer(b"so far", "time limit of 20 s"))
        self.assertUnreachable(late[1], "too many queries are under way")

    def test_hosts(self) -> None:
        """A host that does not answer leaves room for others; with C{ONE_HOST}, one host may have all."""
        for limits, most in ((LIMITS, MAX_QUERIES_PER_HOST), (ONE_HOST, MAX_QUERIES)):
            self.client, before = FingerClient(self.network, limits=limits), len(self.network.attempts)
            for number in range(MAX_QUERIES + 1):
                self.ask(query=b"%d\r\n" % number)
            self.assertEqual(len(self.network.attempts) - before, most)
        self.client = FingerClient(self.network)
        for number in range(MAX_QUERIES):
            self.ask(query=b"%d\r\n" % number, peer=f"192.0.2.{number}")
        self.ask("127.0.0.2", peer="192.0.2.1")
        self.assertEqual(self.network.attempts[-1], "127.0.0.2")

    def test_peers(self) -> None:
        """One peer cannot use up the queries or the lookups, at however many hosts."""
        for number in range(200):
            self.ask(f"127.0.1.{number}", peer="192.0.2.1")
        self.assertEqual(len(self.network.attempts), MAX_QUERIES_PER_PEER)
        self.ask("127.0.0.2", peer="192.0.2.2")
        self.assertEqual(self.network.attempts[-1], "127.0.0.2")
        self.client = FingerClient(self.network)
        self.network.resolver.slow = True
        for number in range(MAX_LOOKUPS):
            self.ask(f"slow{number}", peer="192.0.2.1")
        self.assertEqual(self.network.resolver.asked, ["slow0", "slow1"])
        self.ask("both", peer="192.0.2.2")
        self.assertEqual(self.network.resolver.asked, ["slow0", "slow1", "both"])

    def test_cancel(self) -> None:
        """A query can be cancelled at any time, and leaves nothing behind."""
        self.network.resolver.slow = True
        lookingUp = self.ask("both")
        lookingUp.cancel()
        self.network.resolver.answer()
        connecting = self.ask()
        connecting.cancel()
        self.assertTrue(self.network.connectors[0].stoppedConnecting)
        listening = self.ask()
        connection = self.network.accept()
        connection.say(b"so far")
        listening.cancel()
        self.assertTrue(connection.isAborted)
        connection.close(ConnectionLost())
        for answer in (lookingUp, connecting, listening):
            self.failureResultOf(answer, CancelledError)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_loop(self) -> None:
        """Two servers that forward to each other send one query each, which ends at the first timeout."""
        there = FingerClient(self.network)

        def asked(query: bytes) -> None:
            """Forward a query, as a server that is a proxy of the other does."""
            waiting.append(there.ask("192.0.2.1", 79, query))
            waiting.append(self.ask(query=query))

        waiting = [self.ask()]
        here = self.network.accept()
        for _ in range(10):
            asked(here.query)
        self.assertEqual(len(self.network.attempts), 2)
        self.network.advance(TIMEOUT)
        here.close(ConnectionLost())
        for answer in waiting:
            self.failureResultOf(answer, RemoteUnreachable)


class LookupTests(SynchronousTestCase):
    """L{finger.client.resolver}, beyond what the client uses."""

    def test_interfaces(self) -> None:
        """The reactor provides what L{HostnameEndpoint} requires of one."""
        reactor = ResolvedReactor(Network(), [])
        verifyObject(IReactorPluggableNameResolver, reactor)
        verifyObject(IHostnameResolver, reactor)
        verifyObject(IHostnameResolver, ResolverDouble({}))
        self.assertRaises(NotImplementedError, reactor.installNameResolver, reactor)

    def test_resolution(self) -> None:
        """A resolution is complete at once."""

        @implementer(IResolutionReceiver)
        class Receiver:
            addressResolved = resolutionBegan = print

            def resolutionComplete(self) -> None:
                """The resolution is complete."""

        resolution = ResolvedReactor(Network(), []).resolveHostName(Receiver(), "host")
        verifyObject(IHostResolution, resolution)
        self.assertRaises(NotImplementedError, resolution.cancel)


class RealTests(TestCase):
    """The client with a real reactor, and servers on loopback."""

    def listen(self, factory: Any, interface: str = "127.0.0.1", port: int = 0) -> int:
        listening = listenOn(interface, factory, port)
        self.addCleanup(listening.stopListening)
        return addressOf(listening).port

    async def test_ourServer(self) -> None:
        """Our own server answers over IPv4 and IPv6."""
        factory = finger.adapters.finger.FingerFactory(ProfilesDouble(Profile("moshez", plan="Happy and well")))
        for host in ("127.0.0.1", "::1"):
            port = self.listen(factory, host)
            answer = await FingerClient(reactor).ask(host, port, b"moshez\r\n")
            self.assertEqual(answer, Answer(b"Happy and well\r\n"))
        self.assertTrue(IFingerFactory.providedBy(factory))

    async def test_localhost(self) -> None:
        """C{localhost} reaches a server that listens on only one of its addresses."""
        factory = finger.adapters.finger.FingerFactory(ProfilesDouble(Profile("moshez", plan="Happy and well")))
        for host in ("127.0.0.1", "::1"):
            port = self.listen(factory, host)
            answer = await FingerClient(reactor).ask("localhost", port, b"moshez\r\n")
            self.assertEqual(answer.text, "Happy and well")

    async def test_systemResolver(self) -> None:
        """The reactor's own resolver resolves names in a thread; its results are fixed here."""
        known = {"finger.example.org": "127.0.0.1"}
        self.patch(
            IReactorPluggableNameResolver(reactor).nameResolver,
            "_getaddrinfo",
            lambda host, *more: socket.getaddrinfo(known[host], *more),
        )
        factory = finger.adapters.finger.FingerFactory(ProfilesDouble(Profile("moshez", plan="Happy and well")))
        port = self.listen(factory, "127.0.0.1")
        answer = await FingerClient(reactor).ask("finger.example.org", port, b"moshez\r\n")
        self.assertEqual(answer.text, "Happy and well")

    async def test_refused(self) -> None:
        """The port is closed."""
        listening = listenOn("127.0.0.1", ScriptedServer(print))
        port = addressOf(listening).port
        await maybeDeferred(listening.stopListening)
        answer = FingerClient(reactor).ask("127.0.0.1", port, b"\r\n")
        error = await self.assertFailure(answer, RemoteUnreachable)
        self.assertEqual(str(error), "Connection refused")

    async def test_flood(self) -> None:
        """The connection to a server that never stops sending is aborted."""
        server = ScriptedServer(lambda connection, query: connection.transport.write(b"x" * 1_000_000))
        answer = await FingerClient(reactor, maxBytes=1000).ask("127.0.0.1", self.listen(server), b"\r\n")
        self.assertEqual(answer, Answer(b"x" * 1000, "size limit of 1000 bytes"))
        await server.allEnded()

    async def test_reset(self) -> None:
        """A server that resets the connection is unreachable."""
        server = ScriptedServer(lambda connection, query: connection.transport.abortConnection())
        answer = FingerClient(reactor).ask("127.0.0.1", self.listen(server), b"\r\n")
        await self.assertFailure(answer, RemoteUnreachable)
        await server.allEnded()

    async def test_cancel(self) -> None:
        """When the last caller cancels, the connection to the server is closed."""
        server = ScriptedServer(lambda connection, query: answer.cancel())
        answer = FingerClient(reactor).ask("127.0.0.1", self.listen(server), b"\r\n")
        await self.assertFailure(answer, CancelledError)
        await server.allEnded()

    async def test_badScope(self) -> None:
        """The scope of an address is not an interface of this machine."""
        answer = FingerClient(reactor).ask("fe80::1%nothing", 79, b"\r\n")
        await self.assertFailure(answer, RemoteUnreachable)
