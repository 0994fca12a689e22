"""
A client that stays on an IRC server (RFC 1459, RFC 2812) and keeps its nickname and its channels.

It builds on L{LineReceiver}, not on Twisted's C{IRCClient}: that imports the global reactor, and any user can
disconnect it with a byte that is not UTF-8, or with a DCC offer that holds one quote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from finger.adapters.irc.messages import MAX_LINE, Features, Message, formatMessage, otherNicknames, parseMessage
from finger.adapters.irc.outbox import Outbox
from finger.adapters.irc.writer import BoundedWriter
from finger.log.peerlog import PeerLog
from finger.timing import Timer

WELCOME_WITHIN = 60.0
"""Time limit for the server to accept the bot, in seconds."""

PING_AFTER = 120.0
"""Seconds of silence before the bot pings the server."""

PONG_WITHIN = 60.0
"""Time limit for any reply to that ping, in seconds."""

REGAIN_AFTER, REGAIN_AT_MOST = 60.0, 900.0
"""Initial and maximum delay between attempts to get the wanted nickname, in seconds; it doubles each time."""

REJOIN_AFTER = 30.0
"""Delay before rejoining a channel after a kick, in seconds."""

JOIN_AGAIN_AFTER = 300.0
"""Delay before retrying a channel that refused the bot, in seconds."""

_OURS = ""
"""The outbox's sender of the bot's own lines; not a valid host."""


class ResidentIRCClient(LineReceiver):
    """
    A connection to a server.

    The method C{irc_COMMAND} handles each line with that command; for numeric replies see RFC 2812 section 5.

    @param clock: the clock for limits and delays.
    @param wanted: the nickname to request.
    @param channels: the channels to join.
    @param welcomed: called when the server has accepted the client.
    @ivar nickname: the current nickname.
    @ivar features: the features the server supports.
    @ivar outbox: the queue of lines that can wait.
    @ivar events: the log for what the server says.
    """

    delimiter = b"\n"
    MAX_LENGTH = 8191 + MAX_LINE  # IRCv3's tags, and the message.
    log = Logger()

    transport: ITCPTransport

    def __init__(
        self, clock: IReactorTime, wanted: str, channels: tuple[str, ...], welcomed: Callable[[], object]
    ) -> None:
        self.nickname = self.wanted = wanted
        self._clock = clock
        self._channels = channels
        self._queued: set[str] = set()
        self._welcomed = welcomed
        self._others = otherNicknames(wanted)
        self.features = Features()
        self._isWelcome = False
        self._regainDelay = REGAIN_AFTER
        self._timers: defaultdict[str, Timer] = defaultdict(lambda: Timer(clock))
        self.events = PeerLog(clock)
        self.outbox = Outbox(clock, lambda line: self._writer.write(line))

    # The connection.

    def connectionMade(self) -> None:
        """Register with the server."""
        self._writer = BoundedWriter(
            self.transport, self._clock, partial(self._abort, "the server does not read what is sent to it")
        )
        self._timers["welcome"].start(WELCOME_WITHIN, self._abort, "registration timed out")
        self._sendNow("NICK", self.wanted)
        self._sendNow("USER", "finger", "0", "*", "a finger service")

    def lineReceived(self, line: bytes) -> None:
        """Pass the line to the method for its command."""
        self._timers["silence"].start(PING_AFTER, self._ping)
        message = parseMessage(line)
        if message is not None:
            getattr(self, f"irc_{message.command}", self._ignore)(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Stop.  Answers that are still being looked up are dropped."""
        for timer in self._timers.values():
            timer.cancel()
        self._writer.stopProducing()
        self.outbox.close()
        self.events.info(self.log, "irc: connection lost: {reason}", reason=reason.getErrorMessage())

    def irc_PING(self, message: Message) -> None:
        """Answer the server's ping."""
        self._sendNow("PONG", *message.params[-1:] or ("",))

    def irc_ERROR(self, message: Message) -> None:
        """Log the reason for which the server closes the connection."""
        self.events.warn(self.log, "irc: error from the server: {reason!r}", reason=message.param(0))

    def irc_001(self, message: Message) -> None:
        """RPL_WELCOME: registration is complete.  The nickname it names may be shorter than the one requested."""
        if self._isWelcome:
            return
        self.nickname = message.param(0) or self.nickname
        self._isWelcome = True
        self._timers["welcome"].cancel()
        self.events.info(
            self.log, "irc: registered at {server} as {nickname}", server=message.prefix, nickname=self.nickname
        )
        self._welcomed()
        for channel in self._channels:
            self._join(channel)
        self._regainLater()

    def irc_005(self, message: Message) -> None:
        """RPL_ISUPPORT: note the server's features."""
        self.features = self.features.updated(message.params[1:-1])

    def _ping(self) -> None:
        self._timers["silence"].start(PONG_WITHIN, self._abort, "ping timed out")
        self._sendNow("PING", "finger")

    def _abort(self, reason: str) -> None:
        self.events.warn(self.log, "irc: closing the connection: {reason}", reason=reason)
        self.transport.abortConnection()

    def _sendNow(self, command: str, *params: str) -> None:
        self.outbox.sendNow(formatMessage(command, *params))

    def _ignore(self, message: Message) -> None:
        pass

    # The nickname.

    def irc_433(self, message: Message) -> None:
        """ERR_NICKNAMEINUSE: during registration, try another nickname."""
        if self._isWelcome:
            return  # The wanted nickname is still in use.
        nickname = next(self._others, None)
        if nickname is None:
            self._abort("the server refuses every nickname tried")
        else:
            self._sendNow("NICK", nickname)

    irc_432 = irc_436 = irc_433  # Erroneous nickname; nickname collision.

    def irc_437(self, message: Message) -> None:
        """ERR_UNAVAILRESOURCE: a nickname or a channel is temporarily unavailable."""
        isChannel = self.features.isChannel(message.param(1))
        (self._joinRefused if isChannel else self.irc_433)(message)

    def irc_NICK(self, message: Message) -> None:
        """Note the bot's own new nickname.  When another user gives up the wanted nickname, request it."""
        if self.isMe(message.nick):
            self.nickname = message.param(0)
            self.events.info(self.log, "irc: nickname is now {nickname}", nickname=self.nickname)
            self._regainLater()
        else:
            self._left(message.nick)

    def irc_QUIT(self, message: Message) -> None:
        """When the user with the wanted nickname has left, request it."""
        self._left(message.nick)

    def _left(self, nick: str) -> None:
        if self.features.same(nick, self._goal()):
            self._regain()

    def _regain(self) -> None:
        if not self.isMe(self._goal()):
            self._sendNow("NICK", self._goal())
            self._regainLater()

    def _regainLater(self) -> None:
        if not self.isMe(self._goal()) and not self._timers["nick"].isRunning:
            self._timers["nick"].start(self._regainDelay, self._regain)
            self._regainDelay = min(2 * self._regainDelay, REGAIN_AT_MOST)

    def _goal(self) -> str:
        return self.wanted[: self.features.nickLength]

    def isMe(self, name: str) -> bool:
        """Return whether the nickname is ours."""
        return self.features.same(name, self.nickname)

    # The channels.

    def irc_JOIN(self, message: Message) -> None:
        """Log that the bot has joined a channel."""
        if self.isMe(message.nick):
            self.events.info(self.log, "irc: joined {channel}", channel=message.param(0))

    def irc_KICK(self, message: Message) -> None:
        """If the bot was kicked out of a channel, rejoin it after a delay."""
        if self.isMe(message.param(1)):
            self.events.warn(
                self.log,
                "irc: kicked from {channel} by {peer}: {reason!r}",
                peer=message.prefix,
                channel=message.param(0),
                reason=message.param(2),
            )
            self._joinLater(message.param(0), REJOIN_AFTER)

    def irc_PART(self, message: Message) -> None:
        """If a server has made the bot leave a channel, rejoin it after a delay."""
        if self.isMe(message.nick):
            self._joinLater(message.param(0), REJOIN_AFTER)

    def _joinRefused(self, message: Message) -> None:
        channel = message.param(1)
        self.events.warn(self.log, "irc: cannot join {channel}: {reason!r}", channel=channel, reason=message.param(2))
        self._joinLater(channel, JOIN_AGAIN_AFTER)

    # No such channel; too many channels; full; invite only; banned; key needed; bad mask; not registered; TLS only.
    irc_403 = irc_405 = irc_471 = irc_473 = irc_474 = irc_475 = irc_476 = irc_477 = irc_489 = _joinRefused

    def _joinLater(self, channel: str, seconds: float) -> None:
        for ours in self._channels:
            if self.features.same(ours, channel):
                self._timers[f"join {ours}"].start(seconds, self._join, ours)

    def _join(self, channel: str) -> None:
        if channel not in self._queued:  # A server may kick the bot out faster than the outbox sends.
            self._queued.add(channel)
            self.outbox.put(_OURS, self._joinLine(channel))

    def _joinLine(self, channel: str) -> Iterator[bytes]:
        """Make the line when the outbox takes it."""
        self._queued.discard(channel)
        yield formatMessage("JOIN", channel)
