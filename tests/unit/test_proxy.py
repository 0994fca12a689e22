"""Tests for L{finger.backends.proxy}."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import capturedLogs
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.adapters.finger import FingerFactory
from finger.backends.proxy import ProxyBackend, ProxyFingerService
from finger.client.client import Allowed, Answer, FingerClient
from finger.errors import (
    BackendUnavailable,
    BadQuery,
    ConfigError,
    FingerError,
    ForwardingRefused,
    ListRefused,
    NoSuchUser,
    PeerError,
    RemoteUnreachable,
)
from finger.interfaces import IFingerBackend, IFingerForwarder
from finger.profile import Profile
from finger.testing import BrokenDouble, FingerServiceContract, ProfilesDouble
from tests.support.othernet import UNREACHABLE, ClientDouble, Network
from tests.support.typed import addressOf, listenOn

ANSWERS = {
    b"\r\n": b"carmen           Carmen Sandiego\r\nmoshez           Moshe Zadka\r\n",
    b"moshez\r\n": b"Happy and well\r\nas ever\r\n",
}

BSD_LIST = b"""\
Login     Name       Tty      Idle  Login Time   Office     Office Phone\r
moshez    Moshe Zadka  pts/0    3     Mar 31 18:32 (host)\r
moshez    Moshe Zadka  pts/1          Mar 31 18:32 (host)\r
root      root       *tty1    2d  Mar 29 08:01\r
"""


class ContractTests(FingerServiceContract, SynchronousTestCase):
    """The proxy meets the contract of back ends."""

    known, unknown = "moshez", "nobody"

    def makeService(self) -> ProxyFingerService:
        return ProxyFingerService(ClientDouble(ANSWERS))


class BSDContractTests(FingerServiceContract, SynchronousTestCase):
    """The proxy also meets it with a BSD server."""

    known, unknown = "moshez", "nobody"

    def makeService(self) -> ProxyFingerService:
        class BSD(ClientDouble):
            def ask(
                self, host: str, port: int, query: bytes, allowed: Allowed | None = None, peer: str = ""
            ) -> Deferred[Answer]:
                missing = b"finger: " + query.strip() + b": no such user.\r\n"
                return succeed(Answer({**ANSWERS, b"\r\n": BSD_LIST}.get(query, missing)))

        return ProxyFingerService(BSD({}))


@implementer(IFingerForwarder)
class ForwarderDouble:
    """Answers with the query it was given."""

    def forward(self, query: str, host: str, verbose: bool, peer: str = "") -> Any:
        """See L{IFingerForwarder.forward}."""
        return succeed(f"{query} at {host}, {'more' if verbose else 'no more'}")


class ProxyTests(SynchronousTestCase):
    """L{ProxyFingerService}."""

    def proxy(self, answers: dict[bytes, Any] = ANSWERS, **options: Any) -> ProxyFingerService:
        self.client = ClientDouble(answers)
        return ProxyFingerService(self.client, **options)

    def test_user(self) -> None:
        """The server is queried for the user, and its whole answer is the user's plan."""
        profile = self.successResultOf(self.proxy().getProfile("moshez"))
        self.assertEqual(profile, Profile("moshez", plan="Happy and well\nas ever"))
        self.assertEqual(self.client.asked, [("localhost", 79, b"moshez\r\n")])

    def test_host(self) -> None:
        """The proxy can query any host and port, and has them as attributes."""
        proxy = self.proxy(host="Finger.Example.org", port=1079)
        self.successResultOf(proxy.getUser("moshez"))
        self.assertEqual(self.client.asked, [("finger.example.org", 1079, b"moshez\r\n")])
        self.assertEqual((proxy.host, proxy.port), ("finger.example.org", 1079))

    def test_list(self) -> None:
        """The server's list is the proxy's, with the full names."""
        self.assertEqual(
            self.successResultOf(self.proxy().getProfiles()),
            [Profile("carmen", name="Carmen Sandiego"), Profile("moshez", name="Moshe Zadka")],
        )
        proxy = self.proxy({b"\r\n": BSD_LIST})
        self.assertEqual(self.successResultOf(proxy.getUsers()), ["moshez", "root"])

    def test_emptyList(self) -> None:
        """An empty list has no users."""
        for answer in (b"No one logged on\r\n", b"No one logged on.\r\n", b"\r\n"):
            self.assertEqual(self.successResultOf(self.proxy({b"\r\n": answer}).getUsers()), [])

    def test_cut(self) -> None:
        """A truncated plan is marked; in a truncated list, the last, incomplete line is skipped."""
        proxy = self.proxy({b"\r\n": Answer(b"carmen\r\nmos", "x"), b"moshez\r\n": Answer(b"Hap", "connection lost")})
        self.assertEqual(self.successResultOf(proxy.getUsers()), ["carmen"])
        self.assertEqual(self.successResultOf(proxy.getUser("moshez")), "Hap\n[answer cut: connection lost]")

    def test_controlBytes(self) -> None:
        """Control characters of the server are replaced."""
        proxy = self.proxy({b"\r\n": b"a\x1b[2J    Moshe\x07\r\n", b"a\r\n": b"\x9b1m\x00\xe2\x80\xaehi\rthere\n"})
        self.assertEqual(self.successResultOf(proxy.getProfiles()), [Profile("a?[2J", name="Moshe?")])
        self.assertEqual(self.successResultOf(proxy.getUser("a")), "\N{REPLACEMENT CHARACTER}1m??hi\nthere")

    def test_noSuchUser(self) -> None:
        """The various answers of servers for an unknown user are recognized."""
        for answer in (
            *("No such user", "No such user.", "no such user", "\nNo such user\n", "finger: u.x: no such user."),
            *("finger: u.x: no such user", "u.x: no such user", "Login: u.x: no such user", "No such user: u.x"),
            *('no such user "u.x".', "No such user: `u.x'", "Login name: u.x       \t\t\tIn real life: ???"),
        ):
            proxy = self.proxy({b"u.x\r\n": answer.encode()})
            self.failureResultOf(proxy.getUser("u.x"), NoSuchUser)
            self.failureResultOf(proxy.getProfile("u.x"), NoSuchUser)

    def test_plans(self) -> None:
        """A plan that only resembles such an answer is a plan."""
        for plan in (
            *(
                "No such user\nis a fine song",
                "There is no such user",
                "finger: v: no such user.",
                "u-x: no such user",
            ),
            *("Login: u.x\nPlan:\nNo such user", "No such user here", "Login name: u.x\tIn real life: Ulrich X"),
            *("Internal error in server\nroom", "Finger online user list denied to you"),
        ):
            self.assertEqual(self.successResultOf(self.proxy({b"u.x\r\n": plan.encode()}).getUser("u.x")), plan)

    def test_failures(self) -> None:
        """An error message of the server becomes the same error here."""
        for error in (BackendUnavailable, BadQuery, ForwardingRefused, ListRefused, RemoteUnreachable):
            words = error.words.encode() + b"\r\n"
            proxy = self.proxy({b"\r\n": words, b"moshez\r\n": words})
            for result in (
                proxy.getUsers(),
                proxy.getProfiles(),
                proxy.getUser("moshez"),
                proxy.getProfile("moshez"),
            ):
                self.failureResultOf(result, error)

    def test_unreachable(self) -> None:
        """If the server does not answer, the reason is logged, but the peer learns only that it is unreachable."""
        proxy = self.proxy({b"\r\n": UNREACHABLE, b"moshez\r\n": UNREACHABLE})
        with capturedLogs() as events:
            for result in (proxy.getUsers(), proxy.getUser("moshez")):
                failure = self.failureResultOf(result, RemoteUnreachable)
                self.assertEqual(failure.value.words, "Could not connect to remote host")
        self.assertEqual([event["why"] for event in events], ["Connection refused"] * 2)

    def test_otherFailures(self) -> None:
        """A bug of ours is not reported as a failure of the server."""
        with capturedLogs() as events:
            self.failureResultOf(self.proxy({b"\r\n": ZeroDivisionError()}).getUsers(), ZeroDivisionError)
        self.assertEqual(events, [])

    def test_smuggling(self) -> None:
        """A name that would be another query is an unknown user, and never sent."""
        proxy = self.proxy()
        for name in ("", "/W", "/w", "/W moshez", "a b", "a\r\nb", "a\nb", "a\0", "\x1b", "-l", "x" * 2000):
            self.failureResultOf(proxy.getUser(name), NoSuchUser)
            self.failureResultOf(proxy.getProfile(name), NoSuchUser)
        self.assertEqual(self.client.asked, [])

    def test_forward(self) -> None:
        """The forwarder receives C{user@host}, split at the rightmost host."""
        proxy = self.proxy(forwarder=ForwarderDouble())
        verifyObject(IFingerForwarder, ForwarderDouble())
        for name, answer in {
            "moshez@host": "moshez at host, no more",
            "moshez@h1@[::1]": "moshez@h1 at ::1, no more",
            "@host": " at host, no more",
        }.items():
            self.assertEqual(self.successResultOf(proxy.getUser(name)), answer)
        self.assertEqual(self.client.asked, [])

    def test_noForwarder(self) -> None:
        """Without a forwarder, C{user@host} is refused and not sent to the server."""
        proxy = self.proxy()
        for name in ("moshez@host", "@", "moshez@h1@h2", "@" * 1000):
            self.failureResultOf(proxy.getUser(name), ForwardingRefused)
        self.assertEqual(self.client.asked, [])

    def test_shared(self) -> None:
        """Simultaneous queries for the same user share one connection."""
        network = Network()
        proxy = ProxyFingerService(FingerClient(network), "127.0.0.1")
        answers = [proxy.getUser("moshez") for _ in range(100)]
        network.accept().answer(b"Happy and well\r\n")
        self.assertEqual(len(network.attempts), 1)
        self.assertEqual({self.successResultOf(answer) for answer in answers}, {"Happy and well"})


class ProxyBackendTests(SynchronousTestCase):
    """C{--backend=proxy}."""

    def test_interface(self) -> None:
        """The back end is a plugin."""
        backend = ProxyBackend()
        verifyObject(IPlugin, backend)
        verifyObject(IFingerBackend, backend)
        self.assertEqual((backend.name, backend.argument), ("proxy", "[:HOST[:PORT]]"))

    def test_arguments(self) -> None:
        """The argument names the server."""
        for argument, server in {
            "": ("localhost", 79),
            "host": ("host", 79),
            "host:1079": ("host", 1079),
            "::1": ("::1", 79),
            "[::1]": ("::1", 79),
            "[::1]:1079": ("::1", 1079),
            "192.0.2.1:1079": ("192.0.2.1", 1079),
        }.items():
            proxy = ProxyBackend().makeBackend(argument, Network())
            self.assertEqual((proxy.host, proxy.port), server)

    def test_bad(self) -> None:
        """An invalid argument is an error of one line that names the option."""
        for argument in ("1079", ":1079", "host:finger", "host:", "[::1]x", "-h", "a b", "host:1:2"):
            error = str(self.assertRaises(ConfigError, ProxyBackend().makeBackend, argument, Network()))
            self.assertTrue(error.startswith(f"--backend=proxy:{argument}: "), error)
            self.assertTrue(error.endswith("; give HOST, HOST:PORT or [IPV6]:PORT"), error)
            self.assertNotIn("\n", error)

    def test_reactor(self) -> None:
        """The proxy uses the reactor that the plugin is given."""
        network = Network()
        ProxyBackend().makeBackend("127.0.0.1:1079", network).getUsers()
        self.assertEqual(network.tcpClients[0][:2], ("127.0.0.1", 1079))


class RealTests(TestCase):
    """A server whose back end is a proxy of another server, on loopback."""

    async def test_chain(self) -> None:
        """The front server gives the answers of the server behind it, over IPv4 and IPv6."""
        users = ProfilesDouble(Profile("moshez", plan="Happy and well"), Profile("carmen", plan="?"))
        for host in ("127.0.0.1", "::1"):
            front = self.listen(ProxyFingerService(FingerClient(reactor), host, self.listen(users, host)), host)
            for query, answer in {
                "moshez": "Happy and well",
                "": "carmen\nmoshez",
                "nobody": "No such user",
                "moshez@host": "Finger forwarding service denied",
            }.items():
                self.assertEqual(await self.ask(host, front, query), answer)

    async def test_behind(self) -> None:
        """If the server behind is broken or gone, the answer is the corresponding error."""
        behind = self.listen(BrokenDouble(), "127.0.0.1")
        front = self.listen(ProxyFingerService(FingerClient(reactor), "127.0.0.1", behind), "127.0.0.1")
        self.assertEqual(await self.ask("127.0.0.1", front, "moshez"), FingerError.words)
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 2)
        gone = listenOn("127.0.0.1", FingerFactory(ProfilesDouble()))
        port = addressOf(gone).port
        await maybeDeferred(gone.stopListening)
        front = self.listen(ProxyFingerService(FingerClient(reactor), "127.0.0.1", port), "127.0.0.1")
        self.assertEqual(await self.ask("127.0.0.1", front, "moshez"), RemoteUnreachable.words)
        self.assertTrue(issubclass(RemoteUnreachable, PeerError))

    async def test_mutual(self) -> None:
        """With two servers that are proxies of each other, a query ends at the timeout, with one answer."""
        client = FingerClient(reactor, timeout=0.5)
        proxies = [ProxyFingerService(client, "127.0.0.1"), ProxyFingerService(FingerClient(reactor), "127.0.0.1")]
        ports = [self.listen(proxy, "127.0.0.1") for proxy in proxies]
        proxies[0].port, proxies[1].port = ports[1], ports[0]
        self.assertEqual(await self.ask("127.0.0.1", ports[0], "moshez"), RemoteUnreachable.words)

    def listen(self, service: Any, interface: str) -> int:
        listening = listenOn(interface, FingerFactory(service))
        self.addCleanup(listening.stopListening)
        return addressOf(listening).port

    async def ask(self, host: str, port: int, query: str) -> str:
        return (await FingerClient(reactor).ask(host, port, query.encode() + b"\r\n")).text
