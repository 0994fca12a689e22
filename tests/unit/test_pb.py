"""The Perspective Broker adapter, over twisted's in-memory pumps."""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import ICredentialsChecker, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword, UsernamePassword
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.spread.pb import (
    PBClientFactory,
    PBServerFactory,
    RemoteReference,
    respond,
)
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.access.authority import ATTEMPT_INTERVAL, ATTEMPTS, Authority
from finger.adapters.pb.broker import BoundedPBServerFactory
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, ListRefused
from finger.interfaces import IFingerService, IPerspectiveFinger
from finger.log.querylog import MAX_QUERY
from finger.testing import BrokenDouble
from tests.support.typed import asType

USERS = MemoryFingerService({"moshez": "Happy and well\x1b", "zoë": "☕"})


class PBTests(SynchronousTestCase):
    """Calls."""

    def call(self, method: str, *arguments: Any, service: IFingerService = USERS) -> Deferred[Any]:
        """Call a method of the root object over a connection of its own."""
        root = IPerspectiveFinger(service)
        verifyObject(IPerspectiveFinger, root)
        server, client = PBServerFactory(root).buildProtocol(None), PBClientFactory()
        broker = client.buildProtocol(None)
        pump = connect(server, FakeTransport(server, isServer=True), broker, FakeTransport(broker, isServer=False))
        answer: Deferred[Any] = client.getRootObject().addCallback(lambda root: root.callRemote(method, *arguments))
        pump.flush()
        return answer

    def error(self, *call: Any, service: IFingerService = USERS) -> tuple[str, str]:
        """What a call that fails fails with, at the caller: type and message."""
        failure = self.failureResultOf(self.call(*call, service=service))
        return str(failure.type), failure.getErrorMessage()

    def test_getUser(self) -> None:
        """A status, cleaned."""
        self.assertEqual(self.successResultOf(self.call("getUser", "moshez")), "Happy and well?")
        self.assertEqual(self.successResultOf(self.call("getUser", "zoë")), "☕")

    def test_getUsers(self) -> None:
        """The names."""
        self.assertEqual(self.successResultOf(self.call("getUsers")), ["moshez", "zoë"])

    def test_unknown(self) -> None:
        """An error that can be told apart."""
        kind, message = self.error("getUser", "nobody")
        self.assertIn("NoSuchUser", kind)
        self.assertEqual(message, "No such user")

    def test_refused(self) -> None:
        """What is refused says so; what is no name, too."""
        _, message = self.error("getUsers", service=BrokenDouble(ListRefused()))
        self.assertEqual(message, "Finger online user list denied")
        self.assertIn("one string", self.error("getUser", 1)[1])

    def test_broken(self) -> None:
        """Our failure, without our insides."""
        for call in (("getUser", "moshez"), ("getUsers",)):
            _, message = self.error(*call, service=BrokenDouble())
            self.assertEqual(message, "Internal error in server")
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 2)

    def test_badCalls(self) -> None:
        """Calls that cannot be made are their caller's failure, and no reason for a traceback."""
        for call in (("getNothing",), ("getUser",), ("getUsers", 1), ("rootObject",), ("_service",)):
            self.assertIn("there is no such call", self.error(*call)[1])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_longName(self) -> None:
        """Of an endless name, the log has the beginning."""
        with capturedLogs() as logs:
            self.error("getUser", "x" * (MAX_QUERY + 1))
        self.assertEqual([event["query"] for event in logs if "query" in event], ["x" * MAX_QUERY])


@implementer(ICredentialsChecker)
class BrokenChecker:
    """A checker that is out of order."""

    credentialInterfaces = (IUsernameHashedPassword,)

    def requestAvatarId(self, credentials: object) -> Deferred[bytes | tuple[()]]:
        """Fail."""
        return fail(ZeroDivisionError())


class LoginTests(SynchronousTestCase):
    """Logging in, through the server's own brokers and Twisted's own client."""

    def setUp(self) -> None:
        """Ada has a password, and a status."""
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
        """Log in on a connection of its own."""
        client, self.pump = self.connect(host)
        login: Deferred[Any] = client.login(UsernamePassword(name, password))
        self.pump.flush()
        return login

    def root(self) -> RemoteReference:
        """The root object."""
        client, self.pump = self.connect()
        root = client.getRootObject()
        self.pump.flush()
        return asType(RemoteReference, self.successResultOf(root))

    def call(self, remote: RemoteReference, *call: Any, **options: Any) -> Deferred[Any]:
        """Call what is there."""
        answer: Deferred[Any] = remote.callRemote(*call, **options)
        self.pump.flush()
        return answer

    def refusal(self, answer: Deferred[Any]) -> str:
        """Why something is refused, which is no failure of ours."""
        failure = self.failureResultOf(answer)
        self.assertEqual(failure.type, b"finger.adapters.pb.Refused")
        self.assertEqual(self.flushLoggedErrors(), [])
        return str(failure.getErrorMessage())

    def status(self, user: str = "ada") -> object:
        """What a user now says."""
        return self.successResultOf(self.service.getUser(user))

    def test_setStatus(self) -> None:
        """Who has logged in sets the own status: whose it is, is no argument; the name may be text, too."""
        for name in (b"ada", "ada"):
            perspective = self.successResultOf(self.login(name))
            self.assertIsNone(self.successResultOf(self.call(perspective, "setStatus", f"by {name!r}")))
            self.assertEqual(self.status(), f"by {name!r}")
        self.assertIn("no such call", self.refusal(self.call(perspective, "setStatus", "ada", "x")))
        self.assertIn("no such call", self.refusal(self.call(perspective, "setStatus", "x", user="boss")))

    def test_administrator(self) -> None:
        """Here an administrator is one like the others."""
        self.successResultOf(self.call(self.successResultOf(self.login(b"boss", b"secret")), "setStatus", "x"))
        self.assertEqual((self.status("boss"), self.status()), ("x", "old"))

    def test_wrong(self) -> None:
        """A wrong password, or name, is refused, and logged by address without a traceback."""
        for name, password in ((b"ada", b"x"), (b"ada", b""), (b"nobody", b"lovelace"), (b"", b""), ("zo\xeb", b"x")):
            with capturedLogs() as logs:
                self.assertEqual(self.refusal(self.login(name, password)), "wrong name or password")
            self.assertEqual([formatEvent(event) for event in logs], ["192.0.2.1 failed to log in"])

    def test_badStatus(self) -> None:
        """What is no status is refused, and so is the status of somebody whose name is none here."""
        perspective = self.successResultOf(self.login())
        self.assertIn("one string", self.refusal(self.call(perspective, "setStatus", 5)))
        self.assertEqual(self.status(), "old")
        perspective = self.successResultOf(self.login(b"not@here", b"x"))
        self.assertEqual(self.refusal(self.call(perspective, "setStatus", "x")), "Bad query")

    def test_badCalls(self) -> None:
        """Calls that cannot be made, at every stage: refused, without a traceback."""
        root = self.root()
        call: tuple[Any, ...]
        for call in (("login",), ("login", 5), ("login", ["ada"]), ("login", b"ada", b"x"), ("loginAnonymous", None)):
            self.refusal(self.call(root, *call))
        _, challenger = self.successResultOf(self.call(root, "login", b"ada"))
        for call in (("respond",), ("respond", b"x"), ("nothing",), ("respond", [1], None), ("respond", None, None)):
            self.refusal(self.call(challenger, *call))

    def test_attempts(self) -> None:
        """Attempts are limited by address, on however many connections; after some time there is another."""
        for _ in range(ATTEMPTS):
            self.refusal(self.login(password=b"x"))
        self.assertIn("too many attempts", self.refusal(self.login()))
        self.successResultOf(self.login(host="192.0.2.2"))
        self.clock.advance(ATTEMPT_INTERVAL)
        self.successResultOf(self.login())

    def test_manyResponses(self) -> None:
        """One challenge is not good for many responses."""
        challenge, challenger = self.successResultOf(self.call(self.root(), "login", b"ada"))
        for number in range(ATTEMPTS):
            wrong = respond(challenge, b"%d" % number)
            self.assertEqual(self.refusal(self.call(challenger, "respond", wrong, None)), "wrong name or password")
        right = respond(challenge, b"lovelace")
        self.assertIn("too many attempts", self.refusal(self.call(challenger, "respond", right, None)))
        self.clock.advance(ATTEMPT_INTERVAL)
        self.successResultOf(self.call(challenger, "respond", right, None))

    def test_notOffered(self) -> None:
        """Without passwords there is no way in."""
        for authority in (None, Authority(self.service)):
            self.authority = authority
            self.assertEqual(self.refusal(self.login()), "logging in is not offered here")

    def test_otherPasswords(self) -> None:
        """Nor with those that can only be checked as they are: Perspective Broker never sends them."""
        checker = InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace")
        self.patch(checker, "credentialInterfaces", (IUsernamePassword,))
        self.authority = Authority(self.service, self.clock, [checker])
        self.assertEqual(self.refusal(self.login()), "wrong name or password")

    def test_brokenChecker(self) -> None:
        """A checker that is out of order is our failure, and logged; the caller learns nothing of it."""
        self.authority = Authority(self.service, self.clock, [BrokenChecker()])
        self.failureResultOf(self.login())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_leaves(self) -> None:
        """Who has logged in can leave."""
        self.successResultOf(self.login())
        self.pump.clientIO.loseConnection()
        self.pump.flush()
        self.assertEqual(self.clock.getDelayedCalls(), [])
