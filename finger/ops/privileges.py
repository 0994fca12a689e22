"""Whom to run as, once the ports are open."""

from __future__ import annotations

import os
import pwd
from typing import Any, Protocol

from finger.errors import ConfigError

CANDIDATES = ("finger", "nobody")
"""The system users to run as, in the order of preference."""


class PasswordDatabase(Protocol):
    """The part of L{pwd} that is needed here."""

    def getpwnam(self, name: str, /) -> Any:
        """Look a user up; raises L{KeyError} if there is none."""


def unprivileged(users: PasswordDatabase = pwd) -> tuple[int, int] | None:
    """
    Choose a user without privileges.

    @param users: where users are looked up.
    @return: uid and gid, or L{None} if this process is not root anyway.
    @raise ConfigError: if there is nobody to run as.
    """
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = users.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise ConfigError("there is no user 'finger' or 'nobody' to run as; name one with twistd's own --uid and --gid")
