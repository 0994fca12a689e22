"""
Where servers and clients meet: a network of its own if the system permits, or else loopback.

The server exempts clients of its own machine from some limits.  So that these limits are measured as well, the
benchmark runs in a network namespace with no interface but C{lo}, to which addresses for benchmarks (RFC 2544) and
documentation (RFC 3849) are given.  No packet leaves the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "FINGER_BENCH_NETWORK"
"""Set to a process that runs in the namespace."""

SETUP: Final = """
set -e
ip link set lo up
ip route add local 198.18.0.0/15 dev lo
ip -6 route add local 2001:db8::/32 dev lo
ip -6 address add 2001:db8::1/128 dev lo nodad
"""


@dataclass(frozen=True)
class Network:
    """
    Addresses.

    @ivar ipv4: the server's IPv4 address.
    @ivar ipv6: the server's IPv6 address.
    @ivar sources: the number of addresses that clients connect from; 0 for the one that the system chooses.
    """

    ipv4: str
    ipv6: str
    sources: int

    @property
    def isOwn(self) -> bool:
        """Return whether the clients are on other addresses than this machine's."""
        return self.sources > 0


LOOPBACK: Final = Network("127.0.0.1", "::1", 0)
OWN: Final = Network("198.18.0.1", "2001:db8::1", 200)


def enterOwnNetwork() -> None:
    """Run this program again in a namespace, and exit with its status; return if that is not possible."""
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    try:
        possible = subprocess.run([*unshare, "sh", "-c", SETUP], capture_output=True).returncode == 0
    except FileNotFoundError:
        possible = False
    if possible:
        command = [*unshare, "sh", "-c", f'{SETUP} exec "$@"', "sh", sys.executable, "-m", "bench", *sys.argv[1:]]
        os.execvpe(command[0], command, {**os.environ, VARIABLE: "1"})


def chooseNetwork(useLoopback: bool) -> Network:
    """
    Return the network to use; this may run the program again, in a namespace.

    @param useLoopback: whether to use loopback in any case.
    """
    if os.environ.get(VARIABLE):
        return OWN
    if not useLoopback:
        enterOwnNetwork()
        print("No network namespace: on loopback, the rate limit for each address is not counted.")
    return LOOPBACK
