"""The adapter that adds XML-RPC to the web."""

from __future__ import annotations

from zope.interface import implementer

from finger.adapters.xmlrpc.resource import FingerXMLRPC
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter


@implementer(IFingerAdapter)
class XMLRPCAdapter:
    """The adapter that adds XML-RPC to the web at C{/RPC2}."""

    name = "xmlrpc"
    options = ()
    queries = ("xmlrpc",)

    def build(self, context: IAdapterContext) -> None:
        """See L{IFingerAdapter.build}."""
        calls = FingerXMLRPC(context.service)
        calls.clock = context.reactor
        calls.queries = context.queries
        context.addWebChild(b"RPC2", calls)
