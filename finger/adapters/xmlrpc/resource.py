"""XML-RPC, with the methods C{getUser} and C{getUsers}, introspection, and C{system.multicall}."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from inspect import signature
from math import ceil
from typing import Any, Final, NoReturn, TypeVar
from xmlrpc.client import Fault

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from finger.access.onbehalf import getUserFor
from finger.adapters.xmlrpc.messages import (
    BAD_CALL,
    NO_NAME,
    Answer,
    Formatted,
    Value,
    faultValue,
    formatFault,
    formatResponse,
    formatValue,
    parseCall,
)
from finger.adapters.xmlrpc.userlist import UserList, UserLists
from finger.errors import NoSuchUser
from finger.interfaces import IFingerService, ILimitedTransport, IRepeatableRequest, IXMLRPCResource
from finger.log.querylog import QueryLog, finishQuery
from finger.net.slices import sendInSlices
from finger.protocol.hosts import hostOf
from finger.protocol.wire import clean, cleanLine, splitHost

T = TypeVar("T")

REFUSED: Final = 1
"""The Fault code of a call that is refused or that fails in the server."""

NO_METHOD: Final = 8001
"""The Fault code of a call of a method that does not exist, which is Twisted's."""

MAX_CALLS: Final = 16
"""The maximum number of calls in a C{system.multicall}."""

MAX_ANSWERS: Final = 1024 * 1024
"""The maximum length of the answers of a C{system.multicall}, in characters.  Those that exceed it are refused."""

MAX_NAME: Final = 100
"""The number of characters that are sent back of the name of a method that does not exist."""

MULTICALL: Final = "system.multicall"

ONLY_POST: Final = b"XML-RPC calls are sent with POST\n"


@dataclass(frozen=True, slots=True)
class _Method:
    """
    A method.

    @ivar answer: called with the client and the parameters.
    @ivar signatures: the types of its result and its parameters, for each form in which it can be called.
    """

    answer: Callable[..., Awaitable[Answer]]
    signatures: list[Answer]

    @property
    def help(self) -> str:
        return self.answer.__doc__ or ""

    def checkParams(self, name: str, params: tuple[Value, ...]) -> None:
        """Refuse too few or too many parameters."""
        try:
            signature(self.answer).bind(None, *params)
        except TypeError as error:
            raise Fault(BAD_CALL, f"{name}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Peer:
    """
    The client that makes a call.

    @ivar host: its address.
    @ivar limit: counts its further calls towards its rate limit; L{None} for no limit.
    @ivar repeatable: the request, if it has one call and its response may be kept; L{None} otherwise.
    """

    host: str
    limit: ILimitedTransport | None
    repeatable: IRepeatableRequest | None = None


class _Answers:
    """
    The answers of a C{system.multicall}, whose length is bounded, and whose calls count like requests.

    @param peer: the client.
    """

    def __init__(self, peer: _Peer) -> None:
        self._limit = peer.limit
        self._count = 0
        self._wait = 0.0
        self._length = 0

    def admit(self) -> None:
        """
        Count one more call towards the rate limit.  The request itself was counted as the first.

        @raise Fault: if the call is above the limit, or if one before it was.
        """
        self._count += 1
        if self._count > 1 and self._limit is not None and not self._wait:
            self._wait = self._limit.admitRequest()
        if self._wait:
            raise Fault(REFUSED, f"too many calls, try again in {ceil(self._wait)} s")

    def format(self, value: Answer) -> Formatted:
        """
        Format one more answer.

        @raise Fault: if it is too long, together with those before it.
        """
        formatted = formatValue([value])
        if self._length + len(formatted) > MAX_ANSWERS:
            raise Fault(REFUSED, f"the answers in {MULTICALL} are too long; make this call by itself")
        self._length += len(formatted)
        return formatted


@implementer(IXMLRPCResource)
class FingerXMLRPC(Resource):
    """
    The resource that answers XML-RPC calls.  A Fault never exposes internal details.

    @ivar queries: the log of queries.
    @ivar clock: the clock that lets others have a turn between the calls of a C{system.multicall}; L{None} for none.
    """

    isLeaf = True
    log = Logger()

    clock: IReactorTime | None = None

    def __init__(self, service: IFingerService) -> None:
        super().__init__()
        self._service = service
        self._users = UserLists(service)
        self.queries = QueryLog()
        self._methods = {
            "getUser": _Method(self._getUser, [["string", "string"]]),
            "getUsers": _Method(self._getUsers, [["array"]]),
            "system.listMethods": _Method(self._listMethods, [["array"]]),
            "system.methodHelp": _Method(self._methodHelp, [["string", "string"]]),
            "system.methodSignature": _Method(self._methodSignature, [["array", "string"]]),
            MULTICALL: _Method(self._multicall, [["array", "array"]]),
        }

    def render(self, request: Request) -> Any:
        """See C{Resource.render}.  Methods other than C{POST} are refused."""
        if request.method == b"POST":
            Deferred.fromCoroutine(self._render(request))
            return NOT_DONE_YET
        request.setResponseCode(HTTPStatus.METHOD_NOT_ALLOWED)
        request.setHeader(b"allow", b"POST")
        request.setHeader(b"content-type", b"text/plain")
        request.setHeader(b"content-length", b"%d" % len(ONLY_POST))
        return b"" if request.method == b"HEAD" else ONLY_POST

    async def _render(self, request: Request) -> None:
        assert request.content is not None
        ended = request.notifyFinish().addErrback(lambda reason: None)
        host = hostOf(request.getClientAddress())
        peer = _Peer(host, ILimitedTransport(request, None), IRepeatableRequest(request, None))
        answer = await self._answer(request.content.read(), peer)
        if not ended.called:
            request.setHeader(b"content-type", b"text/xml; charset=utf-8")
            request.setHeader(b"content-length", b"%d" % len(answer))
            sendInSlices(request, answer, request.finish)

    async def _answer(self, body: bytes, peer: _Peer) -> bytes:
        try:
            call = parseCall(body)
            value = await self._call(peer, call.method, call.params)
            return value.response if isinstance(value, UserList) else formatResponse(value)
        except Fault as fault:
            return formatFault(fault)

    async def _call(self, peer: _Peer, name: str, params: tuple[Value, ...]) -> Answer:
        """
        Call a method.

        @raise Fault: if that fails for any reason.
        """
        method = self._find(name)
        method.checkParams(name, params)
        try:
            return await method.answer(peer, *params)
        except Fault:
            raise
        except Exception:
            self._fault(Failure())

    def _find(self, name: Value) -> _Method:
        if not isinstance(name, str):
            raise Fault(BAD_CALL, NO_NAME)
        method = self._methods.get(name)
        if method is None:
            raise Fault(NO_METHOD, f"procedure {cleanLine(name[:MAX_NAME])} not found")
        return method

    def _fault(self, failure: Failure) -> NoReturn:
        raise Fault(REFUSED, self.queries.failures.explain(failure, self.log)) from None

    def _logged(self, peer: _Peer, query: str, look: Callable[..., Deferred[T]], *arguments: object) -> Deferred[T]:
        finish = self.queries.begin("xmlrpc", peer.host, query)
        return maybeDeferred(look, *arguments).addBoth(finishQuery, finish)

    # The methods.  The first line of each is its help.

    async def _getUser(self, peer: _Peer, user: Value) -> str:
        """Return the status of the user of that name, or 'No such user'."""
        if not isinstance(user, str):
            raise Fault(BAD_CALL, "getUser takes one string, the user's name")
        try:
            status = clean(await self._logged(peer, user, getUserFor, self._service, user, peer.host))
        except NoSuchUser:
            return NoSuchUser.words
        if peer.repeatable is not None and splitHost(user) is None:  # Otherwise it is another server's answer.
            peer.repeatable.allowRepeats(lambda host: self.queries.record("xmlrpc", host, user, "ok"))
        return status

    async def _getUsers(self, peer: _Peer) -> Answer:
        """Return the names of all users, sorted."""
        kept = self._users.find()
        if kept is None:
            return await self._logged(peer, "", self._users.make, self.clock)
        self.queries.record("xmlrpc", peer.host, "", "ok")
        return kept

    async def _listMethods(self, peer: _Peer) -> Answer:
        """Return the names of the methods."""
        return list(self._methods)

    async def _methodHelp(self, peer: _Peer, method: Value) -> Answer:
        """Return the description of a method."""
        return self._find(method).help

    async def _methodSignature(self, peer: _Peer, method: Value) -> Answer:
        """Return the signatures of a method, each a list of the types of its result and its parameters."""
        return self._find(method).signatures

    async def _multicall(self, peer: _Peer, calls: Value) -> Answer:
        """Call several methods, and return for each a list with its result, or a Fault's struct."""
        if not isinstance(calls, list):
            raise Fault(BAD_CALL, f"{MULTICALL} takes one array of calls")
        if len(calls) > MAX_CALLS:
            raise Fault(BAD_CALL, f"{MULTICALL} takes at most {MAX_CALLS} calls")
        peer = replace(peer, repeatable=None)
        answers, waiting = _Answers(peer), []
        for call in calls:
            waiting.append(Deferred.fromCoroutine(self._callOne(peer, call, answers)))
            if self.clock is not None:
                await deferLater(self.clock, 0)
        return [*await gatherResults(waiting)]

    async def _callOne(self, peer: _Peer, call: Value, answers: _Answers) -> Answer:
        """Answer one call of several.  They are independent: one that fails does not affect the others."""
        try:
            answers.admit()
            name, params = _parseOne(call)
            return answers.format(await self._call(peer, name, params))
        except Fault as fault:
            return faultValue(fault)


def _parseOne(call: Value) -> tuple[str, tuple[Value, ...]]:
    """
    Parse one call of several.

    @raise Fault: if it is not a struct with a method's name and parameters, or is itself a C{system.multicall}.
    """
    name, params = (call.get("methodName"), call.get("params")) if isinstance(call, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(params, list):
        raise Fault(BAD_CALL, f"a call in {MULTICALL} is a struct with methodName, a string, and params, an array")
    if name == MULTICALL:
        raise Fault(BAD_CALL, f"{MULTICALL} cannot call itself")
    return name, tuple(params)


registerAdapter(FingerXMLRPC, IFingerService, IXMLRPCResource)
