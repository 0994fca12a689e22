"""The status port: C{/healthz} for supervisors, C{/metrics} for Prometheus."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from importlib.util import find_spec
from shlex import quote
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from finger.config.options import PORTS, Option
from finger.config.types import Host, Port
from finger.net.http import BoundedSite
from finger.net.httphead import hostOfAuthority
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter

if TYPE_CHECKING:
    from finger.ops.metrics import Metrics

PLAIN: Final = "text/plain; charset=utf-8"

ALLOWED: Final = (b"GET", b"HEAD")


def howToInstall(executable: str, isEnvironment: bool) -> str:
    """
    Return what to do about missing metrics.

    @param executable: the path of Python.
    @param isEnvironment: whether that is a virtual environment's, and has pip.  Systems refuse to let pip change the
        packages of their own Python, and offer releases of prometheus-client that are too old.
    """
    if isEnvironment:
        return f"run {quote(executable)} -m pip install prometheus-client"
    return "use a virtual environment that has it, as docs/install.md describes"


_HOW: Final = howToInstall(sys.executable, sys.prefix != sys.base_prefix and find_spec("pip") is not None)

NOT_INSTALLED: Final = f"no metrics: prometheus-client is not installed: {_HOW}"

Answer = tuple[HTTPStatus, str, bytes]
"""The status code, the content type, and the content."""


class StatusResource(Resource):
    """
    The root resource of the status port.

    @param problems: returns the problems that prevent the server from answering, one line each.
    @param metrics: returns the metrics, as content type and content, in a format that suits the given C{Accept}
        header; L{None} if metrics are not available.
    @param hosts: the names by which clients may address the port, besides C{localhost} and its addresses.
    """

    def __init__(
        self,
        problems: Callable[[], list[str]],
        metrics: Callable[[str], tuple[str, bytes]] | None = None,
        hosts: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._hosts = {"localhost", "127.0.0.1", "::1", *hosts}
        self._problems = problems
        self._metrics = metrics
        self._pages = {b"healthz": self._health, b"metrics": self._measured}

    def getChild(self, path: bytes, request: Request) -> Resource:
        """See L{Resource.getChild}."""
        if not self._isAddressed(request):
            return _Page(_misdirected)
        return _Page(self._pages.get(path, _notFound) if not request.postpath else _notFound)

    def _isAddressed(self, request: Request) -> bool:
        """
        Return whether a request is for this server.  A web page of a stranger's host can read the answers of that
        host only, even if its name then resolves to this machine's address (DNS rebinding).  No web page can reach a
        UNIX socket.  HTTP/1.0 may have no C{Host}, but no browser leaves it out.
        """
        fields = request.requestHeaders.getRawHeaders(b"host", ())
        own = getattr(request.getHost(), "host", None)
        return own is None or self._hosts.union((own.partition("%")[0],)).issuperset(map(hostOfAuthority, fields))

    def _health(self, accept: str) -> Answer:
        """
        Report whether the server can answer.  A supervisor may ask each second and restart the server if it fails, so
        this depends on no back end.
        """
        problems = self._problems()
        return _lines(HTTPStatus.SERVICE_UNAVAILABLE, *problems) if problems else _lines(HTTPStatus.OK, "ok")

    def _measured(self, accept: str) -> Answer:
        if self._metrics is None:
            return _lines(HTTPStatus.NOT_IMPLEMENTED, NOT_INSTALLED)
        return HTTPStatus.OK, *self._metrics(accept)


def _notFound(accept: str) -> Answer:
    return _lines(HTTPStatus.NOT_FOUND, "not found; available are /healthz and /metrics")


def _misdirected(accept: str) -> Answer:
    return _lines(HTTPStatus.MISDIRECTED_REQUEST, "this server does not have that name; see --statushost")


class _Page(Resource):
    """A read-only page."""

    isLeaf = True

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        super().__init__()
        self._answer = answer

    def render(self, request: Request) -> int:
        if request.method in ALLOWED:
            accept = b",".join(request.requestHeaders.getRawHeaders(b"accept", []))
            answer = self._answer(accept.decode("latin-1"))
        else:
            request.setHeader("allow", b", ".join(ALLOWED))
            answer = _lines(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are allowed")
        _send(request, *answer)
        return NOT_DONE_YET


def _lines(status: HTTPStatus, *lines: str) -> Answer:
    return status, PLAIN, "".join(f"{line}\n" for line in lines).encode()


def _send(request: Request, status: HTTPStatus, kind: str, content: bytes) -> None:
    request.setResponseCode(status, status.phrase.encode())  # Twisted does not know all.
    request.setHeader("content-type", kind)
    request.setHeader("content-length", str(len(content)))
    request.setHeader("cache-control", "no-store")
    request.setHeader("x-content-type-options", "nosniff")
    request.write(content)  # For HEAD, this sends the headers only.
    request.finish()


@implementer(IFingerAdapter)
class HealthAdapter:
    """The adapter of C{--statusport}."""

    log = Logger()

    name = "status"
    options = (
        Option(
            name="statusport",
            field="statusPorts",
            kind=Port(loopback=True),
            value="PORT",
            repeated=True,
            initial=(),
            group=PORTS,
            help="Status ports (/healthz, /metrics); a number means loopback.",
        ),
        Option(
            name="statushost",
            field="statusHosts",
            kind=Host(),
            value="HOST",
            repeated=True,
            initial=(),
            group=PORTS,
            help="Host name by which clients address the status ports, besides localhost and the ports' addresses.",
        ),
    )
    queries = ()

    def build(self, context: IAdapterContext) -> None:
        """See L{IFingerAdapter.build}."""
        if not context.ports("statusport"):
            return
        metrics = self._makeMetrics()
        if metrics is not None:
            context.useMetrics(metrics)
        render = metrics.render if metrics is not None else None
        resource = StatusResource(context.server.problems, render, context.options["statushost"])
        config = context.config
        site = BoundedSite(resource, context.reactor, config.querySeconds, config.answerSeconds)
        context.listen("statusport", site)

    def _makeMetrics(self) -> Metrics | None:
        """Make the metrics if prometheus-client is installed."""
        try:
            from finger.ops.metrics import Metrics
        except ImportError as error:
            self.log.warn("--statusport: {words} ({error})", words=NOT_INSTALLED, error=str(error))
            return None
        return Metrics()
