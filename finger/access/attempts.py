"""
Limits on attempts to log in: by address, by user name, and in all at once.

An attacker may have many addresses, so all addresses together have a limit for each user name.  That limit alone
would let the attacker keep the user out.  It therefore does not apply to a network from which the user has logged in
since the server started; there, only the limit of the address applies.  A user at a new network still gets in, with
patience: the limit is a rate, and never locks a name.

A name is limited whether or not there is such a user, so that the limit does not reveal it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from finger.errors import TooManyAttempts
from finger.protocol.hosts import rateLimitKey
from finger.timing import Bucket, Buckets

ATTEMPTS = 10
"""The number of login attempts that an address has at once, and that all addresses together have for a user name."""

ATTEMPT_INTERVAL = 6.0
"""The time until they have one more attempt, in seconds."""

MAX_LOGINS = 20
"""The number of logins checked or waiting at once, not counting those of users at networks that they use."""

MAX_NETWORKS = 32
"""The number of networks remembered for a user; the least recently used is dropped."""

MAX_NAME = 256
"""The characters of a name that count.  No user's name is longer."""


class Attempts:
    """
    The attempts to log in.

    @param clock: the clock of the limits.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._addresses = Buckets(clock, ATTEMPTS, ATTEMPT_INTERVAL)
        self._names = Buckets(clock, ATTEMPTS, ATTEMPT_INTERVAL)
        self._networks: dict[str, OrderedDict[str, None]] = {}
        self._logins = 0

    def begin(self, peer: str, name: str) -> Callable[[bool], None]:
        """
        Count an attempt.

        @param peer: the client's address.
        @param name: the user's name, as the client sent it.
        @return: a function to call at the end of the login, with whether it succeeded.
        @raise TooManyAttempts: if a limit is exceeded; then nothing is counted.
        """
        network, name = rateLimitKey(peer), name[:MAX_NAME]
        isKnown = network in self._networks.get(name, ())
        buckets = [self._addresses.of(network)] + ([] if isKnown else [self._names.of(name)])
        wait = max(bucket.wait() for bucket in buckets)
        if wait > 0 or (self._logins >= MAX_LOGINS and not isKnown):
            raise TooManyAttempts(wait)
        for bucket in buckets:
            bucket.take()
        self._logins += not isKnown
        return lambda isIn: self._end(network, name, isIn, buckets[1:])

    def _end(self, network: str, name: str, isIn: bool, counted: list[Bucket]) -> None:
        self._logins -= len(counted)
        if not isIn:
            return
        for bucket in counted:
            bucket.giveBack()
        networks = self._networks.setdefault(name, OrderedDict())
        networks[network] = None
        networks.move_to_end(network)
        if len(networks) > MAX_NETWORKS:
            networks.popitem(last=False)
