"""Tests for a configuration file that changes while a server runs."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.config.reload import ConfigFile
from finger.config.settings import Settings, fromFile
from finger.interfaces import IReloadable
from finger.plugins.discovery import findAdapters
from tests.support.files import LateReactor, makeFIFO
from tests.support.typed import Observer

TABLE = findAdapters().table


class ConfigFileTests(SynchronousTestCase):
    """The log entries about the configuration file at SIGHUP."""

    def setUp(self) -> None:
        """Write the file as it is at the start."""
        self.path = Path(self.mktemp())
        self.path.write_text("hops = 2\n")
        self.reactor = LateReactor()
        self.file = ConfigFile(str(self.path), self.read(), self.read, self.reactor)
        self.events: list[LogEvent] = []
        self.file.log = Logger(observer=Observer(self.events.append))

    def read(self) -> Settings:
        """Return the settings of the file."""
        return Settings(TABLE, fromFile(str(self.path), TABLE))

    def reloaded(self, text: str) -> list[str]:
        """Change the file, reload, and return the log entries."""
        self.path.write_text(text)
        return self.reload()

    def reload(self) -> list[str]:
        """Reload in a thread, and return the log entries."""
        self.events.clear()
        reload = self.file.reload()
        self.assertNoResult(reload)
        self.reactor.runThreads()
        self.isRead = self.successResultOf(reload)
        return [formatEvent(event) for event in self.events]

    def test_interface(self) -> None:
        """The file is reloadable at SIGHUP."""
        verifyObject(IReloadable, self.file)

    def test_same(self) -> None:
        """A file with the same settings has not changed."""
        self.assertEqual(self.reloaded("# twice\nhops = 2\nssl = false\n"), [])
        self.assertIs(self.isRead, True)

    def test_changed(self) -> None:
        """Each reload names the changed options, until they are changed back."""
        entry = f"{self.path} has changed: hops, burst will take effect after a restart"
        self.assertEqual(self.reloaded("burst = 3\n"), [entry])
        self.assertIs(self.isRead, True)
        self.assertEqual(self.reloaded("burst = 3\n"), [entry])
        self.assertEqual(self.reloaded("hops = 2\n"), [])

    def test_bad(self) -> None:
        """An error in the file is logged before a restart would find it."""
        entry = f"{self.path}: hops = 0: should be a number, 1 or more; the settings read at the start stay in force"
        self.assertEqual(self.reloaded("hops = 0\n"), [entry])
        self.assertIs(self.isRead, False)

    def test_fifo(self) -> None:
        """A FIFO in place of the file is refused."""
        makeFIFO(self, self.path)
        entry = (
            f"--config={self.path}: cannot be read: is not a regular file; "
            "the settings read at the start stay in force"
        )
        self.assertEqual(self.reload(), [entry])
        self.assertIs(self.isRead, False)
