"""Tests of the web, with requests and responses as bytes through a real Site."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from justhtml import JustHTML
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site
from twisted.web.static import Data
from zope.interface import alsoProvides, implementer
from zope.interface.verify import verifyObject

import finger.adapters.profile  # noqa: F401  (registers the adapter)
from finger import errors
from finger.access.attempts import ATTEMPT_INTERVAL, ATTEMPTS
from finger.access.authority import Authority
from finger.adapters.web.pages import PAGE_SIZE
from finger.adapters.web.representation import compressedPage, plainPage
from finger.adapters.web.resource import FingerResource
from finger.adapters.web.templating import Templates
from finger.backends.memory import MemoryFingerService
from finger.interfaces import IFingerService
from finger.log.querylog import QueryLog
from finger.net.http import BoundedSite
from finger.profile import LastLogin, Mail, Profile
from finger.testing import BrokenDouble, ProfilesDouble, SilentDouble

WHEN = datetime(2026, 3, 31, 18, 32, tzinfo=UTC)

ADA = Profile(
    "ada",
    "Ada Lovelace",
    "Write the first program.\n\n  Then\tdebug it.",
    "Analytical Engine",
    "/home/ada",
    "/bin/sh",
    LastLogin(WHEN, "pts/1", "example.org"),
    Mail(WHEN, WHEN),
    "Room 12",
    "ssh-rsa AAAA",
    "mDME",
)

NASTY_NAMES = (
    *("a/b", "a?b", "a#b", 'a"b', "a%b", "a%2Fb", "a b", "a&b=c;d", "a+b", "a:b", "a\\b", "<b>&amp;'", "line\nend"),
    *(
        ".",
        "..",
        "...",
        "żółw",
        "שלומי",
        "\N{SNOWMAN}",
        "RPC2",
        "favicon.ico",
        "robots.txt",
        ".well-known",
        "ada@example.org",
        "?page=2",
        "//host/x",
    ),
)


@dataclass
class Answer:
    """A response."""

    code: int
    headers: dict[str, str]
    html: str
    page: Any = field(repr=False)

    def texts(self, selector: str) -> list[str]:
        """Return the texts of the elements that match a selector."""
        return [element.to_text() for element in self.page.query(selector)]

    def links(self) -> dict[str, str]:
        """Return the links of the user list, by text."""
        return {link.to_text(strip=False): link.attrs["href"] for link in self.page.query(".users a")}


class _Transport(StringTransport):
    def abortConnection(self) -> None:
        self.loseConnection()


class Browser:
    """A client of a resource."""

    def __init__(self, resource: Any) -> None:
        self._site = Site(resource, reactor=Clock())

    def send(self, path: str, method: str = "GET") -> tuple[Any, StringTransport]:
        """Send a request without waiting for the response."""
        channel: Any = self._site.buildProtocol(None)
        transport = _Transport()
        channel.makeConnection(transport)
        channel.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode("ascii"))
        return channel, transport

    def __call__(self, path: str = "/", method: str = "GET") -> Answer:
        """Send a request, and return the response."""
        _, transport = self.send(path, method)
        return read(transport.value())


def read(response: bytes) -> Answer:
    """Parse a response.  Invalid HTML5 fails."""
    head, _, body = response.partition(b"\r\n\r\n")
    status, _, fields = head.partition(b"\r\n")
    headers = {name.lower(): value for name, value in BytesParser().parsebytes(fields + b"\r\n\r\n").items()}
    page = None
    if body:
        page = JustHTML(body, encoding="utf-8", strict=True, sanitize=False)
        assert int(headers["content-length"]) == len(body)
    return Answer(int(status.split()[1]), headers, body.decode(), page)


def browse(*profiles: Profile) -> Browser:
    """Return a client of a server with these users."""
    return Browser(IResource(ProfilesDouble(*profiles)))


def broken(error: Exception) -> Browser:
    """Return a client of a server whose back end fails."""
    return Browser(IResource(BrokenDouble(error)))


@implementer(IFingerService)
class RaisingDouble:
    """A back end that raises where it should return a failed Deferred."""

    def getUser(self, user: str) -> Deferred[str]:
        """Raise."""
        raise RuntimeError("/secret/place")

    def getUsers(self) -> Deferred[list[str]]:
        """Raise."""
        raise errors.ListRefused


class AdapterTests(SynchronousTestCase):
    """The adapter's registration."""

    def test_adapter(self) -> None:
        """Any back end adapts to a web resource."""
        for service in (ProfilesDouble(), SilentDouble()):
            resource = IResource(service)
            self.assertIsInstance(resource, FingerResource)
            verifyObject(IResource, resource)


class ListTests(SynchronousTestCase):
    """The user list."""

    def test_list(self) -> None:
        """Each user is a link with the full name, followed by the login, or with the login alone."""
        answer = browse(ADA, Profile("bob", plan="x"))()
        self.assertEqual(answer.code, 200)
        self.assertEqual(answer.links(), {"Ada Lovelace": "./ada", "bob": "./bob"})
        self.assertEqual(answer.texts("li .login"), ["ada"])
        self.assertEqual((answer.texts("title"), answer.texts("h1")), (["Users – finger"], ["Users"]))
        self.assertEqual(answer.texts(".pager"), [])

    def test_empty(self) -> None:
        """An empty list says so."""
        answer = browse()()
        self.assertIn("No users.", answer.html)
        self.assertEqual(answer.page.query("ul"), [])

    def test_statusOnly(self) -> None:
        """A back end without profiles has a list."""
        service = SilentDouble()
        _, transport = Browser(IResource(service)).send("/")
        service.asked[0].callback(["ada"])
        self.assertEqual(read(transport.value()).links(), {"ada": "./ada"})

    def test_pages(self) -> None:
        """A long list is split into pages, which link to the next and previous ones."""
        ask = browse(*(Profile(f"u{number:05}") for number in range(2 * PAGE_SIZE + 1)))
        seen: list[str] = []
        path = "/"
        for number in (1, 2, 3):
            answer = ask(path)
            self.assertIn(
                f"{2 * PAGE_SIZE + 1:,} users, page {number} of 3", " ".join(answer.texts("p.muted")[0].split())
            )
            seen.extend(answer.links())
            later = {link.attrs["href"] for link in answer.page.query("a[rel=next]")}
            earlier = {link.attrs["href"] for link in answer.page.query("a[rel=prev]")}
            self.assertEqual(earlier, {f"./?page={number - 1}"} if number > 1 else set())
            path = urljoin("/", *later) if later else ""
        self.assertEqual(path, "")
        self.assertEqual(seen, [f"u{number:05}" for number in range(2 * PAGE_SIZE + 1)])

    def test_noSuchPage(self) -> None:
        """A page number out of range gives the nearest page, and an invalid one the first."""
        ask = browse(*(Profile(f"u{number:05}") for number in range(PAGE_SIZE + 1)))
        for number, first in (("0", 0), ("3", PAGE_SIZE), ("9" * 9, PAGE_SIZE), ("9" * 99, 0), ("x", 0), ("-1", 0)):
            self.assertEqual(next(iter(ask(f"/?page={number}").links())), f"u{first:05}")

    def test_links(self) -> None:
        """Each link leads to its user, whatever the name, at the root and below a reverse proxy's prefix."""
        resource = IResource(ProfilesDouble(*(Profile(name, plan=f"I am {name!a}") for name in NASTY_NAMES)))
        resource.putChild(b"RPC2", Data(b"", "text/plain"))
        ask = Browser(resource)
        links = ask().links()
        self.assertEqual(len(links), len(NASTY_NAMES))
        for base in ("http://h/", "http://h/some/prefix/"):
            for name in NASTY_NAMES:
                url = urlsplit(urljoin(base, links[" ".join(name.split())]))
                self.assertEqual(url.netloc, "h")
                self.assertEqual(url.path[: len(urlsplit(base).path)], urlsplit(base).path)
                path = url.path[len(urlsplit(base).path) - 1 :]
                answer = ask(f"{path}?{url.query}" if url.query else path)
                self.assertEqual(answer.texts("pre"), [f"I am {name!a}"])
                back = urljoin(url.geturl(), answer.page.query_one("header a").attrs["href"])
                self.assertEqual(back, base)

    def test_linksLookOrdinary(self) -> None:
        """A link has a query argument only if the name cannot be a path."""
        links = browse(*map(Profile, ("a?b", "a/b", "..", "żółw", "x:y")))().links()
        self.assertEqual(
            links,
            {
                "a?b": "./a%3Fb",
                "a/b": "./?user=a%2Fb",
                "..": "./?user=..",
                "żółw": "./%C5%BC%C3%B3%C5%82w",
                "x:y": "./x%3Ay",
            },
        )

    def test_quotedSlash(self) -> None:
        """A quoted slash in a path is part of the name."""
        self.assertEqual(browse(Profile("a/b", plan="here"))("/a%2Fb").texts("pre"), ["here"])

    def test_surrogate(self) -> None:
        """A name with a surrogate does not break the page."""
        self.assertEqual(browse(Profile("a\ud800"))().links(), {"a?": "./a%3F"})

    def test_mounted(self) -> None:
        """A resource that is not the root redirects to the path with a slash at its end."""
        root = Resource()
        root.putChild(b"who is", IResource(ProfilesDouble(ADA)))
        ask = Browser(root)
        answer = ask("/who%20is")
        self.assertEqual((answer.code, answer.headers["location"]), (302, "./who%20is/"))
        self.assertEqual(ask("/who%20is/").links(), {"Ada Lovelace": "./ada"})
        self.assertEqual(ask("/who%20is/ada").texts("h1"), ["Ada Lovelace"])


class UserTests(SynchronousTestCase):
    """The page of a user."""

    def test_all(self) -> None:
        """The page shows all fields, with line ends and spaces kept."""
        answer = browse(ADA)("/ada")
        self.assertEqual(answer.code, 200)
        self.assertEqual(answer.texts("title"), ["Ada Lovelace (ada) – finger"])
        self.assertEqual((answer.texts("h1"), answer.texts("p.login")), (["Ada Lovelace"], ["ada"]))
        self.assertIn('<pre dir="auto">Write the first program.\n\n  Then\tdebug it.</pre>', answer.html)
        self.assertEqual(
            dict(zip(answer.texts("dt"), [" ".join(text.split()) for text in answer.texts("dd")], strict=True)),
            {
                "Plan": "Write the first program. Then debug it.",
                "Project": "Analytical Engine",
                "Public key": "ssh-rsa AAAA",
                "PGP key": "mDME",
                "Office": "Room 12",
                "Directory": "/home/ada",
                "Shell": "/bin/sh",
                "Last login": "Tue Mar 31 18:32 (UTC) on pts/1 from example.org",
                "Mail": "New mail received Tue Mar 31 18:32 (UTC) Unread since Tue Mar 31 18:32 (UTC)",
            },
        )

    def test_words(self) -> None:
        """The page has the words of the finger protocol."""
        cases: tuple[tuple[Profile, dict[str, str]], ...] = (
            (Profile("u", plan="Hi."), {"Status": "Hi."}),
            (Profile("u", plan=""), {"Status": "No Plan."}),
            (Profile("u", "Name", plan=""), {"Plan": "No Plan."}),
            (Profile("u", project="", office="", home="", pubkey="", pgpkey=""), {}),
            (Profile("u", lastLogin=LastLogin(None)), {"Last login": "Never logged in."}),
            (Profile("u", mail=Mail(None)), {"Mail": "No mail."}),
            (Profile("u", mail=Mail(WHEN)), {"Mail": "Mail last read Tue Mar 31 18:32 (UTC)"}),
        )
        for profile, expected in cases:
            answer = browse(profile)("/u")
            self.assertEqual(dict(zip(answer.texts("dt"), answer.texts("dd"), strict=True)), expected)

    def test_nothing(self) -> None:
        """A user with a login alone has a page."""
        answer = browse(Profile("u"))("/u")
        self.assertEqual((answer.code, answer.texts("h1"), answer.texts("dl")), (200, ["u"], []))
        self.assertIn("No further information.", answer.html)

    def test_emptyLines(self) -> None:
        """Empty lines are kept, including the first, which HTML would ignore; the final line end is dropped."""
        answer = browse(Profile("u", plan="\n\nHi\r\n\r\nyou\n"))("/u")
        self.assertEqual(answer.page.query_one("pre").children[0].data, "\n\nHi\n\nyou")

    def test_argument(self) -> None:
        """A query argument selects a user."""
        self.assertEqual(browse(ADA)("/?user=ada").texts("h1"), ["Ada Lovelace"])
        self.assertEqual(browse(ADA)("/?user=").texts("h1"), ["Users"])

    def test_escaped(self) -> None:
        """Markup in users' data is escaped everywhere."""
        attack = "</pre></title></style>\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;"
        everything = Profile(
            *("u", attack, attack, attack, attack, attack),
            LastLogin(WHEN, attack, attack),
            office=attack,
            pubkey=attack,
            pgpkey=attack,
        )
        for answer in (
            browse(everything)(),
            browse(everything)("/u"),
            browse(Profile(attack))(),
            browse()("/%3C%2Ftitle%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%22'"),
            browse()("/?user=%3Cscript%3Ealert(1)%3C/script%3E"),
        ):
            self.assertEqual(answer.page.query("script, img, [onerror]"), [])
            self.assertIn("&lt;script&gt;", answer.html)

    def test_clean(self) -> None:
        """Control characters in users' data are replaced everywhere."""
        bad = "a\x1b[31m\u202eb\0c\x9b\ud800"
        everything = Profile(
            *("u", bad, bad, bad, bad, bad),
            LastLogin(WHEN, bad, bad),
            office=bad,
            pubkey=bad,
            pgpkey=bad,
        )
        for answer in (
            browse(everything)(),
            browse(everything)("/u"),
            browse(Profile(bad))(),
            browse()("/a%1b%5b31m%e2%80%aeb%00c%c2%9b%ff"),
        ):
            self.assertIn("a?[31m?b?c?", answer.html)
            self.assertEqual({"\x1b", "\u202e", "\0", "\x9b"}.intersection(answer.html), set())


class RefusalTests(SynchronousTestCase):
    """Errors."""

    def test_unknown(self) -> None:
        """An unknown user gives 404 and a page that says so."""
        answer = browse(ADA)("/bob")
        self.assertEqual((answer.code, answer.texts("h1")), (404, ["No such user"]))
        self.assertIn("bob", answer.texts("code"))

    def test_longName(self) -> None:
        """An overlong name is cut on its page."""
        self.assertEqual(browse()("/" + "x" * 1000).texts("code"), ["x" * 80 + "…"])

    def test_errors(self) -> None:
        """Each error has its status and words; failures of the server are logged, and shown without details."""
        for error, code, words in (
            (errors.BadQuery("x"), 400, "Bad query"),
            (errors.NoSuchUser("x"), 404, "No such user"),
            (errors.ListRefused(), 403, "Finger online user list denied"),
            (errors.ForwardingRefused("x"), 403, "Finger forwarding service denied"),
            (errors.RemoteUnreachable("x"), 502, "Could not connect to remote host"),
            (errors.BackendUnavailable("/secret/place"), 503, "Internal error in server"),
            (RuntimeError("/secret/place"), 500, "Internal error in server"),
        ):
            for path in ("/", "/ada"):
                answer = broken(error)(path)
                self.assertEqual((answer.code, answer.texts("h1")), (code, [words]))
                self.assertNotIn("secret", answer.html)
                self.assertEqual(len(self.flushLoggedErrors()), code in {500, 503})

    def test_raises(self) -> None:
        """A back end that raises is handled as one that fails."""
        ask = Browser(IResource(RaisingDouble()))
        self.assertEqual(ask("/ada").code, 500)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(ask("/").code, 403)

    def test_deeper(self) -> None:
        """A path below a user gives 404, with a correct link to the list."""
        for path in ("/ada/", "/ada/b", "/ada/b/c", "//", "//ada", "/a/../b", "/ada/?user=ada"):
            answer = browse(ADA)(path)
            self.assertEqual((answer.code, answer.texts("h1")), (404, ["No such page"]))
            depth = path.partition("?")[0].count("/") - 1
            self.assertEqual(answer.page.query_one("header a").attrs["href"], "../" * depth)

    def test_methods(self) -> None:
        """Methods other than GET and HEAD get 405."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE", "GET_x"):
            for path in ("/", "/ada"):
                answer = browse(ADA)(path, method)
                self.assertEqual((answer.code, answer.headers["allow"]), (405, "GET, HEAD"))
                self.assertEqual(answer.texts("h1"), ["Method not allowed"])

    def test_head(self) -> None:
        """HEAD gives the same headers without the content."""
        for path in ("/", "/ada", "/bob"):
            whole, head = browse(ADA)(path), browse(ADA)(path, "HEAD")
            self.assertEqual(head.html, "")
            self.assertEqual(head.code, whole.code)
            self.assertEqual(head.headers["content-length"], str(len(whole.html.encode())))

    def test_child(self) -> None:
        """Other resources can be added beside the users."""
        resource = IResource(ProfilesDouble())
        resource.putChild(b"RPC2", Data(b"<!DOCTYPE html><title>RPC</title>", "text/html"))
        self.assertEqual(Browser(resource)("/RPC2").texts("title"), ["RPC"])


class TimeTests(SynchronousTestCase):
    """Slow back ends, and clients that leave."""

    def setUp(self) -> None:
        """Make a resource whose back end does not answer yet."""
        self.service = SilentDouble()
        self.resource = FingerResource(self.service)
        self.resource.clock = self.clock = Clock()

    def test_late(self) -> None:
        """A slow answer is sent when it arrives."""
        _, transport = Browser(self.resource).send("/ada")
        self.clock.advance(self.resource.answerTimeout - 1)
        self.assertEqual(transport.value(), b"")
        self.service.asked[0].callback("Hello")
        self.assertEqual(read(transport.value()).texts("pre"), ["Hello"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tooLate(self) -> None:
        """A back end that exceeds the time limit gives 503, and its lookup is cancelled."""
        for path in ("/", "/ada"):
            _, transport = Browser(self.resource).send(path)
            self.clock.advance(self.resource.answerTimeout)
            answer = read(transport.value())
            self.assertEqual((answer.code, answer.texts("h1")), (503, ["Internal error in server"]))
            self.assertEqual(len(self.flushLoggedErrors(errors.BackendUnavailable)), 1)

    def test_gone(self) -> None:
        """
        When the client leaves or the server aborts the connection, the lookup is cancelled, and no failure is logged.
        """
        for reason, outcome in (
            (ConnectionDone(), "Gone"),
            (ConnectionLost(), "Gone"),
            (ConnectionAborted(), "Aborted"),
        ):
            cancelled: list[Deferred[str]] = []
            waiting: Deferred[str] = Deferred(cancelled.append)
            self.service.getUser = lambda user, waiting=waiting: waiting  # type: ignore[method-assign,misc]
            channel, transport = Browser(self.resource).send("/ada")
            with capturedLogs() as events:
                channel.connectionLost(Failure(reason))
            self.assertEqual(cancelled, [waiting])
            self.assertEqual(transport.value(), b"")
            self.assertEqual([event["outcome"] for event in events], [outcome])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_goneAndAnswered(self) -> None:
        """A back end that answers when cancelled causes no failure."""
        waiting: Deferred[str] = Deferred(lambda waiting: waiting.callback("Hello"))
        self.service.getUser = lambda user: waiting  # type: ignore[method-assign]
        channel, transport = Browser(self.resource).send("/ada")
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(transport.value(), b"")

    def test_log(self) -> None:
        """Each request is one event with the peer, the user, the outcome and the time taken."""
        self.resource.queries = QueryLog(self.clock)
        with capturedLogs() as events:
            Browser(self.resource).send("/a%0ad%ffa")
            self.clock.advance(0.25)
            self.service.asked[0].errback(errors.NoSuchUser("ada"))
            FingerResource(ProfilesDouble(ADA)).render(_Request())  # type: ignore[arg-type]
        logged = [(e["peer"], e["query"], e["outcome"], e["milliseconds"]) for e in events if "outcome" in e]
        self.assertEqual(
            logged, [("192.168.1.1", "a\nd\N{REPLACEMENT CHARACTER}a", "NoSuchUser", 250), ("local", "", "ok", 0)]
        )


class PutTests(SynchronousTestCase):
    """C{PUT /username} with a password."""

    def setUp(self) -> None:
        """Make a server where Ada has a password and a status, and the boss is an administrator."""
        self.clock = Clock()
        self.service = MemoryFingerService({"ada": "old", "moshez": "old"})
        checker = InMemoryUsernamePasswordDatabaseDontUse(ada=b"love:lace", boss=b"secret")
        self.resource = FingerResource(self.service)
        self.resource.authority = Authority(self.service, self.clock, [checker], ["boss"])

    def put(
        self,
        path: str = "/ada",
        body: bytes = b"new\n",
        password: bytes | None = b"ada:love:lace",
        *,
        scheme: bytes = b"Basic",
        secure: bool = True,
        method: str = "PUT",
        fields: bytes = b"",
    ) -> Answer:
        """Upload a status."""
        transport: Any = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5))
        if secure:
            alsoProvides(transport, ISSLTransport)
            transport.setTcpNoDelay = lambda enabled: None
        channel = BoundedSite(self.resource, self.clock).buildProtocol(None)
        channel.makeConnection(transport)
        head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n".encode()
        if password is not None:
            head += b"Authorization: %b %b\r\n" % (scheme, b64encode(password))
        channel.dataReceived(head + fields + b"\r\n" + body)
        return read(transport.value())

    def status(self, user: str = "ada") -> object:
        """Return a user's current status."""
        return self.successResultOf(self.service.getUser(user))

    def test_own(self) -> None:
        """A user can set their own status and gets the page with it; the final line end is dropped."""
        answer = self.put(body="  zażółć\n\ngęślą ☕\n".encode())
        self.assertEqual((answer.code, answer.texts("h1")), (200, ["ada"]))
        self.assertNotIn("etag", answer.headers)
        self.assertIn("  zażółć\n\ngęślą ☕</pre>", answer.html)
        self.assertEqual(self.status(), "  zażółć\n\ngęślą ☕")

    def test_administrator(self) -> None:
        """An administrator can set any status, also of a new user."""
        for user in ("moshez", "new"):
            self.assertEqual(self.put(f"/{user}", password=b"boss:secret").code, 200)
            self.assertEqual(self.status(user), "new")
        self.assertEqual(self.put("/?user=ada", password=b"boss:secret").code, 200)
        self.assertEqual(self.status(), "new")

    def test_wrong(self) -> None:
        """Without the right password nothing is set, and the response has a challenge."""
        for password, scheme in (
            (None, b""),
            (b"ada:wrong", b"Basic"),
            (b"ada:", b"Basic"),
            (b"ada", b"Basic"),
            (b"", b"Basic"),
            (b"nobody:love:lace", b"Basic"),
            (b"\xff:\xff", b"Basic"),
            (b"ada:love:lace", b"Digest"),
        ):
            answer = self.put(password=password, scheme=scheme)
            self.assertEqual((answer.code, answer.texts("h1")), (401, ["Log in first"]))
            self.assertEqual(answer.headers["www-authenticate"], 'Basic realm="finger", charset="UTF-8"')
            self.assertEqual(self.status(), "old")
            self.clock.advance(ATTEMPT_INTERVAL)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_another(self) -> None:
        """A user cannot set another user's status, and gets 403 rather than a challenge."""
        for path in ("/moshez", "/new", "/Ada", "/?user=moshez"):
            answer = self.put(path)
            self.assertEqual((answer.code, answer.texts("h1")), (403, ["Permission denied"]))
            self.assertNotIn("www-authenticate", answer.headers)
        self.assertEqual(self.status("moshez"), "old")

    def test_insecure(self) -> None:
        """Over plain HTTP the password is not checked, whether right or wrong."""
        with capturedLogs() as logs:
            for _ in range(ATTEMPTS):
                for password in (b"ada:love:lace", b"ada:wrong"):
                    answer = self.put(password=password, secure=False)
                    self.assertEqual((answer.code, answer.texts("h1")), (403, ["HTTPS only"]))
                    self.assertNotIn("www-authenticate", answer.headers)
        self.assertEqual({event["outcome"] for event in logs}, {"InsecureRefused"})
        self.assertEqual(self.status(), "old")
        self.assertEqual(self.put().code, 200)

    def test_attempts(self) -> None:
        """The number of wrong passwords is limited."""
        for _ in range(ATTEMPTS):
            self.put(password=b"ada:guess")
        answer = self.put()
        self.assertEqual((answer.code, answer.texts("h1")), (429, ["Too many attempts to log in, try again later"]))
        self.assertEqual(answer.headers["retry-after"], "6")
        self.assertNotIn("www-authenticate", answer.headers)
        self.assertEqual(self.status(), "old")
        self.clock.advance(ATTEMPT_INTERVAL - 0.5)
        self.assertEqual(self.put().headers["retry-after"], "1")
        self.clock.advance(0.5)
        self.assertEqual((self.put().code, self.status()), (200, "new"))

    def test_noPassword(self) -> None:
        """A request without a name and password is no attempt: clients send one to receive the challenge."""
        for _ in range(ATTEMPTS * 2):
            for password in (None, b":", b":love:lace"):
                self.assertEqual(self.put(password=password).code, 401)
        self.assertEqual((self.put().code, self.status()), (200, "new"))

    def test_log(self) -> None:
        """The log has the address, the name and the outcome, but no password or status."""
        with capturedLogs() as logs:
            self.put()
            self.put(password=b"ada:wrong")
            self.put("/moshez")
        told = [(event["peer"], event["query"], event["outcome"]) for event in logs if "outcome" in event]
        self.assertEqual(
            told,
            [
                ("192.0.2.1", "ada", "ok"),
                ("192.0.2.1", "ada", "NotAuthenticated"),
                ("192.0.2.1", "moshez", "NotAllowed"),
            ],
        )
        lines = [formatEvent(event) for event in logs]
        self.assertIn("192.0.2.1 failed to log in", lines)
        self.assertIn("'ada' may not set 'moshez'", lines)
        for secret in ("love:lace", "wrong", "new"):
            self.assertNotIn(secret, "".join(lines))

    def test_bad(self) -> None:
        """A status that is not UTF-8 or is too long is refused."""
        for body in (b"\xff", b"caf\xe9", b"\xed\xa0\x80"):
            self.assertEqual(self.put(body=body).code, 400)
        self.assertEqual(self.put("/a%40b", password=b"boss:secret").code, 400)
        self.assertEqual(self.status(), "old")

    def test_refused(self) -> None:
        """If a back end refuses a status, the page has the reason."""
        self.service.maxUsers = 2
        answer = self.put("/new", password=b"boss:secret")
        self.assertEqual((answer.code, answer.texts("h1")), (403, ["no user can be added: there are already 2"]))

    def test_condition(self) -> None:
        """A status is set on the condition that its page is the one that the client has, or that there is none."""
        shown = self.put(method="GET")
        packed = compressedPage(plainPage(shown.html.encode(), varies=True))
        self.assertTrue(packed.coding)
        for tag in (shown.headers["etag"].encode(), packed.tag):
            for line in (b'If-Match: "x"', b"If-Match: W/%b" % tag, b"If-None-Match: *", b"If-None-Match: " + tag):
                answer = self.put(fields=line + b"\r\n")
                self.assertEqual((answer.code, self.status()), (412, "old"), line)
                self.clock.advance(ATTEMPT_INTERVAL)
            self.assertEqual(answer.texts("h1"), ["The page is not the one that the request is for"])
            for line in (b'If-Match: "x", ' + tag, b"If-Match: *", b'If-None-Match: "x"'):
                self.assertEqual(self.put(body=b"old", fields=line + b"\r\n").code, 200, line)
                self.clock.advance(ATTEMPT_INTERVAL)
        boss = b"boss:secret"
        self.assertEqual(self.put("/new", password=boss, fields=b"If-Match: *\r\n").code, 412)
        self.assertEqual(self.put("/new", password=boss, fields=b"If-None-Match: *\r\n").code, 200)
        self.assertEqual(self.put("/new", password=boss, fields=b"If-None-Match: *\r\n").code, 412)
        self.assertEqual(self.put("/new", fields=b"If-None-Match: *\r\n").code, 403)

    def test_notWhole(self) -> None:
        """A part of a status, or one with a coding, is refused."""
        for line, code in (
            (b"Content-Range: bytes 0-2/9", 400),
            (b"Content-Encoding: gzip", 415),
            (b"Content-Encoding: identity, br", 415),
        ):
            self.assertEqual((self.put(fields=line + b"\r\n").code, self.status()), (code, "old"), line)
        self.assertEqual(self.put(fields=b"Content-Encoding: identity\r\n").code, 200)

    def test_broken(self) -> None:
        """A failure to store a status is logged, and reported as an error."""
        assert self.resource.authority is not None
        self.resource.authority.service = BrokenDouble()
        answer = self.put()
        self.assertEqual((answer.code, answer.texts("h1")), (503, ["Internal error in server"]))
        self.assertEqual(len(self.flushLoggedErrors(errors.BackendUnavailable)), 1)

    def test_methods(self) -> None:
        """Other methods get 405, and so does PUT on the list; the Allow header has PUT where it is offered."""
        for path, method, allowed in (
            ("/ada", "DELETE", "GET, HEAD, PUT"),
            ("/?user=ada", "POST", "GET, HEAD, PUT"),
            ("/", "PUT", "GET, HEAD"),
            ("/ada/b", "PUT", "GET, HEAD"),
        ):
            answer = self.put(path, method=method)
            self.assertEqual((answer.code, answer.headers["allow"]), (405, allowed))
        self.assertEqual(self.put(method="GET").texts("pre"), ["old"])

    def test_notOffered(self) -> None:
        """Without logins, PUT gets 405."""
        self.resource.authority = None
        answer = self.put()
        self.assertEqual((answer.code, answer.headers["allow"], self.status()), (405, "GET, HEAD", "old"))


class PageTests(SynchronousTestCase):
    """Properties of every page."""

    def everyPage(self) -> list[Answer]:
        """Return one page of each kind."""
        ask = browse(ADA)
        many = browse(*map(Profile, map(str, range(PAGE_SIZE + 1))))
        return [ask(), browse()(), many(), ask("/ada"), ask("/bob"), ask("/a/b"), ask("/", "POST")]

    def test_headers(self) -> None:
        """The headers forbid loading resources, running scripts and framing."""
        for answer in self.everyPage():
            self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertEqual(answer.headers["referrer-policy"], "no-referrer")
            self.assertEqual(answer.headers["cache-control"], "no-cache")
            policy = dict(part.split(None, 1) for part in answer.headers["content-security-policy"].split(";"))
            self.assertEqual(policy["default-src"], "'none'")
            for ruled in ("base-uri", "form-action", "frame-ancestors"):
                self.assertEqual(policy[ruled], "'none'")

    def test_html(self) -> None:
        """Each page is a complete HTML5 document with the landmarks that screen readers use."""
        for answer in self.everyPage():
            self.assertTrue(answer.html.startswith('<!DOCTYPE html>\n<html lang="en">'))
            for once in ("title", "h1", "main", "header", "meta[charset]", "meta[name=viewport]", "main h1"):
                self.assertEqual(len(answer.page.query(once)), 1, once)
            self.assertEqual(answer.page.query("script, [style], img:not([alt])"), [])
            self.assertNotIn("<!--", answer.html)
            labels = [nav.attrs["aria-label"] for nav in answer.page.query("nav")]
            self.assertEqual(len(labels), len(set(labels)))
            self.assertGreaterEqual(len(labels), 1)

    def test_current(self) -> None:
        """Each page links to the list, and the list marks that link as current."""
        self.assertEqual(browse(ADA)("/").page.query_one("header a").attrs["aria-current"], "page")
        self.assertNotIn("aria-current", browse(ADA)("/ada").page.query_one("header a").attrs)

    def test_contrast(self) -> None:
        """Text has enough contrast in light and dark mode (WCAG AA: 4.5 to 1)."""
        style = browse()().page.query_one("style").to_text() or browse()().html
        schemes = [colours(part) for part in style.split(":root {")[1:]]
        self.assertEqual(len(schemes), 3)  # light, dark, print
        for scheme in schemes:
            for text in ("ink", "muted", "link"):
                for paper in ("paper", "card"):
                    self.assertGreaterEqual(contrast(scheme[text], scheme[paper]), 4.5, (text, paper))

    def test_cannotBeRendered(self) -> None:
        """A page that fails to render gives 500, and is logged."""
        resource = FingerResource(ProfilesDouble(ADA))
        resource.templates = BadTemplates()
        answer = Browser(resource)("/ada")
        self.assertEqual((answer.code, answer.texts("title")), (500, ["Internal error in server"]))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class BadTemplates(Templates):
    """Templates that fail."""

    def render(self, page: object) -> Deferred[bytes]:
        """Raise."""
        raise RuntimeError(page)


class _Request:
    """A request for the root, over a socket without an address."""

    method = b"GET"
    requestHeaders = Headers()
    prepath: list[bytes] = []
    args: dict[bytes, list[bytes]] = {}

    def notifyFinish(self) -> Deferred[None]:
        """Return a Deferred that never fires."""
        return Deferred()

    def getClientAddress(self) -> None:
        """Return no address."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


def colours(style: str) -> dict[str, str]:
    """Return the colours of one scheme, by name."""
    declarations = style.partition("}")[0].split(";")
    return {
        name.strip().removeprefix("--"): value.strip()
        for name, _, value in (declaration.partition(":") for declaration in declarations)
        if value.strip().startswith("#")
    }


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours by WCAG 2."""
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the luminance of a colour, from 0 to 1."""
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
