"""Tests for L{finger.access.authority}."""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import (
    ANONYMOUS,
    ICredentialsChecker,
)
from twisted.cred.checkers import (
    InMemoryUsernamePasswordDatabaseDontUse as Passwords,
)
from twisted.cred.credentials import IAnonymous, ICredentials, IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

from finger.access.attempts import ATTEMPT_INTERVAL, ATTEMPTS
from finger.access.authority import Actor, Authority, IAvatarName
from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, NotAllowed, NotAuthenticated, TooManyAttempts
from finger.testing import BrokenDouble

PEER = "192.0.2.1"


@implementer(ICredentialsChecker)
class Checker:
    """A checker with the same result for all credentials: an avatar ID or an error."""

    credentialInterfaces: tuple[type[ICredentials], ...] = (IUsernamePassword,)

    def __init__(self, result: Any) -> None:
        self.asked = 0
        self._result = result

    def requestAvatarId(self, credentials: Any) -> Any:
        """Return the result."""
        self.asked += 1
        return fail(self._result) if isinstance(self._result, Exception) else succeed(self._result)


class Waiting(Checker):
    """A checker without a result."""

    def __init__(self) -> None:
        super().__init__(None)

    def requestAvatarId(self, credentials: Any) -> Any:
        """Wait."""
        return Deferred()


class AuthorityTestCase(SynchronousTestCase):
    """A test with an authority."""

    def setUp(self) -> None:
        """Make an authority with the passwords of Ada and of boss, an administrator."""
        self.clock = Clock()
        self.service = MemoryFingerService({"ada": "old", "moshez": "old"})
        self.authority = Authority(
            self.service, self.clock, [Passwords(ada=b"lovelace", boss=b"secret")], administrators=["boss"]
        )

    def login(self, name: bytes = b"ada", password: bytes = b"lovelace", peer: str = PEER) -> Deferred[str]:
        """Log in."""
        return self.authority.login(UsernamePassword(name, password), peer)

    def status(self, user: str) -> object:
        """Return a user's current status."""
        return self.successResultOf(self.service.getUser(user))


class SetTests(AuthorityTestCase):
    """Setting statuses."""

    def test_own(self) -> None:
        """A user may set the own status; this is logged."""
        with capturedLogs() as logs:
            self.successResultOf(self.authority.set("ada", "ada", "new"))
        self.assertEqual(self.status("ada"), "new")
        self.assertEqual(formatEvent(logs[-1]), "'ada' set 'ada'")

    def test_another(self) -> None:
        """A user may not set the status of another, not even with a similar name; the attempt is logged."""
        for actor in ("moshez", "Ada", "ada ", "", "root"):
            with capturedLogs() as logs:
                self.failureResultOf(self.authority.set(actor, "ada", "new"), NotAllowed)
            self.assertEqual([formatEvent(event) for event in logs], [f"{actor!r} may not set 'ada'"])
            self.assertEqual(logs[0]["log_level"], LogLevel.warn)
        self.assertEqual(self.status("ada"), "old")

    def test_administrator(self) -> None:
        """An administrator may set any status, even of a user that does not exist yet."""
        for user in ("ada", "moshez", "new"):
            self.successResultOf(self.authority.set("boss", user, "by the boss"))
            self.assertEqual(self.status(user), "by the boss")

    def test_unnamed(self) -> None:
        """An unauthenticated client may set any status."""
        with capturedLogs() as logs:
            self.successResultOf(self.authority.set(None, "moshez", "new"))
        self.assertEqual([formatEvent(event) for event in logs], ["'unauthenticated client' set 'moshez'"])
        self.assertEqual(self.status("moshez"), "new")

    def test_broken(self) -> None:
        """A status that could not be stored is not logged as set."""
        authority = Authority(BrokenDouble())
        with capturedLogs() as logs:
            self.failureResultOf(authority.set("ada", "ada", "new"), BackendUnavailable)
        self.assertEqual(logs, [])


class LoginTests(AuthorityTestCase):
    """Logging in."""

    def test_good(self) -> None:
        """A login with the right password returns the name."""
        self.assertEqual(self.successResultOf(self.login()), "ada")
        self.assertEqual(self.successResultOf(self.login(b"boss", b"secret")), "boss")

    def test_wrong(self) -> None:
        """A failed login is logged with the client's address, but without the name and the password."""
        for name, password in ((b"ada", b"x"), (b"ada", b""), (b"", b""), (b"nobody", b"lovelace")):
            with capturedLogs() as logs:
                failure = self.failureResultOf(self.login(name, password), NotAuthenticated)
            self.assertEqual(str(failure.value), "wrong name or password")
            self.assertEqual([formatEvent(event) for event in logs], [f"{PEER} failed to log in"])

    def test_names(self) -> None:
        """Names are text, even if a checker returns bytes."""
        for name, text in ((b"zo\xc3\xab", "zoë"), ("zoë", "zoë"), (b"zo\xeb", "zo\N{REPLACEMENT CHARACTER}")):
            self.authority = Authority(self.service, checkers=[Checker(name)])
            self.assertEqual(self.successResultOf(self.login()), text)

    def test_broken(self) -> None:
        """An error in a checker is not reported as a wrong password."""
        self.authority = Authority(self.service, checkers=[Checker(ZeroDivisionError())])
        self.failureResultOf(self.login(), ZeroDivisionError)

    def test_attempts(self) -> None:
        """Each address has a limit of attempts, including successful ones; with time it gets another one."""
        for _ in range(ATTEMPTS):
            self.failureResultOf(self.login(password=b"x"), NotAuthenticated)
        with capturedLogs() as logs:
            self.failureResultOf(self.login(), TooManyAttempts)
        self.assertEqual(formatEvent(logs[0]), f"{PEER} tries to log in too often")
        self.assertEqual(self.successResultOf(self.login(b"boss", b"secret", "192.0.2.2")), "boss")
        self.clock.advance(ATTEMPT_INTERVAL)
        self.assertEqual(self.successResultOf(self.login()), "ada")
        self.failureResultOf(self.login(), TooManyAttempts)

    def test_attemptsAtName(self) -> None:
        """All addresses together have a limit for a user name, which does not keep the user out."""
        self.assertEqual(self.successResultOf(self.login()), "ada")
        refused = [self.failureResultOf(self.login(b"ada", b"x", f"198.51.100.{number}")) for number in range(60)]
        self.assertEqual([bool(failure.check(TooManyAttempts)) for failure in refused].count(False), ATTEMPTS)
        self.assertEqual(self.successResultOf(self.login()), "ada")
        self.failureResultOf(self.login(peer="192.0.2.2"), TooManyAttempts)
        self.clock.advance(ATTEMPT_INTERVAL)
        self.assertEqual(self.successResultOf(self.login(peer="192.0.2.2")), "ada")

    def test_cancelled(self) -> None:
        """A login that is cancelled still counts as an attempt, and is no longer in progress."""
        self.authority = Authority(self.service, self.clock, [Waiting()])
        for _ in range(ATTEMPTS):
            login = self.login()
            login.cancel()
            self.failureResultOf(login, CancelledError)
        self.failureResultOf(self.login(), TooManyAttempts)
        self.assertNoResult(self.login(b"boss", b"x", "192.0.2.2"))

    def test_noClock(self) -> None:
        """Without a clock there is no limit."""
        self.authority = Authority(self.service, None, [Passwords(ada=b"lovelace")])
        for _ in range(ATTEMPTS * 10):
            self.assertEqual(self.successResultOf(self.login()), "ada")

    def test_hasPasswords(self) -> None:
        """Without a checker, every login fails."""
        self.assertTrue(self.authority.hasPasswords)
        self.authority = Authority(self.service, self.clock)
        self.assertFalse(self.authority.hasPasswords)
        self.failureResultOf(self.login(), NotAuthenticated)

    def test_severalCheckers(self) -> None:
        """A login succeeds if any checker accepts it; a checker for other credentials is not asked."""
        other = Checker(ANONYMOUS)
        other.credentialInterfaces = (IAnonymous,)
        self.authority = Authority(self.service, None, [other, Passwords(ada=b"one"), Passwords(boss=b"two")])
        self.assertEqual(self.successResultOf(self.login(b"ada", b"one")), "ada")
        self.assertEqual(self.successResultOf(self.login(b"boss", b"two")), "boss")
        for name, password in ((b"ada", b"two"), (b"boss", b"one"), (b"nobody", b"one")):
            self.failureResultOf(self.login(name, password), NotAuthenticated)

    def test_allAsked(self) -> None:
        """All checkers are asked, even if the first one accepts; what the others answer then does not matter."""
        last = Checker(UnauthorizedLogin())
        self.authority = Authority(self.service, None, [Checker(b"ada"), Checker(ZeroDivisionError()), last])
        self.assertEqual(self.successResultOf(self.login()), "ada")
        self.assertEqual(last.asked, 1)
        self.assertEqual(self.flushLoggedErrors(), [])


class RealmTests(AuthorityTestCase):
    """The avatars of users."""

    def request(self, *interfaces: Any) -> Any:
        """Log in, requesting an avatar of one of these interfaces."""
        return self.authority.portal.login(UsernamePassword(b"ada", b"lovelace"), None, *interfaces)

    def test_realm(self) -> None:
        """The realm provides its interface."""
        verifyObject(IRealm, self.authority.portal.realm)

    def test_name(self) -> None:
        """One avatar is the name; its logout does nothing."""
        interface, avatar, logout = self.successResultOf(self.request(IAvatarName))
        self.assertEqual((interface, avatar), (IAvatarName, "ada"))
        self.assertIsNone(logout())

    def test_adapted(self) -> None:
        """Any interface that an actor adapts to is an avatar, which can set only the user's own status."""

        class IOther(Interface):
            """An interface without an adapter."""

        class IWanted(Interface):
            """An interface that an actor adapts to."""

            def __call__() -> None:
                """Do nothing."""

        def adapt(wanted: Any, subject: Any) -> Any:
            return subject if wanted is IWanted and isinstance(subject, Actor) else None

        from zope.interface.interface import adapter_hooks

        adapter_hooks.append(adapt)
        self.addCleanup(adapter_hooks.remove, adapt)
        interface, avatar, logout = self.successResultOf(self.request(IOther, IWanted))
        self.assertEqual((interface, avatar.name), (IWanted, "ada"))
        self.successResultOf(avatar.setStatus("new"))
        self.assertEqual(self.status("ada"), "new")
        self.assertIsNone(logout())

    def test_nothing(self) -> None:
        """A login fails if the actor adapts to none of the interfaces."""

        class IOther(Interface):
            """An interface without an adapter."""

        self.failureResultOf(self.request(IOther), NotImplementedError)
