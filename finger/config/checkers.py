"""Credentials checkers by type, as L{twisted.cred.strcred} finds them, except those unsafe for a public server."""

from __future__ import annotations

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
from finger.config.threads import ThreadedReader
from finger.log.peerlog import PeerLog

REFUSED: Final = frozenset({"memory"})
"""Types whose argument contains passwords."""


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
    lines = [f"{kind:<{width}}  {factory.argStringFormat}" for kind, factory in factories.items()]
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
    about = dedent(factory.authHelp).strip()
    return f"Usage: --auth={kind}[:ARGUMENT]\nARGUMENT: {factory.argStringFormat}\n\n{about}"


def _factories() -> dict[str, Any]:
    """Return the factories of the accepted types, by type.  Of two of one type, Twisted uses the first."""
    found: dict[str, Any] = {}
    for factory in strcred.findCheckerFactories():
        if IUsernamePassword in factory.credentialInterfaces and factory.authType not in REFUSED:
            found.setdefault(factory.authType, factory)
    return found


def _passwordFile(path: str) -> PasswordFile:
    try:
        readFile(path)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}; give a file of 'user:password' lines") from error
    return PasswordFile(path)


def inThreads(checker: ICredentialsChecker, reactor: Any) -> ICredentialsChecker:
    """Return the checker for a running server, which reads a password file in the reactor's threads."""
    return PasswordFile(checker.path, reactor) if isinstance(checker, PasswordFile) else checker


@implementer(ICredentialsChecker)
class PasswordFile:
    """
    A checker for passwords in a file of C{user:password} lines, in the format of
    L{twisted.cred.checkers.FilePasswordDB}.  Unlike that one, it does not read the file on the reactor's thread at
    each login, and does not block on a FIFO.

    @param path: the file.
    @param reactor: the reactor whose threads read the file; L{None} to read it in the caller's thread.
    @ivar path: the file.
    """

    log = Logger()
    credentialInterfaces = (IUsernamePassword, IUsernameHashedPassword)

    def __init__(self, path: str, reactor: Any | None = None) -> None:
        self.path = path
        self._events = PeerLog(reactor)  # Anybody can try to log in.
        self._read = ThreadedReader(reactor, lambda: readFile(path))

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """See L{ICredentialsChecker.requestAvatarId}."""
        return Deferred.fromCoroutine(self._request(credentials))

    async def _request(self, credentials: Any) -> bytes | tuple[()]:
        name: bytes = credentials.username
        password = _passwordOf(name, await self._content())
        if password is None or not await maybeDeferred(credentials.checkPassword, password):
            raise UnauthorizedLogin
        return name

    async def _content(self) -> bytes:
        try:
            return await self._read()
        except OSError as error:
            self._events.error(
                self.log, "--auth=file:{path}: cannot be read: {why}", path=self.path, why=error.strerror
            )
            raise UnauthorizedLogin from error


def _passwordOf(name: bytes, content: bytes) -> bytes | None:
    """Return the password on the first line with a name; L{None} if there is no such line."""
    lines = (line.rstrip().split(b":") for line in content.split(b"\n"))
    return next((fields[1] for fields in lines if len(fields) > 1 and fields[0] == name), None)
