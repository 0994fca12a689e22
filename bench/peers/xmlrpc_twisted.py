"""A bare twisted.web.xmlrpc server of one method, getUser."""

from __future__ import annotations

from twisted.web.xmlrpc import XMLRPC

from bench.peers.listening import QuietSite, serve

STATUS = "Happy and well"


class Users(XMLRPC):
    def xmlrpc_getUser(self, user: str) -> str:
        return STATUS


root = Users()
root.putChild(b"RPC2", root)
serve(QuietSite(root))
