"""
The options of every server, and the table of these and those of the adapters found.

The command line, the environment, the configuration file, the help and the completions are made from the table.  A
new option of every server is a field of L{Config} and a row here; an option of an adapter is a row in the adapter's
own file (L{finger.plugins.interfaces.IFingerAdapter}).
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
    @ivar kind: the type of its value; L{None} for an option without a value.
    @ivar group: the heading it stands under in the help.
    @ivar help: what it is for, in a few words; units and defaults need not be repeated.
    @ivar value: what its value is called in the help.
    @ivar short: its short name; empty for none.
    @ivar repeated: whether it may be given more than once.
    @ivar initial: its value if it is not given, as L{Config} has it: a tuple if it is C{repeated}.
    @ivar field: its name in L{Config}; empty for C{name} with underscores for hyphens.
    @ivar action: whether it does something at once and configures nothing.
    """

    name: str
    kind: Kind | None
    group: str
    help: str
    value: str = ""
    short: str = ""
    repeated: bool = False
    initial: Any = ""
    field: str = ""
    action: bool = False

    @property
    def key(self) -> str:
        """Its name in L{Config}."""
        return self.field or self.name.replace("-", "_")

    def valueIn(self, config: Config) -> Any:
        """Return the value that an adapter's option has in a configuration."""
        return config.adapters.get(self.key, self.initial)

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return "FINGER_" + self.name.upper().replace("-", "_")

    @property
    def off(self) -> str:
        """The name of the option that switches it off; empty if it is no switch."""
        if not isinstance(self.kind, Switch):
            return ""
        return self.name.removeprefix("no-") if self.name.startswith("no-") else f"no-{self.name}"

    @property
    def default(self) -> Any:
        """Its value if it is not given, as a file would have it: a list if it is repeated."""
        if self.kind is None or self.action:
            return ""
        return list(self.initial) if self.repeated else self.kind.fromField(self.initial)

    @property
    def defaultText(self) -> str:
        """The default, for the help; empty if there is none."""
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

LAST: Final = (TOLD, SETTING, LIMITS, CONFIGURATION, HELP)
"""The groups that come last, after those of adapters."""


class OptionTable:
    """
    Every option of a server: those of every server, and those of its adapters.

    @param adapters: the options of adapters.
    @ivar options: all of them, by group.
    @ivar settings: those that configure something, by name.
    """

    def __init__(self, adapters: Iterable[Option] = ()) -> None:
        rows = [*adapters, *COMMON]
        groups = dict.fromkeys([USERS, *(row.group for row in rows if row.group not in LAST), *LAST])
        self.options = [row for group in groups for row in rows if row.group == group]
        self.settings = {row.name: row for row in self.options if not row.action}

    def __iter__(self) -> Iterator[Option]:
        return iter(self.options)

    def groups(self) -> Iterator[tuple[str, list[Option]]]:
        """The options by group, as the help has them."""
        for group in dict.fromkeys(option.group for option in self.options):
            yield group, [option for option in self.options if option.group == group]

    def flags(self) -> list[str]:
        """Every long name on a command line, with its hyphens."""
        return [f"--{name}" for option in self.options for name in (option.name, option.off) if name]


def didYouMean(name: str, known: Iterable[str]) -> str:
    """A hint after a misspelt name; empty if no known name is like it."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


_DEFAULTS: Final = Config()


def _common(name: str, field: str, kind: Kind, group: str, help: str, **more: Any) -> Option:
    """A row whose default is that of a field of L{Config}."""
    return Option(
        name=name, field=field, kind=kind, group=group, help=help, initial=getattr(_DEFAULTS, field), **more
    )


def _action(name: str, group: str, help: str, kind: Kind | None = None, value: str = "") -> Option:
    return Option(name=name, kind=kind, group=group, help=help, value=value, action=True)


COMMON: Final = (
    _common(
        "file", "usersFile", NeededFile(), USERS, "The users file: lines 'user: status'.", value="PATH", short="f"
    ),
    _common(
        "backend",
        "backends",
        Kind(choices=("file", "local", "memory", "proxy")),
        USERS,
        "A back end; the first that knows a user answers.",
        value="NAME[:ARGUMENT]",
        repeated=True,
    ),
    _common(
        "trust-proxy",
        "trustedProxies",
        Network(),
        PORTS,
        "Who may speak the PROXY protocol at 'haproxy:' ports: an address or a network.",
        value="ADDRESS",
        repeated=True,
    ),
    _common("no-list", "listing", Switch(inverted=True), TOLD, "Do not list users."),
    _common(
        "disclose", "disclose", Atoms(), TOLD, f"What is told of users, of {','.join(FIELD_OF_ATOM)}.", value="ATOMS"
    ),
    _common(
        "forward",
        "forward",
        Kind(),
        TOLD,
        "Who may be asked for user@host: a name, an address, a network, or 'any'.",
        value="HOST",
        repeated=True,
    ),
    _common(
        "hops", "maxHops", Whole(1), TOLD, "Of user@host1@host2..., how many hosts --forward allows.", value="NUMBER"
    ),
    _common(
        "auth",
        "checkers",
        Checker(),
        SETTING,
        "What knows passwords; see --help-auth.",
        value="TYPE[:ARGUMENT]",
        repeated=True,
    ),
    _common("admin", "administrators", Kind(), SETTING, "Who may set anybody's status.", value="USER", repeated=True),
    _common(
        "max-connections", "maxConnections", Whole(1), LIMITS, "Connections an adapter takes at once.", value="NUMBER"
    ),
    _common(
        "max-per-address",
        "maxConnectionsPerAddress",
        Whole(1),
        LIMITS,
        "Of these, from one address (IPv6: one /64).",
        value="NUMBER",
    ),
    _common(
        "rate",
        "connectionsPerSecond",
        Number(0),
        LIMITS,
        "Connections per second from one address; 0: any number.",
        value="NUMBER",
    ),
    _common(
        "burst", "connectionBurst", Whole(1), LIMITS, "Connections at once, before --rate counts.", value="NUMBER"
    ),
    _common("query-timeout", "querySeconds", Number(), LIMITS, "For a query to arrive.", value="SECONDS"),
    _common("answer-timeout", "answerSeconds", Number(), LIMITS, "For a back end to answer.", value="SECONDS"),
    _common(
        "drain-timeout", "drainSeconds", Number(0), LIMITS, "For connections to end when stopped.", value="SECONDS"
    ),
    _action(
        "config",
        CONFIGURATION,
        "A TOML file that says what options say, by their names.",
        kind=Kind("files"),
        value="PATH",
    ),
    _action("check-config", CONFIGURATION, "Say what is wrong with the configuration, open no port, and end."),
    _action("print-config", CONFIGURATION, "Print what is in force and who says so, and end."),
    _common(
        "log-format",
        "logFormat",
        Choice(choices=FORMATS),
        CONFIGURATION,
        f"How to log to standard output: {', '.join(FORMATS)}.",
        value="FORMAT",
    ),
    _action("help", HELP, "Print this."),
    _action("help-backends", HELP, "List the back ends there are."),
    _action("help-auth", HELP, "List what --auth can be."),
    _action("help-auth-type", HELP, "Tell more of one of these.", kind=Kind(), value="TYPE"),
    _action(
        "completion",
        HELP,
        f"Print what completes the options of {COMMAND} in a shell.",
        kind=Kind(choices=SHELLS),
        value="SHELL",
    ),
    _action("version", HELP, "Print the version."),
)
"""The options of every server."""
