"""
The machine's own users, as profiles: who is one, who hides, and what is known of each.

Who can be asked for: everybody whose uid is in the range for people (C{UID_MIN} to C{UID_MAX} of
C{/etc/login.defs}), and root, whom people ask for to find the administrator.  Other system accounts are no such user:
their names tell which software a machine runs.  Listed are the people whose shell lets them log in; not root.

Who hides: a user with anything called C{.nofinger} in the home directory.  Such a user is neither found nor listed.
As with BSD's finger, that has to be visible to be obeyed: in a home directory that is not there, or that we may not
search (mode 0700, while we run without privileges), we see neither C{.nofinger} nor a plan, and the user is shown
with C{No Plan.}  To hide, or to be read, a user says C{chmod o+x ~}.  Where it is an error that keeps us from
seeing, a query fails, and the list leaves the user out.

Everything here blocks, on name services and file servers.  No Twisted.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from finger.backends._lastlog import findLastLogin
from finger.backends.safefile import MAX_BYTES, Home
from finger.config.files import readFile
from finger.errors import NoSuchUser
from finger.profile import LastLogin, Mail, Profile

LOGIN_DEFS: Final = Path("/etc/login.defs")
MAIL_DIRECTORY: Final = Path("/var/mail")
UID_MIN, UID_MAX = 1000, 60000
HIDING_FILE: Final = ".nofinger"

_LOGIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
"""
The portable user names (POSIX 1003.1, "User Name"), no longer than C{LOGIN_NAME_MAX}.  A dot is not the first
character, so that neither C{.} nor C{..} is one.
"""

_NO_LOGIN_SHELLS: Final = {"nologin", "false"}


class Passwd(Protocol):
    """The password database, as the module L{pwd} has it."""

    def getpwnam(self, name: str, /) -> pwd.struct_passwd:
        """Find a user; raise L{KeyError} if there is none."""

    def getpwall(self) -> Iterable[pwd.struct_passwd]:
        """Find all users."""


class SystemPasswd:
    """
    The system's password database.

    L{pwd.getpwall} holds Python's global lock while name services answer, so that no thread would help against one
    that is slow; C{getent} does the same elsewhere.

    @param command: what prints all users, in the form of C{/etc/passwd}.
    @param timeout: how long it may take, in seconds.
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

        @raise OSError: if the users cannot be known now.
        """
        try:
            done = subprocess.run(
                self._command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=self._timeout
            )
        except FileNotFoundError:  # There are Unixes without it.
            return pwd.getpwall()
        except subprocess.SubprocessError as error:
            raise OSError(f"the users cannot be listed: {error}") from error
        return parsePasswd(os.fsdecode(done.stdout))


def parsePasswd(text: str) -> list[pwd.struct_passwd]:
    """Read lines in the form of C{/etc/passwd}; pass over others."""
    rows = (line.split(":") for line in text.split("\n"))
    return [
        pwd.struct_passwd((row[0], row[1], int(row[2]), int(row[3]), *row[4:]))
        for row in rows
        if len(row) == 7 and row[2].isdecimal() and row[3].isdecimal()
    ]


def readUIDRange(path: Path = LOGIN_DEFS) -> range:
    """The uids of people, from C{login.defs}; the usual ones if it does not say."""
    try:
        text = readFile(path).decode("utf-8", "replace")
    except OSError:
        text = ""
    limits = dict(re.findall(r"^\s*(UID_MIN|UID_MAX)\s+([0-9]+)\s*$", text, re.MULTILINE))
    return range(int(limits.get("UID_MIN", UID_MIN)), int(limits.get("UID_MAX", UID_MAX)) + 1)


def isLogin(name: str) -> bool:
    """Can this be a user's name?  If not, it must get no further."""
    return _LOGIN.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Found:
    """
    What was found.

    @ivar profiles: the users.
    @ivar refusals: what they have that is not served, and why, for the administrator.
    """

    profiles: tuple[Profile, ...]
    refusals: tuple[str, ...] = ()


class Accounts:
    """
    The users of a password database.

    @param passwd: the database.
    @param uidRange: the uids of people; L{None} takes the system's.
    @param mailDirectory: where there is a mailbox for each user, by login.
    @param lastLogin: says when a user, by login and uid, was last seen.
    @param maxBytes: how much of a plan or project is read.
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

    def find(self, login: str) -> Found:
        """
        Find a user.

        @raise NoSuchUser: if there is none, or one who hides.
        @raise OSError: if that cannot be known now.
        """
        entry = self._entry(login)
        with Home(entry.pw_dir, entry.pw_uid) as home:
            if home.has(HIDING_FILE):
                raise NoSuchUser(login)
            profile = self._profile(entry, home)
        return Found((profile,), tuple(home.refusals))

    def findAll(self) -> Found:
        """
        Find all people who can log in and do not hide, with what costs no look into their files.

        @raise OSError: if that cannot be known now.
        """
        entries = {entry.pw_name: entry for entry in reversed(list(self._passwd.getpwall())) if self._isListed(entry)}
        refusals: list[str] = []
        shown = (_basics(entries[login]) for login in sorted(entries) if _isShown(entries[login], refusals))
        return Found(tuple(shown), tuple(refusals))

    def _entry(self, login: str) -> pwd.struct_passwd:
        if isLogin(login):
            try:
                entry = self._passwd.getpwnam(login)
            except KeyError:
                raise NoSuchUser(login) from None
            # Some name services find "0" or "ROOT", too, and then whoever hides behind one name shows by the other.
            if entry.pw_name == login and (entry.pw_uid == 0 or entry.pw_uid in self._uidRange):
                return entry
        raise NoSuchUser(login)

    def _isListed(self, entry: pwd.struct_passwd) -> bool:
        shell = os.path.basename(entry.pw_shell)
        return isLogin(entry.pw_name) and entry.pw_uid in self._uidRange and shell not in _NO_LOGIN_SHELLS

    def _profile(self, entry: pwd.struct_passwd, home: Home) -> Profile:
        basics = _basics(entry)
        return Profile(
            basics.login,
            name=basics.name,
            plan=home.read(".plan", self._maxBytes),
            project=home.read(".project", self._maxBytes),
            home=basics.home,
            shell=basics.shell,
            lastLogin=self._lastLogin(entry.pw_name, entry.pw_uid),
            mail=readMail(self._mailDirectory / entry.pw_name),
            office=basics.office,
        )


def _basics(entry: pwd.struct_passwd) -> Profile:
    """
    What the database itself says.  Its fourth field of personal information, the telephone number at home, is never
    told: no administrator's switch would cover it.
    """
    name, *office = _toText(entry.pw_gecos).split(",")[:3]
    return Profile(
        entry.pw_name,
        name=name.strip().replace("&", entry.pw_name.capitalize()),
        home=_toText(entry.pw_dir),
        shell=_toText(entry.pw_shell),
        office=", ".join(field.strip() for field in office if field.strip()) or None,
    )


def _isShown(entry: pwd.struct_passwd, refusals: list[str]) -> bool:
    """
    Does this user let us list him or her?

    One broken home directory does not break the list for the others: a user who may be hiding is not in it.
    """
    try:
        with Home(entry.pw_dir, entry.pw_uid) as home:
            hides = home.has(HIDING_FILE)
    except OSError as error:
        refusals.append(f"{entry.pw_dir}: left out of the list: {error.strerror}")
        return False
    refusals.extend(home.refusals)
    return not hides


def _toText(field: str) -> str:
    """The database is bytes of any encoding; what is not UTF-8 in it must not travel further as lone surrogates."""
    return os.fsencode(field).decode("utf-8", "replace")


def readMail(mailbox: Path) -> Mail | None:
    """
    Look at a mailbox from the outside.

    @return: its state; L{None} if it cannot be known, as where mail is not kept in one file a user.
    """
    try:
        status = mailbox.lstat()
        return _toMail(status) if stat.S_ISREG(status.st_mode) else None
    except FileNotFoundError:
        return Mail(None)
    except (OSError, ValueError, OverflowError):  # Users can set a file's times to what no calendar has.
        return None


def _toMail(status: os.stat_result) -> Mail:
    if not status.st_size:
        return Mail(None)
    isUnread = status.st_mtime > status.st_atime
    return Mail(_toTime(status.st_mtime), _toTime(status.st_atime) if isUnread else None)


def _toTime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone()
