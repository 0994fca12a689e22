"""Calls one method of a Perspective Broker server and prints what came as JSON; for the harness.

python pbcall.py PORT METHOD [ARGUMENT...]
"""

import json
import sys

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import react
from twisted.spread import pb


def call(reactor: object, port: str, method: str, *arguments: str) -> Deferred[None]:
    factory = pb.PBClientFactory()
    connected = HostnameEndpoint(reactor, "127.0.0.1", int(port)).connect(factory)
    result = connected.addCallback(lambda connection: factory.getRootObject())
    result.addCallback(lambda root: root.callRemote(method, *arguments))
    return result.addCallback(lambda value: print(json.dumps(value)))


if __name__ == "__main__":
    react(call, sys.argv[1:])
