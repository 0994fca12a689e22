"""
The administrator's own texts, from the files of a directory: L{LIST} is the answer to a query for the list of users,
L{UNKNOWN} that for an unknown user, and L{BANNER} precedes each answer.

They are for people: finger, the web and IRC show them, while programs (XML-RPC, Perspective Broker) receive the words
of the errors.  L{finger.access.policy} passes them to the adapters.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from finger.config.files import readFile
from finger.config.threads import ThreadedReader
from finger.errors import ConfigError
from finger.interfaces import IReloadable
from finger.protocol.wire import clean

LIST: Final = "list.txt"
UNKNOWN: Final = "unknown.txt"
BANNER: Final = "banner.txt"
NAMES: Final[tuple[str, ...]] = (LIST, UNKNOWN, BANNER)

MAX_BYTES: Final = 16 * 1024
"""The maximum size of a text, in bytes."""

MAX_SHOWN: Final = 3
"""The maximum number of other files that a warning names."""


@implementer(IReloadable)
class Texts:
    """
    The texts of a directory.  Any of them may be missing, and is then empty.

    @param directory: the directory; empty for none.
    @param reactor: for the threads in which a reload reads; with L{None} a reload blocks.
    @ivar readings: the number of readings, each of which may have other texts.
    @raise ConfigError: if the directory or a text in it cannot be read, or a text is too long, empty or not UTF-8.
    """

    log = Logger()

    def __init__(self, directory: str = "", reactor: Any | None = None) -> None:
        self._directory = directory
        self.readings = 1
        self._texts: Mapping[str, str] = {}
        others: list[str] = []
        if directory:
            self._texts, others = self._read()
        self._readAgain = ThreadedReader(reactor, self._read)
        self._warn(others)

    def get(self, name: str) -> str:
        """Return a text by its name, which is one of L{NAMES}."""
        return self._texts.get(name, "")

    def reload(self) -> Deferred[bool]:
        """See L{IReloadable.reload}."""
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> bool:
        try:
            self._texts, others = await self._readAgain()
        except ConfigError as error:
            self.log.error("{problem}; the texts in use are kept", problem=str(error))
            return False
        self.readings += 1
        self.log.info("texts read from {directory}", directory=self._directory)
        self._warn(others)
        return True

    def _warn(self, others: list[str]) -> None:
        if others:
            shown = [ascii(name) for name in others[:MAX_SHOWN]]
            more = [f"{len(others) - MAX_SHOWN} more"] if len(others) > MAX_SHOWN else []
            self.log.warn(
                "--texts={directory}: not used: {others}; the names of texts are {names}",
                directory=self._directory,
                others=", ".join(shown + more),
                names=", ".join(NAMES),
            )

    def _read(self) -> tuple[Mapping[str, str], list[str]]:
        """Return the texts, and the names of other files."""
        try:
            present = {name for name in os.listdir(self._directory) if not name.startswith(".")}
        except OSError as error:
            raise ConfigError(
                f"--texts={self._directory}: cannot be read: {error.strerror}; give a directory with any of "
                f"{', '.join(NAMES)}"
            ) from error
        try:
            texts = {name: _readText(Path(self._directory, name)) for name in NAMES if name in present}
        except ConfigError as error:
            raise ConfigError(f"--texts={self._directory}: {error}") from error
        return texts, sorted(present.difference(NAMES))


def _readText(path: Path) -> str:
    try:
        text = clean(readFile(path, MAX_BYTES).decode("utf-8-sig")).removesuffix("\n")
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name}: is not in UTF-8: {error.reason} at byte {error.start}") from error
    if not text.strip():  # After invisible characters have been removed.
        raise ConfigError(f"{path.name}: is empty; write a text, or remove the file")
    return text
