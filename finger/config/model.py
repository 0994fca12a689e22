"""What a server is to do, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from twisted.cred.checkers import ICredentialsChecker

from finger.net.limits import BURST, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, RATE
from finger.profile import DEFAULT_ATOMS


@dataclass(frozen=True, kw_only=True)
class CommonConfig:
    """
    What every server has to configure, whatever its adapters are.

    @ivar backends: the back ends, each C{NAME[:ARGUMENT]}; the first that knows a user answers.
    @ivar usersFile: the file of the C{file} back end.
    @ivar checkers: credentials checkers (L{twisted.cred}), so that users can log in and set their status.
    @ivar administrators: the users who may set any user's status.
    @ivar trustedProxies: the addresses and networks that may speak the PROXY protocol at C{haproxy:} ports.
    @ivar listing: whether users may be listed (RFC 1288, section 3.2.2).
    @ivar forward: the hosts that C{user@host} queries may be forwarded to (section 3.2.1).
    @ivar maxHops: the most hosts in C{user@host1@host2...}.
    @ivar disclose: what is told of a user (section 3.2.3); see L{finger.profile.FIELD_OF_ATOM}.
    @ivar maxConnections: the most connections an adapter takes at once.
    @ivar maxConnectionsPerAddress: the most of them from one address (IPv6: from one /64).
    @ivar connectionsPerSecond: how many connections one address may open each second, in the long run; 0 for any
        number.
    @ivar connectionBurst: how many it may open at once.
    @ivar querySeconds: seconds for a query to arrive.
    @ivar answerSeconds: seconds for a back end to answer.
    @ivar drainSeconds: seconds for connections to end when the server is stopped.
    @ivar logFormat: how to log; see L{finger.log.formats.FORMATS}.
    """

    backends: tuple[str, ...] = ("file",)
    usersFile: str = "/etc/users"
    checkers: tuple[ICredentialsChecker, ...] = ()
    administrators: tuple[str, ...] = ("root",)
    trustedProxies: tuple[str, ...] = ("127.0.0.1", "::1")
    listing: bool = True
    forward: tuple[str, ...] = ()
    maxHops: int = 1
    disclose: frozenset[str] = DEFAULT_ATOMS
    maxConnections: int = MAX_CONNECTIONS
    maxConnectionsPerAddress: int = MAX_CONNECTIONS_PER_ADDRESS
    connectionsPerSecond: float = RATE
    connectionBurst: int = BURST
    querySeconds: float = 10.0
    answerSeconds: float = 30.0
    drainSeconds: float = 10.0
    logFormat: str = "auto"


class Config(CommonConfig):
    """
    What a finger server is to do: the fields of L{CommonConfig}, and the options of adapters.

    An adapter's option is given by its C{key} (L{finger.config.options.Option}), such as C{fingerPorts}:
    C{Config(usersFile="users", fingerPorts=("1079",), pbPorts=("none",))}.  A port is a number (that port on IPv4 and
    IPv6), an endpoint string or C{none}.  An option that is not given has the adapter's default; a name that no
    adapter has is an error when the server is made.

    @ivar adapters: the options of adapters that are given, by key.
    """

    adapters: Mapping[str, Any]

    def __init__(self, **values: Any) -> None:
        common = {field.name: values.pop(field.name) for field in fields(CommonConfig) if field.name in values}
        super().__init__(**common)
        object.__setattr__(self, "adapters", MappingProxyType(values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and vars(self) == vars(other)
