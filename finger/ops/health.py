"""The status port: C{/healthz} for who starts servers anew, C{/metrics} for who draws curves."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from finger.config.options import PORTS, Option
from finger.config.types import Port
from finger.interfaces import IAdapterContext, IFingerAdapter
from finger.net.http import BoundedSite

if TYPE_CHECKING:
    from finger.ops.metrics import Metrics

PLAIN: Final = "text/plain; charset=utf-8"

ALLOWED: Final = (b"GET", b"HEAD")

NOT_INSTALLED: Final = "no metrics: prometheus-client is not installed (pip install prometheus-client)"

Answer = tuple[HTTPStatus, str, bytes]
"""The status, the type of the content, and the content."""


class StatusResource(Resource):
    """
    What is at C{/}, and below.

    @param problems: gives what keeps the server from its work, a line each.
    @param metrics: gives the numbers, as a type and a content, in a format that suits an C{Accept} header; L{None} if
        there are none.
    """

    def __init__(
        self, problems: Callable[[], list[str]], metrics: Callable[[str], tuple[str, bytes]] | None = None
    ) -> None:
        super().__init__()
        self._problems = problems
        self._metrics = metrics
        self.putChild(b"healthz", _Page(self._health))
        self.putChild(b"metrics", _Page(self._numbers))

    def getChild(self, path: bytes, request: Request) -> Resource:
        """See L{Resource.getChild}."""
        return _Page(lambda accept: _lines(HTTPStatus.NOT_FOUND, "there are /healthz and /metrics"))

    def _health(self, accept: str) -> Answer:
        """
        Can it answer?  That is asked each second, and whoever asks may kill the server for a no: so nothing here
        waits for a back end, or asks one.
        """
        problems = self._problems()
        return _lines(HTTPStatus.SERVICE_UNAVAILABLE, *problems) if problems else _lines(HTTPStatus.OK, "ok")

    def _numbers(self, accept: str) -> Answer:
        if self._metrics is None:
            return _lines(HTTPStatus.NOT_IMPLEMENTED, NOT_INSTALLED)
        return HTTPStatus.OK, *self._metrics(accept)


class _Page(Resource):
    """One page, for who only reads."""

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        super().__init__()
        self._answer = answer

    def getChild(self, path: bytes, request: Request) -> Resource:
        return _Page(lambda accept: _lines(HTTPStatus.NOT_FOUND, "there is nothing below this"))

    def render(self, request: Request) -> int:
        if request.method in ALLOWED:
            accept = b",".join(request.requestHeaders.getRawHeaders(b"accept", []))
            answer = self._answer(accept.decode("latin-1"))
        else:
            request.setHeader("allow", b", ".join(ALLOWED))
            answer = _lines(HTTPStatus.METHOD_NOT_ALLOWED, "what is here can be read, and nothing else")
        _send(request, *answer)
        return NOT_DONE_YET


def _lines(status: HTTPStatus, *lines: str) -> Answer:
    return status, PLAIN, "".join(f"{line}\n" for line in lines).encode()


def _send(request: Request, status: HTTPStatus, kind: str, content: bytes) -> None:
    request.setResponseCode(status)
    request.setHeader("content-type", kind)
    request.setHeader("content-length", str(len(content)))
    request.setHeader("cache-control", "no-store")
    request.setHeader("x-content-type-options", "nosniff")
    request.write(content)  # Which sends a HEAD no content.
    request.finish()


@implementer(IFingerAdapter)
class HealthAdapter:
    """C{--statusport}."""

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
            help="/healthz and /metrics, a number being on loopback.",
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
        resource = StatusResource(context.server.problems, metrics.render if metrics is not None else None)
        config = context.config
        site = BoundedSite(resource, context.reactor, config.querySeconds, config.answerSeconds)
        context.listen("statusport", site)

    def _makeMetrics(self) -> Metrics | None:
        """Make the metrics, if the package that writes them is installed."""
        try:
            from finger.ops.metrics import Metrics
        except ImportError as error:
            self.log.warn("--statusport: {words} ({error})", words=NOT_INSTALLED, error=str(error))
            return None
        return Metrics()
