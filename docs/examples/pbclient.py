"""Ask a Perspective Broker port for a user: python docs/examples/pbclient.py localhost:8889 moshez"""

import sys

from twisted.internet.endpoints import clientFromString
from twisted.internet.task import react
from twisted.spread.pb import PBClientFactory, RemoteError


async def main(reactor, address="localhost:8889", user="moshez"):
    factory = PBClientFactory()
    await clientFromString(reactor, f"tcp:{address}").connect(factory)
    root = await factory.getRootObject()
    try:
        print(await root.callRemote("getUser", user))
    except RemoteError as error:
        print(error)


react(lambda reactor, *arguments: main(reactor, *arguments), sys.argv[1:])
