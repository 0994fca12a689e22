"""XML-RPC, with the methods C{getUser} and C{getUsers}, and introspection."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from inspect import signature
from typing import Any, NoReturn, TypeVar
from xmlrpc.client import dumps, loads

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from twisted.web.server import Request
from twisted.web.xmlrpc import XMLRPC, Fault, addIntrospection, withRequest
from zope.interface import implementer

from finger.errors import NoSuchUser
from finger.interfaces import IFingerService, IXMLRPCResource
from finger.log.querylog import QueryLog, finishQuery
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter
from finger.protocol.hosts import hostOf
from finger.protocol.wire import clean

T = TypeVar("T")

REFUSED = 1
"""The Fault code of a call that is refused or that fails in the server."""

BAD_CALL = 2
"""The Fault code of an invalid call."""


@implementer(IXMLRPCResource)
class FingerXMLRPC(XMLRPC):
    """
    The resource that answers XML-RPC calls.  A Fault never exposes internal details.

    @ivar queries: the log of queries.
    """

    log = Logger()

    def __init__(self, service: IFingerService) -> None:
        super().__init__()
        self._service = service
        self.queries = QueryLog()
        addIntrospection(self)

    @withRequest  # type: ignore[untyped-decorator]
    def xmlrpc_getUser(self, request: Request, user: str) -> Deferred[str]:
        """Return the status of the user of that name, or 'No such user'."""
        if not isinstance(user, str):
            return fail(Fault(BAD_CALL, "getUser takes one string, the user's name"))
        return self._logged(request, user, self._service.getUser(user)).addCallbacks(clean, self._unknownOrFault)

    xmlrpc_getUser.signature = [["string", "string"]]

    @withRequest  # type: ignore[untyped-decorator]
    def xmlrpc_getUsers(self, request: Request) -> Deferred[list[str]]:
        """Return the names of all users, sorted."""
        answer = self._logged(request, "", self._service.getUsers())
        return answer.addCallbacks(lambda users: [clean(user) for user in users], self._fault)

    xmlrpc_getUsers.signature = [["array"]]

    def _logged(self, request: Request, query: str, answer: Deferred[T]) -> Deferred[T]:
        peer = hostOf(request.getClientAddress())
        return answer.addBoth(finishQuery, self.queries.begin("xmlrpc", peer, query))

    def _unknownOrFault(self, failure: Failure) -> str:
        return NoSuchUser.words if failure.check(NoSuchUser) else self._fault(failure)

    def _fault(self, failure: Failure) -> NoReturn:
        raise Fault(REFUSED, self.queries.failures.explain(failure, self.log))

    def render(self, request: Request) -> Any:
        """See L{XMLRPC.render}.  Refuse methods other than C{POST} here: Twisted's page for that is ASCII only."""
        if request.method == b"POST":
            return super().render(request)
        request.setResponseCode(HTTPStatus.METHOD_NOT_ALLOWED)
        request.setHeader(b"allow", b"POST")
        request.setHeader(b"content-type", b"text/plain")
        return b"" if request.method == b"HEAD" else b"XML-RPC calls are sent with POST\n"

    def render_POST(self, request: Request) -> Any:
        """See L{XMLRPC.render_POST}.  Refuse an invalid call here, so that the parser's message is not sent."""
        try:
            loads(self._body(request))
        except Exception:
            request.setHeader(b"content-type", b"text/xml; charset=utf-8")
            return dumps(Fault(BAD_CALL, "this is not an XML-RPC call"), methodresponse=True).encode()
        return super().render_POST(request)

    def _body(self, request: Request) -> bytes:
        assert request.content is not None
        request.content.seek(0)
        body: bytes = request.content.read()
        return body

    def lookupProcedure(self, procedurePath: str) -> Callable[..., Any]:
        """See L{XMLRPC.lookupProcedure}.  Report a wrong method name or wrong arguments as the caller's error."""
        if not isinstance(procedurePath, str):
            raise Fault(BAD_CALL, "a method's name is a string")
        procedure = super().lookupProcedure(procedurePath)

        @wraps(procedure)
        def checked(*arguments: object) -> Any:
            try:
                signature(procedure).bind(*arguments)
            except TypeError as error:
                raise Fault(BAD_CALL, f"{procedurePath}: {error}") from None
            return procedure(*arguments)

        return checked


registerAdapter(FingerXMLRPC, IFingerService, IXMLRPCResource)


@implementer(IFingerAdapter)
class XMLRPCAdapter:
    """The adapter that adds XML-RPC to the web at C{/RPC2}."""

    name = "xmlrpc"
    options = ()
    queries = ("xmlrpc",)

    def build(self, context: IAdapterContext) -> None:
        """See L{IFingerAdapter.build}."""
        calls = FingerXMLRPC(context.service)
        calls.queries = context.queries
        context.addWebChild(b"RPC2", calls)
