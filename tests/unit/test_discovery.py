"""Tests for L{finger.plugins.discovery}: back ends."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.errors import ConfigError
from finger.interfaces import IFingerBackend, IFingerService
from finger.plugins.discovery import Backends, findBackends
from finger.testing import ThreadlessReactor

GOOD = """
from twisted.plugin import IPlugin
from zope.interface import implementer

from finger.backends.memory import MemoryFingerService
from finger.interfaces import IFingerBackend

@implementer(IPlugin, IFingerBackend)
class Weather:
    name = "weather"
    argument = "[:CITY]"
    summary = "the weather of a city"

    def makeBackend(self, argument, reactor):
        return MemoryFingerService({argument: "rain"})

weather = Weather()
"""


class FindBackendsTests(SynchronousTestCase):
    """Back ends in a package of plugins."""

    def find(self, **modules: str) -> Backends:
        """Find the back ends in a package of these modules."""
        name = "fingerdiscovery" + "_".join(modules)
        directory = Path(self.mktemp()) / name
        directory.mkdir(parents=True)
        for module, source in {"__init__": "", **modules}.items():
            (directory / f"{module}.py").write_text(source)
        sys.path.insert(0, str(directory.parent))
        self.addCleanup(sys.path.remove, str(directory.parent))
        package: ModuleType = __import__(name)
        return findBackends(package)

    def test_ours(self) -> None:
        """The built-in back ends are found, and provide the interface."""
        backends = findBackends()
        self.assertEqual(sorted(backends.found), ["file", "local", "memory", "proxy"])
        self.assertEqual(backends.broken, [])
        for backend in backends.found.values():
            verifyObject(IFingerBackend, backend)
            self.assertIn(backend.summary, backends.help())

    def test_others(self) -> None:
        """A back end of another package is found, and receives its argument."""
        backends = self.find(theirs=GOOD)
        service = backends.make("weather:oslo:x", ThreadlessReactor())
        verifyObject(IFingerService, service)
        self.assertEqual(self.successResultOf(service.getUsers()), ["oslo:x"])
        self.assertEqual(backends.help(), "weather[:CITY]         the weather of a city")

    def test_broken(self) -> None:
        """A module that cannot be imported is reported in one line and does not prevent others from being found."""
        backends = self.find(
            a="import nothing_of_that_name", b="raise SystemExit('away')", c="a = (\n", d="1/0", theirs2=GOOD
        )
        self.assertEqual(list(backends.found), ["weather"])
        lines = backends.help().splitlines()
        self.assertEqual(len(lines), 5)
        self.assertIn(".a: cannot be used: ModuleNotFoundError: No module named 'nothing_of_that_name'", lines[1])
        error = self.assertRaises(ConfigError, backends.make, "ldap", None)
        self.assertIn("not usable: ", str(error))

    def test_unknown(self) -> None:
        """The error for an unknown name suggests the closest name, or lists all names."""
        backends = findBackends()
        for name, words in {"fiel:x": "did you mean 'file'?", "": "available: file, local, memory, proxy"}.items():
            error = self.assertRaises(ConfigError, backends.make, name, None)
            self.assertIn(f"--backend={name}: no back end is called ", str(error))
            self.assertIn(words, str(error))

    def test_failing(self) -> None:
        """A back end that fails to be made, or makes something else, is refused in one line."""
        for work, told in (
            ("1 / 0", "--backend=weather:x: the back end failed: ZeroDivisionError: division by zero"),
            ("raise SystemExit('bye')", "--backend=weather:x: the back end failed: SystemExit: bye"),
            ("return None", "--backend=weather:x: the back end made None, not an IFingerService"),
        ):
            source = GOOD.replace('return MemoryFingerService({argument: "rain"})', work)
            backends = self.find(**{f"m{abs(hash(work))}": source})
            self.assertEqual(str(self.assertRaises(ConfigError, backends.make, "weather:x", None)), told)
        source = GOOD.replace('return MemoryFingerService({argument: "rain"})', "raise ConfigError('x')")
        backends = self.find(own="from finger.errors import ConfigError\n" + source)
        self.assertEqual(str(self.assertRaises(ConfigError, backends.make, "weather:x", None)), "x")
