"""The web resource, with the user list at C{/} and each user at C{/username}."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
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
from finger.access.onbehalf import getProfileFor
from finger.adapters.web.conditions import (
    CodingRefused,
    ConditionFailed,
    checkCondition,
    checkWhole,
    hasCondition,
)
from finger.adapters.web.pagecache import PageCache
from finger.adapters.web.pages import Draft, errorPage, listPage, nearestNumber, userPage, withBanner
from finger.adapters.web.paths import ICON, RESERVED, ROBOTS, sendIcon, sendRobots
from finger.adapters.web.representation import compressedPage, plainPage
from finger.adapters.web.response import ALLOWED, HEADERS, prefersGzip, send
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
    SetRefused,
    TooManyAttempts,
)
from finger.interfaces import IBannered, IFingerProfileService, IFingerService, IRepeatableRequest
from finger.log.querylog import QueryLog, lossOf
from finger.net.answercache import versionOf
from finger.profile import Profile
from finger.protocol.hosts import hostOf
from finger.protocol.wire import splitHost


class NoSuchPage(PeerError):
    """The path cannot be a user's."""

    words = "No such page"


class MethodRefused(PeerError):
    """The method is not supported."""

    words = "Method not allowed"


class InsecureRefused(PeerError):
    """The request needs a password, and is not encrypted."""

    words = "HTTPS only"


STATUS_OF_ERROR: Final = {
    BadQuery: HTTPStatus.BAD_REQUEST,
    NoSuchUser: HTTPStatus.NOT_FOUND,
    NoSuchPage: HTTPStatus.NOT_FOUND,
    MethodRefused: HTTPStatus.METHOD_NOT_ALLOWED,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    NotAllowed: HTTPStatus.FORBIDDEN,
    SetRefused: HTTPStatus.FORBIDDEN,
    InsecureRefused: HTTPStatus.FORBIDDEN,
    ConditionFailed: HTTPStatus.PRECONDITION_FAILED,
    CodingRefused: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ListRefused: HTTPStatus.FORBIDDEN,
    ForwardingRefused: HTTPStatus.FORBIDDEN,
    RemoteUnreachable: HTTPStatus.BAD_GATEWAY,
    BackendUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The HTTP status of each error.  Any other error is an internal server error."""


class FingerResource(Resource):
    """
    The root resource of a back end's users: C{/} is the user list, C{/username} a user.

    Names that cannot be paths, such as C{..}, or C{RPC2} if that is a child, or C{robots.txt}, have
    C{/?user=username} instead.  All
    links are relative, so a reverse proxy can mount the resource below any path.

    The pages of a back end that is L{IVersioned <finger.interfaces.IVersioned>} are kept: each is rendered once, and
    compressed once, until users or templates change.  Error pages are not kept, because anyone can request any number
    of unknown names.

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
        self._service = service
        self._profiles = IFingerProfileService(service)
        self._bannered = IBannered(service, None)
        self._pages = PageCache()
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
            return self.answerUser(request, user)
        number = _argument(request, b"page")
        page = int(number) if number.isdecimal() and len(number) < 10 else 1
        return self.answer(request, partial(self._list, page), key=page)

    def answerUser(self, request: Request, user: str) -> int:
        """Answer a user's page.  That of C{user@host} is not kept, because it is another server's answer."""
        key = user if splitHost(user) is None else None
        return self.answer(request, partial(self._lookUp, user, key, _peer(request)), user, key)

    def _lookUp(self, user: str, key: Hashable | None, peer: str) -> Deferred[Draft]:
        found = getProfileFor(self._profiles, user, peer)
        return found.addCallback(lambda profile: Draft(key, partial(userPage, profile)))

    def _list(self, number: int) -> Deferred[Draft]:
        return Deferred.fromCoroutine(self._lookUpList(number))

    async def _lookUpList(self, number: int) -> Draft:
        """Look up the list, or the administrator's text instead of it."""
        try:
            return self._draftList(await self._profiles.getProfiles(), number)
        except ListRefused as error:
            if not error.text:
                raise
            return Draft(1, partial(listPage, (), text=error.text))

    def _draftList(self, profiles: Sequence[Profile], number: int) -> Draft:
        """Return a page of the list.  All numbers that are out of range have the key of the nearest page."""
        number = nearestNumber(number, len(profiles))
        taken = RESERVED.union(map(_decode, self.children))
        return Draft(number, partial(listPage, profiles, number, taken))

    def answer(
        self, request: Request, look: Callable[[], Deferred[Draft]], asked: str = "", key: Hashable | None = None
    ) -> int:
        """
        Answer a request.

        @param look: looks up the page, or fails.
        @param asked: the user the request is for; empty if it is not for a user.
        @param key: the page's key (see L{Draft}); L{None} for a page that must not be kept.
        """
        allowed = (*ALLOWED, b"PUT") if asked and self.authority is not None else ALLOWED
        if request.method not in allowed:
            request.setHeader(b"allow", b", ".join(allowed))
            look, key = partial(fail, MethodRefused()), None
        elif request.method == b"PUT":
            look, key = partial(self._put, request, asked), None
        Deferred.fromCoroutine(self._answer(request, look, asked, key))
        return NOT_DONE_YET

    async def _answer(
        self, request: Request, look: Callable[[], Deferred[Draft]], asked: str, key: Hashable | None
    ) -> None:
        finish = self.queries.begin("web", _peer(request), asked)
        version = None if key is None else self.version()  # Before the lookup; see AnswerCache.
        page = self._pages.find(version, key, prefersGzip(request))
        if page is not None:
            repeatable = IRepeatableRequest(request, None)
            if repeatable is not None:
                repeatable.allowRepeats(lambda host: self.queries.record("web", host, asked, "ok"))
            send(request, page, self._headers)
            finish("ok")
            return
        looking = self._inTime(look)
        lost: list[Exception] = []
        request.notifyFinish().addErrback(_cancel, looking, lost)
        try:
            draft, code, outcome = await looking, HTTPStatus.OK, "ok"
        except Exception as error:
            failure = Failure(*lost or [error])
            code, outcome = _statusOf(failure), type(failure.value).__name__
            words = self.queries.failures.explain(failure, self.log)
            text = failure.value.text if isinstance(failure.value, PeerError) else ""
            index = "../" * len(request.postpath or ()) or "./"
            draft, version = Draft(None, partial(errorPage, words, code, asked, index, text)), None
        if not lost:
            await self._sendDraft(request, draft, code, version)
        finish(outcome)

    def _banner(self) -> str:
        return self._bannered.banner() if self._bannered is not None else ""

    @property
    def _headers(self) -> dict[bytes, bytes]:
        return HEADERS if self.templates.isIndexed else {**HEADERS, b"x-robots-tag": b"noindex"}

    def version(self) -> Hashable | None:
        """Return the version of all that pages are made from; L{None} if they must not be kept."""
        version = versionOf(self._service)
        return None if version is None else (version, self.templates.version, *self.children)

    def _put(self, request: Request, user: str) -> Deferred[Draft]:
        return Deferred.fromCoroutine(self._set(request, user))

    async def _set(self, request: Request, user: str) -> Draft:
        """Set a status to a request's body.  Over plain HTTP, refuse without checking the password: it is exposed."""
        assert self.authority is not None
        assert request.content is not None
        if not request.isSecure():
            raise InsecureRefused
        peer = _peer(request)
        checkWhole(request)
        try:
            status = request.content.read().decode("utf-8")
        except UnicodeDecodeError:
            raise BadQuery("not UTF-8") from None
        try:
            actor = await self._logIn(request, peer)
        except NotAuthenticated:
            request.setHeader(b"www-authenticate", b'Basic realm="finger", charset="UTF-8"')
            raise
        except TooManyAttempts as error:
            request.setHeader(b"retry-after", b"%d" % error.seconds)
            raise
        if hasCondition(request):
            self.authority.check(actor, user)
            checkCondition(request, await self._tagsOf(user, peer))
        await self.authority.set(actor, user, status.removesuffix("\n"))
        return await self._lookUp(user, None, peer)

    async def _tagsOf(self, user: str, peer: str) -> set[bytes]:
        """Return the entity tags of a user's page; none if there is no such user."""
        try:
            draft = await self._lookUp(user, None, peer)
        except NoSuchUser:
            return set()
        page = plainPage(await self.templates.render(withBanner(draft.fill(), self._banner())), varies=True)
        return {page.tag, compressedPage(page).tag}

    async def _logIn(self, request: Request, peer: str) -> str:
        """Log in.  A request without a name is not an attempt: clients send one first to receive the challenge."""
        assert self.authority is not None
        if not request.getUser():
            raise NotAuthenticated
        return await self.authority.login(UsernamePassword(request.getUser(), request.getPassword()), peer)

    def _inTime(self, look: Callable[[], Deferred[Draft]]) -> Deferred[Draft]:
        looking = maybeDeferred(look)
        if self.clock is not None:
            looking.addTimeout(self.answerTimeout, self.clock, _tooLate)
        return looking

    async def _sendDraft(self, request: Request, draft: Draft, code: HTTPStatus, version: Hashable | None) -> None:
        """Send a page that was looked up, unless an equal one has been kept meanwhile."""
        compressed = prefersGzip(request)
        page = self._pages.find(version, draft.key, compressed)
        if page is None:
            try:
                html = await self.templates.render(withBanner(draft.fill(), self._banner()))
            except Exception:
                self.queries.failures.report(self.log, "a page could not be rendered")
                code, version = HTTPStatus.INTERNAL_SERVER_ERROR, None
                html = b"<!DOCTYPE html>\n<title>%b</title>\n" % INTERNAL_ERROR.encode()
            page = self._pages.keep(version, draft.key, html, compressed)
        send(request, page, self._headers, code)


registerAdapter(FingerResource, IFingerService, IResource)


class _Path(Resource):
    """One path below a L{FingerResource}, which is a user's unless it continues or is reserved."""

    isLeaf = True

    def __init__(self, root: FingerResource, name: str) -> None:
        super().__init__()
        self._root = root
        self._name = name

    def render(self, request: Request) -> int:
        """Answer C{/username}, C{/robots.txt} or C{/favicon.ico}."""
        if not request.postpath and self._name not in RESERVED:
            return self._root.answerUser(request, self._name)
        if request.postpath or self._name not in {ROBOTS, ICON} or request.method not in ALLOWED:
            return self._root.answer(request, partial(fail, NoSuchPage()))
        templates = self._root.templates
        if self._name == ROBOTS:
            sendRobots(request, templates.isIndexed)
        else:
            sendIcon(request, templates.icon)
        return NOT_DONE_YET


def _redirectIntoDirectory(request: Request) -> int:
    """Redirect to the same path with a slash, which relative links need if the resource is not the root."""
    assert request.prepath
    request.redirect(f"./{quote(request.prepath[-1], safe='')}/".encode())
    request.setHeader(b"content-length", b"0")
    request.finish()
    return NOT_DONE_YET


def _cancel(reason: Failure, looking: Deferred[Draft], lost: list[Exception]) -> None:
    """Cancel a lookup whose connection is lost, and note why."""
    lost.append(lossOf(reason))
    looking.cancel()


def _statusOf(failure: Failure) -> HTTPStatus:
    error = failure.check(*STATUS_OF_ERROR)
    return STATUS_OF_ERROR[error] if error else HTTPStatus.INTERNAL_SERVER_ERROR


def _tooLate(result: object, seconds: float) -> NoReturn:
    raise BackendUnavailable(f"the back end did not answer within {seconds:g} s")


def _argument(request: Request, name: bytes) -> str:
    return _decode(request.args.get(name, [b""])[0])


def _peer(request: Request) -> str:
    return hostOf(request.getClientAddress())


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "replace")
