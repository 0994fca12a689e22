"""The limits of the clients whose requests a connection has; those of a trusted proxy have many clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from finger.interfaces import ILimitedClients, IProxiedFactory
from finger.net.halfclose import HalfCloseWrapper
from finger.protocol.hosts import IPNetwork

if TYPE_CHECKING:
    from finger.net.limits import LimitedFactory


def trustedBy(factory: Any) -> tuple[IPNetwork, ...]:
    """Return the networks of proxies that a factory trusts, or the one inside that has TLS around it."""
    while factory is not None and not IProxiedFactory.providedBy(factory):
        factory = getattr(factory, "wrappedFactory", None)
    return () if factory is None else tuple(factory.trusted)


@implementer(ILimitedClients)
class ClientLimits(HalfCloseWrapper):
    """The part of a L{LimitedProtocol <finger.net.limits.LimitedProtocol>} that counts requests."""

    factory: LimitedFactory
    _host: str
    _place: str
    _client = ""  # The client whose request is in progress, if a proxy has sent it.
    _clientPlace = ""  # Its place, if the request counts as a connection.

    def admitRequest(self) -> float:
        """See L{ILimitedClients.admitRequest}."""
        return self.factory.admitRequest(self._client or self._host)

    def beginRequest(self, client: str, isFirst: bool) -> float:
        """See L{ILimitedClients.beginRequest}."""
        if not self.factory.isProxy(self._host):
            return 0.0 if isFirst else self.admitRequest()
        wait, self._clientPlace = self.factory.beginRequest(client, self._place)
        self._client = "" if wait else client
        return wait

    def endRequest(self) -> None:
        """See L{ILimitedClients.endRequest}."""
        if self._clientPlace:
            self.factory.endRequest(self._clientPlace)
        self._client = self._clientPlace = ""

    def refused(self, why: str) -> None:
        """See L{ILimitedClients.refused}."""
        self.factory.queries.begin(self.factory.label, self._host, "")(why)
