"""Tests of finding, checking and reloading templates."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.adapters.web import templating
from finger.adapters.web.pages import errorPage, listPage, userPage
from finger.adapters.web.templating import MAX_ICON, NAMES, PACKAGE_TEMPLATES, Templates, findPackageTemplates
from finger.adapters.web.views import SAMPLES
from finger.errors import ConfigError
from finger.interfaces import IReloadable
from finger.profile import Profile
from tests.support.files import LateReactor, makeFIFO

NAMESPACE = 'xmlns:t="http://twistedmatrix.com/ns/twisted.web.template/0.1"'

HTML = f"<html {NAMESPACE}><head><title>mine</title></head><body>%s</body></html>"

ICO = b"\0\0\1\0"
"""The beginning of an icon."""


class TemplatesTests(SynchronousTestCase):
    """A directory of templates."""

    def setUp(self) -> None:
        """Make an empty directory."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def write(self, name: str, text: str | bytes) -> None:
        """Write a template into the directory."""
        (self.directory / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def complaint(self) -> str:
        """Return the error for the directory: one line that names the option and the directory."""
        message = str(self.assertRaises(ConfigError, Templates, self.directory))
        self.assertNotIn("\n", message)
        start = f"--templates={self.directory}: "
        self.assertEqual(message[: len(start)], start)
        return message[len(start) :]

    def test_own(self) -> None:
        """The package has all templates, and every kind of page can be rendered with them."""
        self.assertEqual({path.name for path in PACKAGE_TEMPLATES.iterdir()}, {*NAMES, "favicon.ico"})
        templates = Templates()
        verifyObject(IReloadable, templates)
        for page in SAMPLES:
            self.assertIn(b"<h1>", self.successResultOf(templates.render(page)))

    def test_ownMissing(self) -> None:
        """
        An incomplete installation is an error of one line, whatever templates are configured; a reload keeps the
        pages.
        """
        self.write("user.html", "<p>mine</p>")
        installed = Templates(self.directory)
        missing = self.directory / "missing"
        self.patch(templating, "PACKAGE_TEMPLATES", missing)
        for directory in (None, self.directory):
            message = str(self.assertRaises(ConfigError, Templates, directory))
            self.assertEqual(
                message,
                f"{missing}: holds no layout.html; the package's own templates should be there, or in templates/ "
                "beside the package",
            )
        with capturedLogs() as events:
            self.assertIs(self.successResultOf(installed.reload()), False)
        self.assertIn("holds no layout.html", events[0]["error"])
        self.assertIn(b"<p>mine</p>", self.successResultOf(installed.render(userPage(Profile("ada")))))

    def test_all(self) -> None:
        """A directory with all templates replaces all of the package's."""
        self.write("layout.html", HTML % '<t:slot name="content"/>')
        for name in NAMES[1:]:
            self.write(name, f"<p {NAMESPACE}>{name}: <t:slot name='title'/></p>")
        templates = Templates(self.directory)
        for page, title in ((listPage([]), "Users"), (userPage(Profile("ada")), "ada"), (errorPage("No", 404), "No")):
            html = f"<title>mine</title></head><body><p>{page.template}: {title}</p></body></html>"
            self.assertIn(html, self.successResultOf(templates.render(page)).decode())

    def test_some(self) -> None:
        """A template that is missing in the directory is the package's; other files are ignored."""
        self.write("user.html", f"<h2 {NAMESPACE}>Just <t:slot name='login'/></h2>")
        self.write("user.html~", "<")
        self.write(".#user.html", "<")
        self.write("README", "<")
        html = self.successResultOf(Templates(self.directory).render(userPage(Profile("ada")))).decode()
        self.assertIn("<h2>Just ada</h2>", html)
        self.assertIn("All users", html)

    def test_byteOrderMark(self) -> None:
        """A byte order mark, which some editors write, is not part of the page."""
        self.write("error.html", b"\xef\xbb\xbf<p>mine</p>")
        html = self.successResultOf(Templates(self.directory).render(errorPage("No", 404)))
        self.assertIn(b"<p>mine</p>", html)
        self.assertNotIn(b"\xef\xbb\xbf", html)

    def test_comments(self) -> None:
        """Comments in templates are not sent."""
        self.write("user.html", "<p>a<!-- secret --><b>c<!-- secret --></b></p>")
        html = self.successResultOf(Templates(self.directory).render(userPage(Profile("ada")))).decode()
        self.assertIn("<p>a<b>c</b></p>", html)
        self.assertNotIn("secret", html)

    def test_reusedParts(self) -> None:
        """The user list may use every slot and part of a user's page."""
        self.write("users.html", f"<ul {NAMESPACE}><li t:render='users'><b t:render='office'>x</b></li></ul>")
        page = listPage([Profile("ada", office="1"), Profile("bob")])
        html = self.successResultOf(Templates(self.directory).render(page)).decode()
        self.assertIn("<ul><li><b>x</b></li><li></li></ul>", html)

    def test_faults(self) -> None:
        """Each fault is reported with its file and what would be right."""
        known = "details, home, lastlogin, mail, name, nothing, office, pgpkey, plan, project, pubkey, shell, "
        known += "status, words"
        for name, text, expected in (
            ("user.html", "<p>\n<b>\n</p>", "user.html: line 3: mismatched tag"),
            ("user.html", "", "user.html: line 1: no element found"),
            ("user.html", "<p>&nbsp;</p>", "user.html: line 1: undefined entity"),
            ("user.html", "<p t:render='plan'/>", "user.html: line 1: unbound prefix"),
            ("user.html", b"<p>\xff</p>", "user.html: is not in UTF-8: invalid start byte at byte 3"),
            (
                "user.html",
                f"<p {NAMESPACE}>\n<b t:render='plam'/></p>",
                f'user.html: line 2: no t:render="plam" here; available are {known}',
            ),
            (
                "error.html",
                f"<p {NAMESPACE}>\n\n<t:slot name='me'/></p>",
                'error.html: line 3: the slot "me" is not filled here, or not always; try t:render="me" around it',
            ),
            (
                "user.html",
                f"<p {NAMESPACE}><t:slot name='plan'/></p>",
                'user.html: line 1: the slot "plan" is not filled here, or not always; try t:render="plan" around it',
            ),
            (
                "user.html",
                f"<t:attr {NAMESPACE} name='href'/>",
                "user.html: t:attr must be directly in a tag, and t:attr and t:slot need a name",
            ),
            (
                "user.html",
                f"<p {NAMESPACE}><t:slot/></p>",
                "user.html: t:attr must be directly in a tag, and t:attr and t:slot need a name",
            ),
            (
                "user.html",
                f"<p {NAMESPACE}><t:slot name='login'><t:attr name='x'/></t:slot></p>",
                "user.html: t:attr must be directly in a tag, and t:attr and t:slot need a name",
            ),
            ("user.html", "<b>" * 9000 + "</b>" * 9000, "user.html: has too deeply nested tags"),
            (
                "user.html",
                "<html/>",
                "user.html: begins with <html>, which is in layout.html; should be the content of <main>",
            ),
            ("layout.html", "<body/>", "layout.html: begins with <body>, should begin with <html>"),
            (
                "layout.html",
                f"<t:slot {NAMESPACE} name='content'/>",
                "layout.html: begins with <t:slot>, should begin with <html>",
            ),
            (
                "layout.html",
                HTML % "",
                'layout.html: does not use its content; should have <t:slot name="content"/>',
            ),
            (
                "layout.html",
                HTML % '<style type="text/css">p &gt; b {}</style><t:slot name="content"/>',
                "layout.html: <style> must not contain <, >, & or CDATA, which XML and HTML parse differently",
            ),
            (
                "error.html",
                "<style><![CDATA[p {}]]></style>",
                "error.html: <style> must not contain <, >, & or CDATA, which XML and HTML parse differently",
            ),
            ("error.html", "<p><\N{SNOWMAN}/></p>", "error.html: line 1: not well-formed (invalid token)"),
            (
                "error.html",
                "<é/>",
                "error.html: line 1: 'ascii' codec can't encode character '\\xe9' in position 0: "
                "ordinal not in range(128)",
            ),
        ):
            for old in self.directory.iterdir():
                old.unlink()
            self.write(name, text)
            self.assertEqual(self.complaint(), expected)

    def test_misnamed(self) -> None:
        """A misspelt file name is reported, not ignored."""
        self.write("user.html", "<p/>")
        self.write("eror.html", "<p/>")
        self.assertEqual(
            self.complaint(),
            "eror.html: is not the name of a template; "
            "expected one or more of layout.html, users.html, user.html, error.html, favicon.ico",
        )

    def test_empty(self) -> None:
        """A directory without templates is reported."""
        self.write("passwd", "x")
        self.assertIn("holds no template; expected one or more of layout.html", self.complaint())

    def test_icon(self) -> None:
        """The icon may be the only file in the directory, and is read again with the templates."""
        own = Templates().icon
        self.assertTrue(own.startswith(ICO))
        self.write("user.html", "<p/>")
        self.assertEqual(Templates(self.directory).icon, own)
        (self.directory / "user.html").unlink()
        self.write("favicon.ico", ICO + b"first")
        templates = Templates(self.directory)
        self.assertEqual(templates.icon, ICO + b"first")
        self.write("favicon.ico", ICO + b"second")
        self.assertIs(self.successResultOf(templates.reload()), True)
        self.assertEqual(templates.icon, ICO + b"second")
        with capturedLogs():
            self.write("favicon.ico", b"")
            self.assertIs(self.successResultOf(templates.reload()), False)
        self.assertEqual(templates.icon, ICO + b"second")

    def test_badIcon(self) -> None:
        """An icon that cannot be one is reported."""
        for content in (b"", b"<svg/>", b"\x89PNG\r\n\x1a\n", ICO + b"x" * MAX_ICON):
            self.write("favicon.ico", content)
            self.assertEqual(
                self.complaint(),
                f"favicon.ico: should be an icon in Windows' format (ICO), of at most {MAX_ICON} bytes",
            )
        (self.directory / "favicon.ico").unlink()
        (self.directory / "favicon.ico").mkdir()
        self.assertEqual(self.complaint(), "favicon.ico: cannot be read: Is a directory")

    def test_unreadable(self) -> None:
        """So is a path that is not a directory, and a template that is not a file."""
        (self.directory / "user.html").mkdir()
        self.assertEqual(self.complaint(), "user.html: cannot be read: Is a directory")
        self.directory = self.directory / "nowhere"
        self.assertIn("cannot be read: No such file or directory; it should be a directory with", self.complaint())

    def test_dangling(self) -> None:
        """A dangling link is not treated as a missing template."""
        os.symlink("nowhere", self.directory / "user.html")
        self.assertEqual(self.complaint(), "user.html: cannot be read: No such file or directory")

    def test_reload(self) -> None:
        """Templates are read again on reload, and the old ones are kept if the new are bad."""

        def shown() -> bytes:
            return self.successResultOf(templates.render(errorPage("No", 404)))

        self.write("error.html", "<p>one</p>")
        templates = Templates(self.directory)
        self.write("error.html", "<p>two</p>")
        self.assertIn(b"<p>one</p>", shown())
        with capturedLogs() as events:
            self.assertIs(self.successResultOf(templates.reload()), True)
            self.assertIn(b"<p>two</p>", shown())
            self.write("error.html", "<p>three")
            self.assertIs(self.successResultOf(templates.reload()), False)
        self.assertIn(b"<p>two</p>", shown())
        self.assertEqual([event["log_level"].name for event in events], ["info", "error"])
        self.assertIn("error.html: line 1: no element found", events[1]["error"])

    def test_fifo(self) -> None:
        """A FIFO is no template; a reload finds that out in a thread, and keeps the pages."""
        self.write("error.html", "<p>one</p>")
        reactor = LateReactor()
        templates = Templates(self.directory, reactor)
        makeFIFO(self, self.directory / "error.html")
        self.assertEqual(self.complaint(), "error.html: cannot be read: is not a regular file")
        reload = templates.reload()
        self.assertNoResult(reload)
        with capturedLogs() as events:
            reactor.runThreads()
        self.assertIs(self.successResultOf(reload), False)
        self.assertEqual(len(events), 1)
        self.assertIn("error.html: cannot be read: is not a regular file", formatEvent(events[0]))
        self.assertIn(b"<p>one</p>", self.successResultOf(templates.render(errorPage("No", 404))))


class FindPackageTemplatesTests(SynchronousTestCase):
    """The place of the package's own templates."""

    def setUp(self) -> None:
        """Make a package without templates."""
        self.package = Path(self.mktemp(), "finger")
        self.package.mkdir(parents=True)
        self.inside, self.beside = self.package / "templates", self.package.parent / "templates"

    def put(self, directory: Path, name: str = "layout.html") -> None:
        """Put a file into a directory."""
        directory.mkdir(exist_ok=True)
        (directory / name).touch()

    def test_beside(self) -> None:
        """In a checkout, they are beside the package; an editor's files inside do not hide them."""
        self.put(self.beside)
        self.assertEqual(findPackageTemplates(self.package), self.beside)
        self.put(self.inside, "layout.html~")
        self.assertEqual(findPackageTemplates(self.package), self.beside)

    def test_inside(self) -> None:
        """In an installation, they are inside the package; a directory beside it belongs to another package."""
        self.put(self.inside)
        self.assertEqual(findPackageTemplates(self.package), self.inside)
        self.put(self.beside)
        self.assertEqual(findPackageTemplates(self.package), self.inside)

    def test_neither(self) -> None:
        """If they are in neither place, the place inside is returned."""
        self.assertEqual(findPackageTemplates(self.package), self.inside)
