"""
A client that stays on an IRC server (RFC 1459, RFC 2812), under its name and in its channels.

It stands on L{LineReceiver}, not on Twisted's C{IRCClient}, whose module takes the global reactor when it is
imported, and which any user can throw off the network: by a byte that is not UTF-8, or a DCC offer with one quote.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from finger.adapters.irc.messages import MAX_LINE, Features, Message, formatMessage, otherNicknames, parseMessage
from finger.adapters.irc.outbox import Outbox, Timers
from finger.protocol.wire import cleanLine

WELCOME_WITHIN = 60.0
"""Seconds a server may take to welcome the bot."""

PING_AFTER = 120.0
"""After so many seconds without a word from the server it is asked whether it is there."""

PONG_WITHIN = 60.0
"""After so many more, it is not."""

REGAIN_AFTER, REGAIN_AT_MOST = 60.0, 900.0
"""Seconds between attempts to get the wanted nickname; each time twice as many, up to a most."""

REJOIN_AFTER = 30.0
"""Seconds between being thrown out of a channel and coming back."""

JOIN_AGAIN_AFTER = 300.0
"""Seconds until a channel that did not let the bot in is tried again."""

_OURS = ""
"""The sender of our own lines; no host is called so."""


class ResidentIRCClient(LineReceiver):
    """
    A connection to a server.

    A method C{irc_COMMAND} takes each line of that command; numbers are of RFC 2812 section 5.

    @param clock: for limits and delays.
    @param wanted: the nickname to ask for.
    @param channels: the channels to join.
    @param welcomed: called when the server has welcomed us.
    @ivar nickname: what we are called now.
    @ivar features: what the server says of itself.
    @ivar outbox: for lines that can wait.
    """

    delimiter = b"\n"
    MAX_LENGTH = 8191 + MAX_LINE  # IRCv3's tags, and what they are before.
    log = Logger()

    transport: ITCPTransport

    def __init__(
        self, clock: IReactorTime, wanted: str, channels: tuple[str, ...], welcomed: Callable[[], object]
    ) -> None:
        self.nickname = self.wanted = wanted
        self._channels = channels
        self._welcomed = welcomed
        self._others = otherNicknames(wanted)
        self.features = Features()
        self._isWelcome = False
        self._regainDelay = REGAIN_AFTER
        self._timers = Timers(clock)
        self.outbox = Outbox(clock, lambda line: self.transport.write(line))

    # The connection.

    def connectionMade(self) -> None:
        """Say who we are."""
        self._timers.set("welcome", WELCOME_WITHIN, self._abort, "it does not welcome us")
        self._sendNow("NICK", self.wanted)
        self._sendNow("USER", "finger", "0", "*", "a finger service")

    def lineReceived(self, line: bytes) -> None:
        """Give the line to the method for its command."""
        self._timers.set("silence", PING_AFTER, self._ping)
        message = parseMessage(line)
        if message is not None:
            getattr(self, f"irc_{message.command}", self._ignore)(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Stop.  What is looked up now is for nobody."""
        self._timers.cancelAll()
        self.outbox.close()
        self.log.info("irc: the connection is lost: {reason}", reason=cleanLine(reason.getErrorMessage()))

    def irc_PING(self, message: Message) -> None:
        """We are here."""
        self._sendNow("PONG", *message.params[-1:] or ("",))

    def irc_ERROR(self, message: Message) -> None:
        """The server is about to close; it says why."""
        self.log.warn("irc: the server says {reason}", reason=cleanLine(message.param(0)))

    def irc_001(self, message: Message) -> None:
        """RPL_WELCOME: to the nickname it says, which may be shorter than what we said."""
        self.nickname = message.param(0) or self.nickname
        self._isWelcome = True
        self._timers.cancel("welcome")
        self.log.info(
            "irc: {server} welcomes {nickname}", server=cleanLine(message.prefix), nickname=cleanLine(self.nickname)
        )
        self._welcomed()
        for channel in self._channels:
            self._join(channel)
        self._regainLater()

    def irc_005(self, message: Message) -> None:
        """RPL_ISUPPORT."""
        self.features = self.features.updated(message.params[1:-1])

    def _ping(self) -> None:
        self._timers.set("silence", PONG_WITHIN, self._abort, "it is silent")
        self._sendNow("PING", "finger")

    def _abort(self, reason: str) -> None:
        self.log.warn("irc: giving this connection up: {reason}", reason=reason)
        self.transport.abortConnection()

    def _sendNow(self, command: str, *params: str) -> None:
        self.outbox.sendNow(formatMessage(command, *params))

    def _ignore(self, message: Message) -> None:
        pass

    # Our nickname.

    def irc_433(self, message: Message) -> None:
        """A nickname is refused.  Without one there is no welcome, so another is tried."""
        if self._isWelcome:
            return  # The wanted one is still not to be had.
        nickname = next(self._others, None)
        if nickname is None:
            self._abort("it takes none of our nicknames")
        else:
            self._sendNow("NICK", nickname)

    irc_432 = irc_436 = irc_433  # Erroneous nickname; collision; and 433, already in use.

    def irc_437(self, message: Message) -> None:
        """ERR_UNAVAILRESOURCE is of a nickname or of a channel."""
        isChannel = self.features.isChannel(message.param(1))
        (self._joinRefused if isChannel else self.irc_433)(message)

    def irc_NICK(self, message: Message) -> None:
        """Somebody is called otherwise now: perhaps we, perhaps who was called what we want to be."""
        if self.isMe(message.nick):
            self.nickname = message.param(0)
            self.log.info("irc: now called {nickname}", nickname=cleanLine(self.nickname))
            self._regainLater()
        else:
            self._left(message.nick)

    def irc_QUIT(self, message: Message) -> None:
        """Somebody is gone."""
        self._left(message.nick)

    def _left(self, nick: str) -> None:
        if self.features.same(nick, self._goal()):
            self._regain()

    def _regain(self) -> None:
        if not self.isMe(self._goal()):
            self._sendNow("NICK", self._goal())
            self._regainLater()

    def _regainLater(self) -> None:
        if not self.isMe(self._goal()) and not self._timers.isSet("nick"):
            self._timers.set("nick", self._regainDelay, self._regain)
            self._regainDelay = min(2 * self._regainDelay, REGAIN_AT_MOST)

    def _goal(self) -> str:
        return self.wanted[: self.features.nickLength]

    def isMe(self, name: str) -> bool:
        """Are we called so?"""
        return self.features.same(name, self.nickname)

    # Our channels.

    def irc_JOIN(self, message: Message) -> None:
        """Somebody is in a channel now."""
        if self.isMe(message.nick):
            self.log.info("irc: joined {channel}", channel=cleanLine(message.param(0)))

    def irc_KICK(self, message: Message) -> None:
        """Somebody was thrown out of a channel.  If that was us, we come back, but not at once."""
        if self.isMe(message.param(1)):
            self.log.warn(
                "irc: {peer} kicked us out of {channel}: {reason}",
                peer=cleanLine(message.prefix),
                channel=cleanLine(message.param(0)),
                reason=cleanLine(message.param(2)),
            )
            self._joinLater(message.param(0), REJOIN_AFTER)

    def irc_PART(self, message: Message) -> None:
        """Somebody left a channel.  We never do, but servers have ways to make us."""
        if self.isMe(message.nick):
            self._joinLater(message.param(0), REJOIN_AFTER)

    def _joinRefused(self, message: Message) -> None:
        channel = message.param(1)
        self.log.warn(
            "irc: cannot join {channel}: {reason}", channel=cleanLine(channel), reason=cleanLine(message.param(2))
        )
        self._joinLater(channel, JOIN_AGAIN_AFTER)

    # No such channel; too many; full; invited only; banned; key; bad mask; register first; by TLS only.
    irc_403 = irc_405 = irc_471 = irc_473 = irc_474 = irc_475 = irc_476 = irc_477 = irc_489 = _joinRefused

    def _joinLater(self, channel: str, seconds: float) -> None:
        for ours in self._channels:
            if self.features.same(ours, channel):
                self._timers.set(f"join {ours}", seconds, self._join, ours)

    def _join(self, channel: str) -> None:
        self.outbox.put(_OURS, [formatMessage("JOIN", channel)])
