"""The back end C{local} with a password file of a test, so that a server as a process can have users with homes."""

from __future__ import annotations

import pwd
from pathlib import Path
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from finger.backends._accounts import Accounts, parsePasswd
from finger.backends.local import LocalFingerService
from finger.interfaces import IFingerBackend


class PasswdFile:
    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def getpwall(self) -> list[pwd.struct_passwd]:
        return parsePasswd(self._path.read_text())

    def getpwnam(self, name: str, /) -> pwd.struct_passwd:
        return {entry.pw_name: entry for entry in self.getpwall()}[name]


@implementer(IPlugin, IFingerBackend)
class HomesBackend:
    name = "homes"
    argument = ":PATH"
    summary = "the users of a password file"

    def makeBackend(self, argument: str, reactor: Any) -> LocalFingerService:
        return LocalFingerService(reactor, Accounts(PasswdFile(argument), uidRange=range(60000)))


homes = HomesBackend()
