"""The paths that programs request unasked, what search engines may index, and the descriptions of pages."""

from __future__ import annotations

from urllib.robotparser import RobotFileParser

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.static import Data

from finger.access.authority import Authority
from finger.adapters.web.pages import MAX_DESCRIPTION, listPage, userPage
from finger.adapters.web.paths import RESERVED
from finger.adapters.web.resource import FingerResource
from finger.backends.memory import MemoryFingerService
from finger.profile import Profile
from finger.testing import ProfilesDouble
from tests.unit.test_web import ADA, Browser, browse, read

PATHS = ("/robots.txt", "/favicon.ico", "/.well-known")


class PathTests(SynchronousTestCase):
    """C{/robots.txt}, C{/favicon.ico} and C{/.well-known/}."""

    def setUp(self) -> None:
        """Make a server."""
        self.resource = FingerResource(ProfilesDouble(ADA, *map(Profile, RESERVED)))
        self.ask = Browser(self.resource)

    def get(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Request a file, and return the status code, the headers and the body."""
        _, transport = self.ask.send(path, method)
        head, _, body = transport.value().partition(b"\r\n\r\n")
        answer = read(head + b"\r\n\r\n")
        return answer.code, answer.headers, body

    def mayFetch(self, path: str = "/ada") -> bool:
        """Return whether a crawler may request a page."""
        code, headers, body = self.get("/robots.txt")
        self.assertEqual((code, headers["content-type"]), (200, "text/plain; charset=utf-8"))
        rules = RobotFileParser()
        rules.parse(body.decode().splitlines())
        return rules.can_fetch("crawler", f"http://h{path}")

    def test_robots(self) -> None:
        """Crawlers may request all pages, or none."""
        for isIndexed in (True, False):
            self.resource.templates.isIndexed = isIndexed
            self.assertEqual({self.mayFetch(path) for path in ("/", "/ada", "/?user=ada")}, {isIndexed})

    def test_icon(self) -> None:
        """The icon is served, and kept by clients."""
        code, headers, body = self.get("/favicon.ico")
        self.assertEqual((code, headers["content-type"]), (200, "image/vnd.microsoft.icon"))
        self.assertEqual(body, self.resource.templates.icon)
        self.assertEqual(int(headers["content-length"]), len(body))

    def test_cached(self) -> None:
        """Clients may keep both files, and ask whether theirs is current."""
        for path, seconds in (("/robots.txt", 3600), ("/favicon.ico", 86400)):
            _, headers, body = self.get(path)
            self.assertEqual(headers["cache-control"], f"public, max-age={seconds}")
            code, again, nothing = self.get(f"{path} HTTP/1.1\r\nIf-None-Match: {headers['etag']}\r\nX:")
            self.assertEqual((code, nothing), (304, b""))
            self.assertEqual(again["cache-control"], headers["cache-control"])
            code, again, nothing = self.get(path, "HEAD")
            self.assertEqual((code, again["content-length"], nothing), (200, str(len(body)), b""))

    def test_nothing(self) -> None:
        """The other paths are no pages, and neither is anything below them."""
        others = sorted(RESERVED - {"robots.txt", "favicon.ico"})
        for path in (*others, ".well-known/", ".well-known/security.txt", "robots.txt/", "favicon.ico/x"):
            answer = self.ask(f"/{path}")
            self.assertEqual((answer.code, answer.texts("h1"), answer.texts("code")), (404, ["No such page"], []))

    def test_log(self) -> None:
        """Nobody is looked up: the log has no such user."""
        with capturedLogs() as logs:
            for path in (*PATHS, "/.well-known/security.txt"):
                for method in ("GET", "HEAD", "PUT"):
                    self.get(path, method)
        self.assertEqual({event["query"] for event in logs if "query" in event}, {""})
        self.assertEqual({event["outcome"] for event in logs if "query" in event}, {"NoSuchPage", "MethodRefused"})

    def test_methods(self) -> None:
        """They are read only, also if users can set their statuses."""
        service = MemoryFingerService({"robots.txt": "old"})
        resource = FingerResource(service)
        resource.authority = Authority(service)
        for path in PATHS:
            answer = Browser(resource)(path, "PUT")
            self.assertEqual((answer.code, answer.headers["allow"]), (405, "GET, HEAD"))
        answer = Browser(resource)("/?user=robots.txt", "PUT")
        self.assertEqual((answer.code, answer.texts("h1")), (403, ["HTTPS only"]))

    def test_users(self) -> None:
        """A user with such a name is listed, with a link that works."""
        links = self.ask().links()
        for name in RESERVED:
            self.assertEqual(links[name], f"./?user={name}")
            self.assertEqual(self.ask(f"/?user={name}").texts("h1"), [name])

    def test_others(self) -> None:
        """Similar names are users'."""
        for name in ("Robots.txt", "robots", "well-known", "favicon.icon"):
            self.assertEqual(browse(Profile(name))(f"/{name}").texts("h1"), [name])

    def test_child(self) -> None:
        """Another adapter may serve such a path."""
        self.resource.putChild(b".well-known", Data(b"served", "text/plain"))
        self.assertEqual(self.get("/.well-known")[2], b"served")


class IndexTests(SynchronousTestCase):
    """What search engines may index."""

    def test_indexed(self) -> None:
        """Every page asks not to be indexed, or none does."""
        for isIndexed in (True, False):
            resource = FingerResource(ProfilesDouble(ADA))
            resource.templates.isIndexed = isIndexed
            for path in ("/", "/ada", "/?user=ada", "/nobody", "/a/b"):
                for _ in range(2):  # Rendered, and kept.
                    answer = Browser(resource)(path)
                    robots = [meta.attrs["content"] for meta in answer.page.query("meta[name=robots]")]
                    self.assertEqual(robots, [] if isIndexed else ["noindex"])
                    self.assertEqual(answer.headers.get("x-robots-tag"), None if isIndexed else "noindex")


class DescriptionTests(SynchronousTestCase):
    """The descriptions of pages."""

    def described(self, profile: Profile) -> str:
        """Return the description of a user's page."""
        return userPage(profile).description

    def test_description(self) -> None:
        """It has the name, and the first line of the plan or status."""
        for profile, description in (
            (ADA, "Ada Lovelace: Write the first program."),
            (Profile("ada", "Ada"), "Ada"),
            (Profile("ada", "Ada", plan=""), "Ada"),
            (Profile("ada", plan="\n  \n\tWorking,  hard\nand long"), "Working, hard"),
            (Profile("ada"), ""),
            (Profile("ada", plan=" \n"), ""),
            (Profile("ada", "A\x1b[2Jda", plan="\u202ebad\x07"), "A?[2Jda: ?bad?"),
        ):
            self.assertEqual(self.described(profile), description)
        self.assertEqual(listPage([ADA]).description, "")

    def test_bounded(self) -> None:
        """It is cut."""
        for name, plan in (("Ada", "x" * 65536), ("x" * 65536, "y"), ("Ada", "word " * 13000), ("Ada", " " * 65536)):
            self.assertLessEqual(len(self.described(Profile("ada", name, plan=plan))), MAX_DESCRIPTION)
        self.assertEqual(self.described(Profile("ada", plan="x" * MAX_DESCRIPTION)), "x" * MAX_DESCRIPTION)
        self.assertEqual(
            self.described(Profile("ada", plan="x" * (MAX_DESCRIPTION + 1))), "x" * (MAX_DESCRIPTION - 1) + "…"
        )

    def test_page(self) -> None:
        """A user's page has it, escaped, with the title for previews of links; other pages have neither."""
        ask = browse(Profile("ada", 'A "da"', plan="<script>&amp;'\"</script>"))
        page = ask("/ada").page
        self.assertEqual(
            page.query_one("meta[name=description]").attrs["content"], 'A "da": <script>&amp;\'"</script>'
        )
        self.assertEqual(page.query_one('meta[property="og:title"]').attrs["content"], 'A "da" (ada)')
        self.assertEqual(page.query("script"), [])
        for path in ("/", "/nobody"):
            self.assertEqual(ask(path).page.query("meta[name=description], meta[property]"), [])
