"""How many connections fit into this process's limit of file descriptors."""

from __future__ import annotations

import resource

from finger.net.limits import MAX_REFUSING

RESERVED_DESCRIPTORS = 64
"""The file descriptors reserved for ports, files and outgoing connections."""

LEAST_DESCRIPTORS = 24
"""The file descriptors reserved for the same if the limit is low."""


def fitDescriptors(most: int, adapters: int) -> int:
    """
    Raise this process's limit of file descriptors as needed and permitted, and return how many connections fit.  A
    process out of descriptors cannot accept a connection, not even to refuse it.

    @param most: the configured number of connections for each adapter.
    @param adapters: the number of adapters.
    @return: the number of connections that each adapter can take: C{most}, or fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (most + MAX_REFUSING) * adapters + RESERVED_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most
    # A third of the descriptors is for connections that get a refusal.
    return max(1, min(most, (soft - LEAST_DESCRIPTORS) * 2 // (3 * max(1, adapters))))
