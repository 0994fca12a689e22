"""Runs a stage in a changed world; for the harness, no part of the tutorial.

    python stage_runner.py python|twistd FILE

FINGER_HARNESS_TROUBLE in the environment makes every lookup of the stage go as its name says:
`raise...` raises at once, `fail...` fails, `slow...` is answered later, anything else at once.
FINGER_HARNESS_ACCOUNTS names a JSON file, user name -> home directory, of more accounts.
"""

import gc
import json
import os
import pwd
import runpy
import sys
from typing import Any

from twisted.application.service import Service
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

SECRET = "the reason is no business of the caller"


def troubled_lookup(user: str) -> Deferred[str]:
    print("lookup:", user, flush=True)
    if user.startswith("raise"):
        raise RuntimeError(SECRET)
    if user.startswith("fail"):
        return fail(RuntimeError(SECRET))
    if user.startswith("slow"):
        return deferLater(reactor, 0.3, lambda: "slow answer")
    return succeed("quick answer")


def trouble() -> None:
    """Put the troubled lookup in the place of every one that there is."""
    holders: list[Any] = [thing for thing in gc.get_objects() if isinstance(thing, Factory | Service)]
    for holder in holders:
        if hasattr(holder, "getUser"):
            holder.getUser = troubled_lookup
            holder.getUsers = lambda: fail(RuntimeError(SECRET))


def add_accounts(path: str) -> None:
    with open(path) as file:
        homes = json.load(file)
    real = pwd.getpwnam

    def getpwnam(user: str) -> pwd.struct_passwd:
        if user not in homes:
            return real(user)
        owner = os.stat(homes[user])
        return pwd.struct_passwd((user, "x", owner.st_uid, owner.st_gid, user, homes[user], "/bin/sh"))

    pwd.getpwnam = getpwnam


def main(start: str, file: str) -> None:
    if "FINGER_HARNESS_TROUBLE" in os.environ:
        reactor.callWhenRunning(trouble)
    if "FINGER_HARNESS_ACCOUNTS" in os.environ:
        add_accounts(os.environ["FINGER_HARNESS_ACCOUNTS"])
    if start == "twistd":
        from twisted.scripts.twistd import run

        sys.argv = ["twistd", "-n", "--pidfile=", "-y", file]
        run()
    else:
        sys.argv = [file]
        runpy.run_path(file, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
