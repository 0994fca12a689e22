"""The proxy back end: the users of another finger server."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.client.client import FINGER_PORT, ONE_HOST, Answer, FingerClient, formatName
from finger.errors import (
    INTERNAL_ERROR,
    BackendUnavailable,
    BadQuery,
    ConfigError,
    FingerError,
    ForwardingRefused,
    ListRefused,
    NoSuchUser,
    RemoteUnreachable,
)
from finger.interfaces import IFingerBackend, IFingerForwarder, IFingerProfileService, IFingerService
from finger.log.peerlog import PeerLog
from finger.profile import Profile
from finger.protocol.hosts import parseHost, parseHostPort
from finger.protocol.wire import formatQuery, parseList, splitHost

_REFUSALS: dict[str, type[FingerError]] = {
    INTERNAL_ERROR: BackendUnavailable,
    **{error.words: error for error in (BadQuery, ForwardingRefused, ListRefused, NoSuchUser, RemoteUnreachable)},
}
"""The error messages of servers like this one, and their errors."""

_UNKNOWN = (
    r"no such user\.?",  # ours
    r"(?:finger: |login: )?{user}: no such user\.?",  # BSD and its descendants
    r"no such user:? ['\"`]?{user}['\"]?\.?",
    r"login name: {user}\s+in real life: \?\?\?",  # System V, SunOS
)
"""
The answers of servers for a user that does not exist.  They must be the whole answer, since a plan may contain them.
"""


@implementer(IFingerService, IFingerProfileService)
class ProxyFingerService:
    """
    A back end that queries another finger server.

    The server's whole answer about a user becomes the user's plan; its administrator decides what it discloses.

    @ivar host: the server's name or address.
    @ivar port: its port.
    @param client: the client that queries it.
    @param forwarder: forwards queries for C{user@host}; without one, they are refused.
    @param events: the log for queries without an answer.
    """

    log = Logger()

    def __init__(
        self,
        client: FingerClient,
        host: str = "localhost",
        port: int = FINGER_PORT,
        forwarder: IFingerForwarder | None = None,
        events: PeerLog | None = None,
    ) -> None:
        self._events = events or PeerLog()
        self._client = client
        self.host = parseHost(host)
        self.port = port
        self._forwarder = forwarder

    def getUser(self, user: str) -> Deferred[str]:
        """See L{IFingerService.getUser}."""
        return self.getProfile(user).addCallback(lambda profile: profile.status)

    def getUsers(self) -> Deferred[list[str]]:
        """See L{IFingerService.getUsers}."""
        return self.getProfiles().addCallback(lambda profiles: [profile.login for profile in profiles])

    def getProfile(self, user: str) -> Deferred[Profile]:
        """See L{IFingerProfileService.getProfile}; this also fails with L{RemoteUnreachable}."""
        remote = splitHost(user)
        answer = self._ask(user) if remote is None else self._forward(*remote)
        return answer.addCallback(lambda text: Profile(user, plan=text))

    def getProfiles(self) -> Deferred[list[Profile]]:
        """See L{IFingerProfileService.getProfiles}; this also fails with L{RemoteUnreachable}."""
        return self._send(formatQuery("", verbose=False)).addCallback(self._list)

    def _forward(self, query: str, host: str) -> Deferred[str]:
        if self._forwarder is None:
            return fail(ForwardingRefused(host))
        return self._forwarder.forward(query, host, verbose=False)

    def _ask(self, user: str) -> Deferred[str]:
        try:
            query = formatName(user)
        except NoSuchUser:
            return fail()
        return self._send(query).addCallback(self._answer, user)

    def _answer(self, answer: Answer, user: str) -> str:
        _raiseRefusal(answer.text)
        if _isUnknown(answer.text, user):
            raise NoSuchUser(user)
        return answer.text

    def _list(self, answer: Answer) -> list[Profile]:
        _raiseRefusal(answer.text)
        return parseList(answer.wholeLines)

    def _send(self, query: bytes) -> Deferred[Answer]:
        return self._client.ask(self.host, self.port, query).addErrback(self._unreachable)

    def _unreachable(self, failure: Failure) -> Failure:
        if failure.check(RemoteUnreachable):
            why = failure.getErrorMessage()
            self._events.warn(
                self.log, "{host} port {port} does not answer: {why}", host=self.host, port=self.port, why=why
            )
        return failure


def _raiseRefusal(answer: str) -> None:
    error = _REFUSALS.get(answer.strip())
    if error is not None:
        raise error(f"the other server answered {answer.strip()!r}")


def _isUnknown(answer: str, user: str) -> bool:
    line = answer.strip()
    return any(re.fullmatch(form.replace("{user}", re.escape(user)), line, re.IGNORECASE) for form in _UNKNOWN)


@implementer(IPlugin, IFingerBackend)
class ProxyBackend:
    """C{--backend=proxy} and C{--backend=proxy:HOST:PORT}."""

    name = "proxy"
    argument = "[:HOST[:PORT]]"
    summary = "the users of another finger server; without HOST, of this machine's port 79"

    def makeBackend(self, argument: str, reactor: Any) -> ProxyFingerService:
        """See L{IFingerBackend.makeBackend}."""
        try:
            host, port = parseHostPort(argument or "localhost", FINGER_PORT)
        except ValueError as error:
            raise ConfigError(f"--backend=proxy:{argument}: {error}; give HOST, HOST:PORT or [IPV6]:PORT") from error
        client = FingerClient(reactor, limits=ONE_HOST)
        return ProxyFingerService(client, host, port, events=PeerLog(reactor))
