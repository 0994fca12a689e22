"""A user's profile, as an immutable value."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Final

NO_PLAN: Final = "No Plan."


@dataclass(frozen=True, slots=True)
class LastLogin:
    """
    A user's last login.

    @ivar when: the time of the login, or L{None} if the user has never logged in.
    @ivar tty: the terminal's name; empty if not known.
    @ivar host: the host that the user logged in from; empty if it is this one or not known.
    """

    when: datetime | None
    tty: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """
    The state of a user's mailbox.

    @ivar received: when the newest mail arrived, or L{None} if there is no mail.
    @ivar unreadSince: when the mailbox was last read, or L{None} if there is no unread mail.
    """

    received: datetime | None
    unreadSince: datetime | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """
    A user.  A field of L{None} is not known or not disclosed; an empty field is known to be empty.

    @ivar login: the user's name in queries.
    @ivar name: the full name.
    @ivar plan: the status or plan, which may have several lines.
    @ivar project: the user's current project.
    @ivar home: the home directory.
    @ivar shell: the login shell.
    @ivar lastLogin: the last login.
    @ivar mail: the state of the mailbox.
    @ivar office: the office and its telephone number.
    @ivar pubkey: the public key, as text.
    @ivar pgpkey: the PGP key, as text.
    """

    login: str
    name: str | None = None
    plan: str | None = None
    project: str | None = None
    home: str | None = None
    shell: str | None = None
    lastLogin: LastLogin | None = None
    mail: Mail | None = None
    office: str | None = None
    pubkey: str | None = None
    pgpkey: str | None = None

    @property
    def isStatusOnly(self) -> bool:
        """
        Return whether the profile has a status and no other field.  The answer is then the status alone, without the
        form around it.
        """
        return self.plan is not None and _BESIDE_PLAN(self) == _NOTHING

    @property
    def status(self) -> str:
        """The profile as a single text: the return value of L{IFingerService.getUser}."""
        if self.plan is None:
            return self.name or self.login
        return self.plan or NO_PLAN


_FIELDS_BESIDE_PLAN: Final = [field.name for field in fields(Profile) if field.name not in ("login", "plan")]
_BESIDE_PLAN: Final = attrgetter(*_FIELDS_BESIDE_PLAN)
_NOTHING: Final = (None,) * len(_FIELDS_BESIDE_PLAN)

FIELD_OF_ATOM: Final = {
    "name": "name",
    "plan": "plan",
    "project": "project",
    "home": "home",
    "shell": "shell",
    "lastlogin": "lastLogin",
    "mail": "mail",
    "office": "office",
    "pubkey": "pubkey",
    "pgpkey": "pgpkey",
}
"""The fields of the atoms of information that an administrator can disclose (RFC 1288, section 3.2.3)."""

DEFAULT_ATOMS: Final = frozenset({"name", "plan", "project"})


def disclose(profile: Profile, atoms: frozenset[str]) -> Profile:
    """Return a profile reduced to the login and the fields of C{atoms}."""
    hidden = _hiddenFields(atoms)
    for field in hidden:
        if getattr(profile, field) is not None:
            return replace(profile, **dict.fromkeys(hidden))  # type: ignore[arg-type]
    return profile  # The usual case: copying every profile of a long list would be slow.


@lru_cache
def _hiddenFields(atoms: frozenset[str]) -> tuple[str, ...]:
    return tuple(field for atom, field in FIELD_OF_ATOM.items() if atom not in atoms)
