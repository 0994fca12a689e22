"""Credentials checkers by type, as L{twisted.cred.strcred} finds them, except those unsafe for a public server."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from textwrap import dedent
from typing import Any, Final

from twisted.cred import strcred
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from finger.config.files import readFile
from finger.config.passwords import COMMAND, Hash, Passwords, Problems, parsePasswords
from finger.config.threads import ThreadedReader
from finger.log.peerlog import PeerLog

REFUSED: Final = frozenset({"memory"})
"""Types whose argument contains passwords."""

FILE_ARGUMENT: Final = "Path of a password file."
FILE_HELP: Final = f"""\
The file has a line 'user:password' for each user.  The command
'{COMMAND} USER' prints a line with the hash of a
password.  A password in plain text must not contain a colon.  Lines that
begin with # are comments."""
"""The help on the type C{file}, in place of Twisted's."""


def makeChecker(description: str) -> ICredentialsChecker:
    """
    Make the credentials checker of C{--auth=TYPE[:ARGUMENT]}.

    @raise ValueError: if the type is unknown, its file cannot be read, or it does not check passwords.
    """
    kind, _, argument = description.partition(":")
    try:
        if kind in REFUSED:
            raise ValueError("every user can read a command line; put the passwords into a file")
        if kind == "file" and argument:
            return _passwordFile(argument)
        checker: ICredentialsChecker = strcred.makeChecker(description)
    except (strcred.InvalidAuthType, strcred.InvalidAuthArgumentString, ValueError) as error:
        raise ValueError(f"is not a usable credentials checker ({error})") from error
    if IUsernamePassword not in checker.credentialInterfaces:
        raise ValueError("is not a usable credentials checker (it does not check passwords)")
    return checker


def checkersHelp() -> str:
    """Return the help of C{--help-auth}: the types that L{makeChecker} accepts, and their arguments."""
    factories = _factories()
    width = max(map(len, ("TYPE", *factories)))
    lines = [f"{kind:<{width}}  {_argument(factory)}" for kind, factory in factories.items()]
    about = "Usage: --auth=TYPE[:ARGUMENT]\nFor the help of one type: --help-auth-type=TYPE\n"
    return "\n".join([about, f"{'TYPE':<{width}}  ARGUMENT", *lines])


def checkerHelp(kind: str) -> str:
    """
    Return the help of C{--help-auth-type=TYPE}.

    @raise ValueError: if L{makeChecker} does not accept the type.
    """
    factories = _factories()
    if kind not in factories:
        raise ValueError(f"is not an available type; available are {', '.join(factories)}")
    factory = factories[kind]
    about = FILE_HELP if kind == "file" else dedent(factory.authHelp).strip()
    return f"Usage: --auth={kind}[:ARGUMENT]\nARGUMENT: {_argument(factory)}\n\n{about}"


def _argument(factory: Any) -> str:
    return FILE_ARGUMENT if factory.authType == "file" else str(factory.argStringFormat)


def _factories() -> dict[str, Any]:
    """Return the factories of the accepted types, by type.  Of two of one type, Twisted uses the first."""
    found: dict[str, Any] = {}
    for factory in strcred.findCheckerFactories():
        if IUsernamePassword in factory.credentialInterfaces and factory.authType not in REFUSED:
            found.setdefault(factory.authType, factory)
    return found


def _passwordFile(path: str) -> PasswordFile:
    try:
        problems = PasswordFile(path).read().problems
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}; give a file of 'user:password' lines") from error
    if problems:
        raise ValueError(_inWords(path, problems))
    return PasswordFile(path)


def _inWords(path: str, problems: Problems) -> str:
    (number, problem), *others = problems
    return f"{path}:{number}: {problem}" + (f"; other lines that are not valid: {len(others)}" if others else "")


def inThreads(checker: ICredentialsChecker, reactor: Any) -> ICredentialsChecker:
    """
    Return the checker for a running server, which reads a password file and computes hashes in the reactor's threads.
    Warn if the passwords in the file are not safe.
    """
    if not isinstance(checker, PasswordFile):
        return checker
    checker.warn()
    return PasswordFile(checker.path, reactor)


@implementer(ICredentialsChecker)
class PasswordFile:
    """
    A checker for passwords in a file (L{finger.config.passwords}), which is read at each login.

    Logins are checked one at a time, so that the hashes of a flood of logins use one processor and the memory of one
    hash.  A password of which the file has only the hash cannot be checked against the response to a challenge, as
    Perspective Broker sends it.

    @param path: the file.
    @param reactor: the reactor whose threads do the work; L{None} to do it in the caller's thread.
    @ivar path: the file.
    """

    log = Logger()
    credentialInterfaces = (IUsernamePassword, IUsernameHashedPassword)

    def __init__(self, path: str, reactor: Any | None = None) -> None:
        self.path = path
        self._events = PeerLog(reactor)  # Any client can try to log in.
        self._content = b""
        self._passwords = Passwords({})
        self._problems: Problems = ()
        self._isHashReported = False
        self._call: ThreadedReader[tuple[Passwords, Any]] = ThreadedReader(reactor, self._look)

    def read(self) -> Passwords:
        """
        Read the file, and parse it if it has changed.

        @raise OSError: if it cannot be read.
        """
        content = readFile(self.path)
        if content != self._content:
            self._passwords, self._content = parsePasswords(content), content
        return self._passwords

    def warn(self) -> None:
        """Warn of a file that other users of this machine can read or change, and of passwords in plain text."""
        with contextlib.suppress(OSError):
            if os.stat(self.path).st_mode & (stat.S_IROTH | stat.S_IWOTH):
                self.log.warn(
                    "--auth=file:{path}: other users of this machine can read or change it; only the server's should",
                    path=self.path,
                )
            if plain := self.read().countPlain():
                self.log.warn(
                    "--auth=file:{path}: passwords in plain text: {plain}; replace these lines by the output of "
                    "'{command} USER'",
                    path=self.path,
                    plain=plain,
                    command=COMMAND,
                )

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """See L{ICredentialsChecker.requestAvatarId}."""
        return Deferred.fromCoroutine(self._request(credentials))

    async def _request(self, credentials: Any) -> bytes | tuple[()]:
        name: bytes = credentials.username
        if IUsernamePassword.providedBy(credentials):
            isRight = await self._inThread(name, credentials.password)
        else:
            isRight = await maybeDeferred(credentials.checkPassword, await self._inThread(name, None))
        if not isRight:
            raise UnauthorizedLogin
        return name

    async def _inThread(self, name: bytes, password: bytes | None) -> Any:
        try:
            passwords, result = await self._call(name, password)
        except OSError as error:
            self._events.error(
                self.log, "--auth=file:{path}: cannot be read: {why}", path=self.path, why=error.strerror
            )
            raise UnauthorizedLogin from error
        if passwords.problems and passwords.problems != self._problems:
            self.log.error("--auth=file: {problem}", problem=_inWords(self.path, passwords.problems))
        self._problems = passwords.problems
        if password is None and isinstance(passwords.entries.get(name), Hash):
            self._reportHash()
        return result

    def _look(self, name: bytes, password: bytes | None) -> tuple[Passwords, bool | bytes]:
        """Return the passwords, and whether a password is right; without a password, the one in plain text."""
        passwords = self.read()
        if password is not None:
            return passwords, passwords.matches(name, password)
        entry = passwords.entries.get(name)
        return passwords, entry if isinstance(entry, bytes) else secrets.token_bytes(16)

    def _reportHash(self) -> None:
        if not self._isHashReported:
            self.log.warn(
                "--auth=file:{path}: Perspective Broker sends no passwords, so users with a hash cannot log in there",
                path=self.path,
            )
        self._isHashReported = True
