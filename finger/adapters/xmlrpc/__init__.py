"""XML-RPC, a child of the web."""

from finger.adapters.xmlrpc.adapter import XMLRPCAdapter
from finger.adapters.xmlrpc.resource import FingerXMLRPC

__all__ = ["FingerXMLRPC", "XMLRPCAdapter"]
