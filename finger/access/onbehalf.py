"""
Lookups on behalf of a peer: C{user@host} is forwarded with the peer's address, by which forwarding is limited.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from finger.interfaces import IFingerForwarder, IFingerProfileService, IFingerService
from finger.profile import Profile
from finger.protocol.wire import splitHost


def getUserFor(service: IFingerService, user: str, peer: str) -> Deferred[str]:
    """
    Look up a user's status; see L{IFingerService.getUser}.

    @param service: the back end, usually a L{finger.access.policy.PolicyFingerService}.
    @param peer: the peer's address.
    """
    forwarded = _forward(service, user, peer)
    return service.getUser(user) if forwarded is None else forwarded


def getProfileFor(service: IFingerProfileService, user: str, peer: str) -> Deferred[Profile]:
    """
    Look up a user's profile; see L{IFingerProfileService.getProfile}.

    @param service: the back end, usually a L{finger.access.policy.PolicyFingerService}.
    @param peer: the peer's address.
    """
    forwarded = _forward(service, user, peer)
    if forwarded is None:
        return service.getProfile(user)
    return forwarded.addCallback(lambda answer: Profile(user, plan=answer))


def _forward(service: object, user: str, peer: str) -> Deferred[str] | None:
    forwarder = IFingerForwarder(service, None)
    remote = splitHost(user)
    if forwarder is None or remote is None:
        return None
    return forwarder.forward(*remote, verbose=False, peer=peer)
