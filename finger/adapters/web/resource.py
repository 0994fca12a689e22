"""The web resource, with the user list at C{/} and each user at C{/username}."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final, NoReturn
from urllib.parse import quote

from twisted.cred.credentials import UsernamePassword
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from finger.access.authority import Authority
from finger.adapters.web.pages import Page, errorPage, listPage, userPage
from finger.adapters.web.templating import Templates
from finger.errors import (
    INTERNAL_ERROR,
    BackendUnavailable,
    BadQuery,
    ForwardingRefused,
    ListRefused,
    NoSuchUser,
    NotAllowed,
    NotAuthenticated,
    PeerError,
    RemoteUnreachable,
)
from finger.interfaces import IFingerProfileService, IFingerService
from finger.log.querylog import QueryLog
from finger.protocol.hosts import hostOf

HEADERS: Final = {
    b"content-type": b"text/html; charset=utf-8",
    b"content-security-policy": (
        b"default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-cache",
}
"""The headers of every page.  The pages load no other resources, so the policy allows none."""

ALLOWED: Final = (b"GET", b"HEAD")
"""The methods that are always allowed.  PUT is also allowed if users can log in."""


class NoSuchPage(PeerError):
    """The path cannot be a user's."""

    words = "No such page"


class MethodRefused(PeerError):
    """The method is not supported."""

    words = "Method not allowed"


class InsecureRefused(PeerError):
    """The request needs a password, and is not encrypted."""

    words = "HTTPS only"


class Gone(PeerError):
    """The client left before it was answered."""


STATUS_OF_ERROR: Final = {
    BadQuery: HTTPStatus.BAD_REQUEST,
    NoSuchUser: HTTPStatus.NOT_FOUND,
    NoSuchPage: HTTPStatus.NOT_FOUND,
    MethodRefused: HTTPStatus.METHOD_NOT_ALLOWED,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    InsecureRefused: HTTPStatus.FORBIDDEN,
    ListRefused: HTTPStatus.FORBIDDEN,
    ForwardingRefused: HTTPStatus.FORBIDDEN,
    RemoteUnreachable: HTTPStatus.BAD_GATEWAY,
    BackendUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The HTTP status of each error.  Any other error is an internal server error."""


class FingerResource(Resource):
    """
    The root resource of a back end's users: C{/} is the user list, C{/username} a user.

    Names that cannot be paths, such as C{..}, or C{RPC2} if that is a child, have C{/?user=username} instead.  All
    links are relative, so a reverse proxy can mount the resource below any path.

    @ivar templates: the templates of the pages.
    @ivar queries: the log of queries.
    @ivar clock: the clock for the time limit; with L{None} there is no limit.
    @ivar answerTimeout: time limit for the back end to answer, in seconds.
    @ivar authority: the rules for setting statuses (C{PUT /username}, RFC 7617); L{None} disables it.
    """

    log = Logger()

    clock: IReactorTime | None = None
    answerTimeout = 45.0
    authority: Authority | None = None

    def __init__(self, service: IFingerService) -> None:
        super().__init__()
        self._profiles = IFingerProfileService(service)
        self.templates = Templates()
        self.queries = QueryLog()

    def getChild(self, path: bytes, request: Request) -> Resource:
        """See L{Resource.getChild}."""
        return _Path(self, _decode(path)) if path or request.postpath else self

    def render(self, request: Request) -> int:
        """Answer C{/}."""
        if request.prepath and request.prepath[-1]:
            return _redirectIntoDirectory(request)
        user = _argument(request, b"user")
        if user:
            return self.answer(request, partial(self.lookUp, user), user)
        return self.answer(request, partial(self._list, _argument(request, b"page")))

    def lookUp(self, user: str) -> Deferred[Page]:
        """Look up the page of a user."""
        return self._profiles.getProfile(user).addCallback(userPage)

    def _list(self, number: str) -> Deferred[Page]:
        page = int(number) if number.isdecimal() and len(number) < 10 else 1
        taken = {_decode(path) for path in self.children}
        return self._profiles.getProfiles().addCallback(listPage, page, taken)

    def answer(self, request: Request, look: Callable[[], Deferred[Page]], asked: str = "") -> int:
        """
        Answer a request.

        @param look: looks up the page, or fails.
        @param asked: the user the request is for; empty if it is not for a user.
        """
        allowed = (*ALLOWED, b"PUT") if asked and self.authority is not None else ALLOWED
        if request.method not in allowed:
            request.setHeader(b"allow", b", ".join(allowed))
            look = partial(fail, MethodRefused())
        elif request.method == b"PUT":
            look = partial(self._put, request, asked)
        Deferred.fromCoroutine(self._answer(request, look, asked))
        return NOT_DONE_YET

    async def _answer(self, request: Request, look: Callable[[], Deferred[Page]], asked: str) -> None:
        finish = self.queries.begin("web", hostOf(request.getClientAddress()), asked)
        looking = self._inTime(look)
        ended = request.notifyFinish().addErrback(lambda reason: looking.cancel())
        try:
            page, code, outcome = await looking, HTTPStatus.OK, "ok"
        except Exception as error:
            failure = Failure(Gone() if ended.called else error)
            code, outcome = _statusOf(failure), type(failure.value).__name__
            words = self.queries.failures.explain(failure, self.log)
            page = errorPage(words, code, asked, "../" * len(request.postpath or ()) or "./")
        if not ended.called:
            await self._send(request, page, code)
        finish(outcome)

    def _put(self, request: Request, user: str) -> Deferred[Page]:
        return Deferred.fromCoroutine(self._set(request, user))

    async def _set(self, request: Request, user: str) -> Page:
        """Set a status to a request's body.  Over plain HTTP, refuse without checking the password: it is exposed."""
        assert self.authority is not None
        assert request.content is not None
        if not request.isSecure():
            raise InsecureRefused
        peer = hostOf(request.getClientAddress())
        try:
            status = request.content.read().decode("utf-8")
        except UnicodeDecodeError:
            raise BadQuery("not UTF-8") from None
        try:
            actor = await self.authority.login(UsernamePassword(request.getUser(), request.getPassword()), peer)
        except NotAuthenticated:
            request.setHeader(b"www-authenticate", b'Basic realm="finger", charset="UTF-8"')
            raise
        await self.authority.set(actor, user, status.removesuffix("\n"))
        return userPage(await self._profiles.getProfile(user))

    def _inTime(self, look: Callable[[], Deferred[Page]]) -> Deferred[Page]:
        looking = maybeDeferred(look)
        if self.clock is not None:
            looking.addTimeout(self.answerTimeout, self.clock, _tooLate)
        return looking

    async def _send(self, request: Request, page: Page, code: HTTPStatus) -> None:
        try:
            html = await self.templates.render(page)
        except Exception:
            self.log.failure("{template} could not be rendered", template=page.template)
            html, code = (
                b"<!DOCTYPE html>\n<title>%b</title>\n" % INTERNAL_ERROR.encode(),
                HTTPStatus.INTERNAL_SERVER_ERROR,
            )
        request.setResponseCode(code)
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        request.setHeader(b"content-length", b"%d" % len(html))
        request.write(html)
        request.finish()


registerAdapter(FingerResource, IFingerService, IResource)


class _Path(Resource):
    """One path below a L{FingerResource}, which is a user's unless it continues."""

    isLeaf = True

    def __init__(self, root: FingerResource, user: str) -> None:
        super().__init__()
        self._root = root
        self._user = user

    def render(self, request: Request) -> int:
        """Answer C{/username}."""
        if request.postpath:
            return self._root.answer(request, partial(fail, NoSuchPage()))
        return self._root.answer(request, partial(self._root.lookUp, self._user), self._user)


def _redirectIntoDirectory(request: Request) -> int:
    """Redirect to the same path with a slash, which relative links need if the resource is not the root."""
    assert request.prepath
    request.redirect(f"./{quote(request.prepath[-1], safe='')}/".encode())
    request.setHeader(b"content-length", b"0")
    request.finish()
    return NOT_DONE_YET


def _statusOf(failure: Failure) -> HTTPStatus:
    error = failure.check(*STATUS_OF_ERROR)
    return STATUS_OF_ERROR[error] if error else HTTPStatus.INTERNAL_SERVER_ERROR


def _tooLate(result: object, seconds: float) -> NoReturn:
    raise BackendUnavailable(f"the back end did not answer within {seconds:g} s")


def _argument(request: Request, name: bytes) -> str:
    return _decode(request.args.get(name, [b""])[0])


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "replace")
