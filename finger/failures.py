"""A failure, turned into the words for the peer and, when it is our fault, a line for the administrator."""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure

from finger.errors import INTERNAL_ERROR, FingerError, PeerError


def explain(failure: Failure, log: Logger) -> str:
    """
    Say what went wrong.

    @param log: where to tell it, once and with all there is to know, unless the peer is to blame.
    @return: one line for the peer, without details of our insides.
    """
    if not failure.check(PeerError):
        log.failure("a query failed", failure)
    return failure.value.words if isinstance(failure.value, FingerError) else INTERNAL_ERROR
