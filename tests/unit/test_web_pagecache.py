"""Tests of the pages that are kept: rendered once, entity tags, compression (RFC 9110)."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.static import Data

import finger.adapters.profile  # noqa: F401  (registers the adapter)
from finger.access.policy import PolicyFingerService
from finger.adapters.web.pagecache import PageCache
from finger.adapters.web.pages import PAGE_SIZE
from finger.adapters.web.representation import MAX_ACCEPTED, MIN_COMPRESSED, acceptsGzip, compressedPage, plainPage
from finger.adapters.web.resource import FingerResource
from finger.adapters.web.response import HEADERS
from finger.adapters.web.templating import PACKAGE_TEMPLATES, Templates
from finger.interfaces import IFingerForwarder
from finger.net.answercache import AnswerCache
from finger.net.http import BoundedSite
from finger.profile import Profile
from finger.testing import ProfilesDouble
from tests.support.doubles import CountingDouble

ADA = Profile("ada", "Ada Lovelace", "Weaving")
BOB = Profile("bob", "Bob", "Sailing")


class AcceptsGzipTests(SynchronousTestCase):
    """The codings that a client accepts (section 12.5.3)."""

    def test_accepted(self) -> None:
        """Gzip is used if it has a weight that is not less than that of no coding."""
        for fields in (
            [b"gzip"],
            [b"gzip, deflate, br"],
            [b"deflate,GZIP"],
            [b"x-gzip"],
            [b"*"],
            [b"br;q=1.0, gzip;q=0.8, *;q=0.1"],
            [b"gzip ; q=0.001"],
            [b"deflate", b"gzip"],
            [b"identity;q=0.5, gzip;q=1"],
            [b"identity;q=0, *"],
            [b"bad;q=x, gzip"],
        ):
            self.assertTrue(acceptsGzip(fields), fields)

    def test_refused(self) -> None:
        """Otherwise no coding is used, which every client accepts."""
        for fields in (
            [],
            [b""],
            [b"identity"],
            [b"deflate, br"],
            [b"gzip;q=0"],
            [b"gzip;q=0.000, *"],
            [b"*;q=0"],
            [b"gzip;q=0.5, identity"],
            [b"gzip;q=2"],
            [b"gzip;q=nan"],
            [b"gzip;level=1"],
            [b"gzipped"],
            [b"gzip," * MAX_ACCEPTED],
        ):
            self.assertFalse(acceptsGzip(fields), fields)


class PageCacheTests(SynchronousTestCase):
    """L{PageCache}."""

    def test_forms(self) -> None:
        """A page is compressed once, when that form is first requested, and is found in both forms."""
        pages = PageCache()
        plain = pages.keep(1, "a", b"x" * MIN_COMPRESSED, False)
        self.assertEqual((plain.coding, plain.varies), (b"", True))
        with patch("finger.adapters.web.pagecache.compressedPage", wraps=compressedPage) as compress:
            forms = [pages.find(1, "a", True) for _ in range(2)]
        self.assertEqual(compress.call_count, 1)
        self.assertIs(forms[0], forms[1])
        assert forms[0] is not None
        self.assertEqual(gzip.decompress(forms[0].body), plain.body)
        self.assertNotEqual(forms[0].tag, plain.tag)
        self.assertIs(pages.find(1, "a", False), plain)
        self.assertIsNone(pages.find(2, "a", True))

    def test_short(self) -> None:
        """A short page has one form, which does not vary."""
        pages = PageCache()
        page = pages.keep(1, "a", b"x" * (MIN_COMPRESSED - 1), True)
        self.assertEqual((page.coding, page.varies), (b"", False))
        self.assertIs(pages.find(1, "a", False), page)
        self.assertIs(pages.find(1, "a", True), page)

    def test_notKept(self) -> None:
        """A page that is not kept, for lack of a version or of room, has its plain form."""
        for pages, version in ((PageCache(), None), (PageCache(AnswerCache(mostBytes=10)), 1)):
            page = pages.keep(version, "a", b"x" * MIN_COMPRESSED, True)
            self.assertEqual((page.body, page.coding), (b"x" * MIN_COMPRESSED, b""))
            self.assertIsNone(pages.find(version, "a", True))


class Answer:
    """A response, as bytes."""

    def __init__(self, response: bytes) -> None:
        head, _, self.body = response.partition(b"\r\n\r\n")
        status, *fields = head.split(b"\r\n")
        self.code = int(status.split()[1])
        self.headers = {name.lower(): value for name, value in (field.split(b": ", 1) for field in fields)}


class WebCacheTestCase(SynchronousTestCase):
    """A server whose pages are kept."""

    def setUp(self) -> None:
        """Make the server."""
        self.service = CountingDouble(ADA, BOB)
        self.resource = FingerResource(self.service)
        self.rendered = 0
        self.resource.templates = Templates()
        self.count()

    def count(self) -> None:
        """Count the pages that are rendered."""
        render = self.resource.templates.render

        def counted(page: Any) -> Deferred[bytes]:
            self.rendered += 1
            return render(page)

        self.patch(self.resource.templates, "render", counted)

    def get(self, path: str = "/", method: str = "GET", **fields: str) -> Answer:
        """Send a request."""
        channel = BoundedSite(self.resource, Clock()).buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        channel.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{lines}\r\n".encode())
        return Answer(transport.value())


class KeptTests(WebCacheTestCase):
    """Which pages are rendered again."""

    def test_once(self) -> None:
        """A page is looked up and rendered once, whatever the method, the coding, and the form of its URL."""
        for paths in (("/ada", "/?user=ada", "/%61da"), ("/", "/?page=1", "/?page=0", "/?page=99", "/?page=x")):
            self.rendered = 0
            first = self.get(paths[0])
            for path in paths:
                for method in ("GET", "HEAD", "GET"):
                    answer = self.get(path, method)
                    self.assertEqual((answer.code, answer.headers[b"etag"]), (200, first.headers[b"etag"]))
                    self.assertEqual(answer.headers[b"content-length"], b"%d" % len(first.body))
                    self.assertEqual(answer.body, b"" if method == "HEAD" else first.body)
                    self.get(path, method, accept_encoding="gzip")
            self.assertEqual(self.rendered, 1)
        self.assertEqual(self.service.asked, 1)

    def test_pages(self) -> None:
        """Each page of the list is rendered once; numbers out of range share the last page."""
        self.service.change(*(Profile(f"u{number:05}") for number in range(2 * PAGE_SIZE + 1)))
        bodies = {self.get(f"/?page={number}").body for number in (1, 2, 3, 4, 999, 999_999_999, 1, 2, 3)}
        self.assertEqual((len(bodies), self.rendered), (3, 3))

    def test_changed(self) -> None:
        """When users change, pages are rendered again."""
        before = self.get("/ada"), self.get("/")
        self.service.change(Profile("ada", "Ada Lovelace", "Debugging"))
        after = self.get("/ada"), self.get("/")
        self.assertIn(b"Debugging", after[0].body)
        self.assertNotIn(b"bob", after[1].body)
        for old, new in zip(before, after, strict=True):
            self.assertNotEqual(old.headers[b"etag"], new.headers[b"etag"])

    def test_templates(self) -> None:
        """When templates are read again, pages are rendered again; templates that cannot be read change nothing."""
        directory = Path(self.mktemp())
        directory.mkdir()
        layout = (PACKAGE_TEMPLATES / "layout.html").read_text()
        (directory / "layout.html").write_text(layout)
        self.resource.templates = Templates(directory)
        self.count()
        self.assertNotIn(b"New style", self.get("/ada").body)
        (directory / "layout.html").write_text(layout.replace("All users", "New style"))
        self.assertTrue(self.successResultOf(self.resource.templates.reload()))
        self.assertIn(b"New style", self.get("/ada").body)
        (directory / "layout.html").write_text("<html>")
        self.assertFalse(self.successResultOf(self.resource.templates.reload()))
        self.get("/ada")
        self.assertEqual(self.rendered, 2)

    def test_children(self) -> None:
        """When another resource takes a path, links to the user of that name change."""
        self.assertIn(b'href="./ada"', self.get("/").body)
        self.resource.putChild(b"ada", Data(b"", "text/plain"))
        self.assertIn(b'href="./?user=ada"', self.get("/").body)

    def test_errors(self) -> None:
        """Pages of errors are not kept, so that names that do not exist do not take the place of others."""
        self.get("/ada")
        for number in range(50):
            answer = self.get(f"/nobody{number}", accept_encoding="gzip", if_none_match="*")
            self.assertEqual(answer.code, 404)
            self.assertEqual({b"etag", b"vary", b"content-encoding"}.intersection(answer.headers), set())
        self.assertEqual(len(self.resource._pages._answers), 1)
        self.service.change(Profile("nobody1", plan="Here now"))
        self.assertIn(b"Here now", self.get("/nobody1").body)

    def test_forwarded(self) -> None:
        """The page of another server's user is never kept."""
        answers = iter(["first", "second"])

        class Forwarder:
            def forward(self, query: str, host: str, verbose: bool, peer: str = "") -> Deferred[str]:
                return succeed(next(answers))

        forwarder: Any = Forwarder()
        self.assertFalse(IFingerForwarder.providedBy(forwarder))
        self.resource = FingerResource(PolicyFingerService(self.service, Clock(), forwarder=forwarder))
        for words in (b"first", b"second"):
            self.assertIn(words, self.get("/ada@example.org").body)

    def test_unversioned(self) -> None:
        """The pages of a back end without versions are rendered each time; they have tags, and no other form."""
        self.resource = FingerResource(ProfilesDouble(ADA))
        self.count()
        answers = [self.get("/ada", accept_encoding="gzip") for _ in range(2)]
        self.assertEqual(self.rendered, 2)
        for answer in answers:
            self.assertEqual({b"vary", b"content-encoding"}.intersection(answer.headers), set())
        tag = answers[0].headers[b"etag"].decode()
        self.assertEqual(self.get("/ada", if_none_match=tag).code, 304)

    def test_broken(self) -> None:
        """A page that cannot be rendered is not kept."""
        with patch.object(self.resource.templates, "render", side_effect=ZeroDivisionError):
            answer = self.get("/ada")
        self.assertEqual((answer.code, b"etag" in answer.headers), (500, False))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn(b"Weaving", self.get("/ada").body)

    def test_meanwhile(self) -> None:
        """Of requests that wait for the same page, the first one renders it."""
        waiting: list[Deferred[Profile]] = []
        self.service.getProfile = lambda user: waiting.append(Deferred()) or waiting[-1]  # type: ignore[func-returns-value,method-assign]
        transports = []
        for _ in range(2):
            channel = BoundedSite(self.resource, Clock()).buildProtocol(None)
            transports.append(StringTransport())
            channel.makeConnection(transports[-1])
            channel.dataReceived(b"GET /ada HTTP/1.1\r\nHost: h\r\n\r\n")
        for each in waiting:
            each.callback(ADA)
        self.assertEqual(self.rendered, 1)
        bodies = {Answer(transport.value()).body for transport in transports}
        self.assertEqual(len(bodies), 1)

    def test_changedMeanwhile(self) -> None:
        """A page that was looked up before a change is not kept after it."""
        waiting: Deferred[Profile] = Deferred()
        with patch.object(self.service, "getProfile", return_value=waiting):
            channel = BoundedSite(self.resource, Clock()).buildProtocol(None)
            channel.makeConnection(StringTransport())
            channel.dataReceived(b"GET /ada HTTP/1.1\r\nHost: h\r\n\r\n")
        self.service.change(Profile("ada", plan="New"))
        waiting.callback(ADA)
        self.assertIn(b"New", self.get("/ada").body)


class TagTests(WebCacheTestCase):
    """Entity tags, and requests on the condition that a page has changed (sections 8.8.3, 13.1.2, 15.4.5)."""

    def test_current(self) -> None:
        """A client that has the page gets 304, without a body, and with the headers that a cache updates."""
        for path in ("/", "/ada"):
            for coding in ("identity", "gzip"):
                page = self.get(path, accept_encoding=coding)
                tag = page.headers[b"etag"].decode()
                self.assertRegex(tag, r'\A"[!#-~]+"\Z')
                for field in (tag, f"W/{tag}", f'"x", {tag}', f'W/"x",{tag},"y"', "*"):
                    for method in ("GET", "HEAD"):
                        answer = self.get(path, method, accept_encoding=coding, if_none_match=field)
                        self.assertEqual((answer.code, answer.body), (304, b""), field)
                        for name in (b"etag", b"vary", b"cache-control"):
                            self.assertEqual(answer.headers[name], page.headers[name])
                        unwanted = {b"content-length", b"content-type", b"content-encoding", b"transfer-encoding"}
                        self.assertEqual(unwanted.intersection(answer.headers), set())

    def test_notCurrent(self) -> None:
        """A client with another page, or the same page in another coding, gets this one."""
        plain = self.get("/ada").headers[b"etag"].decode()
        packed = self.get("/ada", accept_encoding="gzip").headers[b"etag"].decode()
        other = self.get("/bob").headers[b"etag"].decode()
        for coding, field in (
            ("identity", other),
            ("identity", packed),
            ("gzip", plain),
            ("identity", plain.strip('"')),
            ("identity", '"*"'),
            ("identity", ""),
        ):
            answer = self.get("/ada", accept_encoding=coding, if_none_match=field)
            self.assertEqual(answer.code, 200, field)
            self.assertEqual(answer.headers[b"cache-control"], b"no-cache")

    def test_otherVersion(self) -> None:
        """A request for another version, or another coding, of a page gets 412 (section 13.1.1)."""
        for path in ("/", "/ada", "/robots.txt", "/favicon.ico"):
            tag = self.get(path).headers[b"etag"].decode()
            for field in ('"x"', f"W/{tag}", tag.strip('"'), f'"x", w/{tag}', '"*"'):
                answer = self.get(path, if_match=field, if_none_match=tag)
                self.assertEqual((answer.code, answer.body[-5:]), (412, b" for\n"), field)
                self.assertEqual(answer.headers[b"content-type"], b"text/plain")
                self.assertNotIn(b"etag", answer.headers)
            for field in (tag, f'"x",{tag}', f'W/"x", {tag}', "*", ""):
                self.assertEqual(self.get(path, if_match=field).code, 200, field)
                self.assertEqual(self.get(path, if_match=field, if_none_match=tag).code, 304, field)
        packed = self.get("/ada", accept_encoding="gzip").headers[b"etag"].decode()
        self.assertEqual(self.get("/ada", if_match=packed).code, 412)
        self.assertEqual(self.get("/nobody", if_match="*").code, 404)

    def test_restarted(self) -> None:
        """A tag stays the same when the server is started again."""
        before = [self.get("/ada", accept_encoding=coding).headers[b"etag"] for coding in ("identity", "gzip")]
        self.resource = FingerResource(CountingDouble(ADA))
        after = [self.get("/ada", accept_encoding=coding).headers[b"etag"] for coding in ("identity", "gzip")]
        self.assertEqual(before, after)


class CompressionTests(WebCacheTestCase):
    """Pages in gzip's coding."""

    def test_compressed(self) -> None:
        """A client that accepts gzip gets the same page, shorter, with a tag of its own."""
        for path in ("/", "/ada"):
            plain, packed = self.get(path), self.get(path, accept_encoding="gzip, deflate, br")
            self.assertEqual(packed.headers[b"content-encoding"], b"gzip")
            self.assertEqual(gzip.decompress(packed.body), plain.body)
            self.assertLess(len(packed.body), len(plain.body))
            self.assertEqual(packed.headers[b"content-length"], b"%d" % len(packed.body))
            self.assertNotEqual(packed.headers[b"etag"], plain.headers[b"etag"])
            for answer in (plain, packed):
                self.assertEqual(answer.headers[b"vary"], b"Accept-Encoding")
                for name, value in HEADERS.items():
                    self.assertEqual(answer.headers[name], value)

    def test_head(self) -> None:
        """HEAD has the headers of GET."""
        for coding in ("identity", "gzip"):
            get, head = (self.get("/ada", method, accept_encoding=coding) for method in ("GET", "HEAD"))
            self.assertEqual({**get.headers, b"date": b""}, {**head.headers, b"date": b""})
            self.assertEqual(head.body, b"")

    def test_plainPage(self) -> None:
        """A page that does not vary is not compressed."""
        page = plainPage(b"x" * MIN_COMPRESSED)
        self.assertIs(compressedPage(page), page)
