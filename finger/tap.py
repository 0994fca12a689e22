"""The C{twistd finger} command: its command line, read into a L{Config}, and its service."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from finger.config._version import __version__
from finger.config.checkers import checkerHelp, checkersHelp
from finger.config.completion import daemonCompletion
from finger.config.help import formatHelp, oneLine, printText
from finger.config.model import Config
from finger.config.options import COMMAND, Option, didYouMean, programName
from finger.config.reload import ConfigFile
from finger.config.settings import Settings, UnknownOption, fromEnvironment, fromFile, fromFlags
from finger.errors import ConfigError
from finger.log.formats import makeObserver, showWarnings
from finger.ops.privileges import unprivileged
from finger.ops.server import FingerServer
from finger.plugins.discovery import Adapters, findAdapters, findBackends
from finger.service import makeServer, openService

FOREGROUND: Final = {"uid": "", "nodaemon": True, "syslog": False, "logfile": None}
"""The values of twistd's own options when no twistd runs the service."""


_OURS: Final = re.compile(r"FINGER_(?!(?:PORT|SERVICE)(?:_|$))")
"""Variables that may be meant for this server: Kubernetes sets the others for a service called C{finger}."""


class FingerOptions(UsageOptions):
    """
    The options of C{twistd finger} that run an action.  L{optionsOf} adds those that configure something.

    @cvar adapters: the adapters whose options are accepted.
    @ivar settings: the effective settings.
    @ivar config: the effective settings, as one value.
    @ivar configFile: the path of the configuration file; empty for none.
    """

    adapters: Adapters
    config: Config
    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self._given: defaultdict[str, list[object]] = defaultdict(list)
        self.configFile, self._named = "", "--config"
        self._checking = self._printing = False

    def opt_config(self, path: str) -> None:
        """Read options from a TOML file."""
        self.configFile = path

    def opt_check_config(self) -> None:
        """Check the configuration."""
        self._checking = True

    def opt_print_config(self) -> None:
        """Print the effective configuration."""
        self._printing = True

    def opt_help(self) -> NoReturn:
        """Print the help."""
        _printAndEnd(str(self))

    def opt_help_backends(self) -> NoReturn:
        """List the available back ends."""
        _printAndEnd(findBackends().help())

    def opt_help_auth(self) -> NoReturn:
        """List the available credentials checkers."""
        _printAndEnd(checkersHelp())

    def opt_help_auth_type(self, kind: str) -> NoReturn:
        """Describe one credentials checker."""
        try:
            _printAndEnd(checkerHelp(kind))
        except ValueError as error:
            raise UsageError(f"--help-auth-type={kind}: {error}") from error

    def opt_completion(self, shell: str) -> NoReturn:
        """Print the completion script for a shell."""
        try:
            _printAndEnd(daemonCompletion(shell, self.adapters.table))
        except ValueError as error:
            raise UsageError(f"--completion={shell}: {error}") from error

    def opt_version(self) -> NoReturn:
        """Print the version."""
        _printAndEnd(f"finger {__version__}")

    def getSynopsis(self) -> str:
        """See L{UsageOptions.getSynopsis}."""
        command = COMMAND if programName() == COMMAND else "twistd [options of twistd] finger"
        return f"Usage: {command} [options]"

    def getUsage(self, width: int | None = None) -> str:
        """See L{UsageOptions.getUsage}."""
        command = COMMAND if programName() == COMMAND else "twistd -n finger"
        return formatHelp(command, width or shutil.get_terminal_size().columns, self.adapters.table)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """See L{UsageOptions.parseOptions}.  An error is reported in one line, without the help."""
        try:
            super().parseOptions(options)
        except (UsageError, ConfigError) as error:
            raise SystemExit(f"{programName()}: {oneLine(self._withHint(error))}") from error

    def parseArgs(self, *arguments: str) -> None:
        """See L{UsageOptions.parseArgs}."""
        if arguments:
            raise UsageError(f"takes options only, not {arguments[0]!r}")

    def postOptions(self) -> None:
        """See L{UsageOptions.postOptions}."""
        if not self.configFile:
            self.configFile, self._named = os.environ.get("FINGER_CONFIG", ""), "FINGER_CONFIG"
        self.settings = self.read(mayBePipe=True)
        self.config = self.settings.config()
        if self._printing:
            _printAndEnd("\n".join(self.settings.format()))
        if self._checking:
            self._check()

    def read(self, mayBePipe: bool = False) -> Settings:
        """
        Read all sources and combine them.  A later call reads the file again.

        @param mayBePipe: whether the configuration file may be a pipe.
        @raise ConfigError: if a source is invalid.
        """
        table = self.adapters.table
        file = fromFile(self.configFile, table, self._named, mayBePipe) if self.configFile else {}
        self._refuseLost(os.environ)
        return Settings(table, fromFlags(self._given, table), fromEnvironment(os.environ, table), file)

    def _refuseLost(self, environment: Mapping[str, str]) -> None:
        """
        Refuse a variable that surely is for an adapter that failed to load.  Other unknown variables are ignored: any
        program may set some that begin so.
        """
        known = {option.variable for option in self.adapters.table}
        for variable in environment.keys() - known:
            name = variable.removeprefix("FINGER_").lower()
            why = self.adapters.whyLost(name) or self.adapters.whyLost(name.replace("_", "-"))
            if _OURS.match(variable) and why:
                raise ConfigError(f"{variable}: {why}")

    def _check(self) -> NoReturn:
        """Make the service without opening its ports, and print its warnings."""
        from twisted.internet import reactor

        showWarnings(sys.stderr)
        try:
            makeServer(self.config, reactor)
        except ConfigError as error:
            raise ConfigError(self.settings.locate(str(error))) from error
        _printAndEnd(f"{programName()}: the configuration is valid")

    def _withHint(self, error: Exception) -> str:
        """Return the error's message; for an unknown option, add a similar one or the plugin that failed to load."""
        problem, hint, name = str(error), "", ""
        if isinstance(error, UnknownOption):
            name, problem, hint = error.name, error.problem, error.hint
        elif problem.startswith("option --") and problem.endswith("not recognized"):
            flag = problem.split()[1]
            name, hint = flag.removeprefix("--"), didYouMean(flag, self.adapters.table.flags())
        why = self.adapters.whyUnknown(name) if name else ""
        return problem + (f"; {why}" if why else hint)


def _printAndEnd(text: str) -> NoReturn:
    printText(text)
    raise SystemExit(0)


def optionsOf(adapters: Adapters) -> type[FingerOptions]:
    """
    Make the class of the options of C{twistd finger}.

    @param adapters: the adapters whose options it has, besides the common ones.
    """
    methods: dict[str, object] = {"adapters": adapters}
    for option in adapters.table.settings.values():
        methods |= _methods(option)
    return type("Options", (FingerOptions,), methods)


def _methods(option: Option) -> dict[str, object]:
    """Return the methods by which L{UsageOptions} reads an option, one for each of its names."""
    names = {option.name: True, option.short: True, option.off: False}
    return {
        f"opt_{name}".replace("-", "_"): _switch(option, on) if option.off else _value(option)
        for name, on in names.items()
        if name
    }


def _value(option: Option) -> Callable[[FingerOptions, str], None]:
    def take(self: FingerOptions, value: str) -> None:
        self._given[option.name].append(value)

    take.__doc__ = option.help
    return take


def _switch(option: Option, on: bool) -> Callable[[FingerOptions], None]:
    def switch(self: FingerOptions) -> None:
        self._given[option.name].append(on)

    switch.__doc__ = option.help
    return switch


Options = optionsOf(findAdapters())
"""The options of C{twistd finger} with the installed adapters."""


def makeService(options: FingerOptions) -> FingerServer:
    """
    Make the service for twistd, and open its ports before twistd forks, so that an error is printed on the terminal.
    If twistd was started as root without its own C{--uid}, have it switch to an unprivileged user.
    """
    from twisted.internet import reactor

    try:
        server = openService(options.config, reactor)
        twistd: Any = FOREGROUND if options.parent is None else options.parent
        if twistd["uid"] is None:
            user = unprivileged()
            if user is not None:
                twistd["uid"], twistd["gid"] = user
    except ConfigError as error:
        raise SystemExit(f"{programName()}: {oneLine(options.settings.locate(str(error)))}") from error
    if os.path.isfile(options.configFile):  # A pipe cannot be read again.
        server.adopt(ConfigFile(options.configFile, options.settings, options.read, reactor), "config")
    if _logsToStandardOutput(twistd):
        server.logObserver = makeObserver(options.config.logFormat)
    return server


def _logsToStandardOutput(twistd: Mapping[str, Any]) -> bool:
    """Return whether twistd logs to standard output.  In the background it logs to a file by default."""
    return bool(twistd["nodaemon"] and not twistd["syslog"] and twistd["logfile"] in (None, "", "-"))
