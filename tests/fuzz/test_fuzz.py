"""
Fuzzing tests for every parser and every adapter (docs/fuzzing.md).

Among the unit tests, each test tries a few inputs, the same each time.  C{make fuzz EXAMPLES=100000} tries many.
Inputs that made a test fail are kept as C{@example}.
"""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from xmlrpc.client import Fault, dumps, loads

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.spread.banana import Banana
from twisted.web.resource import IResource

import finger.adapters.finger
import finger.adapters.profile
import finger.adapters.setter
from finger.access.authority import Authority
from finger.access.policy import PolicyFingerService
from finger.adapters.finger import FingerFactory
from finger.adapters.irc.bot import IRCBotFactory
from finger.adapters.irc.messages import (
    Features,
    Message,
    ctcpCommand,
    cut,
    firstLines,
    formatMessage,
    otherNicknames,
    parseMessage,
    plain,
    wrap,
)
from finger.adapters.pb.broker import BoundedPBServerFactory
from finger.adapters.pb.root import PerspectiveFinger
from finger.adapters.setter import FingerSetterFactory
from finger.adapters.web.resource import FingerResource
from finger.adapters.web.tls import ReloadingCertificate, developmentCertificate
from finger.adapters.xmlrpc import FingerXMLRPC
from finger.adapters.xmlrpc.resource import MAX_CALLS
from finger.backends.memory import MemoryFingerService
from finger.backends.proxy import ProxyFingerService
from finger.backends.usersfile import SLICE, parseUsers
from finger.client.client import Answer, FingerClient, formatName
from finger.client.targets import parseTarget
from finger.errors import BadQuery, FingerError, NoSuchUser, RemoteUnreachable
from finger.interfaces import IFingerFactory, IFingerService
from finger.log.querylog import QueryLog
from finger.net.http import BoundedSite
from finger.net.tls import HalfCloseableTLSFactory
from finger.ops.health import StatusResource
from finger.ops.metrics import MIXED, OPENMETRICS, OUTCOMES, TEXT, Metrics
from finger.profile import Profile
from finger.protocol import wire
from finger.protocol.hosts import isGlobal, parseAddress, parseHost, parseHostPort, parseNetwork
from finger.protocol.names import canonical, fold, parseName
from finger.protocol.setting import MAX_MESSAGE, isSealed
from finger.protocol.setting import formatMessage as formatSetting
from finger.protocol.setting import parseMessage as parseSetting
from finger.protocol.telnet import TelnetFilter, withoutTelnet
from finger.protocol.wire import (
    MAX_NAMES,
    Query,
    clean,
    cleanLine,
    decode,
    encode,
    formatAnswer,
    formatList,
    formatQuery,
    parseList,
    parseQuery,
    splitHost,
    toASCII,
)
from tests.fuzz import documents, inputs
from tests.fuzz.inputs import labels, texts, tries
from tests.fuzz.peers import PEER, USERS, Behaviour, FuzzTestCase, SlowDouble, behaviours, readResponses
from tests.support.othernet import ClientDouble, Network
from tests.support.typed import asType
from tests.support.usersbyline import parseByLine


class WireTests(FuzzTestCase):
    """Tests for L{finger.protocol.wire}."""

    @tries()
    @given(inputs.queries)
    def test_parseQuery(self, line: bytes) -> None:
        """Any line is L{BadQuery} or a query whose names are valid and not too many."""
        with self.quiet(), contextlib.suppress(BadQuery):
            query = parseQuery(line)
            self.assertLessEqual(len(query.names), MAX_NAMES)
            for name in query.names:
                self.assertNotRegex(name, "[ \t]")
                self.assertTrue(name)
                splitHost(name)

    @tries()
    @given(texts, st.booleans())
    @example("@", False)
    def test_formatQuery(self, names: str, verbose: bool) -> None:
        """A query is formatted as one clean line, which is parsed to the same query."""
        with self.quiet(), contextlib.suppress(BadQuery):
            line = formatQuery(names, verbose)
            self.assertClean(line)
            self.assertEqual(line.count(b"\n"), 1)
            self.assertLessEqual(len(line), wire.MAX_LINE + 2)
            with contextlib.suppress(BadQuery):
                self.assertTrue(parseQuery(line).verbose or not verbose)

    @tries()
    @given(texts, st.booleans())
    @example("@\ufe00", False)
    def test_formatName(self, name: str, verbose: bool) -> None:
        """One name is formatted as a query for one name, without invisible characters."""
        with self.quiet(), contextlib.suppress(NoSuchUser):
            line, visible = formatName(name, verbose), canonical(name)
            self.assertEqual(line.decode().removeprefix("/W ").removesuffix("\r\n"), visible)
            local = visible[:-1] if visible.count("@") == 1 else visible
            expected = local if visible.endswith("@") else visible
            self.assertEqual(parseQuery(formatName(name, verbose)), Query(verbose, (expected,) if expected else ()))

    @tries()
    @given(texts, st.booleans())
    @example("\r\n\r", True)
    def test_encode(self, text: str, utf8: bool) -> None:
        """A text is encoded cleanly in both character sets, and decoded to the cleaned text."""
        with self.quiet():
            wire = encode(text, utf8)
            self.assertClean(wire, utf8=utf8)
            self.assertTrue(wire.endswith(b"\r\n"))
            self.assertEqual(decode(wire), clean(text if utf8 else toASCII(text)).removesuffix("\n"))

    @tries()
    @given(inputs.answers)
    def test_decode(self, answer: bytes) -> None:
        """Any bytes are decoded to displayable text."""
        with self.quiet():
            self.assertShowable(decode(answer), besides="\n\t")

    @tries()
    @given(texts)
    def test_clean(self, text: str) -> None:
        """Cleaning a clean text does not change it, and a cleaned line is one line."""
        with self.quiet():
            self.assertEqual(clean(clean(text)), clean(text))
            self.assertEqual(cleanLine(cleanLine(text)), cleanLine(text))
            self.assertShowable(cleanLine(text), besides="")

    @tries()
    @given(st.lists(st.builds(Profile, labels, st.one_of(st.none(), labels)), max_size=4))
    def test_list(self, profiles: list[Profile]) -> None:
        """A formatted list of valid names is parsed to the same list; any other list is parsed without an error."""
        with self.quiet():
            self.assertClean(encode(formatList(profiles)))
            parseList(formatList(profiles))
            proper = {
                p.login: Profile(p.login, cleanLine(p.name or "") or None)
                for p in profiles
                if p.login == "".join(cleanLine(p.login).split()) not in {"", "Login"}
            }
            self.assertEqual(parseList(formatList(proper.values())), [proper[login] for login in sorted(proper)])

    @tries()
    @given(
        st.builds(Profile, labels, *[st.one_of(st.none(), labels)] * 5, st.none(), st.none(), labels),
        st.booleans(),
        st.booleans(),
    )
    def test_answer(self, profile: Profile, verbose: bool, utf8: bool) -> None:
        """Any profile is formatted as a clean answer."""
        with self.quiet():
            self.assertClean(encode(formatAnswer(profile, verbose), utf8), utf8=utf8)

    @tries()
    @given(inputs.answers)
    def test_parseList(self, answer: bytes) -> None:
        """Any answer is parsed to a sorted list without empty or repeated logins."""
        with self.quiet():
            logins = [profile.login for profile in parseList(decode(answer))]
            self.assertEqual(logins, sorted(set(logins)))
            self.assertNotIn("", logins)


class NamesTests(FuzzTestCase):
    """Tests for L{finger.protocol.names}."""

    @tries()
    @given(texts)
    def test_parseName(self, text: str) -> None:
        """Any text is L{BadQuery} or a visible name, which a query can request and a list can show."""
        with self.quiet(), contextlib.suppress(BadQuery):
            name = parseName(text)
            self.assertEqual(parseName(name), name)
            self.assertEqual(parseQuery(text.encode()), Query(False, (name,)))
            self.assertEqual(parseQuery(formatName(name)), Query(False, (name,)))
            self.assertEqual(cleanLine(name), name)
            self.assertEqual(parseList(formatList([Profile(name)])), [Profile(name)] if name != "Login" else [])
            self.assertEqual(fold(fold(name)), fold(name))


class TelnetTests(FuzzTestCase):
    """Tests for L{finger.protocol.telnet}."""

    @tries()
    @given(inputs.queries, inputs.chunkings)
    def test_pieces(self, data: bytes, sizes: list[int]) -> None:
        """The same bytes are removed, however the data is split; nothing is added."""
        with self.quiet():
            whole = TelnetFilter().feed(data)
            pieces = TelnetFilter()
            self.assertEqual(b"".join(map(pieces.feed, inputs.pieces(data, sizes))), whole)
            self.assertLessEqual(len(withoutTelnet(data).replace(b"\xef\xbf\xbd", b"")), len(data))


class HostsTests(FuzzTestCase):
    """Tests for L{finger.protocol.hosts}."""

    hosts = st.one_of(
        texts,
        st.lists(st.sampled_from(["1", "0x7f", "127", "0", "255", ".", ":", "::", "a", "é", "。", "٣"])).map("".join),
        st.lists(st.sampled_from(["[", "]", "%", "1", ":", "::", "a", "ffff", "99999", "-", "_"])).map("".join),
    )

    @tries()
    @given(hosts)
    @example("0x7f000001")
    @example("1.2.3.0x4")
    def test_parseHost(self, text: str) -> None:
        """Any text is L{ValueError} or a normalized host; a name is not an address for any resolver."""
        with self.quiet(), contextlib.suppress(ValueError):
            host = parseHost(text)
            self.assertEqual(parseHost(host), host)
            self.assertShowable(host, besides="")
            if parseAddress(host) is None:
                self.assertNotIn(b"@", host.encode("ascii"))
                self.assertRaises(OSError, socket.inet_aton, host)

    @tries()
    @given(hosts)
    def test_parseHostPort(self, text: str) -> None:
        """Any text is L{ValueError} or a host with a valid port."""
        with self.quiet(), contextlib.suppress(ValueError):
            _, port = parseHostPort(text, 79)
            self.assertIn(port, range(1, 65536))

    arguments = st.builds(
        str.__add__,
        st.sampled_from(["", "finger://", "FINGER://", "finger:", "http://", "a@", "a@[", "finger://["]),
        st.one_of(
            texts,
            hosts,
            st.lists(
                st.sampled_from(
                    ["/", "@", ":", "%", "%25", "%0d%0a", "%C3%AB", "%ff", "[", "]", "::1", "a", "79", "?"]
                )
            ).map("".join),
        ),
    )

    @tries()
    @given(arguments, st.booleans())
    @example("finger://[fe80::1%25eth0]:1079/moshez", False)
    def test_parseTarget(self, text: str, verbose: bool) -> None:
        """Any argument of the client is L{ValueError}, of one line, or one clean line for one host."""
        with self.quiet():
            try:
                target = parseTarget(text, verbose)
            except ValueError as error:
                self.assertShowable(str(error), besides="")
                return
            self.assertClean(target.query)
            self.assertEqual(target.query.count(b"\n"), 1)
            self.assertEqual(target.host, target.host and parseHost(target.host))
            self.assertIn(target.port or 79, range(1, 65536))

    @tries()
    @given(hosts)
    def test_isGlobal(self, text: str) -> None:
        """A text that is not an address is not a public address."""
        with self.quiet():
            self.assertFalse(isGlobal(text) and parseAddress(text) is None)


class UsersFileTests(FuzzTestCase):
    """Tests for L{finger.backends.usersfile}."""

    @tries()
    @given(inputs.usersFiles)
    def test_parseUsers(self, content: bytes) -> None:
        """Any bytes are parsed to users with valid logins, and problems of existing lines."""
        with self.quiet():
            users = parseUsers(content)
            for login, profile in users.profiles.items():
                self.assertEqual(profile.login, login)
                self.assertEqual(parseQuery(login.encode()), Query(False, (login,)))
                self.assertClean(encode(formatAnswer(profile)))
            for number, problem in users.problems:
                self.assertIn(number, range(1, content.count(b"\n") + 2))
                self.assertTrue(problem.isprintable(), problem)

    @tries(300)
    @given(inputs.usersFiles, st.sampled_from([1, 10, SLICE]))
    @example(b"#: ", SLICE)
    def test_parseQuickly(self, content: bytes, size: int) -> None:
        """Any bytes have the same users and problems as if parsed in the plainest way, wherever they are cut."""
        with self.quiet(), patch("finger.backends.usersfile.SLICE", size):
            users = parseUsers(content)
            profiles, problems = parseByLine(content)
            self.assertEqual(list(users.profiles.values()), profiles)
            self.assertEqual([users.profiles[profile.login] for profile in profiles], profiles)
            self.assertEqual(list(users.problems), problems)

    @tries()
    @given(st.dictionaries(st.text("aé.#-", min_size=1), st.tuples(labels, labels), max_size=4))
    def test_roundTrip(self, users: dict[str, tuple[str, str]]) -> None:
        """A valid users file is parsed to the users it was written from."""
        with self.quiet():
            expected: dict[str, Profile] = {}
            lines: list[str] = []
            for login, (name, status) in users.items():
                name, status = (cleanLine(text).translate(dict.fromkeys(b"():")).strip() for text in (name, status))
                if login[0] not in "#-":
                    expected[login] = Profile(login, name, status)
                    lines.append(f"{login} ({name}): {status}")
            self.assertEqual(dict(parseUsers("\n".join(lines).encode()).profiles), expected)


class IRCWireTests(FuzzTestCase):
    """Tests for L{finger.adapters.irc.messages}."""

    @tries()
    @given(inputs.ircSession)
    def test_parse(self, line: bytes) -> None:
        """Any line is parsed to a message without line ends, or to none."""
        with self.quiet():
            message = parseMessage(line)
            if message is not None:
                for part in (message.command, message.prefix, *message.params):
                    self.assertNotRegex(part, "[\r\n\0]")

    @tries()
    @given(st.lists(texts, min_size=1, max_size=4))
    def test_format(self, params: list[str]) -> None:
        """Any parameters are formatted as one valid line."""
        with self.quiet():
            self.assertIsLine(formatMessage("NOTICE", *params))

    @tries()
    @given(st.lists(st.text("a#é☃,", min_size=1, max_size=9), max_size=3), labels)
    def test_roundTrip(self, middle: list[str], last: str) -> None:
        """A formatted message is parsed to the same message."""
        with self.quiet():
            text = cleanLine(last)
            expected = Message("NOTICE", (*middle, text))
            self.assertEqual(parseMessage(formatMessage("NOTICE", *middle, text)), expected)

    @tries()
    @given(texts, st.integers(4, 100))
    @example("\ud800", 10)
    @example("\u3000a", 4)
    def test_wrap(self, text: str, limit: int) -> None:
        """A text is wrapped to lines within the limit, none blank, and only spaces are lost."""
        with self.quiet():
            lines = wrap(text, limit)
            for line in lines:
                self.assertTrue(line.strip())
                self.assertLessEqual(len(line.encode("utf-8", "replace")), limit)
            sent = text.encode("utf-8", "replace").decode()
            self.assertEqual("".join("".join(lines).split()), "".join(sent.split()))
            self.assertLessEqual(len(firstLines(lines)), 6)
            self.assertLessEqual(len(cut(text, limit).encode()), limit)

    @tries()
    @given(st.lists(st.one_of(labels, labels.map("NICKLEN={}".format), labels.map("CHANTYPES={}".format))), labels)
    @example(["NICKLEN=" + "9" * 5000], "")
    def test_features(self, tokens: list[str], text: str) -> None:
        """Any feature tokens of a server and any nicknames are accepted."""
        with self.quiet():
            features = Features().updated(tokens)
            features.isChannel(text)
            features.addressed(text, text[:3])
            self.assertTrue(features.same(text, text))
            plain(text)
            ctcpCommand(text)
            list(otherNicknames(text[: features.nickLength]))


class SetterParserTests(FuzzTestCase):
    """Tests for L{finger.protocol.setting.parseMessage}."""

    @tries()
    @given(inputs.messages)
    def test_parse(self, message: bytes) -> None:
        """Any message is L{BadQuery} or a user and a status."""
        with self.quiet(), contextlib.suppress(BadQuery):
            user, status = parseSetting(message)
            self.assertEqual(parseQuery(user.encode()), Query(False, (user,)))
            self.assertTrue(status.strip())
            self.assertIsNone(re.search(rb"\bHTTP/1", message.partition(b"\n")[0]))

    @tries()
    @given(st.text("a\r\n\t\u2028 "), st.data())
    def test_cut(self, status: str, data: st.DataObject) -> None:
        """A sealed message is read as it was formatted, and no beginning of it is valid."""
        with self.quiet():
            message = formatSetting("moshez", status)
            with contextlib.suppress(BadQuery):
                self.assertEqual(parseSetting(message)[1], re.sub("\r+\n", "\n", status).strip("\n"))
            length = data.draw(st.integers(0, len(message) - 1))
            self.assertRaises(BadQuery, parseSetting, message[:length])


class ServerTestCase(FuzzTestCase):
    """A base for tests of servers with L{USERS}."""

    def begin(self, behaviour: Behaviour) -> tuple[Clock, IFingerService]:
        """Return a clock and a back end."""
        clock = Clock()
        return clock, PolicyFingerService(SlowDouble(MemoryFingerService(USERS), clock, behaviour.delay), clock)


class FingerTests(ServerTestCase):
    """Tests for the finger adapter (RFC 1288)."""

    @tries()
    @given(inputs.queries, behaviours, st.booleans(), st.booleans())
    def test_query(self, data: bytes, behaviour: Behaviour, utf8: bool, matchNames: bool) -> None:
        """
        A query has one answer, however it is split into pieces; the end of the data ends it, too.  Without a query,
        the connection closes.
        """
        clock, service = self.begin(behaviour)
        factory = asType(FingerFactory, IFingerFactory(service))
        factory.clock, factory.utf8, factory.matchNames = clock, utf8, matchNames
        factory.queries = QueryLog(clock)
        answer = self.converse(factory, clock, data, behaviour)
        self.assertClean(answer, utf8=utf8)
        if behaviour.isPlain:
            telnet = TelnetFilter()
            line, end, _ = telnet.feed(data).partition(b"\n")
            if behaviour.ends and not end:
                line += telnet.end()
            if len(line) > wire.MAX_LINE + 1:
                self.assertEqual(answer, b"Bad query\r\n")
            elif end or (line and behaviour.ends):
                self.assertEqual(answer, self.successResultOf(factory.answer(line, "again")))
            else:
                self.assertEqual(answer, b"")

    @tries()
    @given(inputs.queries, st.booleans(), st.booleans())
    def test_now(self, data: bytes, utf8: bool, matchNames: bool) -> None:
        """An answer without a protocol is the same as with one."""
        clock = Clock()
        service = PolicyFingerService(MemoryFingerService(USERS), clock)
        factory = asType(FingerFactory, IFingerFactory(service))
        factory.clock, factory.utf8, factory.matchNames = clock, utf8, matchNames
        answer = factory.answerNow(data, "192.0.2.1")
        if answer is not None:
            self.assertEqual(answer, self.converse(factory, clock, data, Behaviour()))


class SetterTests(FuzzTestCase):
    """Tests for the setter."""

    @tries()
    @given(inputs.messages, behaviours)
    @example(formatSetting("moshez", "here"), Behaviour(ends=True))
    @example(b"x" * (MAX_MESSAGE + 1), Behaviour(isReading=False))
    @example(b"x" * (MAX_MESSAGE + 1), Behaviour(ends=True, isReading=False))
    def test_message(self, data: bytes, behaviour: Behaviour) -> None:
        """Any message is answered with one line, which reports correctly whether the status is set."""
        clock, service = Clock(), MemoryFingerService()
        factory = FingerSetterFactory(service)
        factory.clock = clock
        answer = self.converse(factory, clock, data, behaviour)
        self.assertClean(answer)
        self.assertLessEqual(answer.count(b"\n"), 1)
        if behaviour.isPlain and behaviour.ends:
            self.assertEqual(answer.count(b"\n"), 1)
            success = b" is set\tset\r\n" if isSealed(data) else b" is set\r\n"
            self.assertEqual(answer.endswith(success), self.isSet(service, data), answer)

    def isSet(self, service: MemoryFingerService, data: bytes) -> bool:
        """Return whether the service has the status of a message."""
        try:
            user, status = parseSetting(data)
        except BadQuery:
            return False
        found: list[object] = []
        service.getUser(user).addBoth(found.append)
        return found == [status]


METHOD_HELP = (
    b"<methodCall><methodName>system.methodHelp</methodName><params>"
    b"<param><value>%s</value></param></params></methodCall>"
)

MULTICALLED: tuple[Any, ...] = (
    *("getUser", "getUser", "getUsers", "system.listMethods", "system.multicall", "nothing", "", 1, ["getUser"]),
)
"""The names of methods in C{system.multicall}, some of them not names."""
PARAMS: tuple[Any, ...] = ([], ["moshez"], ["nobody"], ["moshez", "nasty"], [1], [[]], [{}], "moshez", {}, 1)
"""The parameters of each, some of them not lists."""
RIGHT_CALLS: tuple[tuple[Any, Any], ...] = (
    *(("getUser", ["moshez"]), ("getUser", ["nobody"]), ("getUsers", []), ("system.listMethods", [])),
)


class _SeenSite(BoundedSite):
    """A site that records the methods of the requests it has answered."""

    methods: list[bytes]

    def log(self, request: Any) -> None:
        self.methods.append(request.method)


class WebTests(ServerTestCase):
    """Tests for the web and XML-RPC."""

    def setUp(self) -> None:
        """Make the resources once, because reading templates takes longer than a request."""
        super().setUp()
        self.root = FingerResource(MemoryFingerService())
        self.calls = FingerXMLRPC(MemoryFingerService())
        self.root.putChild(b"RPC2", self.calls)
        made = developmentCertificate()
        self.certificate = ReloadingCertificate(lambda: made, "fuzz", None)

    def ask(self, data: bytes, behaviour: Behaviour) -> list[Any]:
        """Return the responses to some requests."""
        clock, service = self.begin(behaviour)
        settable = MemoryFingerService()
        checker = InMemoryUsernamePasswordDatabaseDontUse(moshez=b"secret")
        self.root.authority = Authority(settable, clock, [checker])
        self.root._profiles = finger.interfaces.IFingerProfileService(service)
        self.calls._service = service
        self.root.clock = self.calls.clock = clock
        self.root.queries = self.calls.queries = QueryLog(clock)
        site = _SeenSite(IResource(self.root), clock, trusted=[parseNetwork(PEER.host)])
        site.methods = []
        return readResponses(self.converse(site, clock, data, behaviour), site.methods)

    @tries(150)
    @given(inputs.requests, behaviours)
    @example(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", Behaviour())
    @example(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\nExpect: 100-continue\r\n\r\n", Behaviour())
    @example(b"GET /RPC2?\xff HTTP/1.1\r\nHost: h\r\n\r\n", Behaviour())
    @example(b"HEAD /RPC2 HTTP/1.1\r\nHost: h\r\n\r\n", Behaviour())
    @example(b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n", Behaviour([1], isTLS=True))
    @example(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", Behaviour(delay=100.0))
    def test_requests(self, data: bytes, behaviour: Behaviour) -> None:
        """Each request has a response, except that a refusal or a close may end the connection."""
        for response in self.ask(data, behaviour):
            if response.code not in {501, 505}:
                self.assertIn(response.code // 100, {2, 3, 4} if behaviour.delay is None else {2, 3, 4, 5})
            self.assertShowable(response.body.decode("utf-8"), besides="\n\r\t")

    @tries()
    @given(inputs.handshakes, behaviours)
    def test_handshakes(self, data: bytes, behaviour: Behaviour) -> None:
        """Any TLS handshake ends with a close."""
        clock = Clock()
        site = BoundedSite(self.root, clock)
        secure = HalfCloseableTLSFactory(self.certificate, False, site, clock=clock)
        self.converse(secure, clock, data, replace(behaviour, isTLS=False))  # TLS itself is on TCP.

    @tries(150)
    @given(st.one_of(inputs.calls, documents.hostile, documents.withDoctype), behaviours)
    @example(b"<methodCall><params></params></methodCall>", Behaviour())
    @example(METHOD_HELP % b"<int>1</int>", Behaviour())
    @example(METHOD_HELP % b"<string>getUser</string>", Behaviour(delay=100.0))
    def test_calls(self, body: bytes, behaviour: Behaviour) -> None:
        """Any call is answered with a value or a Fault."""
        head = b"POST /RPC2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
        for response in self.ask(head + body, behaviour):
            if response.code != 413:
                self.assertEqual(response.code, 200)
                with contextlib.suppress(Fault):
                    loads(response.body)
                self.assertShowable(response.body.decode("utf-8"), besides="\n\t")

    @tries(60, "some answered", "some refused", "too many")
    @given(
        st.lists(
            st.sampled_from(RIGHT_CALLS) | st.tuples(st.sampled_from(MULTICALLED), st.sampled_from(PARAMS)),
            max_size=MAX_CALLS + 2,
        )
    )
    def test_multicall(self, several: list[tuple[Any, Any]]) -> None:
        """C{system.multicall} has one answer for each call, a value or a Fault, if there are not too many."""
        body = dumps(
            ([{"methodName": name, "params": params} for name, params in several],), "system.multicall"
        ).encode("utf-8", "replace")
        with self.oneInput():
            (response,) = self.ask(
                b"POST /RPC2 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body, Behaviour()
            )
            if len(several) > MAX_CALLS:
                self.saw("too many")
                self.assertRaises(Fault, loads, response.body)
                return
            answers = asType(list, loads(response.body)[0][0])
            self.assertEqual(len(answers), len(several))
            for (name, params), answer in zip(several, answers, strict=True):
                isRight = (name, params) in RIGHT_CALLS
                self.saw("some answered" if isRight else "some refused")
                self.assertTrue(len(answer) == 1 if isRight else set(answer) == {"faultCode", "faultString"}, answer)


class StatusTests(ServerTestCase):
    """Tests for the status port."""

    @tries(150)
    @given(inputs.statusRequests, behaviours)
    @example(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: \xff;version\r\n\r\n", Behaviour())
    def test_requests(self, data: bytes, behaviour: Behaviour) -> None:
        """Each request has a response, except that a refusal or a close may end the connection; all are ASCII."""
        clock = Clock()
        site = _SeenSite(StatusResource(list, self.metrics.render), clock)
        site.methods = []
        for response in readResponses(self.converse(site, clock, data, behaviour), site.methods):
            self.assertIn(response.code, {200, 400, 404, 405, 413, 414, 417, 421, 431, 501, 505})
            self.assertShowable(response.body.decode("ascii"), besides="\n")

    @tries(150)
    @given(texts, texts)
    def test_outcomes(self, outcome: str, accept: str) -> None:
        """Any outcome of a query is counted once, under one of the known outcomes."""
        with self.quiet():
            before = self.counted()
            self.metrics.queried("finger", outcome, 0.0)
            self.assertEqual(self.counted(), before + 1)
            self.assertIn(self.metrics.render(accept)[0], {TEXT, OPENMETRICS})

    def setUp(self) -> None:
        """Make the metrics."""
        super().setUp()
        self.metrics = Metrics()

    def counted(self) -> int:
        """Return the number of queries, and check that their outcomes are known."""
        text = self.metrics.render("")[1].decode()
        counts = re.findall(r'^finger_queries_total{adapter="finger",outcome="(\w+)"} (\d+)\.0$', text, re.M)
        self.assertEqual(len(counts), text.count("finger_queries_total{"))
        self.assertLessEqual({outcome for outcome, _ in counts}, OUTCOMES | {MIXED})
        return sum(int(count) for _, count in counts)


class _Listener(Banana):
    """A parser of Banana that ignores the expressions."""

    def expressionReceived(self, expression: Any) -> None:
        pass


class PBTests(ServerTestCase):
    """Tests for Perspective Broker."""

    def setUp(self) -> None:
        """Fix the challenge, so that inputs can contain the response to it."""
        super().setUp()
        self.patch(pb, "challenge", lambda: inputs.CHALLENGE)

    @tries(150)
    @given(inputs.broker, behaviours)
    @example(inputs.DIALECT + inputs.banana(inputs.message(1, b"root", b"getUser", [b"remote"])), Behaviour())
    def test_messages(self, data: bytes, behaviour: Behaviour) -> None:
        """The broker sends complete expressions, and the connection closes."""
        clock, service = self.begin(behaviour)
        root = PerspectiveFinger(service)
        root.queries = QueryLog(clock)
        checker = InMemoryUsernamePasswordDatabaseDontUse(moshez=b"secret")
        root.authority = Authority(MemoryFingerService(), clock, [checker])
        received = self.converse(BoundedPBServerFactory(root, clock), clock, data, behaviour)
        listener = _Listener()
        listener.setPrefixLimit(64)
        listener.currentDialect = b"pb"
        listener.dataReceived(received)
        self.assertEqual((listener.buffer, listener.listStack), (b"", []))


class IRCTests(FuzzTestCase):
    """Tests for the IRC bot."""

    @tries(100)
    @given(inputs.ircSession, behaviours)
    def test_session(self, data: bytes, behaviour: Behaviour) -> None:
        """The bot sends valid lines with the commands that it uses, and clean texts."""
        clock = Clock()
        factory = IRCBotFactory(SlowDouble(MemoryFingerService(USERS), clock, behaviour.delay))
        factory.clock = clock
        factory.channels = ("#twisted",)
        factory.queries = QueryLog(clock)
        received = self.converse(factory, clock, data, behaviour)
        self.assertTrue(received.startswith(b"NICK :fingerbot\r\nUSER finger 0 * :a finger service\r\n"))
        for line in received.split(b"\r\n")[:-1]:
            self.assertIsLine(line + b"\r\n")
            command, _, rest = line.decode("utf-8").partition(" ")
            self.assertIn(command, {"NICK", "USER", "PING", "PONG", "JOIN", "NOTICE"})
            if command == "NOTICE":
                self.assertShowable(rest.partition(" :")[2].strip("\x01"), besides="")


class OtherServerTests(FuzzTestCase):
    """Tests for the answers of other servers."""

    @tries()
    @given(inputs.answers, inputs.chunkings, st.sampled_from(["close", "lose", "silence"]), st.integers(1, 200))
    def test_client(self, data: bytes, sizes: list[int], end: str, most: int) -> None:
        """The client returns a displayable answer, or fails with L{RemoteUnreachable}."""
        with self.quiet():
            network = Network()
            asked = FingerClient(network, maxBytes=most).ask("127.0.0.1", 79, b"moshez\r\n")
            found: list[Any] = []
            asked.addBoth(found.append)
            connection = network.accept()
            for piece in inputs.pieces(data, sizes):
                if not connection.isAborted:
                    connection.say(piece)
            if end == "silence" and not connection.isAborted:
                network.advance(100)
                self.assertTrue(connection.isAborted)
            connection.close(None if end == "close" and not connection.isAborted else ConnectionError("lost"))
            if isinstance(found[0], Failure):
                self.assertTrue(found[0].check(RemoteUnreachable), found)
                self.assertEqual(data, b"")
            else:
                self.assertLessEqual(len(found[0].content), most)
                self.assertShowable(found[0].text, besides="\n\t")
                self.assertShowable(found[0].wholeLines, besides="\n\t")
            self.assertEqual(network.getDelayedCalls(), [])

    @tries()
    @given(inputs.answers, st.sampled_from(["", "cut"]), inputs.queries, st.booleans())
    def test_proxy(self, data: bytes, cut: str, query: bytes, utf8: bool) -> None:
        """The proxy fails only with L{FingerError}, and its answers are clean."""
        with self.quiet():
            proxy = ProxyFingerService(ClientDouble({}, Answer(data or b"\n", cut)))
            for asked in (proxy.getUser("moshez"), proxy.getUsers(), proxy.getProfiles(), proxy.getUser("a b")):
                found: list[Any] = []
                asked.addBoth(found.append)
                if isinstance(found[0], Failure):
                    self.assertIsInstance(found[0].value, FingerError)
            factory = asType(FingerFactory, IFingerFactory(PolicyFingerService(proxy, Clock())))
            factory.utf8 = utf8
            answer = self.successResultOf(factory.answer(query.partition(b"\n")[0], "x"))
            self.assertClean(answer, utf8=utf8)
            self.flushLoggedErrors(FingerError)  # Some of these answers report that the other server is broken.
