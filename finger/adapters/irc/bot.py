"""The bot on IRC, which answers a user's name with that user's status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.access.onbehalf import getUserFor
from finger.adapters.irc.client import ResidentIRCClient
from finger.adapters.irc.messages import MAX_LINE, Message, ctcpCommand, cut, firstLines, formatMessage, plain, wrap
from finger.config._version import __version__
from finger.errors import NoSuchUser
from finger.interfaces import IFingerService, IIRCClientFactory
from finger.log.querylog import QueryLog
from finger.protocol.wire import clean, cleanLine
from finger.timing import Bucket

HELP = "I answer a user's name with that user's status. In a channel, begin with my name: {nickname}: user"

HELP_WORDS = {"help", "list"}
"""Queries that get the help text, unless they are names of users.  Users are not listed on IRC."""

CTCP_BURST, CTCP_INTERVAL = 3, 10.0
"""Maximum burst of CTCP answers, and the interval between further ones, in seconds."""

MAX_NAME = 100
"""Maximum length of a name as repeated in its answer, in bytes."""

_MASK = len("!") + 20 + len("@") + 63
"""Maximum length of user and host behind the nickname, as other clients see it (RFC 1035 section 2.3.4)."""


class FingerBot(ResidentIRCClient):
    """
    The bot.  It answers with notices, and never answers a notice (RFC 2812 section 3.3.2).
    """

    log = Logger()

    factory: IRCBotFactory

    def __init__(
        self, clock: IReactorTime, wanted: str, channels: tuple[str, ...], welcomed: Callable[[], object]
    ) -> None:
        super().__init__(clock, wanted, channels, welcomed)
        self._ctcps = Bucket(clock, CTCP_BURST, CTCP_INTERVAL)

    def irc_PRIVMSG(self, message: Message) -> None:
        """Answer a message to the bot or in a channel.  Ignore those from servers and from the bot itself."""
        target, text = message.param(0), message.param(1)
        if not message.nick or self.isMe(message.nick):
            return
        if self.features.isChannel(target):
            self._ask(message, target, self.features.addressed(plain(text), self.nickname))
        elif self.isMe(target) and text.startswith("\x01"):
            self._answerCTCP(message, ctcpCommand(text))
        elif self.isMe(target):
            self._ask(message, message.nick, plain(text))

    def _ask(self, message: Message, target: str, query: str) -> None:
        if not query:
            return
        if not self.outbox.reserve(message.host):
            self.events.info(
                self.log, "irc {peer} {query!r} ignored: too many queries", peer=message.prefix, query=query
            )
            return
        self.factory.answer(query, message.prefix, self.nickname).addCallback(self._answer, message.host, target)

    def _answer(self, text: str, sender: str, target: str) -> None:
        lines = firstLines(wrap(text, self._room(target)))
        self.outbox.put(sender, [formatMessage("NOTICE", target, line) for line in lines])

    def _room(self, target: str) -> int:
        """Return the maximum length of a notice's text, in bytes; the server puts the bot's name before it."""
        prefix = max(len(self.nickname), len(self.wanted)) + _MASK
        return max(64, MAX_LINE - prefix - len(f": NOTICE {target} :\r\n".encode("utf-8", "replace")))

    def _answerCTCP(self, message: Message, command: str) -> None:
        words = self._ctcpWords(command)
        if words and self._ctcps.wait() == 0 and self.outbox.reserve(message.host):
            self._ctcps.take()
            answer = formatMessage("NOTICE", message.nick, f"\x01{command} {words}\x01")
            self.outbox.put(message.host, [answer])

    def _ctcpWords(self, command: str) -> str:
        match command:
            case "FINGER":
                return HELP.format(nickname=self.nickname)
            case "VERSION":
                return f"finger {__version__}"
            case _:
                return ""


@implementer(IIRCClientFactory)
class IRCBotFactory(ClientFactory[FingerBot]):
    """
    A factory of L{FingerBot}s, which also looks up their answers.

    @ivar nickname: the nickname to request.
    @ivar channels: the channels to join.
    @ivar clock: the clock for limits and delays; required to build a bot.
    @ivar queries: the log of queries.
    @ivar welcomed: called each time a server has accepted a bot.
    """

    noisy = False
    log = Logger()

    nickname = "fingerbot"
    channels: tuple[str, ...] = ()
    clock: IReactorTime | None = None
    welcomed: Callable[[], Any] = staticmethod(lambda: None)

    def __init__(self, service: IFingerService) -> None:
        self._service = service
        self.queries = QueryLog()

    def buildProtocol(self, addr: IAddress | None) -> FingerBot:
        """
        Make a bot.

        @raise RuntimeError: if C{clock} is not set.  A bot without delays would soon be disconnected for flooding.
        """
        if self.clock is None:
            raise RuntimeError("an IRC bot needs a clock: set the factory's clock, for example to the reactor")
        bot = FingerBot(self.clock, self.nickname, self.channels, self.welcomed)
        bot.factory = self
        bot.events = self.queries.events
        return bot

    def answer(self, query: str, peer: str, nickname: str) -> Deferred[str]:
        """
        Answer a query, and log it.

        @param query: a user's name.
        @param peer: the sender, for the log.
        @param nickname: the bot's current nickname, for the help text.
        @return: the text to send; never fails.
        """
        return Deferred.fromCoroutine(self._answer(query, peer, nickname))

    async def _answer(self, query: str, peer: str, nickname: str) -> str:
        finish = self.queries.begin("irc", peer, query)
        words, outcome = await self._look(query, peer)
        finish(outcome.__name__ if outcome else "ok")
        if outcome is NoSuchUser and query.lower() in HELP_WORDS:
            return HELP.format(nickname=nickname)
        return f"Status of {cut(cleanLine(query), MAX_NAME)}: {words}"

    async def _look(self, user: str, peer: str) -> tuple[str, type[Exception] | None]:
        """Return the answer about a user, and the error if the lookup failed."""
        try:
            return clean(await getUserFor(self._service, user, _hostOf(peer))), None
        except Exception as error:
            return self.queries.failures.explainToPeople(Failure(), self.log), type(error)


def _hostOf(peer: str) -> str:
    """Return the host of a sender, who may change the rest of C{nickname!user@host} at any time."""
    return peer.rpartition("@")[2]


registerAdapter(IRCBotFactory, IFingerService, IIRCClientFactory)
