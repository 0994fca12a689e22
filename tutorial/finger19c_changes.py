"""What stage 19c adds: a back end of accounts, whose owners write a ~/.plan."""

import os
import pwd
import stat

from finger_interfaces import IFingerService
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThread
from zope.interface import implementer

MAX_PLAN = 8192  # bytes of a plan that are shown


def readPlan(account: pwd.struct_passwd) -> str:
    """The beginning of ~/.plan, if it is a plain file that the account's owner wrote."""
    path = os.path.join(account.pw_dir, ".plan")
    try:  # opening must not wait for a FIFO's writer, nor follow a link to somebody else's file
        plan = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return "No Plan."
    with open(plan, "rb") as file:
        facts = os.fstat(plan)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != account.pw_uid or facts.st_nlink > 1:
            return "No Plan."
        return file.read(MAX_PLAN).decode("utf-8", "replace")


@implementer(IFingerService)
class LocalFingerService(Service):
    def getUser(self, user: str) -> Deferred[str]:
        try:
            account = pwd.getpwnam(user)
        except (KeyError, ValueError):  # ValueError: a NUL in the name
            return succeed("No such user")
        return deferToThread(readPlan, account)  # a home may be on a slow disk far away

    def getUsers(self) -> Deferred[list[str]]:
        return succeed([])  # who has an account here is told one name at a time
