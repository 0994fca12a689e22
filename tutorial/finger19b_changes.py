"""What stage 19b adds: a back end that asks the system's own finger program."""

import os
import re

from finger_interfaces import IFingerService
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.utils import getProcessOutputAndValue
from zope.interface import implementer

PROGRAM = os.environ.get("FINGER_PROGRAM", "/usr/bin/finger")
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)  # no option, host, path or pattern


@implementer(IFingerService)
class SystemFingerService(Service):
    def getUser(self, user: str) -> Deferred[str]:
        if not PLAIN_NAME.fullmatch(user):
            return succeed("No such user")
        return getProcessOutputAndValue(PROGRAM, [user]).addCallback(self.readOutput)

    def readOutput(self, result: tuple[bytes, bytes, int]) -> str:
        out, err, code = result
        if out:
            return out.decode("utf-8", "replace")
        if b"no such user" in err:
            return "No such user"
        raise RuntimeError(f"{PROGRAM} gave no answer and exit code {code}")

    def getUsers(self) -> Deferred[list[str]]:
        return succeed([])  # who has an account here is told one name at a time
