"""Tests of each setting's effect, with a server made from a configuration and bytes at its adapters."""

from __future__ import annotations

import os
import re
from pathlib import Path
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

from finger.access.attempts import ATTEMPTS
from finger.access.policy import PolicyFingerService
from finger.backends.local import LocalBackend, LocalFingerService
from finger.backends.memory import MemoryFingerService
from finger.client.client import Answer, FingerClient
from finger.errors import ConfigError
from finger.net.limits import LimitedFactory
from finger.ops.server import FingerServer
from finger.service import makeServer
from tests.support.typed import notNone
from tests.unit.test_service import Transport, configure

QUERY, ANSWER, DRAIN = 3.0, 5.0, 2.0
"""The time limits in these tests, in seconds; none is a default."""

HERE = IPv4Address("TCP", "127.0.0.1", 5)
PASSWORDS = InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace")

GET = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
CALL = dumps(("moshez",), "getUser").encode()
POST = b"POST /RPC2 HTTP/1.1\r\nHost: h\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(CALL)
PB_CALL = encode(b"pb") + encode(
    [b"message", 1, b"root", b"getUser", 1, [b"tuple", [b"unicode", b"moshez"]], [b"dictionary"]]
)

QUERIES = {"fingerport": b"moshez\r\n", "webport": GET % b"moshez", "pbport": PB_CALL}
"""A query for a user, by adapter."""

PORTS: dict[str, Any] = {
    **{f"{name}Ports": ("tcp:0",) for name in ("finger", "web", "https", "pb", "status")},
    "setterPorts": ("unix:/nowhere",),
    "backends": ("memory",),
    "ssl": True,
}
"""The settings that open every port."""

UNTRUSTED = "--ssl without --certificate: generated a development certificate, which no browser will trust"

TIMES = {"querySeconds": QUERY, "answerSeconds": ANSWER, "drainSeconds": DRAIN}


class CompositionTestCase(SynchronousTestCase):
    """A server with all listening adapters, on a reactor double."""

    def make(self, **fields: Any) -> FingerServer:
        """Make the server."""
        self.reactor = MemoryReactorClock()
        self.server = makeServer(configure(**PORTS | TIMES | fields), self.reactor)
        return self.server

    def factory(self, option: str) -> LimitedFactory:
        """Return the factory behind an option's ports."""
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
        """Connect and send data; the transport has the answer."""
        protocol, transport = self.connect(option, host)
        protocol.dataReceived(data)
        return transport

    def pump(self, option: str, client: Any) -> IOPump:
        """Connect a client's factory to an option's port."""
        near, far = client.buildProtocol(None), self.factory(option).buildProtocol(HERE)
        theirs = FakeTransport(far, isServer=True, peerAddress=HERE)
        pump: IOPump = connect(far, theirs, near, FakeTransport(near, isServer=False))
        return pump

    def secure(self, request: bytes) -> bytes:
        """Send a request over HTTPS.  Each side's reactor must turn once to send what was written."""
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
        """Send a message to the setter, and return its reply."""
        protocol, transport = self.connect("setport")
        protocol.dataReceived(message)
        protocol.readConnectionLost()
        return bytes(transport.value())

    def metrics(self) -> str:
        """Return the metrics."""
        return str(self.say("statusport", GET % b"metrics").value().decode())

    def assertAbortedAt(self, seconds: float, transport: StringTransport, message: str) -> None:
        """Check that a connection is closed after so many seconds."""
        self.reactor.advance(seconds - 0.1)
        self.assertFalse(transport.disconnected, message)
        self.reactor.advance(0.2)
        self.assertTrue(transport.disconnected, message)


class TimeTests(CompositionTestCase):
    """Time limits."""

    def test_query(self) -> None:
        """
        The query timeout limits the arrival of a query, of a Perspective Broker message, and of a request's headers.
        """
        beginnings = {"fingerport": b"x", "webport": b"GET", "statusport": b"GET", "pbport": b"\x01"}
        self.make()
        for option, beginning in beginnings.items():
            self.assertAbortedAt(QUERY, self.say(option, beginning), option)

    def test_body(self) -> None:
        """The answer timeout limits the arrival of a request's body, and of a message to the setter."""
        self.make()
        for option, beginning in {"webport": POST, "statusport": POST, "setport": b"moshez\n"}.items():
            self.assertAbortedAt(ANSWER, self.say(option, beginning), option)

    def test_backend(self) -> None:
        """The answer timeout limits the time of the back end, on each adapter."""
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
        """If there is no answer even then, the connection is closed soon after."""
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
        """The answer timeout limits the time of a page, and may be longer than the default."""
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
        """The answer timeout limits the time for the peer to receive the answer."""
        self.make()
        _, transport = self.connect("pbport")
        notNone(transport.producer).pauseProducing()
        self.assertAbortedAt(ANSWER, transport, "pbport")
        for option in ("fingerport", "webport"):
            transport = self.say(option, QUERIES[option])
            self.assertTrue(transport.value())
            self.assertAbortedAt(ANSWER, transport, option)

    def test_drain(self) -> None:
        """The drain timeout limits the time for connections to end when the server stops."""
        self.make()
        with patch.object(PolicyFingerService, "getProfile", lambda self, user: Deferred()):
            protocol, transport = self.connect("fingerport")
            protocol.dataReceived(QUERIES["fingerport"])
        with patch("signal.signal"):
            self.server.stopService()
            self.assertAbortedAt(DRAIN, transport, "drain")


class DisclosureTests(CompositionTestCase):
    """Settings of what is disclosed."""

    USERS = "ada (Ada Lovelace): Weaving\nzoë (Zoë Exemple): À bientôt\n"

    def setUp(self) -> None:
        """Write a users file with names."""
        self.users = self.mktemp()
        with open(self.users, "w", encoding="utf-8") as file:
            file.write(self.USERS)

    def ask(self, query: bytes, **fields: Any) -> bytes:
        """Query a server with these users."""
        self.make(backends=("file",), usersFile=self.users, setterPorts=(), **fields)
        return bytes(self.say("fingerport", query + b"\r\n").value())

    def test_list(self) -> None:
        """The user list can be disabled."""
        self.assertIn(b"ada", self.ask(b""))
        self.assertEqual(self.ask(b"", listing=False), b"Finger online user list denied\r\n")

    def test_disclose(self) -> None:
        """Fields that are not disclosed are not shown."""
        self.assertIn(b"Weaving", self.ask(b"/W ada"))
        self.assertNotIn(b"Weaving", self.ask(b"/W ada", disclose=frozenset({"name"})))

    def test_utf8(self) -> None:
        """Answers are in UTF-8 or in ASCII."""
        name = "zoë".encode()
        self.assertIn("À bientôt".encode(), self.ask(name))
        self.assertTrue(self.ask(name, utf8=False).isascii())

    def test_matchNames(self) -> None:
        """First, last and full names match if that is enabled."""
        self.assertEqual(self.ask(b"lovelace"), b"No such user\r\n")
        self.assertIn(b"Weaving", self.ask(b"lovelace", matchNames=True))

    def test_forward(self) -> None:
        """A query is forwarded only to allowed hosts, and only over the allowed number of hops."""
        refused = b"Finger forwarding service denied\r\n"
        relayed = b"from there\r\n"
        for query, fields, answer in (
            (b"a@192.0.2.1", {}, refused),
            (b"a@192.0.2.1", {"forward": ("192.0.2.1",)}, relayed),
            (b"a@192.0.2.2", {"forward": ("192.0.2.1",)}, refused),
            (b"a@192.0.2.2@192.0.2.1", {"forward": ("192.0.2.1",)}, refused),
            (b"a@192.0.2.2@192.0.2.1", {"forward": ("192.0.2.1",), "maxHops": 2}, relayed),
        ):
            with patch.object(FingerClient, "ask", side_effect=lambda *_: succeed(Answer(b"from there\n"))):
                self.assertEqual(self.ask(query, **fields), answer, query)


class AuthorityTests(CompositionTestCase):
    """Setting statuses."""

    def test_administrators(self) -> None:
        """Only an administrator can set another user's status."""
        for administrators, reply in (((), b"Permission denied\r\n"), (("ada",), b"Status of bob is set\r\n")):
            self.make(administrators=administrators)
            with patch("finger.adapters.setter.peerUser", return_value="ada"):
                self.assertEqual(self.set(b"bob\nnew"), reply)

    def test_hidden(self) -> None:
        """A status that an earlier back end hides is not set."""
        users = self.mktemp()
        Path(users).write_text("ada: Weaving\n")
        self.make(backends=("file", "memory"), usersFile=users)
        self.assertEqual(self.set(b"moshez\nnew"), b"Status of moshez is set\r\n")
        why = b"ada's status comes from the file back end, which cannot be set\r\n"
        self.assertEqual(self.set(b"ada\nnew"), why)
        self.make(backends=("memory", "file"), usersFile=users)
        self.assertEqual(self.set(b"ada\nnew"), b"Status of ada is set\r\n")

    def test_maxUsers(self) -> None:
        """The number of users is limited by each back end to which users can be added."""
        self.make(maxUsers=1)
        self.assertEqual(self.set(b"ada\nnew"), b"Status of ada is set\r\n")
        self.assertEqual(self.set(b"bob\nnew"), b"no user can be added: there are already 1\r\n")

    def test_aliases(self) -> None:
        """An alias is answered by all adapters, and its status cannot be set."""
        path = Path(self.mktemp())
        path.write_text("editor: moshez\n")
        self.make(aliasesFile=str(path))
        self.assertEqual(self.set(b"moshez\nnew"), b"Status of moshez is set\r\n")
        self.assertEqual(self.set(b"editor\nx"), b"editor is an alias; set the status of its user\r\n")
        for option, query in QUERIES.items():
            self.assertIn(b"new", self.say(option, query.replace(b"moshez", b"editor")).value(), option)
        self.assertIn("aliases", self.server.reloadables)

    def test_texts(self) -> None:
        """The administrator's texts are answered by the adapters, and read again at a reload."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "unknown.txt").write_text("Unknown here")
        self.make(texts=str(directory))
        for option in ("fingerport", "webport"):
            self.assertIn(b"Unknown here", self.say(option, QUERIES[option]).value(), option)
        self.assertIn("texts", self.server.reloadables)

    def test_atoms(self) -> None:
        """A back end that reads only the fields that are disclosed is told which these are."""
        service = LocalFingerService(Clock())
        self.patch(LocalBackend, "makeBackend", lambda *arguments: service)
        self.make(backends=("local", "memory"), disclose=frozenset({"plan", "pubkey"}))
        self.assertEqual(service.atoms, {"plan", "pubkey"})

    def test_everywhere(self) -> None:
        """A new status is shown by all adapters."""
        self.make()
        self.assertEqual(self.set(b"moshez\nnew"), b"Status of moshez is set\r\n")
        for option, query in QUERIES.items():
            self.assertIn(b"new", self.say(option, query).value(), option)
        self.assertIn(b"new", self.secure(GET % b"moshez"))

    def test_web(self) -> None:
        """On the web, users can log in if there are passwords, with a limited number of attempts."""
        put = b"PUT /ada HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YWRhOng=\r\nContent-Length: 3\r\n\r\nnew"
        for checkers, status in (((), b"405"), ((PASSWORDS,), b"401")):
            self.make(checkers=checkers)
            self.assertEqual(self.secure(put).split()[1], status)
        with capturedLogs() as logs:
            for _ in range(ATTEMPTS + 1):
                self.secure(put)
        self.assertIn("127.0.0.1 tries to log in too often", [formatEvent(event) for event in logs])

    def test_pb(self) -> None:
        """So can they with Perspective Broker."""
        for checkers, words in (((), "logging in is not offered here"), ((PASSWORDS,), "wrong name or password")):
            self.make(checkers=checkers)
            client = PBClientFactory()
            login = client.login(UsernamePassword(b"ada", b"wrong"))
            self.pump("pbport", client).flush()
            self.assertEqual(self.failureResultOf(login).getErrorMessage(), words)

    def test_onlyLoopback(self) -> None:
        """A setter port that other machines can reach is refused."""
        self.make(setterPorts=("tcp:1080",))
        self.assertIn("other machines could reach it", str(self.assertRaises(ConfigError, self.server.open)))


class LimitTests(CompositionTestCase):
    """Connection limits and the PROXY protocol."""

    def test_refusals(self) -> None:
        """Of refused connections, one line per second is logged."""
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
        """Connect to the only port from a host, and send data; return None if the connection is refused."""
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
        """Make a server with one port, behind a proxy."""
        nowhere = dict.fromkeys((f"{name}Ports" for name in ("finger", "web", "https", "pb", "setter", "status")), ())
        proxied = {option: ("haproxy:tcp:79",), "trustedProxies": ("192.0.2.0/24",)}
        self.make(**nowhere | proxied | fields)
        self.server.open()

    def test_proxied(self) -> None:
        """A trusted proxy names the client; other peers are refused, with one line in the log."""
        self.open("fingerPorts")
        with capturedLogs() as logs:
            transport = self.behindProxy("192.0.2.7", b"moshez\r\n")
            for _ in range(10):
                self.assertIsNone(self.behindProxy("203.0.113.7", b"moshez\r\n"))
        assert transport is not None
        self.assertEqual(transport.value(), b"No such user\r\n")
        logged = [(event["adapter"], event["peer"]) for event in logs if "adapter" in event]
        self.assertEqual(logged, [("finger", "198.51.100.1"), ("haproxy", "203.0.113.7")])

    def test_proxiedTooMany(self) -> None:
        """A connection beyond the limit is closed, also behind a proxy."""
        self.open("fingerPorts", maxConnectionsPerAddress=1)
        first, second = (self.behindProxy("192.0.2.7", b"moshez") for _ in range(2))
        assert first is not None
        assert second is not None
        self.assertEqual((first.disconnecting, second.disconnecting), (False, True))

    def test_proxiedRequests(self) -> None:
        """On the web, the limit counts the requests of each client, not the connections of the proxy."""
        self.open("webPorts", maxConnectionsPerAddress=1)
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n"
        first, second = (self.behindProxy("192.0.2.7", head) for _ in range(2))
        assert first is not None
        assert second is not None
        self.assertEqual((first.value(), second.value()[:12]), (b"", b"HTTP/1.1 429"))


class SystemdTests(CompositionTestCase):
    """Sockets passed by systemd."""

    def test_left(self) -> None:
        """Sockets that no option adopts are reported at the start."""
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
        """A generated certificate causes a warning, as no browser trusts it."""
        for fields, count in (({}, 1), ({"ssl": False}, 0)):
            with capturedLogs() as logs:
                self.make(**fields)
            self.assertEqual([formatEvent(event) for event in logs if "log_level" in event].count(UNTRUSTED), count)


class NumberTests(CompositionTestCase):
    """The metrics."""

    def count(self, text: str, adapter: str, outcome: str = "NoSuchUser") -> float:
        """Return the number of an adapter's queries."""
        (line,) = re.findall(rf'(?m)^finger_queries_total{{adapter="{adapter}",outcome="{outcome}"}} (.*)$', text)
        return float(line)

    def test_queries(self) -> None:
        """Each query is counted and logged."""
        self.make()
        with capturedLogs() as logs:
            for option, query in QUERIES.items():
                self.say(option, query)
            self.say("webport", POST + CALL)
            self.set(b"moshez\nnew")
        logged = [event["adapter"] for event in logs if "adapter" in event]
        self.assertEqual(logged, ["finger", "web", "pb", "xmlrpc", "setter"])
        text = self.metrics()
        for adapter in ("finger", "web", "pb", "xmlrpc"):
            self.assertEqual(self.count(text, adapter), 1, adapter)
        self.assertEqual(self.count(text, "setter", "ok"), 1)

    def test_seconds(self) -> None:
        """The time a query takes is measured with the reactor's clock."""
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
        """The bot uses its nickname and channels; queries are answered, counted and limited in time."""
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
