"""Tests of the web with real browsers and clients, and a real server on both loopback addresses."""

from __future__ import annotations

import os
import re
import struct
import zlib
from pathlib import Path
from urllib.parse import urljoin

from justhtml import JustHTML
from twisted.internet.defer import Deferred, succeed
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site

import finger.adapters.profile  # noqa: F401  (registers the adapter)
from finger.adapters.web.pages import Page
from finger.adapters.web.resource import FingerResource
from finger.adapters.web.templating import Templates
from finger.profile import Profile
from finger.testing import ProfilesDouble
from tests.support.tools import FAMILIES, need
from tests.support.typed import addressOf, asType, listenOn, notNone

LONG = "https://example.org/" + "a/very/long/address/" * 20

USERS = (
    Profile("ada", "Ada Lovelace", f"First line.\n\n    Third line, indented, and {LONG}\nthe end", "The Engine"),
    Profile("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<script>alert(1)</script>"),
    *(Profile(name, plan=f"Status of {name}") for name in ("a/b?c#d", "..", "50% off", "żółw", "x:y", "RPC2")),
)

OFFLINE = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
)

DARK, LIGHT = "--blink-settings=preferredColorScheme=0", "--blink-settings=preferredColorScheme=1"


def userLinks(page: JustHTML) -> list[str]:
    """Return the URLs of the user list's links."""
    return [notNone(notNone(link.attrs)["href"]) for link in page.query(".users a")]


class BrowserTests(TestCase):
    """The pages in several browsers."""

    timeout = 300

    def setUp(self) -> None:
        """Serve at the root, and below a prefix as behind a reverse proxy."""
        self.resource = asType(FingerResource, IResource(ProfilesDouble(*USERS)))
        self.resource.putChild(b"RPC2", Resource())
        root = IResource(ProfilesDouble(*USERS))
        root.putChild(b"pre fix", self.resource)
        self.bases: dict[str, str] = {}
        for family, host in FAMILIES.items():
            port = listenOn(host, Site(root))
            self.addCleanup(port.stopListening)
            name = f"[{host}]" if ":" in host else host
            self.bases[family] = f"http://{name}:{addressOf(port).port}/pre%20fix/"

    async def run_(self, program: str, *arguments: str) -> tuple[str, str]:
        """Run a program that has the same name as its package, and return its standard output and error."""
        command = ["60", need(program, package=program), *arguments]
        out, err, status = await getProcessOutputAndValue(need("timeout", "coreutils"), command, env=dict(os.environ))
        self.assertIn(status, {0, 1} if program == "lynx" else {0}, err)  # lynx exits with 1 if the page is an error.
        return out.decode(), err.decode()

    async def chromium(self, url: str, *options: str) -> tuple[str, list[str]]:
        """Load a page, and return its DOM and the browser's console messages."""
        profile = f"--user-data-dir={Path(self.mktemp()).absolute()}"
        out, err = await self.run_(
            "chromium", *OFFLINE, profile, "--enable-logging=stderr", "--dump-dom", *options, url
        )
        return out, re.findall(r"CONSOLE.*", err)

    async def look(self, url: str, *options: str, width: int = 390, height: int = 844) -> list[list[bytes]]:
        """Load a page, and return its screenshot as rows of colours."""
        picture = Path(self.mktemp()).absolute().with_suffix(".png")
        await self.chromium(url, f"--screenshot={picture}", f"--window-size={width},{height}", *options)
        return pixels(picture.read_bytes())

    async def test_curl(self) -> None:
        """Over IPv4 and IPv6, curl gets pages and headers; unknown pages give 404, and PUT gives 405."""
        for base in self.bases.values():
            page, _ = await self.run_("curl", "-si", f"{base}ada")
            head, _ = await self.run_("curl", "-sI", f"{base}ada")
            self.assertTrue(page.startswith("HTTP/1.1 200"))
            self.assertIn("<h1><bdi>Ada Lovelace</bdi></h1>", page)
            self.assertEqual(head.splitlines()[0], "HTTP/1.1 200 OK")
            self.assertEqual(length(head), length(page))
            for path, method, code in (("nobody", "GET", 404), ("ada/b", "GET", 404), ("ada", "PUT", 405)):
                answer, _ = await self.run_("curl", "-si", "-X", method, base + path)
                self.assertTrue(answer.startswith(f"HTTP/1.1 {code}"))

    async def test_curlOldHTTP(self) -> None:
        """An HTTP/1.0 request gets the complete page."""
        page, _ = await self.run_("curl", "-si0", f"{self.bases['IPv4']}ada")
        self.assertIn("</html>", page)

    async def test_links(self) -> None:
        """Each link of the list leads to its user."""
        for base in self.bases.values():
            listed, _ = await self.run_("curl", "-s", base)
            links = userLinks(JustHTML(listed))
            for profile, link in zip(sorted(USERS, key=lambda user: user.login), links, strict=True):
                text, _ = await self.run_("lynx", "-dump", "-display_charset=utf-8", urljoin(base, link))
                self.assertIn(f"1. {base.replace('%20', ' ')}", text)
                self.assertIn(profile.name or profile.login, " ".join(text.split()))
                self.assertIn((profile.plan or "").split("\n")[0], text)

    async def test_textBrowsers(self) -> None:
        """Text browsers show line ends and spaces, and the error for an unknown user."""
        base = self.bases["IPv4"]
        for program, *options in (("lynx", "-dump", "-width=990"), ("links", "-dump", "-width", "500")):
            text, _ = await self.run_(program, *options, f"{base}ada")
            for words in ("Ada Lovelace", "Plan", "First line.", "Project", "The Engine"):
                self.assertIn(words, text)
            lines = [line.strip() for line in text.splitlines()]
            first = lines.index("First line.")
            self.assertEqual(lines[first + 1], "")
            self.assertTrue(lines[first + 2].startswith("Third line, indented"))
            text, _ = await self.run_(program, *options, f"{base}nobody")
            self.assertIn("No such user", text)

    async def test_chromium(self) -> None:
        """Chromium shows the list and each user without errors in its console."""
        dom, console = await self.chromium(self.bases["IPv6"])
        self.assertEqual(console, [])
        page = JustHTML(dom, sanitize=False)
        self.assertEqual(notNone(page.query_one("h1")).to_text(), "Users")
        links = userLinks(page)
        self.assertEqual(len(links), len(USERS))
        for profile, link in zip(sorted(USERS, key=lambda user: user.login), links, strict=True):
            dom, console = await self.chromium(urljoin(self.bases["IPv4"], link))
            self.assertEqual(console, [])
            page = JustHTML(dom, sanitize=False)
            self.assertEqual(notNone(page.query_one("h1")).to_text(), profile.name or profile.login)
            self.assertEqual(notNone(page.query_one("pre")).to_text(), profile.plan)
            self.assertEqual(page.query("script, img"), [])

    async def test_chromiumRefused(self) -> None:
        """A script in an unknown user's name is shown, not run."""
        url = f"{self.bases['IPv4']}%3Cscript%3Ealert(1)%3C%2Fscript%3E"
        dom, console = await self.chromium(url)
        self.assertEqual(JustHTML(dom, sanitize=False).query("script"), [])
        self.assertEqual([line for line in console if "404" not in line], [])

    async def test_policy(self) -> None:
        """The content security policy blocks a script even if a page contains one."""
        self.resource.templates = ScriptTemplates()
        dom, console = await self.chromium(self.bases["IPv4"])
        self.assertEqual(notNone(JustHTML(dom, sanitize=False).query_one("h1")).to_text(), "safe")
        self.assertEqual(len(console), 1)
        self.assertIn("Content Security Policy", console[0])

    async def test_lightAndDark(self) -> None:
        """The page follows the preferred colour scheme."""
        base = self.bases["IPv4"]
        self.assertEqual((await self.look(base, LIGHT))[0][0].hex(), "fbfaf7")
        self.assertEqual((await self.look(base, DARK))[0][0].hex(), "17181b")

    async def test_phone(self) -> None:
        """On a phone's screen no content exceeds the width, however long a line is."""
        for path in ("", "ada", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "x" * 500):
            rows = await self.look(self.bases["IPv4"] + path, LIGHT, width=390)
            margins = {colour.hex() for row in rows for colour in (*row[:12], *row[-12:])}
            self.assertEqual(margins, {"fbfaf7"}, path)
            self.assertGreater(len({colour for row in rows for colour in row}), 2)


class ScriptTemplates(Templates):
    """Templates that contain a script."""

    def render(self, page: Page) -> Deferred[bytes]:
        """Return a page whose heading shows whether the script has run."""
        script = "<script>document.querySelector('h1').textContent = 'not safe'</script>"
        return succeed(f"<!DOCTYPE html><title>x</title><link rel=icon href='data:,'><h1>safe</h1>{script}".encode())


def length(response: str) -> str:
    """Return a response's Content-Length."""
    [found] = re.findall(r"(?im)^content-length: (\d+)", response)
    return str(found)


def pixels(png: bytes) -> list[list[bytes]]:
    """Return a picture as rows of colours (PNG, third edition: 8 bits a channel, not interlaced)."""
    chunks, position = {b"IDAT": b""}, 8
    while position < len(png):
        size, kind = struct.unpack_from(">I4s", png, position)
        chunks[kind] = chunks.get(kind, b"") + png[position + 8 : position + 8 + size]
        position += size + 12
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert (depth, colour) in {(8, 2), (8, 6)}
    channels = 3 if colour == 2 else 4
    data = zlib.decompress(chunks[b"IDAT"])
    above, rows = bytearray(width * channels), []
    for number in range(height):
        start = number * (width * channels + 1)
        above = unfiltered(data[start], bytearray(data[start + 1 : start + 1 + width * channels]), above, channels)
        rows.append([bytes(above[at : at + 3]) for at in range(0, len(above), channels)])
    return rows


def unfiltered(kind: int, row: bytearray, above: bytearray, channels: int) -> bytearray:
    """Reverse the filter of a PNG row (section 9.2)."""
    for index in range(len(row)):
        left = row[index - channels] if index >= channels else 0
        corner = above[index - channels] if index >= channels else 0
        up = above[index]
        guess = left + up - corner
        nearest = min((left, up, corner), key=lambda neighbour: abs(guess - neighbour))
        row[index] = (row[index] + (0, left, up, (left + up) // 2, nearest)[kind]) & 255
    return row
