"""The finger protocol's options and ports."""

from __future__ import annotations

from zope.interface import implementer

from finger.adapters.finger.factory import FingerFactory
from finger.config.options import ANSWERS, PORTS, Option
from finger.config.types import Port, Switch
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter
from finger.protocol.wire import encode
from finger.timing import CLOSE_GRACE

TOO_MANY = encode("Too many connections, try again later")
"""The reply to a connection that exceeds a limit."""


@implementer(IFingerAdapter)
class FingerAdapter:
    """The adapter of C{--fingerport}, C{--match-names} and C{--ascii}."""

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
            help="Finger ports.",
        ),
        Option(
            name="match-names",
            field="matchNames",
            kind=Switch(),
            initial=False,
            group=ANSWERS,
            help="Also match logins, and first, last and full names, in any case.",
        ),
        Option(
            name="ascii",
            field="utf8",
            kind=Switch(inverted=True),
            initial=True,
            group=ANSWERS,
            help="Answer finger queries in ASCII rather than UTF-8.",
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
