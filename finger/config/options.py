"""
Every option, in one table.

The command line, the environment, the configuration file, the help and the completions are made from it, so a new
option is a field of L{Config} and a row here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from finger.config.model import Config
from finger.config.types import Atoms, Checker, Choice, Kind, NeededFile, Network, Number, Port, Switch, Whole
from finger.log.formats import FORMATS
from finger.profile import FIELD_OF_ATOM

DEFAULTS: Final = Config()

COMMAND: Final = "twisted-fingerd"
"""The daemon's name, where it is not C{twistd finger}."""

SHELLS: Final = ("bash", "zsh", "fish")
"""The shells whose completion L{finger.config.completion} knows."""


def programName() -> str:
    """What this process was started as, for messages and the help."""
    return COMMAND if sys.argv[0].endswith(COMMAND) else "twistd finger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """
    One option.

    @ivar name: its name, which is C{--name} on the command line, C{FINGER_NAME} in the environment, C{name}
        in a file.
    @ivar field: the field of L{Config} it sets; empty for an option of the command line alone, that does something.
    @ivar kind: what its value can be; L{None} for one without.
    @ivar group: what it belongs to, in the help.
    @ivar help: what it is for, in a few words; units and defaults need not be said.
    @ivar value: what its value is called in the help.
    @ivar short: its short name; empty for none.
    @ivar repeated: may it be given more than once?
    """

    name: str
    kind: Kind | None
    group: str
    help: str
    field: str = ""
    value: str = ""
    short: str = ""
    repeated: bool = False

    @property
    def variable(self) -> str:
        """What it is called in the environment."""
        return "FINGER_" + self.name.upper().replace("-", "_")

    @property
    def off(self) -> str:
        """What switches it off; empty, if it is no switch."""
        if not isinstance(self.kind, Switch):
            return ""
        return self.name.removeprefix("no-") if self.name.startswith("no-") else f"no-{self.name}"

    @property
    def default(self) -> Any:
        """What it is if nobody says anything, as a file would have it; of one that is repeated, a list."""
        if self.kind is None or not self.field:
            return ""
        value = getattr(DEFAULTS, self.field)
        return list(value) if self.repeated else self.kind.fromField(value)

    @property
    def defaultText(self) -> str:
        """The default, in words; empty if that is nothing."""
        if isinstance(self.kind, Switch):
            return ""
        if not self.repeated:
            return str(self.default)
        return ", ".join(self.default) or ("none" if isinstance(self.kind, Port) else "")


USERS: Final = "Where users come from"
PORTS: Final = "Where they are asked for"
WEB: Final = "The web"
IRC: Final = "IRC"
TOLD: Final = "What is told, and to whom"
SETTING: Final = "Setting a status"
LIMITS: Final = "Limits"
CONFIGURATION: Final = "Configuration and log"
HELP: Final = "More help"

OPTIONS: Final = (
    Option(
        name="file",
        short="f",
        field="usersFile",
        kind=NeededFile(),
        value="PATH",
        group=USERS,
        help="The users file: lines 'user: status'.",
    ),
    Option(
        name="backend",
        field="backends",
        kind=Kind(choices=("file", "local", "memory", "proxy")),
        value="NAME[:ARGUMENT]",
        repeated=True,
        group=USERS,
        help="A back end; the first that knows a user answers.",
    ),
    Option(
        name="fingerport", field="fingerPorts", kind=Port(), value="PORT", repeated=True, group=PORTS, help="Finger."
    ),
    Option(
        name="webport",
        field="webPorts",
        kind=Port(),
        value="PORT",
        repeated=True,
        group=PORTS,
        help="HTTP and XML-RPC.",
    ),
    Option(
        name="httpsport",
        field="httpsPorts",
        kind=Port(),
        value="PORT",
        repeated=True,
        group=PORTS,
        help="HTTPS, with --ssl.",
    ),
    Option(
        name="pbport",
        short="p",
        field="pbPorts",
        kind=Port(),
        value="PORT",
        repeated=True,
        group=PORTS,
        help="Perspective Broker, a number being on loopback.",
    ),
    Option(
        name="setport",
        field="setterPorts",
        kind=Port(),
        value="PORT",
        repeated=True,
        group=PORTS,
        help="Setting statuses, a number being on loopback.",
    ),
    Option(
        name="statusport",
        field="statusPorts",
        kind=Port(),
        value="PORT",
        repeated=True,
        group=PORTS,
        help="/healthz and /metrics, a number being on loopback.",
    ),
    Option(
        name="trust-proxy",
        field="trustedProxies",
        kind=Network(),
        value="ADDRESS",
        repeated=True,
        group=PORTS,
        help="Who may speak the PROXY protocol at 'haproxy:' ports: an address or a network.",
    ),
    Option(
        name="templates",
        short="t",
        field="templates",
        kind=Kind("directories"),
        value="DIRECTORY",
        group=WEB,
        help="The pages' templates; else the package's own.",
    ),
    Option(name="ssl", short="s", field="ssl", kind=Switch(), group=WEB, help="Answer HTTPS, too."),
    Option(
        name="certificate",
        field="certificate",
        kind=Kind("files"),
        value="PATH",
        group=WEB,
        help="The HTTPS certificate, PEM; without it one is made up.",
    ),
    Option(
        name="privatekey",
        field="privateKey",
        kind=Kind("files"),
        value="PATH",
        group=WEB,
        help="Its private key, PEM, if that does not hold it.",
    ),
    Option(
        name="ircnick",
        short="n",
        field="ircNick",
        kind=Kind(),
        value="NICK",
        group=IRC,
        help="The bot's nickname; without it there is no bot.",
    ),
    Option(
        name="ircserver",
        field="ircServer",
        kind=Kind(),
        value="SERVER",
        group=IRC,
        help="Its server: HOST[:PORT] or an endpoint string.",
    ),
    Option(
        name="ircchannel",
        field="ircChannels",
        kind=Kind(),
        value="CHANNEL",
        repeated=True,
        group=IRC,
        help="A channel it joins.",
    ),
    Option(name="no-list", field="listing", kind=Switch(inverted=True), group=TOLD, help="Do not list users."),
    Option(
        name="disclose",
        field="disclose",
        kind=Atoms(),
        value="ATOMS",
        group=TOLD,
        help=f"What is told of users, of {','.join(FIELD_OF_ATOM)}.",
    ),
    Option(
        name="forward",
        field="forward",
        kind=Kind(),
        value="HOST",
        repeated=True,
        group=TOLD,
        help="Who may be asked for user@host: a name, an address, a network, or 'any'.",
    ),
    Option(
        name="hops",
        field="maxHops",
        kind=Whole(1),
        value="NUMBER",
        group=TOLD,
        help="Of user@host1@host2..., how many hosts --forward allows.",
    ),
    Option(
        name="match-names",
        field="matchNames",
        kind=Switch(),
        group=TOLD,
        help="Take a name that is no login for a first, last or full name.",
    ),
    Option(
        name="ascii", field="utf8", kind=Switch(inverted=True), group=TOLD, help="Answer finger in ASCII, not UTF-8."
    ),
    Option(
        name="auth",
        field="checkers",
        kind=Checker(),
        value="TYPE[:ARGUMENT]",
        repeated=True,
        group=SETTING,
        help="What knows passwords; see --help-auth.",
    ),
    Option(
        name="admin",
        field="administrators",
        kind=Kind(),
        value="USER",
        repeated=True,
        group=SETTING,
        help="Who may set anybody's status.",
    ),
    Option(
        name="max-connections",
        field="maxConnections",
        kind=Whole(1),
        value="NUMBER",
        group=LIMITS,
        help="Connections an adapter takes at once.",
    ),
    Option(
        name="max-per-address",
        field="maxConnectionsPerAddress",
        kind=Whole(1),
        value="NUMBER",
        group=LIMITS,
        help="Of these, from one address (IPv6: one /64).",
    ),
    Option(
        name="rate",
        field="connectionsPerSecond",
        kind=Number(0),
        value="NUMBER",
        group=LIMITS,
        help="Connections per second from one address; 0: any number.",
    ),
    Option(
        name="burst",
        field="connectionBurst",
        kind=Whole(1),
        value="NUMBER",
        group=LIMITS,
        help="Connections at once, before --rate counts.",
    ),
    Option(
        name="query-timeout",
        field="querySeconds",
        kind=Number(),
        value="SECONDS",
        group=LIMITS,
        help="For a query to arrive.",
    ),
    Option(
        name="answer-timeout",
        field="answerSeconds",
        kind=Number(),
        value="SECONDS",
        group=LIMITS,
        help="For a back end to answer.",
    ),
    Option(
        name="drain-timeout",
        field="drainSeconds",
        kind=Number(0),
        value="SECONDS",
        group=LIMITS,
        help="For connections to end when stopped.",
    ),
    Option(
        name="config",
        kind=Kind("files"),
        value="PATH",
        group=CONFIGURATION,
        help="A TOML file that says what options say, by their names.",
    ),
    Option(
        name="check-config",
        kind=None,
        group=CONFIGURATION,
        help="Say what is wrong with the configuration, open no port, and end.",
    ),
    Option(
        name="print-config",
        kind=None,
        group=CONFIGURATION,
        help="Print what is in force and who says so, and end.",
    ),
    Option(
        name="log-format",
        field="logFormat",
        kind=Choice(choices=FORMATS),
        value="FORMAT",
        group=CONFIGURATION,
        help=f"How to log to standard output: {', '.join(FORMATS)}.",
    ),
    Option(name="help", kind=None, group=HELP, help="Print this."),
    Option(name="help-backends", kind=None, group=HELP, help="List the back ends there are."),
    Option(name="help-auth", kind=None, group=HELP, help="List what --auth can be."),
    Option(name="help-auth-type", kind=Kind(), value="TYPE", group=HELP, help="Tell more of one of these."),
    Option(
        name="completion",
        kind=Kind(choices=SHELLS),
        value="SHELL",
        group=HELP,
        help=f"Print what completes the options of {COMMAND} in a shell.",
    ),
    Option(name="version", kind=None, group=HELP, help="Print the version."),
)

SETTINGS: Final = {option.name: option for option in OPTIONS if option.field}
"""What can be configured, by name."""


def groups() -> Iterator[tuple[str, list[Option]]]:
    """The options, by group, in the order of the table."""
    for group in dict.fromkeys(option.group for option in OPTIONS):
        yield group, [option for option in OPTIONS if option.group == group]


def didYouMean(name: str, known: Iterable[str]) -> str:
    """A hint for who has misspelt a name; empty, if there is nothing like it."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
