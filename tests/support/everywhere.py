"""A test case that queries a user through every adapter of a real server, for tests of back ends."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPSHandler, ProxyHandler, build_opener
from xmlrpc.client import ServerProxy

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.spread.pb import PBClientFactory, RemoteError

from tests.support.ircserver import Client, IRCTestCase
from tests.support.tools import DEADLINE, FAMILIES, Server, ask

EVERY_ADAPTER = ("--fingerport=0", "--webport=0", "--ssl", "--httpsport=0", "--pbport=0", "--ircnick=fingerbot")

ADAPTERS = [
    *(f"{adapter} over {family}" for family in FAMILIES for adapter in ("finger", "finger /W", "web", "HTTPS", "PB")),
    *(f"XML-RPC over {family} and {scheme}" for family in FAMILIES for scheme in ("HTTP", "HTTPS")),
    "IRC",
]
"""Each way to query a user."""

UNKNOWN = "nobody-of-that-name"

INSECURE = ssl.create_default_context()  # The server's certificate is self-signed.
INSECURE.check_hostname = False
INSECURE.verify_mode = ssl.CERT_NONE

BROWSER = build_opener(ProxyHandler({}), HTTPSHandler(context=INSECURE))
"""A client for pages of this machine, without any configured HTTP proxy."""


class EverywhereTestCase(IRCTestCase):
    """A base for tests with a server that has every adapter."""

    timeout = 2 * DEADLINE

    async def start(self, *options: str, **settings: Any) -> Server:
        """
        Start a server with every adapter, and connect a client to the IRC server of its bot.

        @param options: the server's options, besides those for its ports.
        """
        self.asker = await self.client("joe")  # The IRC server is up now, so the bot connects at the first attempt.
        ircserver = f"--ircserver=tcp:127.0.0.1:{self.server.port}"
        server = Server(*options, *EVERY_ADAPTER, ircserver, **settings)
        self.addCleanup(server.__exit__)
        await self.until(self.asker, "fingerbot")
        return server

    async def assertEverywhere(self, server: Server, user: str, status: str) -> None:
        """Check that every adapter, over both families, answers with a user's status, and refuses an unknown user."""
        self.asker.ask(user)
        lines = [await noticeOf(self.asker)]
        self.asker.ask(UNKNOWN)  # The bot delays further lines; meanwhile the others are queried.
        statuses = {adapter: answer async for adapter, answer in everyAnswer(server, user)}
        unknowns = {adapter: answer async for adapter, answer in everyAnswer(server, UNKNOWN)}
        while not lines[-1].startswith(f"Status of {UNKNOWN}: "):
            lines.append(await noticeOf(self.asker))
        unknowns["IRC"] = statusOfNotices(UNKNOWN, [lines.pop()])
        statuses["IRC"] = statusOfNotices(user, lines)
        self.assertEqual(statuses, dict.fromkeys(ADAPTERS, status))
        self.assertEqual(unknowns, dict.fromkeys(ADAPTERS, "No such user"))
        self.assertNotIn("Traceback", server.log)


async def everyAnswer(server: Server, user: str) -> AsyncIterator[tuple[str, str]]:
    """Query each adapter that listens, and yield its name and answer."""
    finger, web, https, pb = map(server.port, ("fingerport", "webport", "httpsport", "pbport"))
    for family, host in FAMILIES.items():
        site, secureSite = f"http://{bracketed(host)}:{web}/", f"https://{bracketed(host)}:{https}/"
        yield f"finger over {family}", statusOfAnswer(ask(host, finger, f"{user}\r\n".encode()))
        yield f"finger /W over {family}", statusOfAnswer(ask(host, finger, f"/W {user}\r\n".encode()))
        yield f"web over {family}", statusOfPage(site + quote(user))
        yield f"HTTPS over {family}", statusOfPage(secureSite + quote(user))
        yield f"XML-RPC over {family} and HTTP", answerOfXMLRPC(f"{site}RPC2", user)
        yield f"XML-RPC over {family} and HTTPS", answerOfXMLRPC(f"{secureSite}RPC2", user)
        yield f"PB over {family}", await answerOfPB(host, pb, user)


def bracketed(host: str) -> str:
    """Return a host in the form for a URL."""
    return f"[{host}]" if ":" in host else host


def statusOfAnswer(answer: bytes) -> str:
    """Return the status in a finger server's answer, in its short or long form."""
    text = answer.decode("utf-8").replace("\r\n", "\n").removesuffix("\n")
    if not text.startswith("Login: "):
        return text
    _, plan, status = text.partition("\nPlan:\n")
    return status if plan else text.rpartition("\n")[2]


class PageReader(HTMLParser):
    """
    A parser for a user's page or an error page.

    @ivar texts: the texts of its headings and preformatted elements, by tag.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: dict[str, list[str]] = {"h1": [], "pre": []}
        self._open = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Start collecting an element's text."""
        if tag in self.texts:
            self._open = tag
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        """Stop collecting an element's text."""
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        """Collect text."""
        if self._open:
            self.texts[self._open][-1] += data


def statusOfPage(url: str) -> str:
    """Return the status on a user's page, or the heading of an error page."""
    try:
        with BROWSER.open(url) as response:
            return readPage(response.read())["pre"][0]
    except HTTPError as error:
        with error:
            assert error.code == 404, error
            return readPage(error.read())["h1"][0]


def readPage(page: bytes) -> dict[str, list[str]]:
    """Return the texts of a page; see L{PageReader}."""
    reader = PageReader()
    reader.feed(page.decode("utf-8"))
    reader.close()
    return reader.texts


def answerOfXMLRPC(url: str, user: str) -> str:
    """Return the answer of XML-RPC."""
    with ServerProxy(url, context=INSECURE if url.startswith("https:") else None) as proxy:
        return str(proxy.getUser(user))


async def answerOfPB(host: str, port: int, user: str) -> str:
    """Return the answer of Perspective Broker, or the text of its error."""
    factory = PBClientFactory()
    await HostnameEndpoint(reactor, host, port).connect(factory)
    root = await factory.getRootObject()
    gone: Deferred[None] = Deferred()
    root.broker.notifyOnDisconnect(lambda: gone.callback(None))
    try:
        return str(await root.callRemote("getUser", user))
    except RemoteError as error:
        return str(error)
    finally:
        factory.disconnect()
        await gone


def statusOfNotices(user: str, lines: list[str]) -> str:
    """Return the status in the bot's lines."""
    title, status = lines[0].split(": ", 1)
    assert title == f"Status of {user}", lines
    return "\n".join([status, *lines[1:]])


async def noticeOf(client: Client) -> str:
    """Return the next line from the bot."""
    return (await client.expect(f"^:fingerbot![^ ]+ NOTICE {client.nickname} :")).split(" :", 1)[1]
