"""Tests of the IRC bot with the server ngircd and an independent client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.internet import ClientService
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher

from finger.adapters.irc import client as _ircclient
from finger.adapters.irc import outbox as _irctiming
from finger.adapters.irc.service import ircService
from finger.backends.memory import MemoryFingerService
from finger.interfaces import IIRCClientFactory
from tests.support.ircserver import IRCTestCase
from tests.support.tools import FAMILIES
from tests.support.typed import Observer

USERS = {"moshez": "Happy and well", "zoë": "\n".join(f"☃ line {n}" for n in range(1, 10)), "long": "é" * 600}


class NgircdTests(IRCTestCase):
    """A bot, a server and a client."""

    timeout = 20

    def setUp(self) -> None:
        """Make bots with short delays, to save time."""
        super().setUp()
        self.patch(_irctiming, "LINE_INTERVAL", 0.1)

    def bot(self, server: str = "", *channels: str) -> ClientService:
        """Start a bot that connects to the server."""
        factory = IIRCClientFactory(MemoryFingerService(USERS))
        factory.channels = channels
        server = server or f"tcp:127.0.0.1:{self.server.port}"
        service = ircService(reactor, factory, server, retryPolicy=lambda attempt: 0.05)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def private(self, host: str) -> None:
        """Send a private query over one family."""
        self.bot(f"tcp:{quoteStringArgument(host)}:{self.server.port}")
        client = await self.client("joe", host)
        await self.until(client, "fingerbot")
        client.ask("\x0304moshez\x03")
        line = await client.expect("NOTICE")
        self.assertRegex(line, "^:fingerbot!~?finger@[^ ]+ NOTICE joe :Status of moshez: Happy and well$")
        client.ask("nobody")
        self.assertTrue((await client.expect("NOTICE")).endswith(" NOTICE joe :Status of nobody: No such user"))

    async def test_privateIPv4(self) -> None:
        """A private query is answered in private, over IPv4."""
        await self.private(FAMILIES["IPv4"])

    async def test_privateIPv6(self) -> None:
        """A private query is answered in private, over IPv6."""
        await self.private(FAMILIES["IPv6"])

    async def test_lines(self) -> None:
        """A plan of several lines arrives complete and in order."""
        self.bot()
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        client.ask("long")
        texts = [(await client.expect("NOTICE")).split(" :")[-1] for _ in range(4)]
        self.assertEqual("".join(texts), f"Status of long: {'é' * 600}")

    async def test_manyLines(self) -> None:
        """A plan with too many lines is cut."""
        self.bot()
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        client.ask("zoë")
        texts = [(await client.expect("NOTICE")).split(" :")[-1] for _ in range(6)]
        self.assertEqual((texts[0], texts[-1]), ("Status of zoë: ☃ line 1", "... 4 more lines"))

    async def test_ctcp(self) -> None:
        """CTCP FINGER and VERSION are answered."""
        self.bot()
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        for command in ("FINGER", "VERSION"):
            client.ask(f"\x01{command}\x01")
            self.assertRegex(await client.expect("NOTICE"), f"NOTICE joe :\x01{command} [^\x01]+\x01$")

    async def test_channel(self) -> None:
        """In a channel, a query addressed to the bot is answered for all to see."""
        client = await self.client("joe")
        client.say("JOIN #twisted")
        await client.expect(" 366 ")
        self.bot("", "#elsewhere", "#Twisted")
        await client.expect("(?i)^:fingerbot![^ ]+ JOIN :?#twisted")
        client.ask("moshez", "#twisted")
        client.ask("FingerBot, moshez", "#twisted")
        client.ask("fingerbot: nobody", "#twisted")
        lines = [await client.expect("^:fingerbot!") for _ in range(2)]
        self.assertTrue(lines[0].endswith(" NOTICE #twisted :Status of moshez: Happy and well"))
        self.assertTrue(lines[1].endswith(" NOTICE #twisted :Status of nobody: No such user"))

    async def test_kicked(self) -> None:
        """After a kick, the bot rejoins the channel."""
        self.patch(_ircclient, "REJOIN_AFTER", 0.2)
        client = await self.client("joe")
        client.say("JOIN #twisted")
        self.bot("", "#twisted")
        await client.expect("^:fingerbot![^ ]+ JOIN ")
        client.say("KICK #twisted fingerbot :enough")
        await client.expect("KICK #twisted fingerbot")
        await client.expect("^:fingerbot![^ ]+ JOIN ")

    async def test_collision(self) -> None:
        """
        If its nickname is in use, the bot takes another of at most nine characters, and its own when that is free.
        """
        joe = await self.client("joe")
        holder = await self.client("fingerbot")
        for client in (joe, holder):
            client.say("JOIN #twisted")
            await client.expect(" 366 ")
        self.bot("", "#twisted")
        await joe.expect("^:fingerbo1![^ ]+ JOIN ")
        joe.ask("fingerbo1: moshez", "#twisted")
        await joe.expect("^:fingerbo1!.*Status of moshez: Happy and well$")
        holder.say("QUIT :bye")
        await joe.expect("^:fingerbo1![^ ]+ NICK :?fingerbot$")
        joe.ask("fingerbot: moshez", "#twisted")
        await joe.expect("^:fingerbot!.*Status of moshez: Happy and well$")

    async def test_collisionUnseen(self) -> None:
        """It also regains its nickname from a user with which it shares no channel."""
        self.patch(_ircclient, "REGAIN_AFTER", 0.3)
        joe = await self.client("joe")
        holder = await self.client("fingerbot")
        self.bot()
        await self.until(joe, "fingerbo1")
        holder.say("NICK somebody")
        await self.until(joe, "somebody")
        await self.until(joe, "fingerbot")
        joe.ask("moshez")
        await joe.expect("^:fingerbot!.*Status of moshez: Happy and well$")

    async def test_restart(self) -> None:
        """After a crash of the server, the bot reconnects and rejoins its channels."""
        self.bot("", "#twisted")
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        for _ in range(2):
            self.server.kill()
            await deferLater(reactor, 0.3)
            self.server.start()
            client = await self.client("joe")
            client.say("JOIN #twisted")
            await self.until(client, "fingerbot")
            client.ask("moshez")
            await client.expect("Status of moshez: Happy and well$")
            client.ask("fingerbot: moshez", "#twisted")
            await client.expect("NOTICE #twisted :Status of moshez: Happy and well$")

    async def test_ownFlood(self) -> None:
        """A flooded bot answers some queries, and stays connected."""
        self.bot()
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        for _ in range(100):
            client.ask("moshez")
        for _ in range(_irctiming.ANSWERS_PER_SENDER + 1):
            await client.expect("Status of moshez")
        client.say("ISON fingerbot")
        await client.expect(" 303 joe :fingerbot")

    async def test_tls(self) -> None:
        """The bot connects over TLS to a server with a trusted certificate."""
        self.bot(f"ssl:localhost:{self.server.tlsPort}:caCertsDir={self.server.directory}/ca")
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        client.ask("moshez")
        await client.expect("Status of moshez: Happy and well$")

    async def test_tlsNotTrusted(self) -> None:
        """The bot refuses a server whose certificate is not trusted, and logs the reason."""
        reasons: list[str] = []
        logged: Deferred[None] = Deferred()

        def observe(event: Any) -> None:
            if "reason" in event and not logged.called:
                reasons.append(event["reason"])
                if "certificate" in event["reason"]:
                    logged.callback(None)

        self.observe(observe)
        self.bot(f"localhost:{self.server.tlsPort}")
        client = await self.client("joe")
        await logged
        client.say("ISON fingerbot")
        await client.expect(" 303 joe :$")
        self.assertRegex(" ".join(reasons), "certificate verify failed")

    def observe(self, listener: Callable[[Any], None]) -> None:
        """Observe the log during the test."""
        observer = Observer(listener)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
