"""The finger protocol itself, RFC 1288."""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from zope.interface import implementer

from finger.config.options import PORTS, TOLD, Option
from finger.config.types import Port, Switch
from finger.errors import BadQuery, ForwardingRefused, ListRefused, NoSuchUser
from finger.interfaces import (
    IAdapterContext,
    IDrainable,
    IFingerAdapter,
    IFingerFactory,
    IFingerForwarder,
    IFingerProfileService,
    IFingerService,
)
from finger.log.querylog import QueryLog
from finger.profile import Profile
from finger.protocol.hosts import hostOf
from finger.protocol.wire import (
    MAX_LINE,
    MAX_NAMES,
    Query,
    encode,
    formatAnswer,
    formatList,
    matchesName,
    parseQuery,
    splitHost,
)
from finger.timing import CLOSE_GRACE, DRAIN_GRACE, Deadline

MAX_DISCARDED = 64 * 1024
"""How much of a query that is too long is read, in bytes, in the hope of its end."""

MAX_LOGGED = 100
"""How much of it is logged, in bytes."""

TOO_MANY = encode("Too many connections, try again later")
"""What is sent to a peer whose connection is one too many."""


@implementer(IDrainable)
class FingerProtocol(LineReceiver):
    """
    One connection: one query, one answer, and the server closes (section 2.1).

    Each of the three phases (the query arrives, the answer is looked up, the answer leaves) has a time limit that
    nothing the peer does can extend.
    """

    delimiter = b"\n"  # CRLF says the RFC; LF alone is what people type into nc.
    MAX_LENGTH = MAX_LINE + 1  # The CR.
    log = Logger()

    factory: FingerFactory
    transport: ITCPTransport
    _answering: Deferred[str] | None = None
    _discarded = 0
    _isTooLong = False
    _isLost = False

    def connectionMade(self) -> None:
        """Wait for the query."""
        self._deadline = Deadline(self.factory.clock)
        self._deadline.start(self.factory.queryTimeout, self.transport.abortConnection)

    def lineReceived(self, line: bytes) -> None:
        """Look the answer up.  What the peer sends after its query is thrown away."""
        self.setRawMode()
        self._deadline.start(self.factory.answerTimeout, self.transport.abortConnection)
        self._answering = self.factory.answer(line, self._peer())
        self._answering.addBoth(self._answer)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse.  The connection ends with the line: closed before, unread bytes would cost the peer the answer."""
        self.setRawMode()
        self._isTooLong = True
        self.factory.queries.begin("finger", self._peer(), _escaped(line[:MAX_LOGGED]))("BadQuery")
        self._write(BadQuery.words)
        self._deadline.start(self.factory.discardTimeout, self._close)
        self.rawDataReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        """Throw away what follows the query."""
        self._discarded += len(data)
        if self._isTooLong and (b"\n" in data or self._discarded > MAX_DISCARDED):
            self._close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nobody waits for the answer any more."""
        self._isLost = True
        self._deadline.cancel()
        if self._answering is not None:
            self._answering.cancel()

    def drain(self) -> None:
        """See L{IDrainable.drain}.  Who has not asked yet has a moment: the query may be on its way."""
        if self.line_mode:
            self._deadline.start(DRAIN_GRACE, self.transport.loseConnection)

    def _answer(self, result: str | Failure) -> None:
        self._answering = None
        if not self._isLost:
            explain = self.factory.queries.failures.explain
            self._write(explain(result, self.log) if isinstance(result, Failure) else result)
            self._close()

    def _write(self, text: str) -> None:
        self.transport.write(self.factory.encode(text))

    def _close(self) -> None:
        self._deadline.start(self.factory.closeTimeout, self.transport.abortConnection)
        self.transport.loseConnection()

    def _peer(self) -> str:
        return hostOf(self.transport.getPeer())


@implementer(IFingerFactory)
class FingerFactory(ServerFactory[FingerProtocol]):
    """
    Makes L{FingerProtocol}s, and their answers.

    @ivar clock: for the time limits; without one there are none.
    @ivar queries: where queries are logged.
    @ivar utf8: send UTF-8, not ASCII.
    @ivar matchNames: take a name that is no login for a first, last or full name (section 2.5.3).
    @ivar queryTimeout: seconds for the query to arrive.
    @ivar answerTimeout: seconds for it to be answered.
    @ivar closeTimeout: seconds for the answer to be taken.
    @ivar discardTimeout: seconds for a query that is too long to end.
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
        self._profiles = IFingerProfileService(service)
        self._forwarder = IFingerForwarder(service, None)
        self.queries = QueryLog()
        self._listed: list[Profile] | None = None
        self._written: dict[bool, str] = {}
        self._encoded: dict[bool, bytes] = {}

    def answer(self, line: bytes, peer: str) -> Deferred[str]:
        """
        Answer a query, and log it.

        @param line: the query as it came.
        @param peer: who asks, for the log.
        @return: the text to send; fails only when cancelled.
        """
        return Deferred.fromCoroutine(self._answer(line, peer))

    def encode(self, answer: str) -> bytes:
        """
        Make of an answer what is sent.  A list that comes again is not encoded again: of 100,000 users, that would
        keep everybody else waiting.
        """
        for verbose, written in self._written.items():
            if written is answer:
                if verbose not in self._encoded:
                    self._encoded[verbose] = encode(answer, self.utf8)
                return self._encoded[verbose]
        return encode(answer, self.utf8)

    async def _answer(self, line: bytes, peer: str) -> str:
        finish = self.queries.begin("finger", peer, _escaped(line.rstrip(b"\r")))
        try:
            lookups = self._lookups(parseQuery(line))
        except BadQuery as error:
            told = [(error.words, "BadQuery")]
        else:
            waiting = [Deferred.fromCoroutine(self._inWords(lookup)) for lookup in lookups]
            try:
                told = await gatherResults(waiting, consumeErrors=True)
            except Exception:  # Cancelled: the peer has left.
                finish("Gone")
                raise
        finish(",".join(outcome for _, outcome in told))
        return "\n".join(answer for answer, _ in told)

    def _lookups(self, query: Query) -> list[Awaitable[str]]:
        if not query.names:
            return [self._list(query.verbose)]
        return [self._one(name, query.verbose) for name in query.names]

    async def _inWords(self, lookup: Awaitable[str]) -> tuple[str, str]:
        """
        The answer and the outcome, for the log.  A name that cannot be answered does not keep the others of its query
        from their answers, nor does one that takes long.
        """
        try:
            return await lookup, "ok"
        except CancelledError:
            raise
        except Exception as error:
            return self.queries.failures.explain(Failure(), self.log), type(error).__name__

    async def _list(self, verbose: bool) -> str:
        profiles = await self._profiles.getProfiles()
        if profiles is not self._listed:  # A list that comes again is not written again: it may be long.
            self._listed, self._written, self._encoded = profiles, {}, {}
        if verbose not in self._written:
            long = verbose and bool(profiles)
            self._written[verbose] = _formatProfiles(profiles, verbose) if long else formatList(profiles)
        return self._written[verbose]

    async def _one(self, name: str, verbose: bool) -> str:
        remote = splitHost(name)
        if remote is not None:
            return await self._forward(*remote, verbose)
        try:
            return formatAnswer(await self._profiles.getProfile(name), verbose)
        except NoSuchUser:
            if not self.matchNames:
                raise
        return await self._matches(name, verbose)

    async def _forward(self, query: str, host: str, verbose: bool) -> str:
        if self._forwarder is None:
            raise ForwardingRefused(host)
        return await self._forwarder.forward(query, host, verbose)

    async def _matches(self, name: str, verbose: bool) -> str:
        """All users who are called so.  A server that does not list its users does not help to guess them either."""
        try:
            profiles = await self._profiles.getProfiles()
        except ListRefused:
            profiles = []
        logins = [profile.login for profile in profiles if matchesName(profile, name)]
        if not logins:
            raise NoSuchUser(name)
        found = [await self._profiles.getProfile(login) for login in logins[:MAX_NAMES]]
        return _formatProfiles(found, verbose)


def _formatProfiles(profiles: list[Profile], verbose: bool) -> str:
    return "\n\n".join(formatAnswer(profile, verbose) for profile in profiles)


def _escaped(line: bytes) -> str:
    """A query for the log, which escapes it; what is no UTF-8 is escaped here."""
    return line.decode("utf-8", "backslashreplace")


registerAdapter(FingerFactory, IFingerService, IFingerFactory)


@implementer(IFingerAdapter)
class FingerAdapter:
    """C{--fingerport}, and how finger is answered."""

    name = "finger"
    options = (
        Option(
            name="fingerport",
            field="fingerPorts",
            kind=Port(),
            value="PORT",
            repeated=True,
            initial=("79",),
            group=PORTS,
            help="Finger.",
        ),
        Option(
            name="match-names",
            field="matchNames",
            kind=Switch(),
            initial=False,
            group=TOLD,
            help="Take a name that is no login for a first, last or full name.",
        ),
        Option(
            name="ascii",
            field="utf8",
            kind=Switch(inverted=True),
            initial=True,
            group=TOLD,
            help="Answer finger in ASCII, not UTF-8.",
        ),
    )
    queries = ("finger",)

    def build(self, context: IAdapterContext) -> None:
        """See L{IFingerAdapter.build}."""
        factory = FingerFactory(context.service)
        factory.clock = context.reactor
        factory.queries = context.queries
        factory.utf8 = context.options["ascii"]
        factory.matchNames = context.options["match-names"]
        factory.queryTimeout = context.config.querySeconds
        factory.answerTimeout = context.config.answerSeconds + CLOSE_GRACE
        factory.closeTimeout = context.config.answerSeconds
        context.listen("fingerport", factory, refusal=TOO_MANY)
