"""Each kind of event that holds values from peers: a long value, control characters, and a flood."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from io import BytesIO
from typing import Any
from xmlrpc.client import dumps

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import UsernamePassword
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from finger.access.attempts import ATTEMPTS
from finger.access.authority import Authority
from finger.adapters.irc.bot import IRCBotFactory
from finger.adapters.pb import Refused
from finger.adapters.pb.broker import BoundedPBServerFactory
from finger.adapters.pb.root import PerspectiveFinger
from finger.adapters.setter import FingerSetterFactory
from finger.backends.memory import MemoryFingerService
from finger.backends.proxy import ProxyFingerService
from finger.config.checkers import PasswordFile
from finger.errors import RemoteUnreachable
from finger.interfaces import IXMLRPCResource
from finger.log import peerlog, querylog
from finger.log.peerlog import MAX_VALUE, PeerLog
from finger.log.querylog import QueryLog
from finger.net.proxyprotocol import TrustingFactory
from tests.support.othernet import ClientDouble

TIMES = 1000
"""The events of a flood."""

NASTY = "a\x1b[2J\x9b\u202e\u2066\u2028\u200b\ufeff\U000e0041"
"""Control and format characters, which no line holds."""

KINDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}

Cause = Callable[[str], object]
"""Causes an event with a value."""


class KindsTestCase(SynchronousTestCase):
    """Servers of which each event is caused in one way."""

    def setUp(self) -> None:
        """Make the parts."""
        self.clock = Clock()
        self.queries = QueryLog(self.clock)
        self.service = MemoryFingerService({"ada": "old"})
        checker = InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace")
        self.authority = Authority(self.service, self.clock, [checker])

    def logged(self, cause: Cause, *values: str) -> list[LogEvent]:
        """Return the events that are logged for values."""
        with capturedLogs() as logs:
            for value in values:
                cause(value)
        return list(logs)

    def assertGated(self, cause: Cause, burst: int = peerlog.BURST, longest: int = 4 * MAX_VALUE) -> None:
        """Check that an event is cut, escaped and limited."""
        for value in ("x" * 10**6, NASTY):
            events = self.logged(cause, value)
            self.assertEqual(len(events), 1, [formatEvent(event) for event in events])
            line = formatEvent(events[0])
            self.assertLess(len(line), longest)
            self.assertFalse([c for c in line if unicodedata.category(c) in KINDS], line)
        self.clock.advance(1000)
        events = self.logged(cause, *[f"{number}" for number in range(TIMES)])
        self.assertEqual(len(events), burst)
        self.clock.advance(peerlog.REPORT_AFTER - 1)
        events = self.logged(cause, "again")
        self.assertEqual(events[0]["count"], TIMES - burst)
        self.assertIn("not logged (rate limit)", formatEvent(events[0]))
        self.assertEqual(len(events), 2)


class AuthorityTests(KindsTestCase):
    """Logging in and setting."""

    def test_refusedSetter(self) -> None:
        """A user who may not set another."""
        self.assertGated(lambda value: self.failureResultOf(self.authority.set(value, f"{value}'s", "x")))

    def test_set(self) -> None:
        """A status that was set."""
        authority = Authority(_Agreeing(), self.clock)
        self.assertGated(lambda value: self.successResultOf(authority.set(value, value, "x")))

    def test_failedLogin(self) -> None:
        """A failed login, from many networks."""
        numbers = iter(range(1, 60_000))

        def fail(value: str) -> None:
            number = next(numbers)
            wrong = UsernamePassword(b"user%d" % number, b"wrong")
            self.failureResultOf(self.authority.login(wrong, f"2001:db8:0:{number:x}::1"))

        self.assertGated(fail)

    def test_tooOften(self) -> None:
        """Too many attempts to log in."""
        authority = Authority(self.service, Clock())  # Its clock stands still: the attempts never become free again.
        authority._events = PeerLog(self.clock)
        wrong = UsernamePassword(b"ada", b"wrong")
        for _ in range(ATTEMPTS):
            self.failureResultOf(authority.login(wrong, "192.0.2.1"))
        self.assertGated(lambda value: self.failureResultOf(authority.login(wrong, "192.0.2.1")))

    def test_passwordFile(self) -> None:
        """A password file that cannot be read is logged at each login, which anybody can cause."""
        checker = PasswordFile(self.mktemp())
        checker._events = PeerLog(self.clock)
        self.assertGated(
            lambda value: self.failureResultOf(checker.requestAvatarId(UsernamePassword(value.encode(), b"x")))
        )


class QueryTests(KindsTestCase):
    """Lines of queries, which have a higher limit."""

    def assertQueries(self, cause: Cause, burst: int = querylog.BURST) -> None:
        """Check that an event is cut, escaped and limited as queries are."""
        self.assertGated(cause, burst, 11 * querylog.MAX_QUERY)

    def test_setter(self) -> None:
        """Messages to the setter."""
        factory = FingerSetterFactory(self.service)
        factory.queries = self.queries
        self.assertQueries(lambda value: self.successResultOf(factory.set(value.encode(), "ada", "192.0.2.1")))

    def test_peer(self) -> None:
        """A peer that is no address."""
        self.assertQueries(lambda value: self.queries.begin("irc", value, "x")("ok"))

    def test_xmlrpc(self) -> None:
        """XML-RPC calls."""
        resource: Any = IXMLRPCResource(self.service)
        resource.queries = self.queries

        def call(value: str) -> None:
            request: Any = DummyRequest([b""])
            request.method = b"POST"
            request.content = BytesIO(dumps((value.replace("\x1b", ""),), "getUser").encode())
            resource.render(request)

        self.assertQueries(call)

    def test_untrustedProxy(self) -> None:
        """Peers that are no trusted proxy, and headers that are none."""
        factory = TrustingFactory(Factory(), (), self.queries)
        self.assertQueries(lambda value: factory.refuse(UNIXAddress(value), value.encode(), "BadProxyHeader"))


class PBTests(KindsTestCase):
    """Perspective Broker."""

    def test_refused(self) -> None:
        """Messages that are refused, each on its own connection."""
        factory = BoundedPBServerFactory(PerspectiveFinger(self.service), self.clock)

        def send(value: str) -> None:
            broker: Any = factory.buildProtocol(None)
            broker.makeConnection(StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5)))
            broker.dataReceived(b"\x03\x82pb" + value.encode() + b"\x88")
            broker.connectionLost(Failure(ConnectionError()))

        self.assertGated(send)

    def test_reason(self) -> None:
        """The reason is that of an exception that may hold what was sent."""
        factory = BoundedPBServerFactory(PerspectiveFinger(self.service), self.clock)
        broker: Any = factory.buildProtocol(None)
        broker.makeConnection(StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5)))
        self.assertGated(lambda value: broker._refuse(_Rude(value)))

    def test_arguments(self) -> None:
        """Arguments that do not fit are not logged at all, not even by Twisted."""
        root = PerspectiveFinger(self.service)
        broker: Any = BoundedPBServerFactory(root, self.clock).buildProtocol(None)
        broker.makeConnection(StringTransport())
        for args, kw in (
            ([b"tuple", NASTY, NASTY], [b"dictionary"]),
            ([b"tuple"], [b"dictionary", [NASTY, 1]]),
            ([b"tuple", 1], [b"dictionary", [b"user", 1]]),
            ([b"tuple"], [b"dictionary", [1, 1]]),
            ([b"tuple"], NASTY),
        ):
            with capturedLogs() as logs:
                self.assertRaises(Refused, root.remoteMessageReceived, broker, b"getUser", args, kw)
            self.assertEqual(logs, [])


class IRCTests(KindsTestCase):
    """What an IRC server and its users say."""

    def setUp(self) -> None:
        """Connect a bot."""
        super().setUp()
        self.factory = IRCBotFactory(self.service)
        self.factory.clock = self.clock
        self.factory.queries = self.queries
        self.transport = StringTransport()
        self.bot: Any = self.factory.buildProtocol(None)
        self.bot.makeConnection(self.transport)
        self.server(":irc 001 fingerbot :hi")

    def server(self, line: str) -> None:
        """Receive a line from the server; its values are shorter than the longest line that is read."""
        self.transport.clear()
        self.bot.dataReceived(line.encode() + b"\r\n")

    def test_server(self) -> None:
        """Errors, refused channels, kicks, and the rest that a server says."""
        for format in (
            "ERROR :{}",
            ":irc 474 fingerbot #x{} :{}",
            ":irc 437 fingerbot #x{} :{}",
            ":a!b@{} KICK #x{} fingerbot :{}",
            ":fingerbot!u@h JOIN #x{}",
        ):
            self.assertGated(lambda value, format=format: self.server(format.replace("{}", value[:2500])))  # type: ignore[misc]
        self.assertFalse(self.transport.disconnecting)

    def test_nickname(self) -> None:
        """A server may rename the bot."""
        self.assertGated(
            lambda value: self.server(f":{self.bot.nickname}!u@h NICK n{value[:2500]}"),
        )

    def test_tooMany(self) -> None:
        """Queries that are ignored, from one user."""
        while self.bot.outbox.reserve("h"):
            pass
        self.assertGated(lambda value: self.server(f":joe!u{value[:2500]}@h PRIVMSG fingerbot :x{value[:2500]}"))

    def test_lost(self) -> None:
        """Connections that are lost."""

        def lose(value: str) -> None:
            bot = self.factory.buildProtocol(None)
            bot.makeConnection(StringTransport())
            bot.connectionLost(Failure(OSError(value)))

        self.assertGated(lose)


class ServersTests(KindsTestCase):
    """Other servers."""

    def test_proxy(self) -> None:
        """A server that does not answer, for a reason that may hold what it or a name server said."""

        def ask(value: str) -> None:
            client = ClientDouble({b"moshez\r\n": RemoteUnreachable(value)})
            proxy = ProxyFingerService(client, events=events)
            self.failureResultOf(proxy.getUser("moshez"))

        events = PeerLog(self.clock)
        self.assertGated(ask)


class _Rude(Exception):
    """An exception whose C{repr} is what was sent."""

    def __repr__(self) -> str:
        return str(self.args[0])


class _Agreeing(MemoryFingerService):
    """A back end that accepts every user."""

    def setUser(self, user: str, status: str) -> Any:
        """Accept the user, and forget the status."""
        return super().setUser("ada", status)
