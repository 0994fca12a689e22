"""What a running server cannot take: a configuration file that says something else than when it was started."""

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
    Says at SIGHUP which options of a file have changed, and that they want a restart.  Users, templates and
    certificates are read again then, but ports, for one, have been opened by somebody who may have been root.

    @param path: the file.
    @param atStart: what was read then.
    @param read: reads it again, in a thread.
    @param reactor: for its threads.
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
            self.log.error("{problem}; what was read at the start stays in force", problem=str(error))
            return False
        changed = [name for name, old in self._atStart.inForce.items() if now.inForce[name].value != old.value]
        if changed:
            self.log.warn(
                "{path} has changed: {options} will be in force after a restart",
                path=self._path,
                options=", ".join(changed),
            )
        return True
