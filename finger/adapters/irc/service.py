"""The C{--irc...} options, and the service that keeps a bot connected."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL
from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.adapters.irc.bot import IRCBotFactory
from finger.config.options import IRC, Option
from finger.config.types import Kind
from finger.errors import ConfigError
from finger.interfaces import IIRCClientFactory
from finger.log.peerlog import PeerLog
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter
from finger.protocol.wire import cleanLine

if TYPE_CHECKING:
    from twisted.application.internet import ClientService

DEFAULT_SERVER: Final = "irc.libera.chat"
TLS_PORT: Final = 6697
"""The port of IRC over TLS (RFC 7194)."""

PLAIN_PORTS: Final = range(6665, 6670)
"""The ports of IRC without TLS."""

FIRST_DELAY: Final = 5.0
"""Maximum delay before the second attempt to connect, in seconds; it doubles with each further attempt."""

LONGEST_DELAY: Final = 300.0
"""Maximum delay between attempts, in seconds."""

MAX_NICKNAME: Final = 30
MAX_CHANNEL: Final = 50
"""Maximum length of a channel's name, in bytes (RFC 2812 section 1.3)."""

_NICKNAME: Final = re.compile(r"[A-Za-z\[\]\\`_^{|}][A-Za-z0-9\[\]\\`_^{|}-]*")  # RFC 2812 section 2.3.1.
_HOST_PORT: Final = re.compile(r"(\[[^\s\]]+\]|[^\s:/=\[\]]+)(?::([0-9]+))?")


def checkNickname(nickname: str) -> str:
    """
    Check a nickname.

    @return: the nickname.
    @raise ConfigError: if it is not valid.
    """
    if not _NICKNAME.fullmatch(nickname) or len(nickname) > MAX_NICKNAME:
        raise ConfigError(
            f"--ircnick={cleanLine(nickname)}: is not a valid IRC nickname: use up to {MAX_NICKNAME} letters, digits "
            "and -_[]{}\\|^`, not beginning with a digit or -"
        )
    return nickname


def checkChannel(channel: str) -> str:
    """
    Check a channel's name.

    @param channel: the name; C{#} may be omitted, as it begins a comment in shells.
    @return: the name with its prefix.
    @raise ConfigError: if it is not valid.
    """
    name = channel if channel[:1] in {"#", "&", "+", "!"} else f"#{channel}"
    if len(name) < 2 or len(name.encode("utf-8", "replace")) > MAX_CHANNEL or any(map(_isForbidden, name)):
        raise ConfigError(
            f"--ircchannel={cleanLine(channel)}: is not a valid IRC channel: use # and up to {MAX_CHANNEL - 1} "
            "characters, without spaces, commas, colons and control characters"
        )
    return name


def _isForbidden(character: str) -> bool:
    return character in " ,:" or unicodedata.category(character)[0] in "CZ"


def ircService(
    reactor: Any,
    factory: IIRCClientFactory,
    server: str = DEFAULT_SERVER,
    retryPolicy: Callable[[int], float] | None = None,
) -> ClientService:
    """
    Make the service that connects a bot, and reconnects it whenever the connection is lost.

    @param reactor: for the connections, and for the factory's clock if it has none.
    @param factory: the factory of bots; its nickname and channels are checked.
    @param server: see L{ircEndpoint}.
    @param retryPolicy: returns the delay before an attempt, in seconds, given its number; for tests.
    @raise ConfigError: if C{server}, the nickname or a channel is not valid.
    """
    factory.nickname = checkNickname(factory.nickname)
    factory.channels = tuple(map(checkChannel, factory.channels))
    policy = BackoffPolicy()
    factory.clock = factory.clock or reactor
    factory.welcomed = policy.reset
    endpoint = _BotEndpoint(ircEndpoint(reactor, server), server)
    from twisted.application.internet import ClientService  # Takes a while, and few servers have a bot.

    return ClientService(endpoint, factory, retryPolicy or policy, clock=reactor)


def ircEndpoint(reactor: Any, server: str) -> IStreamClientEndpoint:
    """
    Make the endpoint of a server.

    @param server: C{host}, C{host:port}, C{[address]:port} or an endpoint string.  The first three use TLS, except on
        ports 6665 to 6669; the default port is 6697.
    @raise ConfigError: if it is none of these.
    """
    try:
        return _hostEndpoint(reactor, server) or clientFromString(reactor, server)
    except MemoryError:
        raise
    except Exception as error:  # Each kind of endpoint raises its own exceptions for an invalid string.
        raise ConfigError(
            f"--ircserver={cleanLine(server)}: is not a valid server: use host, host:port, [address]:port or an "
            f"endpoint string such as 'tcp:192.0.2.1:6667' or 'tls:irc.example.org:6697' ({cleanLine(str(error))})"
        ) from error


def _hostEndpoint(reactor: Any, server: str) -> IStreamClientEndpoint | None:
    match = _HOST_PORT.fullmatch(f"[{server}]" if isIPv6Address(server) else server)
    if match is None:
        return None
    host, port = match[1].strip("[]"), int(match[2] or TLS_PORT)
    if match[1] != host and not isIPv6Address(host):
        raise ValueError("brackets must hold an IPv6 address")
    if not 0 < port < 65536:
        raise ValueError("the port must be a number from 1 to 65535")
    endpoint = HostnameEndpoint(reactor, host, port)
    if port in PLAIN_PORTS:
        return endpoint
    # A hardened process may lack executable memory for callbacks: fail here rather than at each connection.
    SSL.Context(SSL.TLS_METHOD).set_info_callback(lambda connection, where, code: None)
    return wrapClientTLS(optionsForClientTLS(host), endpoint)


class BackoffPolicy:
    """
    The delay before the next attempt to connect, which grows until a server accepts the bot.

    L{ClientService} has such a policy, too, but it counts each connection as a success: at a server that accepts
    connections and bans the bot, it would reconnect every second for ever.
    """

    def __init__(self) -> None:
        self._attempts = 0

    def __call__(self, attempt: int) -> float:
        """
        Return the delay before the next attempt, in seconds.  It is random, so that not all clients return to a
        server at once.

        @param attempt: the number of failures by L{ClientService}'s count; not used.
        """
        longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self._attempts, 10))
        self._attempts += 1
        return random.uniform(longest / 2, longest)

    def reset(self) -> None:
        """Start again with the first delay: a server has accepted the bot."""
        self._attempts = 0


class _Connection(ProtocolWrapper):
    """A connection whose producer, the bot, does not end by itself."""

    def loseConnection(self) -> None:
        """Close the connection without waiting for the producer."""
        self.unregisterProducer()
        super().loseConnection()


class _Connections(WrappingFactory):
    """Makes a factory's connections L{_Connection}s."""

    protocol = _Connection
    noisy = False


@implementer(IStreamClientEndpoint)
class _BotEndpoint:
    """
    An endpoint of L{_Connection}s that logs why it could not connect; L{ClientService} only logs that it retries.
    """

    log = Logger()

    def __init__(self, endpoint: IStreamClientEndpoint, server: str) -> None:
        self._endpoint = endpoint
        self._server = server
        self._events = PeerLog()  # Without a limit: the retry policy is one.

    def __repr__(self) -> str:
        return f"<IRC server {self._server}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See L{IStreamClientEndpoint.connect}."""
        connecting = self._endpoint.connect(_Connections(protocolFactory))
        return connecting.addCallbacks(lambda connection: connection.wrappedProtocol, self._report)

    def _report(self, failure: Failure) -> Failure:
        if not failure.check(CancelledError, ConnectingCancelledError):
            reason = failure.getErrorMessage()
            self._events.warn(
                self.log, "irc: cannot connect to {server}: {reason}", server=self._server, reason=reason
            )
        return failure


@implementer(IFingerAdapter)
class IRCAdapter:
    """The adapter of C{--ircnick}, C{--ircserver} and C{--ircchannel}."""

    name = "irc"
    options = (
        Option(
            name="ircnick",
            short="n",
            field="ircNick",
            kind=Kind(),
            value="NICK",
            group=IRC,
            help="Nickname of the IRC bot; without it, no bot is started.",
        ),
        Option(
            name="ircserver",
            field="ircServer",
            kind=Kind(),
            value="SERVER",
            initial=DEFAULT_SERVER,
            group=IRC,
            help="IRC server: HOST[:PORT] or an endpoint string.",
        ),
        Option(
            name="ircchannel",
            field="ircChannels",
            kind=Kind(),
            value="CHANNEL",
            repeated=True,
            initial=(),
            group=IRC,
            help="IRC channel to join.",
        ),
    )
    queries = ("irc",)

    def build(self, context: IAdapterContext) -> None:
        """See L{IFingerAdapter.build}."""
        if not context.options["ircnick"]:
            return
        factory = IRCBotFactory(context.service)
        factory.queries = context.queries
        factory.nickname = context.options["ircnick"]
        factory.channels = context.options["ircchannel"]
        context.connect(ircService(context.reactor, factory, context.options["ircserver"]))
