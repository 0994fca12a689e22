"""What each setting does, seen from outside: a server made of a configuration, and bytes at its adapters."""

from __future__ import annotations

import os
import re
from typing import Any
from unittest.mock import patch
from xmlrpc.client import dumps

from twisted.application.internet import ClientService
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import UsernamePassword
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.spread.banana import encode
from twisted.spread.pb import PBClientFactory
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase

from finger.access.authority import ATTEMPTS
from finger.access.policy import PolicyFingerService
from finger.backends.memory import MemoryFingerService
from finger.client.client import Answer, FingerClient
from finger.errors import ConfigError
from finger.net.limits import LimitedFactory
from finger.ops.server import FingerServer
from finger.service import makeServer
from tests.support.typed import notNone
from tests.unit.test_service import Transport, configure

QUERY, ANSWER, DRAIN = 3.0, 5.0, 2.0
"""Seconds that the configuration here has for each; none is a default."""

HERE = IPv4Address("TCP", "127.0.0.1", 5)
PASSWORDS = InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace")

GET = b"GET /%b HTTP/1.1\r\nHost: h\r\n\r\n"
CALL = dumps(("moshez",), "getUser").encode()
POST = b"POST /RPC2 HTTP/1.1\r\nHost: h\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(CALL)
PB_CALL = encode(b"pb") + encode(
    [b"message", 1, b"root", b"getUser", 1, [b"tuple", [b"unicode", b"moshez"]], [b"dictionary"]]
)

QUERIES = {"fingerport": b"moshez\r\n", "webport": GET % b"moshez", "pbport": PB_CALL}
"""How each adapter is asked for one user."""

PORTS: dict[str, Any] = {
    **{f"{name}Ports": ("tcp:0",) for name in ("finger", "web", "https", "pb", "status")},
    "setterPorts": ("unix:/nowhere",),
    "backends": ("memory",),
    "ssl": True,
}
"""Every adapter that listens."""

UNTRUSTED = "--ssl without --certificate: generated a development certificate, which no browser will trust"

TIMES = {"querySeconds": QUERY, "answerSeconds": ANSWER, "drainSeconds": DRAIN}


class CompositionTestCase(SynchronousTestCase):
    """A server of every adapter that listens, on a reactor that is not real."""

    def make(self, **fields: Any) -> FingerServer:
        """Make one."""
        self.reactor = MemoryReactorClock()
        self.server = makeServer(configure(**PORTS | TIMES | fields), self.reactor)
        return self.server

    def factory(self, option: str) -> LimitedFactory:
        """What answers at the ports of an option."""
        (factory,) = (factory for factory in self.server.factories if factory.label == option)
        return factory

    def connect(self, option: str, host: str = "127.0.0.1") -> tuple[Any, StringTransport]:
        """Connect until the end of the test."""
        address = IPv4Address("TCP", host, 5)
        protocol, transport = self.factory(option).buildProtocol(address), Transport(peerAddress=address)
        protocol.makeConnection(transport)
        self.addCleanup(protocol.connectionLost, Failure(ConnectionDone()))
        return protocol, transport

    def say(self, option: str, data: bytes, host: str = "127.0.0.1") -> StringTransport:
        """Connect and say something; what is heard is in the transport."""
        protocol, transport = self.connect(option, host)
        protocol.dataReceived(data)
        return transport

    def pump(self, option: str, client: Any) -> IOPump:
        """Connect a client's factory with what answers at the ports of an option."""
        near, far = client.buildProtocol(None), self.factory(option).buildProtocol(HERE)
        theirs = FakeTransport(far, isServer=True, peerAddress=HERE)
        pump: IOPump = connect(far, theirs, near, FakeTransport(near, isServer=False))
        return pump

    def secure(self, request: bytes) -> bytes:
        """Send a request by HTTPS.  What either side writes at once leaves it at the next turn of its own reactor."""
        heard, client, clock = StringTransport(), Protocol(), Clock()
        client.dataReceived = heard.write  # type: ignore[method-assign]
        inner = Factory.forProtocol(lambda: client)
        pump = self.pump("httpsport", TLSMemoryBIOFactory(CertificateOptions(), True, inner, clock=clock))
        pump.flush()
        assert client.transport is not None
        client.transport.write(request)
        for turning in (clock, self.reactor, clock):
            turning.advance(0)
            pump.flush()
        client.transport.loseConnection()
        pump.flush()
        return bytes(heard.value())

    def set(self, message: bytes) -> bytes:
        """Send the setter a message, and take what it says."""
        protocol, transport = self.connect("setport")
        protocol.dataReceived(message)
        protocol.readConnectionLost()
        return bytes(transport.value())

    def metrics(self) -> str:
        """The numbers."""
        return str(self.say("statusport", GET % b"metrics").value().decode())

    def assertAbortedAt(self, seconds: float, transport: StringTransport, told: str) -> None:
        """A connection has so much time from now on."""
        self.reactor.advance(seconds - 0.1)
        self.assertFalse(transport.disconnected, told)
        self.reactor.advance(0.2)
        self.assertTrue(transport.disconnected, told)


class TimeTests(CompositionTestCase):
    """Times."""

    def test_query(self) -> None:
        """A query has its time to arrive; a message of Perspective Broker's and a request's headers have the same."""
        beginnings = {"fingerport": b"x", "webport": b"GET", "statusport": b"GET", "pbport": b"\x01"}
        self.make()
        for option, beginning in beginnings.items():
            self.assertAbortedAt(QUERY, self.say(option, beginning), option)

    def test_body(self) -> None:
        """A request's body has the time of an answer, and so has a message to the setter."""
        self.make()
        for option, beginning in {"webport": POST, "statusport": POST, "setport": b"moshez\n"}.items():
            self.assertAbortedAt(ANSWER, self.say(option, beginning), option)

    def test_backend(self) -> None:
        """A back end that has not answered in time is out of order, whoever asks."""
        self.make()
        queries = [*QUERIES.items(), ("webport", POST + CALL)]
        with patch.object(MemoryFingerService, "getUser", lambda self, user: Deferred()):
            heard = [self.say(option, query) for option, query in queries]
        self.reactor.advance(ANSWER - 0.1)
        before = [transport.value() for transport in heard]
        self.reactor.advance(0.2)
        for transport, earlier in zip(heard, before, strict=True):
            self.assertIn(b"Internal error in server", transport.value()[len(earlier) :])
        self.flushLoggedErrors()

    def test_connection(self) -> None:
        """Where even that does not come, the connection ends soon after."""
        self.make()
        for option, query, method in (
            ("fingerport", QUERIES["fingerport"], "getProfile"),
            ("webport", POST + CALL, "getUser"),
        ):
            with patch.object(PolicyFingerService, method, lambda self, user: Deferred()):
                transport = self.say(option, query)
            self.reactor.advance(ANSWER + 1)
            self.assertFalse(transport.disconnected, option)
            self.reactor.advance(20)
            self.assertTrue(transport.disconnected, option)

    def test_page(self) -> None:
        """A page has the time of an answer, whatever takes long, and be that more than it has by default."""
        for seconds in (ANSWER, 1000.0):
            self.make(answerSeconds=seconds)
            with patch.object(PolicyFingerService, "getProfile", lambda self, user: Deferred()):
                transport = self.say("webport", QUERIES["webport"])
            self.reactor.advance(seconds - 0.1)
            self.assertEqual(transport.value(), b"")
            self.reactor.advance(0.2)
            self.assertIn(b"Internal error in server", transport.value())
            self.flushLoggedErrors()

    def test_close(self) -> None:
        """A peer has as long to take its answer."""
        self.make()
        _, transport = self.connect("pbport")
        notNone(transport.producer).pauseProducing()
        self.assertAbortedAt(ANSWER, transport, "pbport")
        for option in ("fingerport", "webport"):
            transport = self.say(option, QUERIES[option])
            self.assertTrue(transport.value())
            self.assertAbortedAt(ANSWER, transport, option)

    def test_drain(self) -> None:
        """Connections have their time to end when the server is stopped."""
        self.make()
        with patch.object(PolicyFingerService, "getProfile", lambda self, user: Deferred()):
            protocol, transport = self.connect("fingerport")
            protocol.dataReceived(QUERIES["fingerport"])
        with patch("signal.signal"):
            self.server.stopService()
            self.assertAbortedAt(DRAIN, transport, "drain")


class DisclosureTests(CompositionTestCase):
    """What is told, and how."""

    USERS = "ada (Ada Lovelace): Weaving\nzoë (Zoë Exemple): À bientôt\n"

    def setUp(self) -> None:
        """Users with names."""
        self.users = self.mktemp()
        with open(self.users, "w", encoding="utf-8") as file:
            file.write(self.USERS)

    def ask(self, query: bytes, **fields: Any) -> bytes:
        """Ask a server of these users."""
        self.make(backends=("file",), usersFile=self.users, setterPorts=(), **fields)
        return bytes(self.say("fingerport", query + b"\r\n").value())

    def test_list(self) -> None:
        """Users are listed, or not."""
        self.assertIn(b"ada", self.ask(b""))
        self.assertEqual(self.ask(b"", listing=False), b"Finger online user list denied\r\n")

    def test_disclose(self) -> None:
        """What may not be told is not."""
        self.assertIn(b"Weaving", self.ask(b"/W ada"))
        self.assertNotIn(b"Weaving", self.ask(b"/W ada", disclose=frozenset({"name"})))

    def test_utf8(self) -> None:
        """In UTF-8, or in ASCII."""
        name = "zoë".encode()
        self.assertIn("À bientôt".encode(), self.ask(name))
        self.assertTrue(self.ask(name, utf8=False).isascii())

    def test_matchNames(self) -> None:
        """Names that are no logins are looked for, or not."""
        self.assertEqual(self.ask(b"lovelace"), b"No such user\r\n")
        self.assertIn(b"Weaving", self.ask(b"lovelace", matchNames=True))

    def test_forward(self) -> None:
        """Hosts that may be asked are, through so many of them; no other is."""
        refused = b"Finger forwarding service denied\r\n"
        told = b"from there\r\n"
        for query, fields, answer in (
            (b"a@192.0.2.1", {}, refused),
            (b"a@192.0.2.1", {"forward": ("192.0.2.1",)}, told),
            (b"a@192.0.2.2", {"forward": ("192.0.2.1",)}, refused),
            (b"a@192.0.2.2@192.0.2.1", {"forward": ("192.0.2.1",)}, refused),
            (b"a@192.0.2.2@192.0.2.1", {"forward": ("192.0.2.1",), "maxHops": 2}, told),
        ):
            with patch.object(FingerClient, "ask", side_effect=lambda *_: succeed(Answer(b"from there\n"))):
                self.assertEqual(self.ask(query, **fields), answer, query)


class AuthorityTests(CompositionTestCase):
    """Who may set what, and where."""

    def test_administrators(self) -> None:
        """Administrators may set others, and nobody else may."""
        for administrators, said in (((), b"Permission denied\r\n"), (("ada",), b"Status of bob is set\r\n")):
            self.make(administrators=administrators)
            with patch("finger.adapters.setter.peerUser", return_value="ada"):
                self.assertEqual(self.set(b"bob\nnew"), said)

    def test_everywhere(self) -> None:
        """What is set is told by every adapter."""
        self.make()
        self.assertEqual(self.set(b"moshez\nnew"), b"Status of moshez is set\r\n")
        for option, query in QUERIES.items():
            self.assertIn(b"new", self.say(option, query).value(), option)
        self.assertIn(b"new", self.secure(GET % b"moshez"))

    def test_web(self) -> None:
        """On the web people can log in where there are passwords, at so many attempts."""
        put = b"PUT /ada HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YWRhOng=\r\nContent-Length: 3\r\n\r\nnew"
        for checkers, status in (((), b"405"), ((PASSWORDS,), b"401")):
            self.make(checkers=checkers)
            self.assertEqual(self.secure(put).split()[1], status)
        with capturedLogs() as logs:
            for _ in range(ATTEMPTS + 1):
                self.secure(put)
        self.assertIn("127.0.0.1 tries to log in too often", [formatEvent(event) for event in logs])

    def test_pb(self) -> None:
        """So can they by Perspective Broker."""
        for checkers, words in (((), "logging in is not offered here"), ((PASSWORDS,), "wrong name or password")):
            self.make(checkers=checkers)
            client = PBClientFactory()
            login = client.login(UsernamePassword(b"ada", b"wrong"))
            self.pump("pbport", client).flush()
            self.assertEqual(self.failureResultOf(login).getErrorMessage(), words)

    def test_onlyLoopback(self) -> None:
        """A setter that other machines can reach is refused."""
        self.make(setterPorts=("tcp:1080",))
        self.assertIn("other machines could reach it", str(self.assertRaises(ConfigError, self.server.open)))


class LimitTests(CompositionTestCase):
    """What is between a port and its adapter."""

    def test_refusals(self) -> None:
        """Of a flood of refusals a line a second is logged."""
        self.make(maxConnectionsPerAddress=1)
        self.connect("webport", "192.0.2.1")

        def refused() -> int:
            with capturedLogs() as logs:
                for _ in range(10):
                    self.assertIsNone(self.factory("webport").buildProtocol(IPv4Address("TCP", "192.0.2.1", 5)))
            return len([event for event in logs if event.get("outcome") == "TooManyConnections"])

        self.assertEqual(refused(), 1)
        for _ in range(2):
            self.reactor.advance(0.6)
            self.assertEqual(refused(), 0)
            self.reactor.advance(0.4)
            self.assertEqual(refused(), 1)

    def behindProxy(self, host: str, data: bytes) -> StringTransport | None:
        """Connect from a host to the one port there is, and say something; L{None} if it is hung up on."""
        ((_, factory, *_),) = self.reactor.tcpServers
        address = IPv4Address("TCP", host, 5)
        protocol, transport = factory.buildProtocol(address), Transport(peerAddress=address)
        if protocol is None:
            return None
        protocol.makeConnection(transport)
        self.addCleanup(protocol.connectionLost, Failure(ConnectionDone()))
        protocol.dataReceived(b"PROXY TCP4 198.51.100.1 192.0.2.1 5 79\r\n" + data)
        return transport

    def open(self, option: str, **fields: Any) -> None:
        """Make a server of one port, behind a proxy."""
        nowhere = dict.fromkeys((f"{name}Ports" for name in ("finger", "web", "https", "pb", "setter", "status")), ())
        proxied = {option: ("haproxy:tcp:79",), "trustedProxies": ("192.0.2.0/24",)}
        self.make(**nowhere | proxied | fields)
        self.server.open()

    def test_proxied(self) -> None:
        """Who is trusted says for whom it connects; others are sent away, of which a line is logged."""
        self.open("fingerPorts")
        with capturedLogs() as logs:
            transport = self.behindProxy("192.0.2.7", b"moshez\r\n")
            for _ in range(10):
                self.assertIsNone(self.behindProxy("203.0.113.7", b"moshez\r\n"))
        assert transport is not None
        self.assertEqual(transport.value(), b"No such user\r\n")
        told = [(event["adapter"], event["peer"]) for event in logs if "adapter" in event]
        self.assertEqual(told, [("finger", "198.51.100.1"), ("haproxy", "203.0.113.7")])

    def test_proxiedTooMany(self) -> None:
        """One connection too many is closed, also behind a proxy."""
        self.open("webPorts", maxConnectionsPerAddress=1)
        first, second = (self.behindProxy("192.0.2.7", b"GET") for _ in range(2))
        assert first is not None
        assert second is not None
        self.assertEqual((first.disconnecting, second.disconnecting), (False, True))


class SystemdTests(CompositionTestCase):
    """What systemd passes."""

    def test_left(self) -> None:
        """Sockets that no option asks for are told of when the server starts."""
        passed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "other"}
        nowhere = dict.fromkeys((f"{name}Ports" for name in ("finger", "web", "https", "pb", "setter", "status")), ())
        with patch.dict(os.environ, passed), patch("os.set_inheritable"):
            self.make(**nowhere)
            with patch("signal.signal"), capturedLogs() as logs:
                self.server.startService()
                self.successResultOf(self.server.stopService())
        self.assertIn("no option adopts", "\n".join(formatEvent(event) or "" for event in logs))


class TLSTests(CompositionTestCase):
    """HTTPS."""

    def test_development(self) -> None:
        """A certificate that is made is warned of, as no browser trusts it."""
        for fields, count in (({}, 1), ({"ssl": False}, 0)):
            with capturedLogs() as logs:
                self.make(**fields)
            self.assertEqual([formatEvent(event) for event in logs if "log_level" in event].count(UNTRUSTED), count)


class NumberTests(CompositionTestCase):
    """The numbers that the status port has."""

    def count(self, text: str, adapter: str, outcome: str = "NoSuchUser") -> float:
        """How many queries an adapter has had."""
        (line,) = re.findall(rf'(?m)^finger_queries_total{{adapter="{adapter}",outcome="{outcome}"}} (.*)$', text)
        return float(line)

    def test_queries(self) -> None:
        """Whatever is asked is counted, and logged."""
        self.make()
        with capturedLogs() as logs:
            for option, query in QUERIES.items():
                self.say(option, query)
            self.say("webport", POST + CALL)
            self.set(b"moshez\nnew")
        told = [event["adapter"] for event in logs if "adapter" in event]
        self.assertEqual(told, ["finger", "web", "pb", "xmlrpc", "setter"])
        text = self.metrics()
        for adapter in ("finger", "web", "pb", "xmlrpc"):
            self.assertEqual(self.count(text, adapter), 1, adapter)
        self.assertEqual(self.count(text, "setter", "ok"), 1)

    def test_seconds(self) -> None:
        """How long it took is measured on the reactor's clock."""
        self.make()
        with patch.object(MemoryFingerService, "getUser", lambda self, user: Deferred()):
            for option, query in (*QUERIES.items(), ("webport", POST + CALL)):
                self.say(option, query)
        with capturedLogs() as logs:
            self.reactor.advance(ANSWER)
        self.assertEqual([e["milliseconds"] for e in logs if "milliseconds" in e], [ANSWER * 1000] * 4)
        self.flushLoggedErrors()


class IRCTests(CompositionTestCase):
    """The bot."""

    def test_bot(self) -> None:
        """It has its nickname and channels, and what it is asked is answered, counted, and has its time."""
        self.make(ircNick="bot", ircServer="tcp:192.0.2.1:6667", ircChannels=("#a",))
        with patch("signal.signal"):
            for service in self.server:
                if isinstance(service, ClientService):
                    service.startService()
        ((host, port, factory, *_),) = self.reactor.tcpClients
        self.assertEqual((host, port), ("192.0.2.1", 6667))
        bot, transport = notNone(factory.buildProtocol(None)), StringTransport()
        bot.makeConnection(transport)
        self.assertIn(b"NICK :bot\r\n", transport.value())
        bot.dataReceived(b":s 001 bot :Welcome\r\n:u!u@h PRIVMSG bot :moshez\r\n")
        self.reactor.pump([1.0] * 5)
        self.assertIn(b"JOIN :#a\r\n", transport.value())
        self.assertIn(b"NOTICE u :Status of moshez: No such user\r\n", transport.value())
        self.assertIn('finger_queries_total{adapter="irc",outcome="NoSuchUser"} 1.0', self.metrics())
        bot.connectionLost(Failure(ConnectionDone()))
