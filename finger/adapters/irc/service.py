"""The C{--irc...} options: what they may be, and the service that keeps a bot on IRC."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final

from OpenSSL import SSL
from twisted.application.internet import ClientService
from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.adapters.irc.bot import IRCBotFactory
from finger.config.options import IRC, Option
from finger.config.types import Kind
from finger.errors import ConfigError
from finger.interfaces import IAdapterContext, IFingerAdapter, IIRCClientFactory
from finger.protocol.wire import cleanLine

DEFAULT_SERVER: Final = "irc.libera.chat"
TLS_PORT: Final = 6697
"""The port of IRC over TLS (RFC 7194)."""

PLAIN_PORTS: Final = range(6665, 6670)
"""The ports registered for IRC as it was before."""

FIRST_DELAY: Final = 5.0
"""Seconds before the second attempt to connect, at most; each further one takes up to twice as long."""

LONGEST_DELAY: Final = 300.0
"""Seconds that are never exceeded."""

MAX_NICKNAME: Final = 30
MAX_CHANNEL: Final = 50
"""In bytes (RFC 2812 section 1.3)."""

_NICKNAME: Final = re.compile(r"[A-Za-z\[\]\\`_^{|}][A-Za-z0-9\[\]\\`_^{|}-]*")  # RFC 2812 section 2.3.1.
_HOST_PORT: Final = re.compile(r"(\[[^\s\]]+\]|[^\s:/=\[\]]+)(?::([0-9]+))?")


def checkNickname(nickname: str) -> str:
    """
    Is this a nickname?

    @return: the nickname.
    @raise ConfigError: if not.
    """
    if not _NICKNAME.fullmatch(nickname) or len(nickname) > MAX_NICKNAME:
        raise ConfigError(
            f"--ircnick={cleanLine(nickname)}: is no IRC nickname; one is up to {MAX_NICKNAME} letters, digits and "
            "-_[]{}\\|^`, and does not begin with a digit or -"
        )
    return nickname


def checkChannel(channel: str) -> str:
    """
    Is this a channel?

    @param channel: its name; C{#} may be left out, which shells take for a comment.
    @return: its name, with what it begins with.
    @raise ConfigError: if not.
    """
    name = channel if channel[:1] in {"#", "&", "+", "!"} else f"#{channel}"
    if len(name) < 2 or len(name.encode("utf-8", "replace")) > MAX_CHANNEL or any(map(_isForbidden, name)):
        raise ConfigError(
            f"--ircchannel={cleanLine(channel)}: is no IRC channel; one is # and up to {MAX_CHANNEL - 1} characters, "
            "without spaces, commas, colons and control characters"
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
    Make the service that connects a bot and, for ever, connects it again.

    @param reactor: for the connections, and for the factory's clock if it has none.
    @param factory: makes the bots; its nickname and channels are checked.
    @param server: see L{ircEndpoint}.
    @param retryPolicy: how long to wait before an attempt, in seconds, given its number; for tests that cannot wait.
    @raise ConfigError: if C{server}, the nickname or a channel cannot be one.
    """
    factory.nickname = checkNickname(factory.nickname)
    factory.channels = tuple(map(checkChannel, factory.channels))
    policy = BackoffPolicy()
    factory.clock = factory.clock or reactor
    factory.welcomed = policy.reset
    endpoint = _ToldEndpoint(ircEndpoint(reactor, server), server)
    return ClientService(endpoint, factory, retryPolicy or policy, clock=reactor)


def ircEndpoint(reactor: Any, server: str) -> IStreamClientEndpoint:
    """
    Where a server is.

    @param server: C{host}, C{host:port} or C{[address]:port}, all of which mean TLS, on port 6697 where none is
        named, except that ports 6665 to 6669 are in the clear; or an endpoint string, which says all that itself.
    @raise ConfigError: if it is none of these.
    """
    try:
        return _hostEndpoint(reactor, server) or clientFromString(reactor, server)
    except MemoryError:
        raise
    except Exception as error:  # Each kind of endpoint has its own ways to say that its string is wrong.
        raise ConfigError(
            f"--ircserver={cleanLine(server)}: is no host, host:port, [address]:port, and no endpoint string such as "
            f"'tcp:192.0.2.1:6667' or 'tls:irc.example.org:6697' ({cleanLine(str(error))})"
        ) from error


def _hostEndpoint(reactor: Any, server: str) -> IStreamClientEndpoint | None:
    match = _HOST_PORT.fullmatch(f"[{server}]" if isIPv6Address(server) else server)
    if match is None:
        return None
    host, port = match[1].strip("[]"), int(match[2] or TLS_PORT)
    if match[1] != host and not isIPv6Address(host):
        raise ValueError("in brackets there is an IPv6 address")
    if not 0 < port < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    endpoint = HostnameEndpoint(reactor, host, port)
    if port in PLAIN_PORTS:
        return endpoint
    # What a hardened process may lack memory for fails here, and not at each connection.
    SSL.Context(SSL.TLS_METHOD).set_info_callback(lambda connection, where, code: None)
    return wrapClientTLS(optionsForClientTLS(host), endpoint)


class BackoffPolicy:
    """
    How long to wait before the next attempt: longer each time, until one ends in a welcome.

    L{ClientService} has such a policy, too; but it takes a connection for a success, and so would be back in a second
    for ever at a server that connects everybody and bans us.
    """

    def __init__(self) -> None:
        self._attempts = 0

    def __call__(self, attempt: int) -> float:
        """
        Seconds until the next attempt: by chance, so that not all come back at once to a server that was down.

        @param attempt: what L{ClientService} takes for the number of failures.
        """
        longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self._attempts, 10))
        self._attempts += 1
        return random.uniform(longest / 2, longest)

    def reset(self) -> None:
        """A server has welcomed us."""
        self._attempts = 0


@implementer(IStreamClientEndpoint)
class _ToldEndpoint:
    """An endpoint that tells why it could not connect; L{ClientService} tells only that it tries again."""

    log = Logger()

    def __init__(self, endpoint: IStreamClientEndpoint, server: str) -> None:
        self._endpoint = endpoint
        self._server = server

    def __repr__(self) -> str:
        return f"<IRC server {self._server}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See L{IStreamClientEndpoint.connect}."""
        return self._endpoint.connect(protocolFactory).addErrback(self._tell)

    def _tell(self, failure: Failure) -> Failure:
        if not failure.check(CancelledError, ConnectingCancelledError):
            self.log.warn(
                "irc: cannot connect to {server}: {reason}", server=self._server, reason=failure.getErrorMessage()
            )
        return failure


@implementer(IFingerAdapter)
class IRCAdapter:
    """C{--ircnick}, C{--ircserver} and C{--ircchannel}."""

    name = "irc"
    options = (
        Option(
            name="ircnick",
            short="n",
            field="ircNick",
            kind=Kind(),
            value="NICK",
            group=IRC,
            help="The bot's nickname; without it there is no bot.",
        ),
        Option(
            name="ircserver",
            field="ircServer",
            kind=Kind(),
            value="SERVER",
            initial=DEFAULT_SERVER,
            group=IRC,
            help="Its server: HOST[:PORT] or an endpoint string.",
        ),
        Option(
            name="ircchannel",
            field="ircChannels",
            kind=Kind(),
            value="CHANNEL",
            repeated=True,
            initial=(),
            group=IRC,
            help="A channel it joins.",
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
