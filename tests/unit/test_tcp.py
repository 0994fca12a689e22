"""The finger adapter, without a network."""

from __future__ import annotations

from unittest.mock import patch

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.access.policy import PolicyFingerService
from finger.adapters.finger import MAX_DISCARDED, FingerFactory
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, ForwardingRefused, ListRefused, RemoteUnreachable
from finger.interfaces import IDrainable, IFingerFactory, IFingerForwarder, IFingerService
from finger.profile import Profile
from finger.protocol.wire import MAX_LINE, MAX_NAMES
from finger.testing import BrokenDouble, ProfilesDouble, SilentDouble
from finger.timing import DRAIN_GRACE
from tests.support.typed import asType, notNone

ADA = Profile("ada", "Ada Lovelace", "Weaving", home="/home/ada")
MOSHEZ = Profile("moshez", plan="Happy and well")


class FingerTestCase(SynchronousTestCase):
    """A connection to a server of two users."""

    service: IFingerService = ProfilesDouble(ADA, MOSHEZ)

    def connect(self, service: IFingerService | None = None, **settings: object) -> StringTransport:
        """Connect; the transport is what the peer sees."""
        self.clock = Clock()
        self.factory = asType(FingerFactory, IFingerFactory(service or self.service))
        self.factory.clock = self.clock
        for name, value in settings.items():
            setattr(self.factory, name, value)
        transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 54321))
        self.protocol = notNone(self.factory.buildProtocol(None))
        self.protocol.makeConnection(transport)
        return transport

    def ask(self, query: bytes, service: IFingerService | None = None, **settings: object) -> bytes:
        """Ask, and take the answer of a connection that is then closed."""
        transport = self.connect(service, **settings)
        self.protocol.dataReceived(query)
        self.assertTrue(transport.disconnecting)
        return asType(bytes, transport.value())


class FingerFactoryTests(FingerTestCase):
    """The adapter is found."""

    def test_adapter(self) -> None:
        """Any back end adapts to it."""
        for service in (self.service, MemoryFingerService()):
            factory = IFingerFactory(service)
            verifyObject(IFingerFactory, factory)
            verifyObject(IProtocolFactory, factory)
            self.assertIsInstance(factory, FingerFactory)


class QueryTests(FingerTestCase):
    """What is asked, and what is answered."""

    def test_user(self) -> None:
        """A status alone, or all there is; however the line ends, and whatever stands around the name."""
        for query in (b"moshez\r\n", b"moshez\n", b"  moshez\t\r\n", b"moshez@\r\n"):
            self.assertEqual(self.ask(query), b"Happy and well\r\n", query)
        self.assertEqual(
            self.ask(b"ada\r\n"),
            b"Login: ada            \t\t\tName: Ada Lovelace\r\n"
            b"Directory: /home/ada                \tShell:\r\nPlan:\r\nWeaving\r\n",
        )

    def test_unknown(self) -> None:
        """Nobody, and names that no user has."""
        names = (b"nobody", b"/etc/passwd", b"../../x", b";id", b"|id", b"%n", b"a\0b", b"\xff", b".", b"*", b"1")
        for name in names:
            self.assertEqual(self.ask(name + b"\r\n"), b"No such user\r\n", name)

    def test_list(self) -> None:
        """The empty query, as clients send it, and a bare @."""
        for query in (b"\r\n", b"\n", b"  \r\n", b"@\r\n"):
            self.assertEqual(self.ask(query), b"ada              Ada Lovelace\r\nmoshez\r\n", query)
        self.assertEqual(self.ask(b"\r\n", MemoryFingerService()), b"No one logged on\r\n")

    def test_listAgain(self) -> None:
        """A list that comes again is the same answer, and neither written nor encoded again; another is another."""
        double, listed = ProfilesDouble(), [ADA, MOSHEZ]
        double.getProfiles = lambda: succeed(listed)  # type: ignore[method-assign]
        self.connect(double)
        for query in (b"", b"/W"):
            answers = [self.successResultOf(self.factory.answer(query, "192.0.2.7")) for _ in range(2)]
            self.assertIs(answers[0], answers[1])
            sent = [self.factory.encode(answer) for answer in answers]
            self.assertIs(sent[0], sent[1])
            self.assertIn(b"Ada Lovelace", sent[0])
        listed = [MOSHEZ]
        for query in (b"", b"/W"):
            answer = self.factory.encode(self.successResultOf(self.factory.answer(query, "192.0.2.7")))
            self.assertNotIn(b"Ada Lovelace", answer)
            self.assertIn(b"moshez", answer)

    def test_verboseList(self) -> None:
        """With /W, each user in the long form."""
        answer = self.ask(b"/W \r\n")
        self.assertIn(b"Name: Ada Lovelace\r\nDirectory: /home/ada", answer)
        self.assertIn(b"\r\n\r\nLogin: moshez", answer)
        self.assertEqual(self.ask(b"/W\r\n", MemoryFingerService()), b"No one logged on\r\n")

    def test_verboseUser(self) -> None:
        """/W gives more (section 2.5.4), in front as in RFC 1288, behind as in RFC 1194."""
        for query in (b"/W moshez\r\n", b"/w  moshez\r\n", b"moshez /W\r\n"):
            answer = b"Login: moshez         \t\t\tName:\r\nPlan:\r\nHappy and well\r\n"
            self.assertEqual(self.ask(query), answer, query)

    def test_severalNames(self) -> None:
        """Each is answered in its turn, and one that cannot be keeps none of the others from it."""
        self.assertEqual(
            self.ask(b"moshez nobody u@h moshez\r\n"),
            b"Happy and well\r\nNo such user\r\nFinger forwarding service denied\r\nHappy and well\r\n",
        )
        self.assertEqual(self.ask(b"a b c d e f g h\r\n"), b"No such user\r\n" * 8)

    def test_tooManyNames(self) -> None:
        """There is an end to names."""
        self.assertEqual(self.ask(b"x " * 17 + b"\r\n"), b"Bad query\r\n")

    def test_pieces(self) -> None:
        """A query may come a byte at a time."""
        transport = self.connect()
        for byte in b"moshez\r":
            self.protocol.dataReceived(bytes([byte]))
        self.assertEqual(transport.value(), b"")
        self.protocol.dataReceived(b"\n")
        self.assertEqual(transport.value(), b"Happy and well\r\n")

    def test_pipelined(self) -> None:
        """One query a connection; what follows is thrown away."""
        self.assertEqual(self.ask(b"moshez\r\nada\r\nada\r\n"), b"Happy and well\r\n")
        transport = self.connect(SilentDouble())
        self.protocol.dataReceived(b"moshez\r\nada\r\n")
        self.protocol.dataReceived(b"ada\r\n" * 10_000)
        self.assertEqual(transport.value(), b"")
        self.assertFalse(transport.disconnecting)

    def test_escapes(self) -> None:
        """What a status holds does not reach a terminal; lines end as they must."""
        status = "a\x1b[2J\nb\r\nc\rd\x9b\u202e"
        self.assertEqual(self.ask(b"m\r\n", ProfilesDouble(Profile("m", plan=status))), b"a?[2J\r\nb\r\nc\r\nd??\r\n")

    def test_ascii(self) -> None:
        """UTF-8 is the administrator's choice (section 3.3)."""
        zoe = ProfilesDouble(Profile("zoë", plan="Zoë ☕"))
        self.assertEqual(self.ask("zoë\r\n".encode(), zoe), "Zoë ☕\r\n".encode())
        self.assertEqual(self.ask("zoë\r\n".encode(), zoe, utf8=False), b"Zoe ?\r\n")

    def test_matchNames(self) -> None:
        """First, last and full names, where the administrator wants it (section 2.5.3)."""
        people = ProfilesDouble(ADA, Profile("al", "Ada Byron", "x"), MOSHEZ)
        self.assertEqual(self.ask(b"ada\r\n", people).count(b"Login: "), 1)
        self.assertEqual(self.ask(b"Byron\r\n", people), b"No such user\r\n")
        self.assertEqual(
            self.ask(b"byron\r\n", people, matchNames=True),
            b"Login: al             \t\t\tName: Ada Byron\r\nPlan:\r\nx\r\n",
        )
        same = ProfilesDouble(*(Profile(f"ada{n}", "Ada") for n in range(3)))
        self.assertEqual(self.ask(b"ada\r\n", same, matchNames=True).count(b"Login: "), 3)
        self.assertEqual(self.ask(b"nobody\r\n", people, matchNames=True), b"No such user\r\n")

    def test_matchesMany(self) -> None:
        """Of many who are called the same, as many are told of as may be asked for at once."""
        for count in (MAX_NAMES, MAX_NAMES + 1):
            same = ProfilesDouble(*(Profile(f"ada{n}", "Ada") for n in range(count)))
            self.assertEqual(self.ask(b"ada\r\n", same, matchNames=True).count(b"Login: "), MAX_NAMES)

    def test_matchNamesWithoutList(self) -> None:
        """Who is not told the list is not helped to guess it."""
        policy = PolicyFingerService(ProfilesDouble(ADA), Clock(), listing=False)
        self.assertEqual(self.ask(b"lovelace\r\n", policy, matchNames=True), b"No such user\r\n")


class RefusalTests(FingerTestCase):
    """What is not answered, and how that is said."""

    def test_list(self) -> None:
        """Section 3.2.2."""
        self.assertEqual(self.ask(b"\r\n", BrokenDouble(ListRefused())), b"Finger online user list denied\r\n")

    def test_forwarding(self) -> None:
        """Section 3.2.1; a thousand hosts are refused as one is."""
        for query in (b"u@h", b"@h", b"u@h1@h2", b"/W @h", b"/W u@h", b"u@127.0.0.1", b"u@[::1]", b"@" * 1000):
            self.assertEqual(self.ask(query + b"\r\n"), b"Finger forwarding service denied\r\n", query)

    def test_broken(self) -> None:
        """Our failure is logged once, and told without details."""
        for query in (b"moshez\r\n", b"\r\n"):
            self.assertEqual(self.ask(query, BrokenDouble()), b"Internal error in server\r\n")
            self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)
        self.ask(b"moshez\r\n", BrokenDouble(ZeroDivisionError()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_bug(self) -> None:
        """So is a failure of the adapter itself."""
        with patch("finger.adapters.finger.parseQuery", side_effect=ZeroDivisionError):
            self.assertEqual(self.ask(b"moshez\r\n"), b"Internal error in server\r\n")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ForwardTests(FingerTestCase):
    """Forwarding, where there is a forwarder."""

    def test_forward(self) -> None:
        """The right-most host, the rest of the query, and /W; the answer as it is (section 2.4)."""

        @implementer(IFingerForwarder)
        class Forwarder:
            asked: list[tuple[str, str, bool]] = []
            error: Exception | None = None

            def forward(self, query: str, host: str, verbose: bool) -> Deferred[str]:
                self.asked.append((query, host, verbose))
                if self.error:
                    raise self.error
                return succeed("two\nlines")

        forwarder = Forwarder()
        policy = PolicyFingerService(ProfilesDouble(), Clock(), forwarder=forwarder)
        self.assertEqual(self.ask(b"/W u@h1@h2\r\n", policy), b"two\r\nlines\r\n")
        self.assertEqual(forwarder.asked, [("u@h1", "h2", True)])
        forwarder.error = RemoteUnreachable()
        self.assertEqual(self.ask(b"@h\r\n", policy), b"Could not connect to remote host\r\n")
        forwarder.error = ForwardingRefused()
        self.assertEqual(self.ask(b"@h\r\n", policy), b"Finger forwarding service denied\r\n")


class LimitTests(FingerTestCase):
    """Time and size."""

    def test_longLine(self) -> None:
        """A line that is too long is refused once, read to its end, and not kept."""
        for line in (b"x" * (MAX_LINE + 2) + b"\r\n", b"x" * 65536 + b"\n"):
            self.assertEqual(self.ask(line), b"Bad query\r\n")
        self.assertEqual(self.ask(b"x" * MAX_LINE + b"\r\n"), b"No such user\r\n")

    def test_unterminated(self) -> None:
        """One without an end is refused at once, and the connection closed when it has had its chance."""
        transport = self.connect()
        self.protocol.dataReceived(b"x" * (MAX_LINE + 2))
        self.assertEqual(transport.value(), b"Bad query\r\n")
        self.assertFalse(transport.disconnecting)
        for _ in range(MAX_DISCARDED // 1024):
            self.protocol.dataReceived(b"x" * 1024)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(transport.value(), b"Bad query\r\n")

    def test_unterminatedAndSilent(self) -> None:
        """Nor does it wait for ever."""
        transport = self.connect()
        self.protocol.dataReceived(b"x" * (MAX_LINE + 2))
        self.clock.advance(self.factory.discardTimeout)
        self.assertTrue(transport.disconnecting)
        self.clock.advance(self.factory.closeTimeout)
        self.assertTrue(transport.disconnected)

    def test_slowQuery(self) -> None:
        """A query has its time, which no byte extends."""
        transport = self.connect()
        for _ in range(int(self.factory.queryTimeout)):
            self.assertFalse(transport.disconnected)
            self.protocol.dataReceived(b"x")
            self.clock.advance(1)
        self.assertTrue(transport.disconnected)

    def test_slowAnswer(self) -> None:
        """So has the answer."""
        transport = self.connect(SilentDouble())
        self.clock.advance(self.factory.queryTimeout - 1)
        self.protocol.dataReceived(b"moshez\r\n")
        self.clock.advance(self.factory.answerTimeout - 1)
        self.assertFalse(transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(transport.disconnected)

    def test_neverReads(self) -> None:
        """And whoever does not take the answer."""
        transport = self.connect()
        self.protocol.dataReceived(b"moshez\r\n")
        self.clock.advance(self.factory.closeTimeout)
        self.assertTrue(transport.disconnected)

    def test_leaves(self) -> None:
        """Who leaves is not answered, the back end is told, and no timer stays."""
        silent = SilentDouble()
        transport = self.connect(silent)
        self.protocol.dataReceived(b"moshez\r\n")
        with capturedLogs() as logs:
            self.protocol.connectionLost()
        self.assertEqual([event["outcome"] for event in logs], ["Gone"])
        self.assertEqual(transport.value(), b"")
        self.assertTrue(silent.asked[0].called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_leavesEarly(self) -> None:
        """Or without a question."""
        self.connect()
        self.protocol.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noClock(self) -> None:
        """Without a clock there are no limits of time."""
        transport = self.connect(clock=None)
        self.protocol.dataReceived(b"moshez\r\n")
        self.assertEqual(transport.value(), b"Happy and well\r\n")
        self.protocol.connectionLost()


class DrainTests(FingerTestCase):
    """A good end."""

    def test_idle(self) -> None:
        """Who has not asked yet is not waited for, but for a moment."""
        for sent in (b"", b"mos"):
            transport = self.connect()
            verifyObject(IDrainable, self.protocol)
            self.protocol.dataReceived(sent)
            self.protocol.drain()
            self.assertFalse(transport.disconnecting)
            self.clock.advance(DRAIN_GRACE)
            self.assertTrue(transport.disconnecting)

    def test_onItsWay(self) -> None:
        """A query that comes in that moment is answered."""
        transport = self.connect()
        self.protocol.drain()
        self.protocol.dataReceived(b"moshez\r\n")
        self.assertEqual(transport.value(), b"Happy and well\r\n")
        self.assertTrue(transport.disconnecting)

    def test_tooLong(self) -> None:
        """Who asks too much has no more time than otherwise."""
        transport = self.connect()
        self.protocol.dataReceived(b"x" * (MAX_LINE + 2))
        self.protocol.drain()
        self.clock.advance(self.factory.discardTimeout)
        self.assertTrue(transport.disconnecting)

    def test_busy(self) -> None:
        """Who has asked gets the answer."""
        silent = SilentDouble()
        transport = self.connect(silent)
        self.protocol.dataReceived(b"moshez\r\n")
        self.protocol.drain()
        self.assertFalse(transport.disconnecting)
        silent.asked[0].callback("Happy and well")
        self.assertEqual(transport.value(), b"Happy and well\r\n")
        self.assertTrue(transport.disconnecting)


class LogTests(FingerTestCase):
    """The log (section 3.2.7)."""

    def line(self, query: bytes, service: IFingerService | None = None) -> dict[str, object]:
        """The one event of a query."""
        with capturedLogs() as logs:
            self.ask(query, service)
        events = [event for event in logs if "peer" in event]
        self.assertEqual(len(events), 1)
        return dict(events[0])

    def test_query(self) -> None:
        """Who asked what, with what outcome, and how long it took."""
        event = self.line(b"moshez nobody\r\n")
        self.assertEqual(event["peer"], "192.0.2.7")
        self.assertEqual(event["query"], "moshez nobody")
        self.assertEqual(event["outcome"], "ok,NoSuchUser")
        self.assertEqual(event["milliseconds"], 0)
        self.assertEqual(self.line(b"x " * 17 + b"\n")["outcome"], "BadQuery")
        self.line(b"x" * 2000 + b"\n")

    def test_escaped(self) -> None:
        """Nothing of a query can pass for another line, or be obeyed by the terminal that shows the log."""
        from twisted.logger import formatEvent

        text = formatEvent(self.line(b"a\r\x1b[2J\xff\x00\xe2\x80\xae\n"))
        self.assertIn(r"'a\r\x1b[2J\\xff\x00\u202e'", text)
        self.assertTrue(text.isprintable())

    def test_unixPeer(self) -> None:
        """A peer without an address is a local one."""
        factory = asType(FingerFactory, IFingerFactory(self.service))
        protocol = notNone(factory.buildProtocol(None))
        with capturedLogs() as logs:
            protocol.makeConnection(StringTransport(peerAddress=UNIXAddress(None)))
            protocol.dataReceived(b"moshez\n")
        self.assertEqual(logs[0]["peer"], "local")
