"""Tests of the finger adapter, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unittest.mock import patch

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.access.policy import PolicyFingerService
from finger.adapters.finger import FingerFactory
from finger.adapters.finger.lists import LEFT_OUT
from finger.adapters.finger.people import MAX_ANSWER, SLICE, _Index
from finger.adapters.finger.protocol import MAX_DISCARDED
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, ForwardingRefused, ListRefused, RemoteUnreachable
from finger.interfaces import IDrainable, IFingerFactory, IFingerForwarder, IFingerService, IImmediateFactory
from finger.profile import Profile
from finger.protocol.wire import MAX_LINE, MAX_NAMES
from finger.testing import BrokenDouble, ProfilesDouble, SilentDouble
from finger.timing import DRAIN_GRACE
from tests.support.doubles import CountingDouble, ImmediateDouble
from tests.support.typed import asType, notNone

ADA = Profile("ada", "Ada Lovelace", "Weaving", home="/home/ada")
MOSHEZ = Profile("moshez", plan="Happy and well")
ZOE = Profile("zo\xeb", plan="Zo\xeb is here\x07\nand there")


class FingerTestCase(SynchronousTestCase):
    """A connection to a server with two users."""

    service: IFingerService = ProfilesDouble(ADA, MOSHEZ)

    def connect(self, service: IFingerService | None = None, **settings: object) -> StringTransport:
        """Connect, and return the transport with what the peer receives."""
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
        """Send a query, check that the connection is closed, and return the answer."""
        transport = self.connect(service, **settings)
        self.protocol.dataReceived(query)
        self.assertTrue(transport.disconnecting)
        return asType(bytes, transport.value())


class FingerFactoryTests(FingerTestCase):
    """The adapter's registration."""

    def test_adapter(self) -> None:
        """Any back end adapts to the factory."""
        for service in (self.service, MemoryFingerService()):
            factory = IFingerFactory(service)
            verifyObject(IFingerFactory, factory)
            verifyObject(IProtocolFactory, factory)
            self.assertIsInstance(factory, FingerFactory)


class QueryTests(FingerTestCase):
    """Queries and their answers."""

    def test_user(self) -> None:
        """
        A user has a status alone or the long form; the query may end in CRLF or LF, and may contain extra spaces.
        """
        for query in (b"moshez\r\n", b"moshez\n", b"  moshez\t\r\n", b"moshez@\r\n"):
            self.assertEqual(self.ask(query), b"Happy and well\r\n", query)
        self.assertEqual(
            self.ask(b"ada\r\n"),
            b"Login: ada            \t\t\tName: Ada Lovelace\r\n"
            b"Directory: /home/ada                \tShell:\r\nPlan:\r\nWeaving\r\n",
        )

    def test_unknown(self) -> None:
        """Unknown names, and names that are never valid, get "No such user"."""
        names = (b"nobody", b"/etc/passwd", b"../../x", b";id", b"|id", b"%n", b"a\0b", b"\xff", b".", b"*", b"1")
        for name in names:
            self.assertEqual(self.ask(name + b"\r\n"), b"No such user\r\n", name)

    def test_list(self) -> None:
        """The empty query and a bare @ get the list of users."""
        for query in (b"\r\n", b"\n", b"  \r\n", b"@\r\n"):
            self.assertEqual(self.ask(query), b"ada              Ada Lovelace\r\nmoshez\r\n", query)
        self.assertEqual(self.ask(b"\r\n", MemoryFingerService()), b"No one logged on\r\n")

    def test_listAgain(self) -> None:
        """The list of a back end with versions is looked up and encoded once a version, for each form."""
        double = CountingDouble(ADA, MOSHEZ)
        self.connect(double)
        for query in (b"", b"/W"):
            answers = [self.successResultOf(self.factory.answer(query, "192.0.2.7")) for _ in range(2)]
            self.assertIs(answers[0], answers[1])
            self.assertIn(b"Ada Lovelace", answers[0])
        self.assertEqual(double.listed, 2)
        self.factory.utf8 = False
        self.successResultOf(self.factory.answer(b"", "192.0.2.7"))
        self.assertEqual(double.listed, 3)
        double.change(MOSHEZ)
        for query in (b"", b"/W"):
            answer = self.successResultOf(self.factory.answer(query, "192.0.2.7"))
            self.assertNotIn(b"Ada Lovelace", answer)
            self.assertIn(b"moshez", answer)

    def test_listAgainUnversioned(self) -> None:
        """The list of another back end is looked up each time, and so is that of one without a version now."""
        double = CountingDouble(ADA)
        double.version = lambda: None  # type: ignore[method-assign]
        for service in (double, ProfilesDouble(ADA)):
            self.connect(service)
            answers = [self.successResultOf(self.factory.answer(b"", "192.0.2.7")) for _ in range(2)]
            self.assertIsNot(answers[0], answers[1])
        self.assertEqual(double.listed, 2)

    def test_refusedList(self) -> None:
        """A failure is not kept."""
        double = CountingDouble(ADA)
        double.error = ListRefused()
        self.assertEqual(self.ask(b"\r\n", double), b"Finger online user list denied\r\n")
        double.error = None
        self.protocol = notNone(self.factory.buildProtocol(None))
        transport = StringTransport()
        self.protocol.makeConnection(transport)
        self.protocol.dataReceived(b"\r\n")
        self.assertEqual(transport.value(), b"ada              Ada Lovelace\r\n")

    def test_verboseList(self) -> None:
        """/W gives the list in the long form."""
        answer = self.ask(b"/W \r\n")
        self.assertIn(b"Name: Ada Lovelace\r\nDirectory: /home/ada", answer)
        self.assertIn(b"\r\n\r\nLogin: moshez", answer)
        self.assertEqual(self.ask(b"/W\r\n", MemoryFingerService()), b"No one logged on\r\n")

    def test_longList(self) -> None:
        """The long form of the list has all fields of back ends whose list has few, and a maximum length."""
        memory = MemoryFingerService({"ada": "Weaving", "moshez": "Happy\nand well"})
        self.assertEqual(self.ask(b"\r\n", memory), b"ada\r\nmoshez\r\n")
        login = "Login: {:<15}\t\t\tName:\r\nPlan:\r\n"
        self.assertEqual(
            self.ask(b"/W\r\n", memory).decode(),
            f"{login.format('ada')}Weaving\r\n\r\n{login.format('moshez')}Happy\r\nand well\r\n",
        )
        with patch("finger.adapters.finger.lists.MAX_LIST", 20):
            cut = self.ask(b"/W\r\n", memory).decode()
        self.assertEqual(cut, f"{login.format('ada')}Weaving\r\n\r\n{LEFT_OUT.format(20)}\r\n")

    def test_verboseUser(self) -> None:
        """/W gives the long form (section 2.5.4), before the name as in RFC 1288 or after it as in RFC 1194."""
        for query in (b"/W moshez\r\n", b"/w  moshez\r\n", b"moshez /W\r\n"):
            answer = b"Login: moshez         \t\t\tName:\r\nPlan:\r\nHappy and well\r\n"
            self.assertEqual(self.ask(query), answer, query)

    def test_severalNames(self) -> None:
        """Several names are answered in order, each once, and a failed one does not affect the others."""
        self.assertEqual(
            self.ask(b"moshez nobody u@h moshez\r\n"),
            b"Happy and well\r\nNo such user\r\nFinger forwarding service denied\r\n",
        )
        self.assertEqual(self.ask(b"a b c d e f g h\r\n"), b"No such user\r\n" * 8)

    def test_tooManyNames(self) -> None:
        """The number of names in a query is limited."""
        self.assertEqual(self.ask(b"x " * 17 + b"\r\n"), b"Bad query\r\n")

    def test_sameName(self) -> None:
        """A name that a query has several times is looked up once."""
        silent = SilentDouble()
        transport = self.connect(silent)
        self.protocol.dataReceived(b"x " * 16 + b"\r\n")
        self.assertEqual(len(silent.asked), 1)
        silent.asked[0].callback("once")
        self.assertEqual(transport.value(), b"once\r\n")

    def test_longAnswer(self) -> None:
        """The answer to several names is cut after a line; the answer to one name is not."""
        long = ProfilesDouble(*(Profile(name, plan=f"{name}\n{'é' * 65_000}") for name in "abcdef"))
        answer = self.ask(b"a b c d e f\r\n", long).decode()
        self.assertTrue(answer.endswith(f"\r\ne\r\n{LEFT_OUT.format(MAX_ANSWER)}\r\n"))
        self.assertLess(len(answer), MAX_ANSWER + 200)
        endless = ProfilesDouble(Profile("a", plan="x" * MAX_ANSWER), MOSHEZ)
        self.assertEqual(self.ask(b"a\r\n", endless), b"x" * MAX_ANSWER + b"\r\n")
        cut = b"x" * MAX_ANSWER + b"\r\n" + LEFT_OUT.format(MAX_ANSWER).encode() + b"\r\n"
        self.assertEqual(self.ask(b"a moshez\r\n", endless), cut)

    def test_telnet(self) -> None:
        """Telnet's part is not part of the query, even if it contains a line end."""
        for query in (
            b"\xff\xfb\x1f\xff\xfa\x1f\0\x50\0\n\xff\xf0moshez\r\n",
            b"moshez\xff\xfd\x06\r\n",
            b"\0moshez\0\r\n",
            b"moshez\r\0",
            b"\xef\xbb\xbfmoshez\xef\xbb\xbf\r\n",
        ):
            self.assertEqual(self.ask(query), b"Happy and well\r\n", query)
            transport = self.connect()
            for byte in query:
                self.protocol.dataReceived(bytes([byte]))
            self.assertEqual(transport.value(), b"Happy and well\r\n", query)

    def test_pieces(self) -> None:
        """A query may arrive one byte at a time."""
        transport = self.connect()
        for byte in b"moshez\r":
            self.protocol.dataReceived(bytes([byte]))
        self.assertEqual(transport.value(), b"")
        self.protocol.dataReceived(b"\n")
        self.assertEqual(transport.value(), b"Happy and well\r\n")

    def test_pipelined(self) -> None:
        """A connection carries one query; anything after it is discarded."""
        self.assertEqual(self.ask(b"moshez\r\nada\r\nada\r\n"), b"Happy and well\r\n")
        transport = self.connect(SilentDouble())
        self.protocol.dataReceived(b"moshez\r\nada\r\n")
        self.protocol.dataReceived(b"ada\r\n" * 10_000)
        self.assertEqual(transport.value(), b"")
        self.assertFalse(transport.disconnecting)

    def test_escapes(self) -> None:
        """Control characters in a status are replaced, and line ends become CRLF."""
        status = "a\x1b[2J\nb\r\nc\rd\x9b\u202e"
        self.assertEqual(self.ask(b"m\r\n", ProfilesDouble(Profile("m", plan=status))), b"a?[2J\r\nb\r\nc\r\nd??\r\n")

    def test_ascii(self) -> None:
        """The setting utf8 selects UTF-8 or ASCII (section 3.3)."""
        zoe = ProfilesDouble(Profile("zoë", plan="Zoë ☕"))
        self.assertEqual(self.ask("zoë\r\n".encode(), zoe), "Zoë ☕\r\n".encode())
        self.assertEqual(self.ask("zoë\r\n".encode(), zoe, utf8=False), b"Zoe ?\r\n")

    def test_matchNames(self) -> None:
        """With matchNames, first, last and full names match (section 2.5.3)."""
        people = ProfilesDouble(ADA, Profile("al", "Ada Byron", "x"), MOSHEZ)
        self.assertEqual(self.ask(b"ada\r\n", people).count(b"Login: "), 1)
        self.assertEqual(self.ask(b"Byron\r\n", people), b"No such user\r\n")
        self.assertEqual(self.ask(b"MOSHEZ\r\n", people), b"No such user\r\n")
        self.assertEqual(
            self.ask(b"byron\r\n", people, matchNames=True),
            b"Login: al             \t\t\tName: Ada Byron\r\nPlan:\r\nx\r\n",
        )
        same = ProfilesDouble(*(Profile(f"ada{n}", "Ada") for n in range(3)))
        self.assertEqual(self.ask(b"ada\r\n", same, matchNames=True).count(b"Login: "), 3)
        self.assertEqual(self.ask(b"nobody\r\n", people, matchNames=True), b"No such user\r\n")

    def test_eachOnce(self) -> None:
        """A query shows each user once, whether its names are logins or match."""
        john = ProfilesDouble(Profile("jsmith", "John Smith", "x"), Profile("jdoe", "John Doe", "y"))
        for query, logins in {
            b"John Smith": ["jdoe", "jsmith"],
            b"smith jsmith JSMITH JOHN": ["jsmith", "jdoe"],
            b"jsmith John": ["jsmith", "jdoe"],
            b"jsmith SMITH": ["jsmith"],
        }.items():
            answer = self.ask(query + b"\r\n", john, matchNames=True).decode()
            self.assertEqual(re.findall(r"Login: (\w+)", answer), logins, query)

    def test_matchLogins(self) -> None:
        """With matchNames, logins match in any case and form: an exact one alone, others before full names."""
        people = ProfilesDouble(
            ADA, Profile("Al", "ADA", "x"), Profile("al", "Al", "y"), Profile("zoë", "Zoe\u0308", "z")
        )
        for query, logins in {
            "ADA": ["ada", "Al"],
            "al": ["al"],
            "AL": ["Al", "al"],
            "ZOE\u0308": ["zoë"],
            "zoe\u0308": ["zoë"],
        }.items():
            answer = self.ask(f"{query}\r\n".encode(), people, matchNames=True).decode()
            self.assertEqual(re.findall(r"Login: (\w+)", answer), logins, query)
        dotted = ProfilesDouble(Profile("john.doe", plan="x"))
        self.assertEqual(self.ask(b"JOHN.DOE\r\n", dotted, matchNames=True), b"x\r\n")

    def test_matchLongList(self) -> None:
        """A long list is prepared for matching in slices, once, so that other connections have a turn."""
        double, listed = ProfilesDouble(ADA), [Profile(f"user{n}", "Ada") for n in range(2 * SLICE)] + [ADA]
        double.getProfiles = lambda: succeed(listed)  # type: ignore[method-assign]
        transport = self.connect(double, matchNames=True)
        self.protocol.dataReceived(b"LOVELACE Byron\r\n")
        self.assertEqual(transport.value(), b"")
        self.clock.advance(0)
        self.assertIn(b"Login: ada", transport.value())
        self.assertEqual(self.successResultOf(self.factory.answer(b"Byron", "")), b"No such user\r\n")
        self.assertIn(b"Login: ada", self.ask(b"LOVELACE\r\n", double, matchNames=True, clock=None))

    def test_matchesMany(self) -> None:
        """The number of matching users in one answer is limited."""
        for count in (MAX_NAMES, MAX_NAMES + 1):
            same = ProfilesDouble(*(Profile(f"ada{n}", "Ada") for n in range(count)))
            self.assertEqual(self.ask(b"ada\r\n", same, matchNames=True).count(b"Login: "), MAX_NAMES)
        people = [Profile(f"{name}{n}", name, "x") for name in ("ada", "bob") for n in range(MAX_NAMES)]
        answer = self.ask(b"ada bob\r\n", ProfilesDouble(*people), matchNames=True)
        self.assertEqual(answer.count(b"Login: "), MAX_NAMES)

    def test_matchesLookedAt(self) -> None:
        """Of many users with a name, only as many are looked at as an answer can have: all may have it."""
        seen: list[str] = []
        find = _Index.find

        def counted(index: _Index, name: str) -> Iterator[str]:
            return (seen.append(login) or login for login in find(index, name))  # type: ignore[func-returns-value]

        self.patch(_Index, "find", counted)
        same = ProfilesDouble(*(Profile(f"ada{n}", "Ada Ada") for n in range(10 * MAX_NAMES)))
        answer = self.ask(b"ada ada0 ada99\r\n", same, matchNames=True)
        self.assertEqual(answer.count(b"Login: "), MAX_NAMES + 1)
        self.assertLessEqual(len(seen), MAX_NAMES + 1)

    def test_matchNamesWithoutList(self) -> None:
        """If the user list is disabled, names do not match."""
        policy = PolicyFingerService(ProfilesDouble(ADA), Clock(), listing=False)
        self.assertEqual(self.ask(b"lovelace\r\n", policy, matchNames=True), b"No such user\r\n")


class ImmediateTests(FingerTestCase):
    """Answers without a protocol."""

    def now(self, query: bytes, service: IFingerService | None = None, **settings: object) -> bytes | None:
        """Send a query to a factory."""
        self.connect(service, **settings)
        return self.factory.answerNow(query, "192.0.2.7")

    def test_interface(self) -> None:
        """The factory provides the interface."""
        self.connect()
        verifyObject(IImmediateFactory, self.factory)

    def test_same(self) -> None:
        """The answer, and the line in the log, are the same as those of the ordinary way."""
        for service in (ImmediateDouble(ADA, MOSHEZ, ZOE), PolicyFingerService(ImmediateDouble(ADA, ZOE), Clock())):
            for utf8 in (True, False):
                for query in (b"ada\r\n", b"/W ada\n", b"ada /w\r\n", b" moshez\t\n", b"zoe\xcc\x88\n", b"x\x1b\n"):
                    logged: list[list[object]] = []
                    for ask in (self.now, self.ask):
                        with capturedLogs() as logs:
                            answer = ask(query, service, utf8=utf8)
                        logged.append([answer, *(formatEvent(event) for event in logs)])
                    self.assertEqual(logged[0], logged[1])
                    self.assertEqual(len(logged[0]), 2)

    def test_other(self) -> None:
        """All that is not one usual query for a user in memory takes the ordinary way."""
        double = ImmediateDouble(ADA, MOSHEZ, Profile("long", plan="x" * 20000))
        for query in (
            *(b"ada", b"ada\r\nmoshez\r\n", b"ada\n\n", b"\n", b"ada moshez\n", b"ada@host\n", b"@\n", b"long\n"),
            *(b"a\0da\n", b"ada\r\0", b"\xff\xfb\x1fada\n", b"a\rda\n", b"x" * (MAX_LINE + 1) + b"\n", b"\r\r\n"),
        ):
            self.assertIsNone(self.now(query, PolicyFingerService(double, Clock())), query)
        self.assertIsNone(self.now(b"ada\n", ProfilesDouble(ADA)))
        self.assertIsNone(self.now(b"x\n", double, matchNames=True))
        double.isSlow = True
        self.assertIsNone(self.now(b"ada\n", double))

    def test_broken(self) -> None:
        """A back end that fails is asked in the ordinary way, which reports it."""
        double = ImmediateDouble(ADA)
        for error in (ZeroDivisionError, SystemExit):
            with patch.object(double, "getProfileNow", side_effect=error):
                self.assertIsNone(self.now(b"ada\n", double))

    def test_kept(self) -> None:
        """An answer is kept until the data changes."""
        double = ImmediateDouble(ADA, MOSHEZ)
        first = self.now(b"moshez\r\n", double)
        for _ in range(3):
            self.assertIs(self.factory.answerNow(b"moshez\r\n", "192.0.2.8"), first)
        self.assertEqual(double.askedNow, 1)
        double.change(Profile("moshez", plan="Busy"))
        self.assertEqual(self.factory.answerNow(b"moshez\r\n", "192.0.2.8"), b"Busy\r\n")
        double.change()
        self.assertEqual(self.factory.answerNow(b"moshez\r\n", "192.0.2.8"), b"No such user\r\n")

    def test_keptMemory(self) -> None:
        """The limit of the memory counts the query as logged, which can be 16 times as long as received."""
        query = "\U0001f9f5".encode() + b"\xfe" * 900 + b"\n"
        self.now(query, ImmediateDouble())
        self.assertGreater(self.factory._answers.size, 16 * 900)

    def test_list(self) -> None:
        """A short list that has been made is at hand, too; a long one has to be sent in slices."""
        for size, isShort in ((2, True), (2000, False)):
            double = ImmediateDouble(*[Profile(f"user{number}") for number in range(size)])
            self.assertIsNone(self.now(b"\r\n", double))
            self.protocol.dataReceived(b"\r\n")
            answer = self.factory.answerNow(b"\r\n", "192.0.2.8")
            self.assertEqual(answer is not None, isShort)

    def test_outcome(self) -> None:
        """The log has the outcome."""
        with capturedLogs() as logs:
            self.now(b"nobody\r\n", ImmediateDouble())
        self.assertEqual([(event["query"], event["outcome"]) for event in logs], [("nobody", "NoSuchUser")])


class RefusalTests(FingerTestCase):
    """Refused queries and failures."""

    def test_list(self) -> None:
        """A refused list has the words of section 3.2.2."""
        self.assertEqual(self.ask(b"\r\n", BrokenDouble(ListRefused())), b"Finger online user list denied\r\n")

    def test_forwarding(self) -> None:
        """Refused forwarding has the words of section 3.2.1, even for a thousand hosts."""
        for query in (b"u@h", b"@h", b"u@h1@h2", b"/W @h", b"/W u@h", b"u@127.0.0.1", b"u@[::1]", b"@" * 1000):
            self.assertEqual(self.ask(query + b"\r\n"), b"Finger forwarding service denied\r\n", query)

    def test_broken(self) -> None:
        """A failure of the back end is logged once, and reported to the peer without details."""
        for query in (b"moshez\r\n", b"\r\n"):
            self.assertEqual(self.ask(query, BrokenDouble()), b"Internal error in server\r\n")
            self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 1)
        self.ask(b"moshez\r\n", BrokenDouble(ZeroDivisionError()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_bug(self) -> None:
        """So is a failure of the adapter itself."""
        with patch("finger.adapters.finger.factory.parseQuery", side_effect=ZeroDivisionError):
            self.assertEqual(self.ask(b"moshez\r\n"), b"Internal error in server\r\n")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ForwardTests(FingerTestCase):
    """Forwarding with a forwarder."""

    def test_forward(self) -> None:
        """
        The forwarder gets the right-most host, the rest of the query, /W, and the peer; its answer is relayed
        unchanged (section 2.4).
        """

        @implementer(IFingerForwarder)
        class Forwarder:
            asked: list[tuple[str, str, bool, str]] = []
            error: Exception | None = None

            def forward(self, query: str, host: str, verbose: bool, peer: str = "") -> Deferred[str]:
                self.asked.append((query, host, verbose, peer))
                if self.error:
                    raise self.error
                return succeed("two\nlines")

        forwarder = Forwarder()
        policy = PolicyFingerService(ProfilesDouble(), Clock(), forwarder=forwarder)
        self.assertEqual(self.ask(b"/W u@h1@h2\r\n", policy), b"two\r\nlines\r\n")
        self.assertEqual(forwarder.asked, [("u@h1", "h2", True, "192.0.2.7")])
        forwarder.error = RemoteUnreachable()
        self.assertEqual(self.ask(b"@h\r\n", policy), b"Could not connect to remote host\r\n")
        forwarder.error = ForwardingRefused()
        self.assertEqual(self.ask(b"@h\r\n", policy), b"Finger forwarding service denied\r\n")


class LimitTests(FingerTestCase):
    """Limits of time and size."""

    def test_longLine(self) -> None:
        """An overlong line is refused once, and read to its end without being kept."""
        for line in (b"x" * (MAX_LINE + 2) + b"\r\n", b"x" * 65536 + b"\n"):
            self.assertEqual(self.ask(line), b"Bad query\r\n")
        self.assertEqual(self.ask(b"x" * MAX_LINE + b"\r\n"), b"No such user\r\n")

    def test_unterminated(self) -> None:
        """
        An overlong query without an end is refused at once, and the connection closed after a limited amount of data.
        """
        transport = self.connect()
        self.protocol.dataReceived(b"x" * (MAX_LINE + 2))
        self.assertEqual(transport.value(), b"Bad query\r\n")
        self.assertFalse(transport.disconnecting)
        for _ in range(MAX_DISCARDED // 1024):
            self.protocol.dataReceived(b"x" * 1024)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(transport.value(), b"Bad query\r\n")

    def test_unterminatedAndSilent(self) -> None:
        """If its peer sends no more, the connection is closed after a time limit."""
        transport = self.connect()
        self.protocol.dataReceived(b"x" * (MAX_LINE + 2))
        self.clock.advance(self.factory.discardTimeout)
        self.assertTrue(transport.disconnecting)
        self.clock.advance(self.factory.closeTimeout)
        self.assertTrue(transport.disconnected)

    def test_slowQuery(self) -> None:
        """Receiving a query has a time limit, which further bytes do not extend."""
        transport = self.connect()
        for _ in range(int(self.factory.queryTimeout)):
            self.assertFalse(transport.disconnected)
            self.protocol.dataReceived(b"x")
            self.clock.advance(1)
        self.assertTrue(transport.disconnected)

    def test_slowAnswer(self) -> None:
        """Looking up an answer has a time limit."""
        transport = self.connect(SilentDouble())
        self.clock.advance(self.factory.queryTimeout - 1)
        self.protocol.dataReceived(b"moshez\r\n")
        self.clock.advance(self.factory.answerTimeout - 1)
        self.assertFalse(transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(transport.disconnected)
        with capturedLogs() as logs:
            self.protocol.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual([event["outcome"] for event in logs], ["Aborted"])

    def test_cancelled(self) -> None:
        """An answer that is cancelled without a connection is logged as one whose peer has left."""
        self.connect(SilentDouble())
        with capturedLogs() as logs:
            answer = self.factory.answer(b"moshez", "192.0.2.7")
            answer.cancel()
        self.failureResultOf(answer)
        self.assertEqual([event["outcome"] for event in logs], ["Gone"])

    def test_neverReads(self) -> None:
        """Sending an answer has a time limit."""
        transport = self.connect()
        self.protocol.dataReceived(b"moshez\r\n")
        self.clock.advance(self.factory.closeTimeout)
        self.assertTrue(transport.disconnected)

    def test_leaves(self) -> None:
        """When the peer leaves, the lookup is cancelled, nothing is sent, and no timer remains."""
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
        """When the peer leaves without a query, no timer remains."""
        self.connect()
        self.protocol.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noClock(self) -> None:
        """Without a clock there are no time limits."""
        transport = self.connect(clock=None)
        self.protocol.dataReceived(b"moshez\r\n")
        self.assertEqual(transport.value(), b"Happy and well\r\n")
        self.protocol.connectionLost()


class HalfCloseTests(FingerTestCase):
    """Peers that close their sending sides."""

    def test_answered(self) -> None:
        """A peer that closes its sending side after its query is answered, also by a back end that is slow."""
        for newline in (b"\r\n", b"\n", b"\r", b""):
            silent = SilentDouble()
            transport = self.connect(silent)
            verifyObject(IHalfCloseableProtocol, self.protocol)
            self.protocol.dataReceived(b"moshez" + newline)
            self.protocol.readConnectionLost()
            self.assertFalse(transport.disconnecting)
            silent.asked[0].callback("Happy and well")
            self.assertEqual(transport.value(), b"Happy and well\r\n")
            self.assertTrue(transport.disconnecting)

    def test_noNewline(self) -> None:
        """
        The end of the input ends a query without a newline, of any kind; without a byte of a query, the connection is
        closed without an answer.
        """
        for query, answer in {
            b"moshez nobody": b"Happy and well\r\nNo such user\r\n",
            b"\r": b"ada              Ada Lovelace\r\nmoshez\r\n",
            b"\xff\xfb\x1fmoshez\r": b"Happy and well\r\n",
            b"moshez\xff\xfb": b"Happy and well\r\n",
            b"\xff\xfb\x1f": b"",
            b"x" * (MAX_LINE + 1): b"Bad query\r\n",
            b"": b"",
        }.items():
            transport = self.connect()
            self.protocol.dataReceived(query)
            self.protocol.readConnectionLost()
            self.assertEqual(transport.value(), answer)
            self.assertTrue(transport.disconnecting)

    def test_tooLong(self) -> None:
        """The end of the input ends an overlong query, too."""
        transport = self.connect()
        self.protocol.dataReceived(b"x" * (MAX_LINE + 10))
        self.assertFalse(transport.disconnecting)
        self.protocol.readConnectionLost()
        self.protocol.writeConnectionLost()
        self.assertEqual(transport.value(), b"Bad query\r\n")
        self.assertTrue(transport.disconnecting)

    def test_limits(self) -> None:
        """A peer that has closed its sending side has the same time limits as another one."""
        transport = self.connect(SilentDouble())
        self.protocol.dataReceived(b"moshez")
        self.protocol.readConnectionLost()
        self.clock.advance(self.factory.answerTimeout)
        self.assertTrue(transport.disconnected)


class DrainTests(FingerTestCase):
    """Draining connections."""

    def test_idle(self) -> None:
        """A connection without a complete query is closed after a short time."""
        for sent in (b"", b"mos"):
            transport = self.connect()
            verifyObject(IDrainable, self.protocol)
            self.protocol.dataReceived(sent)
            self.protocol.drain()
            self.assertFalse(transport.disconnecting)
            self.clock.advance(DRAIN_GRACE)
            self.assertTrue(transport.disconnecting)

    def test_onItsWay(self) -> None:
        """A query that arrives within that time is answered."""
        transport = self.connect()
        self.protocol.drain()
        self.protocol.dataReceived(b"moshez\r\n")
        self.assertEqual(transport.value(), b"Happy and well\r\n")
        self.assertTrue(transport.disconnecting)

    def test_tooLong(self) -> None:
        """An overlong query gets no extra time."""
        transport = self.connect()
        self.protocol.dataReceived(b"x" * (MAX_LINE + 2))
        self.protocol.drain()
        self.clock.advance(self.factory.discardTimeout)
        self.assertTrue(transport.disconnecting)

    def test_busy(self) -> None:
        """A query that is being answered gets its answer."""
        silent = SilentDouble()
        transport = self.connect(silent)
        self.protocol.dataReceived(b"moshez\r\n")
        self.protocol.drain()
        self.assertFalse(transport.disconnecting)
        silent.asked[0].callback("Happy and well")
        self.assertEqual(transport.value(), b"Happy and well\r\n")
        self.assertTrue(transport.disconnecting)


class LogTests(FingerTestCase):
    """The log of queries (section 3.2.7)."""

    def line(self, query: bytes, service: IFingerService | None = None) -> dict[str, object]:
        """Send a query, and return its only log event."""
        with capturedLogs() as logs:
            self.ask(query, service)
        events = [event for event in logs if "peer" in event]
        self.assertEqual(len(events), 1)
        return dict(events[0])

    def test_query(self) -> None:
        """The log has the peer, the query, the outcome and the time taken."""
        event = self.line(b"moshez nobody\r\n")
        self.assertEqual(event["peer"], "192.0.2.7")
        self.assertEqual(event["query"], "moshez nobody")
        self.assertEqual(event["outcome"], "ok,NoSuchUser")
        self.assertEqual(event["milliseconds"], 0)
        self.assertEqual(self.line(b"x " * 17 + b"\n")["outcome"], "BadQuery")
        self.line(b"x" * 2000 + b"\n")

    def test_escaped(self) -> None:
        """A query cannot forge log lines or send control characters to a terminal."""
        text = formatEvent(self.line(b"a\r\x1b[2J\xff\x07\xe2\x80\xae\n"))
        self.assertIn(r"'a\r\x1b[2J\\xff\x07\u202e'", text)
        self.assertTrue(text.isprintable())

    def test_unixPeer(self) -> None:
        """A peer without an address is logged as local."""
        factory = asType(FingerFactory, IFingerFactory(self.service))
        protocol = notNone(factory.buildProtocol(None))
        with capturedLogs() as logs:
            protocol.makeConnection(StringTransport(peerAddress=UNIXAddress(None)))
            protocol.dataReceived(b"moshez\n")
        self.assertEqual(logs[0]["peer"], "local")
