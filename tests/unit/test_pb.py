"""Tests of the Perspective Broker adapter, over Twisted's in-memory connections."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import patch

from twisted.cred.checkers import ICredentialsChecker, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword, UsernamePassword
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.spread.pb import (
    Broker,
    PBClientFactory,
    PBServerFactory,
    Referenceable,
    RemoteReference,
    respond,
)
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.access.attempts import ATTEMPT_INTERVAL, ATTEMPTS
from finger.access.authority import Authority
from finger.adapters.pb import NoSuchUser, Refused
from finger.adapters.pb.broker import BoundedPBServerFactory
from finger.adapters.pb.root import PerspectiveFinger, _Challenger
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, ListRefused
from finger.interfaces import IFingerService, IPerspectiveFinger
from finger.log.querylog import MAX_QUERY
from finger.profile import Profile
from finger.testing import BrokenDouble
from tests.support.doubles import ImmediateDouble
from tests.support.typed import asType

USERS = MemoryFingerService({"moshez": "Happy and well\x1b", "zoë": "☕"})


class PBTests(SynchronousTestCase):
    """Calls."""

    def call(self, method: str, *arguments: Any, service: IFingerService = USERS) -> Deferred[Any]:
        """Call a method of the root object over a new connection."""
        root = IPerspectiveFinger(service)
        verifyObject(IPerspectiveFinger, root)
        server, client = PBServerFactory(root).buildProtocol(None), PBClientFactory()
        broker = client.buildProtocol(None)
        pump = connect(server, FakeTransport(server, isServer=True), broker, FakeTransport(broker, isServer=False))
        answer: Deferred[Any] = client.getRootObject().addCallback(lambda root: root.callRemote(method, *arguments))
        pump.flush()
        return answer

    def error(self, *call: Any, service: IFingerService = USERS) -> tuple[str, str]:
        """Make a call that fails, and return the error's type and message at the client."""
        failure = self.failureResultOf(self.call(*call, service=service))
        return str(failure.type), failure.getErrorMessage()

    def test_getUser(self) -> None:
        """getUser returns the cleaned status."""
        self.assertEqual(self.successResultOf(self.call("getUser", "moshez")), "Happy and well?")
        self.assertEqual(self.successResultOf(self.call("getUser", "zoë")), "☕")

    def test_kept(self) -> None:
        """A status in memory is kept until users change; the log has each call."""
        double = ImmediateDouble(Profile("ada", "Ada L", "Weaving\x1b"))
        root = asType(PerspectiveFinger, IPerspectiveFinger(double))
        with capturedLogs() as logs:
            for _ in range(3):
                self.assertEqual(root.rootObject(Broker()).remote_getUser("ada"), "Weaving?")
        self.assertEqual(double.askedNow, 1)
        self.assertEqual([(event["query"], event["outcome"]) for event in logs], [("ada", "ok")] * 3)
        double.change(Profile("ada", plan="Busy"))
        self.assertEqual(root.remote_getUser("ada"), "Busy")

    def test_keptMemory(self) -> None:
        """The limit of the memory counts bytes, of which a character may take four."""
        root = asType(
            PerspectiveFinger, IPerspectiveFinger(ImmediateDouble(Profile("ada", plan="\u2615\U0001f9f5" * 9999)))
        )
        root.remote_getUser("ada")
        self.assertGreater(root.kept.size, 4 * 2 * 9999)

    def test_notInMemory(self) -> None:
        """Any other user is looked up in the ordinary way."""
        double = ImmediateDouble(Profile("ada", plan="Weaving"))
        root = IPerspectiveFinger(double)
        self.failureResultOf(cast(Deferred[str], root.remote_getUser("nobody")), NoSuchUser)
        double.isSlow = True
        self.assertEqual(self.successResultOf(cast(Deferred[str], root.remote_getUser("ada"))), "Weaving")
        for error in (ZeroDivisionError, SystemExit):
            with patch.object(double, "getProfileNow", side_effect=error):
                self.assertEqual(self.successResultOf(cast(Deferred[str], root.remote_getUser("ada"))), "Weaving")

    def test_noVersion(self) -> None:
        """Without a version, a status in memory is not kept."""
        double = ImmediateDouble(Profile("ada", plan="Weaving"))
        double.version = lambda: None  # type: ignore[method-assign]
        root = IPerspectiveFinger(double)
        self.assertEqual([root.remote_getUser("ada") for _ in range(2)], ["Weaving"] * 2)
        self.assertEqual(double.askedNow, 2)

    def test_keywords(self) -> None:
        """Arguments may have names, and Python 2's clients send the method's name as bytes."""
        root = asType(PerspectiveFinger, IPerspectiveFinger(ImmediateDouble(Profile("ada", plan="Weaving"))))
        broker = Broker()
        for message in ("getUser", b"getUser"):
            call: Any = message, [b"tuple"], [b"dictionary", [[b"unicode", b"user"], [b"unicode", b"ada"]]]
            self.assertEqual(root.remoteMessageReceived(broker, *call), [b"unicode", b"Weaving"])
        call = "getUser", [b"tuple", [b"unicode", b"ada"]], [b"dictionary", [[b"unicode", b"x"], 1]]
        self.assertRaises(Refused, root.remoteMessageReceived, broker, *call)

    def test_challengerRefuses(self) -> None:
        """A refusal by the object that receives the response to a challenge is passed on as it is."""

        class Refusing(Referenceable):
            def remote_respond(self) -> None:
                raise Refused("no")

        with self.assertRaises(Refused) as raised:
            _Challenger(Refusing()).remoteMessageReceived(Broker(), b"respond", [b"tuple"], [b"dictionary"])
        self.assertEqual(str(raised.exception), "no")

    def test_getUsers(self) -> None:
        """getUsers returns the names."""
        self.assertEqual(self.successResultOf(self.call("getUsers")), ["moshez", "zoë"])

    def test_unknown(self) -> None:
        """An unknown user is an error of its own type."""
        kind, message = self.error("getUser", "nobody")
        self.assertIn("NoSuchUser", kind)
        self.assertEqual(message, "No such user")

    def test_refused(self) -> None:
        """A refused query is an error with its reason."""
        _, message = self.error("getUsers", service=BrokenDouble(ListRefused()))
        self.assertEqual(message, "Finger online user list denied")
        self.assertIn("one string", self.error("getUser", 1)[1])

    def test_broken(self) -> None:
        """A failure of the back end is an error without details."""
        for call in (("getUser", "moshez"), ("getUsers",)):
            _, message = self.error(*call, service=BrokenDouble())
            self.assertEqual(message, "Internal error in server")
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 2)

    def test_badCalls(self) -> None:
        """Invalid calls are the client's errors, and log no traceback."""
        for call in (("getNothing",), ("getUser",), ("getUsers", 1), ("rootObject",), ("_service",)):
            self.assertIn("there is no such call", self.error(*call)[1])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_longName(self) -> None:
        """An overlong name is cut in the log."""
        with capturedLogs() as logs:
            self.error("getUser", "x" * (MAX_QUERY + 1))
        self.assertEqual([event["query"] for event in logs if "query" in event], ["x" * MAX_QUERY])


@implementer(ICredentialsChecker)
class BrokenChecker:
    """A credentials checker that fails."""

    credentialInterfaces = (IUsernameHashedPassword,)

    def requestAvatarId(self, credentials: object) -> Deferred[bytes | tuple[()]]:
        """Fail."""
        return fail(ZeroDivisionError())


class LoginTests(SynchronousTestCase):
    """Logins, through the server's own brokers and Twisted's client."""

    def setUp(self) -> None:
        """Make a server where Ada has a password and a status."""
        self.clock = Clock()
        self.service = MemoryFingerService({"ada": "old"})
        checker = InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace", boss=b"secret", **{"not@here": b"x"})
        self.authority: Authority | None = Authority(self.service, self.clock, [checker], ["boss"])

    def connect(self, host: str = "192.0.2.1") -> tuple[PBClientFactory, IOPump]:
        """Connect from an address."""
        root: Any = IPerspectiveFinger(self.service)
        root.authority = self.authority
        client = PBClientFactory()
        near, far = client.buildProtocol(None), BoundedPBServerFactory(root, self.clock).buildProtocol(None)
        transport = FakeTransport(far, isServer=True, peerAddress=IPv4Address("TCP", host, 5))
        return client, connect(far, transport, near, FakeTransport(near, isServer=False))

    def login(self, name: Any = b"ada", password: bytes = b"lovelace", host: str = "192.0.2.1") -> Deferred[Any]:
        """Log in over a new connection."""
        client, self.pump = self.connect(host)
        login: Deferred[Any] = client.login(UsernamePassword(name, password))
        self.pump.flush()
        return login

    def root(self) -> RemoteReference:
        """Return the root object."""
        client, self.pump = self.connect()
        root = client.getRootObject()
        self.pump.flush()
        return asType(RemoteReference, self.successResultOf(root))

    def call(self, remote: RemoteReference, *call: Any, **options: Any) -> Deferred[Any]:
        """Call a method of a remote object."""
        answer: Deferred[Any] = remote.callRemote(*call, **options)
        self.pump.flush()
        return answer

    def refusal(self, answer: Deferred[Any]) -> str:
        """Return the reason of a refusal, and check that no failure was logged."""
        failure = self.failureResultOf(answer)
        self.assertEqual(failure.type, b"finger.adapters.pb.Refused")
        self.assertEqual(self.flushLoggedErrors(), [])
        return str(failure.getErrorMessage())

    def status(self, user: str = "ada") -> object:
        """Return a user's current status."""
        return self.successResultOf(self.service.getUser(user))

    def test_setStatus(self) -> None:
        """A logged-in user sets only their own status; the user name may be bytes or text."""
        for name in (b"ada", "ada"):
            perspective = self.successResultOf(self.login(name))
            self.assertIsNone(self.successResultOf(self.call(perspective, "setStatus", f"by {name!r}")))
            self.assertEqual(self.status(), f"by {name!r}")
        self.assertIn("no such call", self.refusal(self.call(perspective, "setStatus", "ada", "x")))
        self.assertIn("no such call", self.refusal(self.call(perspective, "setStatus", "x", user="boss")))

    def test_administrator(self) -> None:
        """An administrator also sets only their own status here."""
        self.successResultOf(self.call(self.successResultOf(self.login(b"boss", b"secret")), "setStatus", "x"))
        self.assertEqual((self.status("boss"), self.status()), ("x", "old"))

    def test_wrong(self) -> None:
        """A wrong name or password is refused, and logged with the address and without a traceback."""
        for name, password in ((b"ada", b"x"), (b"ada", b""), (b"nobody", b"lovelace"), (b"", b""), ("zo\xeb", b"x")):
            with capturedLogs() as logs:
                self.assertEqual(self.refusal(self.login(name, password)), "wrong name or password")
            self.assertEqual([formatEvent(event) for event in logs], ["192.0.2.1 failed to log in"])

    def test_badStatus(self) -> None:
        """An invalid status, and the status of a user whose name is not valid here, are refused."""
        perspective = self.successResultOf(self.login())
        self.assertIn("one string", self.refusal(self.call(perspective, "setStatus", 5)))
        self.assertEqual(self.status(), "old")
        self.service.maxUsers = 1
        boss = self.successResultOf(self.login(b"boss", b"secret"))
        self.assertEqual(self.refusal(self.call(boss, "setStatus", "x")), "no user can be added: there are already 1")
        perspective = self.successResultOf(self.login(b"not@here", b"x"))
        self.assertEqual(self.refusal(self.call(perspective, "setStatus", "x")), "Bad query")

    def test_badCalls(self) -> None:
        """Invalid calls are refused without a traceback at each stage of the login."""
        root = self.root()
        call: tuple[Any, ...]
        for call in (("login",), ("login", 5), ("login", ["ada"]), ("login", b"ada", b"x"), ("loginAnonymous", None)):
            self.refusal(self.call(root, *call))
        _, challenger = self.successResultOf(self.call(root, "login", b"ada"))
        for call in (("respond",), ("respond", b"x"), ("nothing",), ("respond", [1], None), ("respond", None, None)):
            self.refusal(self.call(challenger, *call))

    def test_attempts(self) -> None:
        """Login attempts are limited by address across connections; another is allowed after some time."""
        for _ in range(ATTEMPTS):
            self.refusal(self.login(password=b"x"))
        self.assertIn("too many attempts", self.refusal(self.login()))
        self.successResultOf(self.login(b"boss", b"secret", "192.0.2.2"))
        self.clock.advance(ATTEMPT_INTERVAL)
        self.successResultOf(self.login())

    def test_manyResponses(self) -> None:
        """Each response to one challenge counts as an attempt."""
        challenge, challenger = self.successResultOf(self.call(self.root(), "login", b"ada"))
        for number in range(ATTEMPTS):
            wrong = respond(challenge, b"%d" % number)
            self.assertEqual(self.refusal(self.call(challenger, "respond", wrong, None)), "wrong name or password")
        right = respond(challenge, b"lovelace")
        self.assertIn("too many attempts", self.refusal(self.call(challenger, "respond", right, None)))
        self.clock.advance(ATTEMPT_INTERVAL)
        self.successResultOf(self.call(challenger, "respond", right, None))

    def test_notOffered(self) -> None:
        """Without passwords, logins are refused."""
        for authority in (None, Authority(self.service)):
            self.authority = authority
            self.assertEqual(self.refusal(self.login()), "logging in is not offered here")

    def test_otherPasswords(self) -> None:
        """So are they if passwords can only be checked in plain text, which Perspective Broker never sends."""
        checker = InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace")
        self.patch(checker, "credentialInterfaces", (IUsernamePassword,))
        self.authority = Authority(self.service, self.clock, [checker])
        self.assertEqual(self.refusal(self.login()), "wrong name or password")

    def test_brokenChecker(self) -> None:
        """A failure of the credentials checker is logged, and reported without details."""
        self.authority = Authority(self.service, self.clock, [BrokenChecker()])
        self.failureResultOf(self.login())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_leaves(self) -> None:
        """A logged-in user can disconnect."""
        self.successResultOf(self.login())
        self.pump.clientIO.loseConnection()
        self.pump.flush()
        self.assertEqual(self.clock.getDelayedCalls(), [])
