"""The standard library's XML-RPC server of one method, getUser, with a thread for each connection."""

from __future__ import annotations

from socketserver import ThreadingMixIn
from typing import Any
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

STATUS = "Happy and well"


class Handler(SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


class Server(ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True
    request_queue_size = 4096


def getUser(user: Any) -> str:
    return STATUS


server = Server(("0.0.0.0", 0), requestHandler=Handler, logRequests=False)
server.register_function(getUser)
print(server.server_address[1], flush=True)
server.serve_forever()
