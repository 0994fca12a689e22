"""Everything there is to configure, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.cred.checkers import ICredentialsChecker

from finger.net.limits import BURST, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, RATE
from finger.profile import DEFAULT_ATOMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """
    What a finger server is to do.  A port is a number (that port on IPv4 and IPv6), an endpoint string or C{none}.

    @ivar backends: the back ends, each C{NAME[:ARGUMENT]}; the first that knows a user answers.
    @ivar usersFile: the file of the C{file} back end.
    @ivar templates: the directory of the web pages' templates; empty for the package's own.
    @ivar fingerPorts: where to answer finger.
    @ivar webPorts: where to answer HTTP.
    @ivar ssl: answer HTTPS, too?
    @ivar httpsPorts: where.
    @ivar certificate: the PEM file of the certificate; empty to make one for development.
    @ivar privateKey: the PEM file of its key; empty if the certificate's file holds it.
    @ivar pbPorts: where to answer Perspective Broker; a number is a port on loopback.
    @ivar setterPorts: where to take statuses; a number is a port on loopback.
    @ivar statusPorts: where to answer C{/healthz} and C{/metrics}; a number is a port on loopback.
    @ivar checkers: what knows passwords (L{twisted.cred}), so that people can log in and set their status.
    @ivar administrators: who may set any user's status.
    @ivar trustedProxies: who may speak the PROXY protocol at C{haproxy:} ports: addresses and networks.
    @ivar ircNick: the IRC bot's nickname; empty for no bot.
    @ivar ircServer: C{HOST[:PORT]}, or an endpoint string.
    @ivar ircChannels: the channels it joins.
    @ivar listing: may users be listed (RFC 1288, section 3.2.2)?
    @ivar forward: the hosts that may be asked for C{user@host} (section 3.2.1).
    @ivar maxHops: of C{user@host1@host2...}, how many hosts.
    @ivar disclose: what is told of a user (section 3.2.3); see L{finger.profile.FIELD_OF_ATOM}.
    @ivar utf8: answer finger in UTF-8, not in ASCII (section 3.3)?
    @ivar matchNames: take a name that is no login for a first, last or full name (section 2.5.3)?
    @ivar maxConnections: how many connections an adapter takes at once.
    @ivar maxConnectionsPerAddress: how many of them from one address (IPv6: from one /64).
    @ivar connectionsPerSecond: how many one address may open each second, in the long run; 0 for any number.
    @ivar connectionBurst: how many it may open at once.
    @ivar querySeconds: how long a query may take to arrive.
    @ivar answerSeconds: how long a back end may take to answer.
    @ivar drainSeconds: how long connections may take to come to an end when the server is stopped.
    @ivar logFormat: how to log; see L{finger.log.formats.FORMATS}.
    """

    backends: tuple[str, ...] = ("file",)
    usersFile: str = "/etc/users"
    templates: str = ""
    fingerPorts: tuple[str, ...] = ("79",)
    webPorts: tuple[str, ...] = ("8000",)
    ssl: bool = False
    httpsPorts: tuple[str, ...] = ("443",)
    certificate: str = ""
    privateKey: str = ""
    pbPorts: tuple[str, ...] = ("8889",)
    setterPorts: tuple[str, ...] = ()
    statusPorts: tuple[str, ...] = ()
    checkers: tuple[ICredentialsChecker, ...] = ()
    administrators: tuple[str, ...] = ("root",)
    trustedProxies: tuple[str, ...] = ("127.0.0.1", "::1")
    ircNick: str = ""
    ircServer: str = "irc.libera.chat"
    ircChannels: tuple[str, ...] = ()
    listing: bool = True
    forward: tuple[str, ...] = ()
    maxHops: int = 1
    disclose: frozenset[str] = DEFAULT_ATOMS
    utf8: bool = True
    matchNames: bool = False
    maxConnections: int = MAX_CONNECTIONS
    maxConnectionsPerAddress: int = MAX_CONNECTIONS_PER_ADDRESS
    connectionsPerSecond: float = RATE
    connectionBurst: int = BURST
    querySeconds: float = 10.0
    answerSeconds: float = 30.0
    drainSeconds: float = 10.0
    logFormat: str = "auto"
