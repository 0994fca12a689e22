"""
The common options of servers, and the table of these and of the adapters' options.

The command line, the environment, the configuration file, the help and the completion scripts are made from the
table.  A new common option is a field of L{Config} and a row here.  An option of an adapter is a row in the adapter's
own file (L{finger.plugins.interfaces.IFingerAdapter}).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

from finger.config.model import Config
from finger.config.types import Atoms, Checker, Choice, Kind, NeededFile, Network, Number, Port, Switch, Whole
from finger.errors import ConfigError
from finger.log.formats import FORMATS
from finger.profile import FIELD_OF_ATOM

COMMAND: Final = "twisted-fingerd"
"""The name of the daemon's own command."""

SHELLS: Final = ("bash", "zsh", "fish")
"""The shells that L{finger.config.completion} writes scripts for."""


def programName() -> str:
    """Return the command that started this process, for messages and the help."""
    return COMMAND if sys.argv[0].endswith(COMMAND) else "twistd finger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """
    One option.

    @ivar name: its name: C{--name} on the command line, C{FINGER_NAME} in the environment, C{name} in a file.
    @ivar kind: the type of its value; L{None} for an option without a value.
    @ivar group: its heading in the help.
    @ivar help: a short description of what it does, without its unit and default.
    @ivar value: the placeholder of its value in the help.
    @ivar short: its short name; empty for none.
    @ivar repeated: whether it may be given more than once.
    @ivar initial: its default, as a value of L{Config}: a tuple if it is C{repeated}.
    @ivar field: its name in L{Config}; empty for C{name} with underscores for hyphens.
    @ivar action: whether it runs an action at once and configures nothing.
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
        """The option's name in L{Config}."""
        return self.field or self.name.replace("-", "_")

    def valueIn(self, config: Config) -> Any:
        """
        Return the value that an adapter's option has in a configuration.

        @raise ConfigError: if it is not of the option's kind, as it can be where a L{Config} is written by hand.
        """
        value = config.adapters.get(self.key, self.initial)
        if not self.repeated:
            return self._checked(value)
        if not isinstance(value, tuple | list):
            raise ConfigError(f"Config: {self.key}={value!r}: expected a tuple, as in {self.key}=({value!r},)")
        return tuple(map(self._checked, value))

    def _checked(self, value: Any) -> Any:
        kind = self.kind
        if kind is None or (type(kind).toField is not Kind.toField and type(kind).fromField is Kind.fromField):
            return value  # What it is made of cannot be told any more.
        try:
            if isinstance(kind, Switch) and not isinstance(value, bool):
                raise ValueError("should be True or False")
            return kind.toField(kind.read(kind.fromField(value)))
        except Exception as error:
            raise ConfigError(f"Config: {self.key}={value!r}: {error}") from error

    @property
    def variable(self) -> str:
        """The option's name in the environment."""
        return "FINGER_" + self.name.upper().replace("-", "_")

    @property
    def off(self) -> str:
        """The name of the option that turns this one off; empty if it is not a switch."""
        if not isinstance(self.kind, Switch):
            return ""
        return self.name.removeprefix("no-") if self.name.startswith("no-") else f"no-{self.name}"

    @property
    def default(self) -> Any:
        """The default in the form of the configuration file: a list if the option is repeated."""
        if self.kind is None or self.action:
            return ""
        return list(self.initial) if self.repeated else self.kind.fromField(self.initial)

    @property
    def defaultText(self) -> str:
        """The default in the form of the help; empty for none."""
        if isinstance(self.kind, Switch):
            return ""
        if not self.repeated:
            return str(self.default)
        return ", ".join(map(str, self.default)) or ("none" if isinstance(self.kind, Port) else "")


USERS: Final = "Users"
PORTS: Final = "Ports"
WEB: Final = "Web"
IRC: Final = "IRC"
ANSWERS: Final = "Answers and forwarding"
SETTING: Final = "Status updates"
LIMITS: Final = "Limits"
CONFIGURATION: Final = "Configuration and logging"
HELP: Final = "Help"

LAST: Final = (ANSWERS, SETTING, LIMITS, CONFIGURATION, HELP)
"""The groups after those of adapters."""


class OptionTable:
    """
    All options of a server: the common ones, and those of its adapters.

    @param adapters: the options of adapters.
    @param backends: the names of back ends, which a shell offers to complete.
    @ivar options: all options, in the order of their groups.
    @ivar settings: the options that configure something, by name.
    """

    def __init__(self, adapters: Iterable[Option] = (), backends: Iterable[str] = ()) -> None:
        completed = Kind(choices=tuple(backends))
        rows = [*adapters, *(replace(row, kind=completed) if row.name == "backend" else row for row in COMMON)]
        groups = dict.fromkeys([USERS, *(row.group for row in rows if row.group not in LAST), *LAST])
        self.options = [row for group in groups for row in rows if row.group == group]
        self.settings = {row.name: row for row in self.options if not row.action}

    def __iter__(self) -> Iterator[Option]:
        return iter(self.options)

    def groups(self) -> Iterator[tuple[str, list[Option]]]:
        """Return each group with its options, in the order of the help."""
        for group in dict.fromkeys(option.group for option in self.options):
            yield group, [option for option in self.options if option.group == group]

    def flags(self) -> list[str]:
        """Return every long name on a command line, with its hyphens."""
        return [f"--{name}" for option in self.options for name in (option.name, option.off) if name]


def didYouMean(name: str, known: Iterable[str]) -> str:
    """Return a hint for a misspelt name; empty if no known name is similar."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


_DEFAULTS: Final = Config()


def _common(name: str, field: str, kind: Kind, group: str, help: str, **more: Any) -> Option:
    """Return a row whose default is that of a field of L{Config}."""
    return Option(
        name=name, field=field, kind=kind, group=group, help=help, initial=getattr(_DEFAULTS, field), **more
    )


def _action(name: str, group: str, help: str, kind: Kind | None = None, value: str = "") -> Option:
    return Option(name=name, kind=kind, group=group, help=help, value=value, action=True)


COMMON: Final = (
    _common(
        "file", "usersFile", NeededFile(), USERS, "Users file, with lines 'user: status'.", value="PATH", short="f"
    ),
    _common(
        "backend",
        "backends",
        Kind(),
        USERS,
        "Back end that provides users; the first that has the user answers.",
        value="NAME[:ARGUMENT]",
        repeated=True,
    ),
    _common(
        "aliases", "aliasesFile", Kind("files"), USERS, "File of aliases, with lines 'alias: user'.", value="PATH"
    ),
    _common(
        "trust-proxy",
        "trustedProxies",
        Network(),
        PORTS,
        "Address or network of proxies that name their clients: at 'haproxy:' ports, and on the web by Forwarded.",
        value="ADDRESS",
        repeated=True,
    ),
    _common("no-list", "listing", Switch(inverted=True), ANSWERS, "Do not list users."),
    _common(
        "texts",
        "texts",
        Kind("directories"),
        ANSWERS,
        "Directory of texts: list.txt and unknown.txt replace answers, banner.txt precedes all.",
        value="DIRECTORY",
    ),
    _common(
        "disclose",
        "disclose",
        Atoms(),
        ANSWERS,
        f"User fields to disclose, from {','.join(FIELD_OF_ATOM)}.",
        value="ATOMS",
    ),
    _common(
        "forward",
        "forward",
        Kind(),
        ANSWERS,
        "Host that user@host queries may be forwarded to: a name, an address, a network, or 'any'.",
        value="HOST",
        repeated=True,
    ),
    _common(
        "hops",
        "maxHops",
        Whole(1),
        ANSWERS,
        "Maximum number of hosts in user@host1@host2... queries.",
        value="NUMBER",
    ),
    _common(
        "auth",
        "checkers",
        Checker(),
        SETTING,
        "Credentials checker for authenticated updates. See --help-auth.",
        value="TYPE[:ARGUMENT]",
        repeated=True,
    ),
    _common(
        "admin", "administrators", Kind(), SETTING, "User allowed to set any status.", value="USER", repeated=True
    ),
    _common(
        "max-connections", "maxConnections", Whole(1), LIMITS, "Maximum connections per adapter.", value="NUMBER"
    ),
    _common(
        "max-per-address",
        "maxConnectionsPerAddress",
        Whole(1),
        LIMITS,
        "Maximum connections per adapter from one client address (IPv6: from one /64).",
        value="NUMBER",
    ),
    _common(
        "max-per-uid",
        "maxConnectionsPerUID",
        Whole(1),
        LIMITS,
        "Maximum connections per adapter from one user at UNIX sockets, at most half of --max-connections.",
        value="NUMBER",
    ),
    _common(
        "rate",
        "connectionsPerSecond",
        Number(0),
        LIMITS,
        "Connections and further HTTP requests per second from one client address; 0 for no limit.",
        value="NUMBER",
    ),
    _common(
        "burst",
        "connectionBurst",
        Whole(1),
        LIMITS,
        "Connections and further HTTP requests from one client address before --rate applies.",
        value="NUMBER",
    ),
    _common(
        "max-users",
        "maxUsers",
        Whole(1),
        LIMITS,
        "Maximum users of a back end to which clients can add users.",
        value="NUMBER",
    ),
    _common("query-timeout", "querySeconds", Number(), LIMITS, "Time to receive a query.", value="SECONDS"),
    _common("answer-timeout", "answerSeconds", Number(), LIMITS, "Time for a back end to answer.", value="SECONDS"),
    _common(
        "drain-timeout",
        "drainSeconds",
        Number(0),
        LIMITS,
        "Time for open connections to finish when the server stops.",
        value="SECONDS",
    ),
    _action("config", CONFIGURATION, "Read options from this TOML file.", kind=Kind("files"), value="PATH"),
    _action("check-config", CONFIGURATION, "Check the configuration and exit."),
    _action("print-config", CONFIGURATION, "Print the effective configuration with its sources, and exit."),
    _common(
        "log-format",
        "logFormat",
        Choice(choices=FORMATS),
        CONFIGURATION,
        f"Format of the log on standard output: {', '.join(FORMATS)}.",
        value="FORMAT",
    ),
    _action("help", HELP, "Print this help and exit."),
    _action("help-backends", HELP, "List the available back ends and exit."),
    _action("help-auth", HELP, "List the available credentials checkers and exit."),
    _action("help-auth-type", HELP, "Describe one credentials checker and exit.", kind=Kind(), value="TYPE"),
    _action(
        "completion",
        HELP,
        f"Print the completion script of {COMMAND} for a shell and exit.",
        kind=Kind(choices=SHELLS),
        value="SHELL",
    ),
    _action("version", HELP, "Print the version and exit."),
)
"""The common options."""
