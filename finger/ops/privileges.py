"""The unprivileged user to run as, once the ports are open."""

from __future__ import annotations

import os
import pwd
from typing import Any, Protocol

from finger.errors import ConfigError

CANDIDATES = ("finger", "nobody")
"""The system users to run as, in order of preference."""


class PasswordDatabase(Protocol):
    """The part of L{pwd} used here."""

    def getpwnam(self, name: str, /) -> Any:
        """Look up a user; raises L{KeyError} if no user has that name."""


def unprivileged(users: PasswordDatabase = pwd) -> tuple[int, int] | None:
    """
    Choose a user without privileges.

    @param users: the password database.
    @return: the uid and gid; L{None} if this process is not root.
    @raise ConfigError: if none of the L{CANDIDATES} exists.
    """
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = users.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise ConfigError("no user 'finger' or 'nobody' to run as; set another with twistd's own --uid and --gid")
