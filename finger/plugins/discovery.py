"""Discovery of plugins: back ends and adapters, built-in and from other packages."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from types import ModuleType
from typing import Any, Final, Protocol, TypeVar

from twisted.python.modules import PythonModule, getModule
from zope.interface import Interface
from zope.interface.verify import verifyObject

import finger.plugins
from finger.config.files import readFile
from finger.config.help import oneLine
from finger.config.options import COMMON, OptionTable
from finger.errors import ConfigError
from finger.interfaces import IFingerBackend, IFingerService
from finger.plugins.checks import namesOf, whyBadAdapter
from finger.plugins.interfaces import IFingerAdapter

BUILT_IN: Final = ("finger_adapters", "finger_backends")
"""The modules of the built-in plugins."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


P = TypeVar("P", bound=_Named)


@dataclass(frozen=True)
class Broken:
    """
    A plugin module, or a plugin in it, that cannot be used.

    @ivar module: the module's full name.
    @ivar path: its file.
    @ivar why: the reason, in one line.
    """

    module: str
    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.module}{self.package and f' (package {self.package})'} cannot be used: {self.why}"

    @cached_property
    def package(self) -> str:
        """The name and version of the distribution that contains the module; empty if not known."""
        from importlib.metadata import distributions  # Takes a while, and is seldom needed.

        name = "/".join(self.module.split(".")) + ".py"
        for distribution in distributions():
            if any(file.as_posix() == name for file in distribution.files or ()):
                return f"{distribution.metadata['Name']} {distribution.version}"
        return ""

    @cached_property
    def source(self) -> str:
        """The module's source; empty if it cannot be read."""
        try:
            return readFile(self.path).decode("utf-8", "replace")
        except OSError:
            return ""

    def defines(self, option: str) -> bool:
        """Return whether the module's source has a row for an option."""
        return re.search(rf"""\bname\s*=\s*(["']){re.escape(option)}\1""", self.source) is not None

    @property
    def isObscure(self) -> bool:
        """Whether the source does not show which options it would add: it may import them from elsewhere."""
        return "Option(" not in self.source and "IFingerBackend" not in self.source


@dataclass(frozen=True)
class _Plugin:
    """A plugin, with its module."""

    plugin: Any
    module: str
    path: str

    @property
    def isOurs(self) -> bool:
        return self.module.rpartition(".")[2] in BUILT_IN

    def broken(self, why: str) -> Broken:
        return Broken(self.module, self.path, why)


@dataclass
class Found:
    """
    The plugins of one interface.

    @ivar plugins: the usable ones, built-in ones first.
    @ivar broken: the ones that cannot be used.
    """

    plugins: list[_Plugin] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)

    def drop(self, isBad: Callable[[_Plugin], str]) -> None:
        """
        Move the bad plugins to C{broken}.

        @param isBad: returns why a plugin is bad, in one line; empty if it is good.
        """
        reasons = [(plugin, _why(isBad, plugin)) for plugin in self.plugins]
        self.plugins = [plugin for plugin, why in reasons if not why]
        self.broken += [plugin.broken(why) for plugin, why in reasons if why]


def _why(isBad: Callable[[_Plugin], str], plugin: _Plugin) -> str:
    """Return why a plugin is bad.  Examining a plugin of another package may raise any exception."""
    try:
        return isBad(plugin)
    except Exception as error:
        return oneLineOf(error)


def find(interface: type[Interface], package: ModuleType = finger.plugins) -> Found:
    """
    Find the plugins in the modules of a package.

    Unlike L{twisted.plugin.getPlugins}, this reports a module that cannot be imported in one line and without a
    traceback, and has no cache.  If two plugins have the same name, the built-in one is used; if neither is built-in,
    neither is used.

    @param interface: the interface that the plugins provide.
    @param package: the package.
    """
    found = Found()
    for module in sorted(getModule(package.__name__).iterModules(), key=lambda module: module.name):
        path = module.filePath.path
        try:
            there = [plugin.plugin for plugin in found.plugins]
            providers = [plugin for plugin in _providers(module, interface) if plugin not in there]
            found.plugins += [_Plugin(plugin, module.name, path) for plugin in providers]
        except (Exception, SystemExit) as error:
            found.broken.append(Broken(module.name, path, oneLineOf(error)))
    found.plugins.sort(key=lambda plugin: not plugin.isOurs)
    found.drop(lambda plugin: _whyInvalid(plugin, interface))
    found.drop(_clashes(found.plugins, "its name", lambda plugin: [plugin.name]))
    return found


def _providers(module: PythonModule, interface: type[Interface]) -> Iterator[Any]:
    loaded = sys.modules.get(module.name) or module.load()
    for value in vars(loaded).values():
        if interface.providedBy(value):
            yield value


def oneLineOf(error: BaseException) -> str:
    """Return an exception's class and message in one printable line."""
    return oneLine(" ".join(f"{type(error).__name__}: {error}".split()))


def _whyInvalid(plugin: _Plugin, interface: type[Interface]) -> str:
    if plugin.isOurs:
        return ""
    verifyObject(interface, plugin.plugin)
    return "" if isinstance(plugin.plugin.name, str) else "its name is not a string"


def _clashes(
    plugins: list[_Plugin], what: str, names: Callable[[Any], list[str]], taken: frozenset[str] = frozenset()
) -> Callable[[_Plugin], str]:
    """Make a function that returns which name of a plugin another one has as well; see L{Found.drop}."""
    ours = taken.union(*[names(plugin.plugin) for plugin in plugins if plugin.isOurs])
    theirs = Counter(name for plugin in plugins if not plugin.isOurs for name in names(plugin.plugin))

    def isBad(plugin: _Plugin) -> str:
        if plugin.isOurs:
            return ""
        for name in names(plugin.plugin):
            if name in ours:
                return f"{what}, {name}, is that of a built-in one"
            if theirs[name] > 1:
                return f"{what}, {name}, is also that of another package's plugin"
        return ""

    return isBad


@dataclass(frozen=True, slots=True)
class Backends:
    """
    The back ends.

    @ivar found: the usable ones, by name.
    @ivar broken: the plugin modules that cannot be used.
    """

    found: Mapping[str, IFingerBackend]
    broken: list[Broken]

    def make(self, specification: str, reactor: object) -> IFingerService:
        """
        Make the back end that C{--backend=NAME[:ARGUMENT]} selects.

        @raise ConfigError: if no back end has that name, or its argument is not valid.
        """
        name, _, argument = specification.partition(":")
        backend = self.found.get(name)
        if backend is None:
            raise ConfigError(f"--backend={specification}: {self._unknown(name)}")
        try:
            service = backend.makeBackend(argument, reactor)
        except ConfigError:
            raise
        except (Exception, SystemExit) as error:  # A mistake in another package must not cause a traceback.
            raise ConfigError(f"--backend={specification}: the back end failed: {oneLineOf(error)}") from error
        if not IFingerService.providedBy(service):
            raise ConfigError(f"--backend={specification}: the back end made {service!r}, not an IFingerService")
        return service

    def help(self) -> str:
        """Return the text of C{--help-backends}: a line for each back end."""
        entries = [(backend.name + backend.argument, backend.summary) for backend in self.found.values()]
        lines = [f"{usage:<22} {summary}" for usage, summary in sorted(entries)]
        lines += [f"{broken.module}: cannot be used: {broken.why}" for broken in self.broken]
        return "\n".join(lines)

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self.found, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"available: {', '.join(sorted(self.found))}"
        names = ", ".join(broken.module for broken in self.broken)
        return f"no back end is called {name!r}; {hint}" + (f"; not usable: {names}" if names else "")


def findBackends(package: ModuleType = finger.plugins) -> Backends:
    """Find the back ends (see L{find})."""
    found = find(IFingerBackend, package)
    return Backends({plugin.plugin.name: plugin.plugin for plugin in found.plugins}, found.broken)


@dataclass(frozen=True, slots=True)
class Adapters:
    """
    The adapters.

    @ivar found: the usable ones, built-in ones first.
    @ivar broken: the plugin modules that cannot be used.
    @ivar table: the common options, and those of these adapters.
    @ivar foreign: the adapters of other packages.
    """

    found: list[IFingerAdapter]
    broken: list[Broken]
    table: OptionTable
    foreign: Sequence[IFingerAdapter] = ()

    def whyUnknown(self, option: str) -> str:
        """
        Return which unusable plugins probably define an unknown option: those whose source has a row for it, or else
        those whose source does not show which options they add.

        @return: their names, and why they cannot be used; empty if there are none.
        """
        return self.whyLost(option) or "; ".join(str(broken) for broken in self.broken if broken.isObscure)

    def whyLost(self, option: str) -> str:
        """Return which unusable plugins surely define an option, as L{whyUnknown} does."""
        return "; ".join(str(broken) for broken in self.broken if broken.defines(option))


def findAdapters(package: ModuleType = finger.plugins) -> Adapters:
    """
    Find the adapters (see L{find}).

    An adapter also cannot be used if its options are not valid or belong to another adapter, or if it is not built-in
    and would open a port by default.
    """
    found = find(IFingerAdapter, package)
    found.drop(_whyBadAdapter)
    common = frozenset(name for option in COMMON for name in namesOf(option))
    found.drop(_clashes(found.plugins, "its option", _optionNames, common))
    adapters = [plugin.plugin for plugin in found.plugins]
    options = [option for adapter in adapters for option in adapter.options]
    table = OptionTable(options, sorted(findBackends(package).found))
    return Adapters(adapters, found.broken, table, [plugin.plugin for plugin in found.plugins if not plugin.isOurs])


def _whyBadAdapter(plugin: _Plugin) -> str:
    return "" if plugin.isOurs else whyBadAdapter(plugin.plugin)


def _optionNames(adapter: IFingerAdapter) -> list[str]:
    return list(dict.fromkeys(name for option in adapter.options for name in namesOf(option)))
