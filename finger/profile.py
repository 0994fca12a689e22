"""What can be known of a user, as one immutable value."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

NO_PLAN: Final = "No Plan."


@dataclass(frozen=True, slots=True)
class LastLogin:
    """
    When a user was last seen.

    @ivar when: the time of the login, or L{None} if the user has never logged in.
    @ivar tty: the terminal's name, empty if not known.
    @ivar host: where the user came from, empty if from here or not known.
    """

    when: datetime | None
    tty: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """
    The state of a user's mailbox.

    @ivar received: when the newest mail came, or L{None} if there is no mail.
    @ivar unreadSince: when the mailbox was last read, or L{None} if nothing in it is unread.
    """

    received: datetime | None
    unreadSince: datetime | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """
    One user.  L{None} in a field means not known or not disclosed; empty means known to be empty.

    @ivar login: the name the user is asked for by.
    @ivar name: the full name.
    @ivar plan: the status or plan: what the user wants to say, of any number of lines.
    @ivar project: what the user works on.
    @ivar home: the home directory.
    @ivar shell: the login shell.
    @ivar lastLogin: when the user was last seen.
    @ivar mail: the state of the mailbox.
    @ivar office: where to find the user in person, and the telephone number.
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

    @property
    def isStatusOnly(self) -> bool:
        """Is there nothing to say but the status?  Then an answer is the status and no form around it."""
        return self.plan is not None and self == Profile(self.login, plan=self.plan)

    @property
    def status(self) -> str:
        """The one text to show where a single text is wanted: what L{IFingerService.getUser} gives."""
        if self.plan is None:
            return self.name or self.login
        return self.plan or NO_PLAN


FIELD_OF_ATOM: Final = {
    "name": "name",
    "plan": "plan",
    "project": "project",
    "home": "home",
    "shell": "shell",
    "lastlogin": "lastLogin",
    "mail": "mail",
    "office": "office",
}
"""The atoms of information an administrator can disclose (RFC 1288, section 3.2.3), and their fields."""

DEFAULT_ATOMS: Final = frozenset({"name", "plan", "project"})


def disclose(profile: Profile, atoms: Collection[str]) -> Profile:
    """Keep only what may be told of a user: the login, and the fields of C{atoms}."""
    hidden = [field for atom, field in FIELD_OF_ATOM.items() if atom not in atoms]
    if all(getattr(profile, field) is None for field in hidden):
        return profile  # As most are; a copy of each user of a long list takes its time.
    return replace(profile, **dict.fromkeys(hidden))  # type: ignore[arg-type]
