"""The answers of the finger protocol, those at hand and all others."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from functools import cached_property, partial
from sys import getsizeof
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.adapters.finger.lists import encodePieces, longPieces, shortPieces
from finger.adapters.finger.people import People, Search, formatProfiles, joinAnswers
from finger.adapters.finger.protocol import FingerProtocol, escapedQuery
from finger.client.singleflight import SingleFlight
from finger.errors import BadQuery, ForwardingRefused, Gone, ListRefused, NoSuchUser, PeerError
from finger.interfaces import (
    IBannered,
    IFingerFactory,
    IFingerForwarder,
    IFingerLongListService,
    IFingerProfileService,
    IFingerService,
    IImmediateFactory,
    IImmediateProfileService,
)
from finger.log.querylog import QueryLog
from finger.net.answercache import AnswerCache, versionReader
from finger.net.slices import SLICE
from finger.protocol.wire import Query, encode, formatAnswer, parseQuery, splitHost
from finger.timing import TimeoutQueue

T = TypeVar("T")

MAX_LIST_BYTES = 256 * 1024 * 1024
"""Maximum size of the kept user lists, in bytes.  A list of 1,000,000 users has 45 MB."""

MAX_KEPT = 100_000
"""Maximum number of kept answers about one user."""

KEEPING = 300
"""The memory for keeping such an answer, in bytes, besides its own length and the query's."""

_WHOLE_QUERY = re.compile(rb"[^\0\r\n\xff]*\r?\n")
"""A query without anything that telnet might send."""


class _Kept(NamedTuple):
    """An answer at hand, its outcome for the log, and the query as logged."""

    answer: bytes
    outcome: str
    query: str


@implementer(IFingerFactory, IImmediateFactory)
class FingerFactory(ServerFactory[FingerProtocol]):
    """
    A factory of L{FingerProtocol}s, which also looks up their answers.

    @ivar clock: the clock for the time limits; with L{None} there are no limits.
    @ivar queries: the log of queries.
    @ivar utf8: whether to send UTF-8 rather than ASCII.
    @ivar matchNames: whether a name that is not a login may match a login in another case, or a first, last or full
        name (section 2.5.3).
    @ivar queryTimeout: time limit for receiving the query, in seconds.
    @ivar answerTimeout: time limit for looking up the answer, in seconds.
    @ivar closeTimeout: time limit for the peer to receive the answer, in seconds.
    @ivar discardTimeout: time limit for an overlong query to end, in seconds.
    """

    protocol = FingerProtocol
    noisy = False
    log = Logger()

    clock: IReactorTime | None = None
    utf8 = True
    matchNames = False
    queryTimeout = 10.0
    answerTimeout = 45.0
    closeTimeout = 30.0
    discardTimeout = 2.0

    def __init__(self, service: IFingerService) -> None:
        self._service = service
        self._profiles = IFingerProfileService(service)
        self._longList = IFingerLongListService(service)
        self._people = People(self._profiles)
        self._forwarder = IFingerForwarder(service, None)
        self._bannered = IBannered(service, None)
        self.queries = QueryLog()
        self._immediate = IImmediateProfileService(service, None)
        self._version = versionReader(service)
        self._lists: AnswerCache[bytes] = AnswerCache(mostBytes=MAX_LIST_BYTES)
        self._making: SingleFlight[bytes] = SingleFlight(1)
        self._answers: AnswerCache[_Kept] = AnswerCache(MAX_KEPT)

    def answerNow(self, received: bytes, host: str) -> bytes | None:
        """
        See L{IImmediateFactory.answerNow}.  That is possible for one query of a usual form whose answer is short and
        in memory, and neither part of telnet's nor followed by more.
        """
        if not _WHOLE_QUERY.fullmatch(received):
            return None
        version = self._version()
        kept = self._answers.get(version, received)
        if kept is None:
            kept = self._makeNow(received, version)
            if kept is None:
                return None
            size = KEEPING + len(received) + len(kept.answer) + getsizeof(kept.query)
            self._answers.put(version, received, kept, size)
        self.queries.record("finger", host, kept.query, kept.outcome)
        return kept.answer

    @cached_property
    def waiting(self) -> TimeoutQueue[FingerProtocol]:
        """The connections that wait for their query."""
        return TimeoutQueue(self.clock, self.queryTimeout, lambda protocol: protocol.transport.abortConnection())

    def answer(
        self, line: bytes, peer: str, whyLost: Callable[[], PeerError | None] = lambda: None
    ) -> Deferred[bytes]:
        """
        Answer a query, and log it.

        @param line: the query as received.
        @param peer: the peer's address, for the log.
        @param whyLost: returns why the connection was lost, if the answer is cancelled; by default, the peer left.
        @return: the bytes to send; fails only when cancelled.
        """
        return Deferred.fromCoroutine(self._answer(line, peer, whyLost))

    def encode(self, text: str) -> bytes:
        """Return an answer as bytes to send, with the administrator's banner before it, if there is one."""
        banner = self._banner()
        return encode(f"{banner}\n{text}" if banner else text, self.utf8)

    def _banner(self) -> str:
        return self._bannered.banner() if self._bannered is not None else ""

    async def _answer(self, line: bytes, peer: str, whyLost: Callable[[], PeerError | None]) -> bytes:
        finish = self.queries.begin("finger", peer, escapedQuery(line.rstrip(b"\r")))
        try:
            query = parseQuery(line)
        except BadQuery as error:
            finish("BadQuery")
            return self.encode(error.words)
        try:
            answer, outcome = await self._answerNames(query, peer) if query.names else await self._answerList(query)
        except Exception:  # Cancelled: the connection is lost.
            finish(type(whyLost() or Gone()).__name__)
            raise
        finish(outcome)
        return answer

    async def _answerNames(self, query: Query, peer: str) -> tuple[bytes, str]:
        search = Search(self._people, self.matchNames, self.clock)
        lookups = [self._inWords(self._one(name, query.verbose, search, peer)) for name in query.names]
        answers = await self._all(lookups)
        return self.encode(joinAnswers([text for text, _ in answers])), ",".join(outcome for _, outcome in answers)

    async def _answerList(self, query: Query) -> tuple[bytes, str]:
        """Answer with the user list.  It may be long, so it is kept, and made once for all that wait for it."""
        version, key = self._version(), (query.verbose, self.utf8)
        kept = self._lists.get(version, key)
        if kept is not None:
            return kept, "ok"
        try:
            if version is None:
                return await self._makeList(query.verbose), "ok"
            answer = await self._making.join(
                (version, key), lambda: Deferred.fromCoroutine(self._makeList(query.verbose))
            )
        except CancelledError:
            raise
        except Exception as error:
            return self.encode(self._explain()), type(error).__name__
        self._lists.put(version, key, answer, len(answer))
        return answer, "ok"

    def _makeNow(self, line: bytes, version: Hashable | None) -> _Kept | None:
        """Return an answer; L{None} if it has to be made in the ordinary way, or is long."""
        try:
            query = parseQuery(line)
            if query.names:
                made = self._makeOneNow(query)
            else:
                kept = self._lists.get(version, (query.verbose, self.utf8))
                made = None if kept is None else (kept, "ok")
        except BaseException:  # The ordinary way gets it as well, and reports it.
            return None
        if made is None or len(made[0]) > SLICE:
            return None
        return _Kept(*made, escapedQuery(line.rstrip(b"\r\n")))

    def _makeOneNow(self, query: Query) -> tuple[bytes, str] | None:
        if self._immediate is None or len(query.names) > 1:
            return None
        try:
            profile = self._immediate.getProfileNow(query.names[0])
        except NoSuchUser as error:
            return None if self.matchNames else (self.encode(error.text or error.words), type(error).__name__)
        return None if profile is None else (self.encode(formatAnswer(profile, query.verbose)), "ok")

    async def _all(self, lookups: list[Coroutine[Deferred[T], Any, T]]) -> list[T]:
        """Return the results of several lookups, which run at the same time."""
        if len(lookups) == 1:
            return [await lookups[0]]
        return await gatherResults([Deferred.fromCoroutine(lookup) for lookup in lookups], consumeErrors=True)

    async def _inWords(self, lookup: Awaitable[str]) -> tuple[str, str]:
        """
        Return an answer, and its outcome for the log.  Names in one query are independent: a failed or slow lookup
        does not affect the others.
        """
        try:
            return await lookup, "ok"
        except CancelledError:
            raise
        except Exception as error:
            return self._explain(), type(error).__name__

    def _explain(self) -> str:
        """Return what people are told of the exception that is being handled."""
        return self.queries.failures.explainToPeople(Failure(), self.log)

    async def _makeList(self, verbose: bool) -> bytes:
        try:
            profiles = await (self._longList.getLongProfiles if verbose else self._profiles.getProfiles)()
        except ListRefused as error:
            if not error.text:
                raise
            return self.encode(error.text)
        pieces = (longPieces if verbose and profiles else shortPieces)(profiles)
        return await encodePieces(pieces, partial(encode, utf8=self.utf8), self.clock, self._banner())

    async def _one(self, name: str, verbose: bool, search: Search, peer: str) -> str:
        remote = splitHost(name)
        if remote is not None:
            return await self._forward(*remote, verbose, peer)
        return formatProfiles(await search.find(name), verbose)

    async def _forward(self, query: str, host: str, verbose: bool, peer: str) -> str:
        if self._forwarder is None:
            raise ForwardingRefused(host)
        return await self._forwarder.forward(query, host, verbose, peer)


registerAdapter(FingerFactory, IFingerService, IFingerFactory)
