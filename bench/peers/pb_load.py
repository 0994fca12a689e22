"""
Call getUser of a Perspective Broker server, and print how it went as C{load} does.

Usage: C{pb_load.py ADDRESS PORT USER EXPECTED CALLS AT_ONCE}, with one connection, and so many calls at once on it.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react
from twisted.spread.pb import PBClientFactory


class Calls:
    """
    Calls, one after the other for each of so many at once.

    @ivar seconds: how long each took.
    """

    def __init__(self, root: Any, user: str, expected: str, count: int) -> None:
        self._root = root
        self._user = user
        self._expected = expected
        self._left = count
        self.seconds: list[float] = []

    async def callOn(self) -> None:
        """Call until all calls are made."""
        while self._left > 0:
            self._left -= 1
            began = time.monotonic()
            answer = await self._root.callRemote("getUser", self._user)
            if self._expected not in answer:
                raise ValueError(f"unexpected answer: {answer}")
            self.seconds.append(time.monotonic() - began)


async def main(reactor: IReactorTime) -> None:
    address, port, user, expected, count, atOnce = sys.argv[1:]
    factory = PBClientFactory()
    await TCP4ClientEndpoint(reactor, address, int(port)).connect(factory)
    calls = Calls(await factory.getRootObject(), user, expected, int(count))
    began = time.monotonic()
    await gatherResults([Deferred.fromCoroutine(calls.callOn()) for _ in range(int(atOnce))])
    seconds = time.monotonic() - began
    print(json.dumps({"done": len(calls.seconds), "seconds": seconds, "slowest": max(calls.seconds) * 1000}))
    factory.disconnect()


react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
