"""
The accounts of this machine, as profiles.

A query finds every account whose uid is in the range for people (C{UID_MIN} to C{UID_MAX} of C{/etc/login.defs}),
and root, which is queried to find the administrator.  It does not find other system accounts, since their names
reveal which software the machine runs.  The list has the people whose shell allows a login, without root.

A user hides with a file of any kind called C{.nofinger} in the home directory, and is then neither found nor listed.
If it is a file that would be served as a plan, and has names of fields, each on a line, it hides these fields alone.
One with any other content, or that cannot be read, hides the user: a mistake must not show what a user hides.

As in BSD's finger, the file must be visible to take effect: in a home directory that does not exist, or that this
process may not search (mode 0700, without privileges), neither C{.nofinger} nor a plan is seen, and the user is shown
with C{No Plan.}  C{chmod o+x ~} makes both visible.  If an error prevents the check, a query fails, and the list
leaves the user out.

All functions block, on name services and file servers.  No Twisted.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
import subprocess
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from finger.backends._lastlog import findLastLogin
from finger.backends.safefile import MAX_BYTES, Home
from finger.config.files import readFile
from finger.errors import NoSuchUser
from finger.profile import FIELD_OF_ATOM, LastLogin, Mail, Profile, disclose

LOGIN_DEFS: Final = Path("/etc/login.defs")
MAIL_DIRECTORY: Final = Path("/var/mail")
UID_MIN, UID_MAX = 1000, 60000
HIDING_FILE: Final = ".nofinger"
MAX_HIDING_BYTES: Final = 1024
"""The maximum length of that file with names of fields, in bytes."""

FILES: Final = {"plan": ".plan", "project": ".project", "pubkey": ".pubkey", "pgpkey": ".pgpkey"}
"""The files in home directories whose texts are served, by the fields that hold them."""

ALL: Final = frozenset(FIELD_OF_ATOM)
"""All fields that can be disclosed."""

MAX_LIST: Final = 4 * 2**20
"""The length of the texts of users in the long form of the list, in characters, after which no more are read."""

_LOGIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
"""
The portable user names (POSIX 1003.1, "User Name"), no longer than C{LOGIN_NAME_MAX}.  The first character is not a
dot, which excludes C{.} and C{..}.
"""

_NO_LOGIN_SHELLS: Final = {"nologin", "false"}


class Passwd(Protocol):
    """A password database, with the functions of the module L{pwd}."""

    def getpwnam(self, name: str, /) -> pwd.struct_passwd:
        """Return a user's entry; raise L{KeyError} if there is none."""

    def getpwall(self) -> Iterable[pwd.struct_passwd]:
        """Return the entries of all users."""


class SystemPasswd:
    """
    The system's password database.

    L{pwd.getpwall} holds Python's global lock while it waits for name services, so that a slow one would block all
    threads; the command C{getent} waits in another process.

    @param command: the command that prints all users, in the format of C{/etc/passwd}.
    @param timeout: the command's timeout, in seconds.
    """

    def __init__(self, command: tuple[str, ...] = ("getent", "passwd"), timeout: float = 10.0) -> None:
        self._command = command
        self._timeout = timeout

    def getpwnam(self, name: str, /) -> pwd.struct_passwd:
        """See L{Passwd.getpwnam}."""
        return pwd.getpwnam(name)

    def getpwall(self) -> Iterable[pwd.struct_passwd]:
        """
        See L{Passwd.getpwall}.

        @raise OSError: if the users cannot be listed at present.
        """
        try:
            done = subprocess.run(
                self._command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=self._timeout
            )
        except FileNotFoundError:  # Some Unix systems lack getent.
            return pwd.getpwall()
        except subprocess.SubprocessError as error:
            raise OSError(f"the users cannot be listed: {error}") from error
        return parsePasswd(os.fsdecode(done.stdout))


def parsePasswd(text: str) -> list[pwd.struct_passwd]:
    """Parse lines in the format of C{/etc/passwd}, skipping others."""
    rows = (line.split(":") for line in text.split("\n"))
    return [
        pwd.struct_passwd((row[0], row[1], int(row[2]), int(row[3]), *row[4:]))
        for row in rows
        if len(row) == 7 and row[2].isdecimal() and row[3].isdecimal()
    ]


def readUIDRange(path: Path = LOGIN_DEFS) -> range:
    """Return the range of people's uids, from C{login.defs}; a missing limit has its usual value."""
    try:
        text = readFile(path).decode("utf-8", "replace")
    except OSError:
        text = ""
    limits = dict(re.findall(r"^\s*(UID_MIN|UID_MAX)\s+([0-9]+)\s*$", text, re.MULTILINE))
    return range(int(limits.get("UID_MIN", UID_MIN)), int(limits.get("UID_MAX", UID_MAX)) + 1)


def isLogin(name: str) -> bool:
    """Return whether a name can be a login.  Any other name must not be looked up."""
    return _LOGIN.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Found:
    """
    The result of a lookup.

    @ivar profiles: the users.
    @ivar refusals: their files that are not served, and why, for the administrator.
    """

    profiles: tuple[Profile, ...]
    refusals: tuple[str, ...] = ()


class Accounts:
    """
    The users of a password database.

    @param passwd: the database.
    @param uidRange: the uids of people; L{None} for those of the system.
    @param mailDirectory: the directory of the mailboxes, which are named by login.
    @param lastLogin: returns a user's last login, by login and uid.
    @param maxBytes: the maximum length of a plan or another text, in bytes; the rest is left out.
    """

    def __init__(
        self,
        passwd: Passwd | None = None,
        *,
        uidRange: range | None = None,
        mailDirectory: Path = MAIL_DIRECTORY,
        lastLogin: Callable[[str, int], LastLogin | None] = findLastLogin,
        maxBytes: int = MAX_BYTES,
    ) -> None:
        self._passwd = passwd or SystemPasswd()
        self._uidRange = readUIDRange() if uidRange is None else uidRange
        self._mailDirectory = mailDirectory
        self._lastLogin = lastLogin
        self._maxBytes = maxBytes

    def find(self, login: str, atoms: Collection[str] = ALL) -> Found:
        """
        Find a user.

        @param atoms: the fields to read, besides those of the password database.
        @raise NoSuchUser: if the user does not exist, or hides.
        @raise OSError: if this cannot be determined at present.
        """
        entry = self._entry(login)
        with Home(entry.pw_dir, entry.pw_uid) as home:
            hidden = _hiddenFields(home)
            if hidden is None:
                raise NoSuchUser(login)
            profile = self._profile(entry, home, ALL.intersection(atoms) - hidden)
        return Found((disclose(profile, ALL - hidden),), tuple(home.refusals))

    def findAll(self, atoms: Collection[str] = ALL, isLong: bool = False) -> Found:
        """
        Find all people that can log in and do not hide, with the fields of the password database.

        @param atoms: see L{find}.
        @param isLong: whether to read other fields, too, until the texts together have L{MAX_LIST} characters.
        @raise OSError: if they cannot be listed at present.
        """
        entries = {entry.pw_name: entry for entry in reversed(list(self._passwd.getpwall())) if self._isListed(entry)}
        refusals: list[str] = []
        shown: list[Profile] = []
        room = MAX_LIST if isLong else 0
        for login in sorted(entries):
            profile = self._listed(entries[login], refusals, atoms, room > 0)
            if profile is not None:
                shown.append(profile)
                room -= sum(len(getattr(profile, atom) or "") for atom in FILES)
        return Found(tuple(shown), tuple(refusals))

    def _listed(
        self, entry: pwd.struct_passwd, refusals: list[str], atoms: Collection[str], isLong: bool
    ) -> Profile | None:
        """
        Return a listed user's profile, or L{None} if the user hides.

        An error in a home directory does not break the list: a user that may be hiding is left out.
        """
        try:
            with Home(entry.pw_dir, entry.pw_uid) as home:
                hidden = _hiddenFields(home)
                if hidden is None:
                    return None
                shown = ALL.intersection(atoms) - hidden
                profile = self._profile(entry, home, shown) if isLong else _basics(entry)
        except OSError as error:
            refusals.append(f"{entry.pw_dir}: left out of the list: {error.strerror}")
            return None
        refusals.extend(home.refusals)
        return disclose(profile, ALL - hidden)

    def _entry(self, login: str) -> pwd.struct_passwd:
        if isLogin(login):
            try:
                entry = self._passwd.getpwnam(login)
            except KeyError:
                raise NoSuchUser(login) from None
            # Some name services also find "0" or "ROOT"; a user must not be found by a second name.
            if entry.pw_name == login and (entry.pw_uid == 0 or entry.pw_uid in self._uidRange):
                return entry
        raise NoSuchUser(login)

    def _isListed(self, entry: pwd.struct_passwd) -> bool:
        shell = os.path.basename(entry.pw_shell)
        return isLogin(entry.pw_name) and entry.pw_uid in self._uidRange and shell not in _NO_LOGIN_SHELLS

    def _profile(self, entry: pwd.struct_passwd, home: Home, atoms: Collection[str]) -> Profile:
        texts = {atom: home.read(name, self._maxBytes) for atom, name in FILES.items() if atom in atoms}
        return replace(
            _basics(entry),
            lastLogin=self._lastLogin(entry.pw_name, entry.pw_uid) if "lastlogin" in atoms else None,
            mail=readMail(self._mailDirectory / entry.pw_name) if "mail" in atoms else None,
            **texts,
        )


def _hiddenFields(home: Home) -> frozenset[str] | None:
    """Return the fields that a user hides; L{None} if the user hides altogether."""
    if not home.has(HIDING_FILE):
        return frozenset()
    lines = home.read(HIDING_FILE, MAX_HIDING_BYTES).split("\n")
    names = frozenset(line.strip().lower() for line in lines) - {""}
    return names if names and names <= ALL else None


def _basics(entry: pwd.struct_passwd) -> Profile:
    """
    Return the fields from the database.  The fourth field of personal information, the telephone number at home, is
    never disclosed, since no setting covers it.
    """
    name, *office = _toText(entry.pw_gecos).split(",")[:3]
    return Profile(
        entry.pw_name,
        name=name.strip().replace("&", entry.pw_name.capitalize()),
        home=_toText(entry.pw_dir),
        shell=_toText(entry.pw_shell),
        office=", ".join(field.strip() for field in office if field.strip()) or None,
    )


def _toText(field: str) -> str:
    """Decode a field, whose encoding is not known.  Invalid UTF-8 is replaced, so that no lone surrogates remain."""
    return os.fsencode(field).decode("utf-8", "replace")


def readMail(mailbox: Path) -> Mail | None:
    """
    Return the state of a mailbox, from its status alone.

    @return: the state; L{None} if it is not known, for example if mailboxes are directories.
    """
    try:
        status = mailbox.lstat()
        return _toMail(status) if stat.S_ISREG(status.st_mode) else None
    except FileNotFoundError:
        return Mail(None)
    except (OSError, ValueError, OverflowError):  # Users can set a file's times to values out of range.
        return None


def _toMail(status: os.stat_result) -> Mail:
    if not status.st_size:
        return Mail(None)
    isUnread = status.st_mtime > status.st_atime
    return Mail(_toTime(status.st_mtime), _toTime(status.st_atime) if isUnread else None)


def _toTime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone()
