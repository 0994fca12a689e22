"""Which back ends there are."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import ModuleType

from twisted.plugin import IPlugin
from twisted.python.modules import PythonModule, getModule

import finger.plugins
from finger.errors import ConfigError
from finger.interfaces import IFingerBackend, IFingerService


@dataclass(frozen=True, slots=True)
class Backends:
    """
    The back ends found.

    @ivar found: the good ones, by name.
    @ivar broken: of the modules that cannot be used, the name, and why in one line.
    """

    found: Mapping[str, IFingerBackend]
    broken: Mapping[str, str]

    def make(self, specification: str, reactor: object) -> IFingerService:
        """
        Make the back end that C{--backend=NAME[:ARGUMENT]} asks for.

        @raise ConfigError: if there is none of that name, or its argument is wrong.
        """
        name, _, argument = specification.partition(":")
        backend = self.found.get(name)
        if backend is None:
            raise ConfigError(f"--backend={specification}: {self._unknown(name)}")
        return backend.makeBackend(argument, reactor)

    def help(self) -> str:
        """List them, a line each."""
        entries = [(backend.name + backend.argument, backend.summary) for backend in self.found.values()]
        lines = [f"{usage:<22} {summary}" for usage, summary in sorted(entries)]
        lines += [f"{module}: cannot be used: {why}" for module, why in sorted(self.broken.items())]
        return "\n".join(lines)

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self.found, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(self.found))}"
        broken = f"; not usable: {', '.join(sorted(self.broken))}" if self.broken else ""
        return f"no back end is called {name!r}; {hint}{broken}"


def findBackends(package: ModuleType = finger.plugins) -> Backends:
    """
    Look through the modules of a plugin package.

    This is L{twisted.plugin.getPlugins} without its cache and with a better answer for a module that cannot be
    imported: its name and why, where that logs a traceback.

    @param package: the package.
    """
    found: dict[str, IFingerBackend] = {}
    broken: dict[str, str] = {}
    for module in sorted(getModule(package.__name__).iterModules(), key=lambda module: module.name):
        try:
            found.update((backend.name, backend) for backend in _backendsOf(module))
        except (Exception, SystemExit) as error:
            broken[module.name] = " ".join(f"{type(error).__name__}: {error}".split())
    return Backends(found, broken)


def _backendsOf(module: PythonModule) -> Iterator[IFingerBackend]:
    loaded = sys.modules.get(module.name) or module.load()
    for value in vars(loaded).values():
        if IPlugin.providedBy(value) and IFingerBackend.providedBy(value):
            yield value
