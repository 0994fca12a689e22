"""Changes of the configuration file that a running server cannot apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from finger.config.settings import Settings
from finger.config.threads import ThreadedReader
from finger.errors import ConfigError
from finger.interfaces import IReloadable


@implementer(IReloadable)
class ConfigFile:
    """
    Logs at SIGHUP which options of a configuration file have changed, and that they need a restart.  Users,
    templates and certificates are read again at SIGHUP.  Options are not: a port, for example, may have been opened
    as root.

    @param path: the file.
    @param atStart: the settings read at the start.
    @param read: a function that reads the settings again, in a thread.
    @param reactor: the reactor whose threads it uses.
    """

    log = Logger()

    def __init__(self, path: str, atStart: Settings, read: Callable[[], Settings], reactor: Any) -> None:
        self._path = path
        self._atStart = atStart
        self._read = ThreadedReader(reactor, read)

    def reload(self) -> Deferred[bool]:
        """See L{IReloadable.reload}."""
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> bool:
        try:
            now = await self._read()
        except ConfigError as error:
            self.log.error("{problem}; the settings read at the start stay in force", problem=str(error))
            return False
        changed = [name for name, old in self._atStart.inForce.items() if now.inForce[name].value != old.value]
        if changed:
            self.log.warn(
                "{path} has changed: {options} will take effect after a restart",
                path=self._path,
                options=", ".join(changed),
            )
        return True
