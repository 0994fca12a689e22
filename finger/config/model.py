"""The configuration of a server, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from twisted.cred.checkers import ICredentialsChecker

from finger.net.limits import BURST, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, MAX_CONNECTIONS_PER_UID, RATE
from finger.profile import DEFAULT_ATOMS

MAX_USERS = 100_000
"""The number of users up to which clients may add one to a back end."""


@dataclass(frozen=True, kw_only=True)
class CommonConfig:
    """
    The configuration that does not depend on the adapters.

    @ivar backends: the back ends, each C{NAME[:ARGUMENT]}; the first that has a user answers.
    @ivar usersFile: the file of the C{file} back end.
    @ivar aliasesFile: the file of aliases (L{finger.access.aliases}); empty for none.
    @ivar texts: the directory of the administrator's own texts (L{finger.access.texts}); empty for none.
    @ivar checkers: credentials checkers (L{twisted.cred}), so that users can log in and set their status.
    @ivar administrators: the users allowed to set any user's status.
    @ivar trustedProxies: the addresses and networks of proxies that are believed about their clients: in PROXY
        protocol headers at C{haproxy:} ports, and in C{Forwarded} and C{X-Forwarded-...} on the web.
    @ivar listing: whether users may be listed (RFC 1288, section 3.2.2).
    @ivar forward: the hosts that C{user@host} queries may be forwarded to (section 3.2.1).
    @ivar maxHops: the maximum number of hosts in C{user@host1@host2...}.
    @ivar disclose: the fields of a user to disclose (section 3.2.3), as keys of L{finger.profile.FIELD_OF_ATOM}.
    @ivar maxConnections: the maximum number of simultaneous connections of an adapter.
    @ivar maxConnectionsPerAddress: the maximum number of these per client address (IPv6: per /64).
    @ivar maxConnectionsPerUID: the maximum number of these per user of this machine at UNIX sockets; at most half of
        C{maxConnections}.
    @ivar connectionsPerSecond: the sustained rate of new connections, and of further HTTP requests on them, per
        client address; 0 for no limit.
    @ivar connectionBurst: the number of these per client address before that rate applies.
    @ivar maxUsers: the number of users up to which clients may add one to a back end.
    @ivar querySeconds: the time to receive a query, in seconds.
    @ivar answerSeconds: the time for a back end to answer, in seconds.
    @ivar drainSeconds: the time for connections to finish when the server stops, in seconds.
    @ivar logFormat: the format of the log; see L{finger.log.formats.FORMATS}.
    """

    backends: tuple[str, ...] = ("file",)
    usersFile: str = "/etc/users"
    aliasesFile: str = ""
    texts: str = ""
    checkers: tuple[ICredentialsChecker, ...] = ()
    administrators: tuple[str, ...] = ("root",)
    trustedProxies: tuple[str, ...] = ("127.0.0.1", "::1")
    listing: bool = True
    forward: tuple[str, ...] = ()
    maxHops: int = 1
    disclose: frozenset[str] = DEFAULT_ATOMS
    maxConnections: int = MAX_CONNECTIONS
    maxConnectionsPerAddress: int = MAX_CONNECTIONS_PER_ADDRESS
    maxConnectionsPerUID: int = MAX_CONNECTIONS_PER_UID
    connectionsPerSecond: float = RATE
    connectionBurst: int = BURST
    maxUsers: int = MAX_USERS
    querySeconds: float = 10.0
    answerSeconds: float = 30.0
    drainSeconds: float = 10.0
    logFormat: str = "auto"


class Config(CommonConfig):
    """
    The configuration of a finger server: the fields of L{CommonConfig}, and the options of adapters.

    An adapter's option is set by its C{key} (L{finger.config.options.Option}), such as C{fingerPorts}:
    C{Config(usersFile="users", fingerPorts=("1079",), pbPorts=("none",))}.  A port is a number (that port on IPv4 and
    IPv6), an endpoint string or C{none}.  An option that is not set has the adapter's default.  A key that no
    adapter has is an error when the server is made.

    @ivar adapters: the options of adapters that are set, by key.
    """

    adapters: Mapping[str, Any]

    def __init__(self, **values: Any) -> None:
        common = {field.name: values.pop(field.name) for field in fields(CommonConfig) if field.name in values}
        super().__init__(**common)
        object.__setattr__(self, "adapters", MappingProxyType(values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and vars(self) == vars(other)
