"""Exercise 14: say what was read, done."""

import os
import pwd
from pathlib import Path

from twisted.application import service, strports
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import LimitTotalConnectionsFactory, TimeoutMixin
from twisted.python.failure import Failure

log = Logger("finger")
PORT = 1079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
TIMEOUT = float(os.environ.get("FINGER_TIMEOUT", "30"))  # seconds for a whole connection
REREAD = float(os.environ.get("FINGER_REREAD", "30"))  # seconds from reading to reading
ETC = Path(__file__).resolve().parent.parent / "etc"
USERS = Path(os.environ.get("FINGER_USERS", ETC / "users")).resolve()


def clean(text: str) -> list[str]:
    """The lines of a text, with "?" for what a terminal would obey instead of show."""
    lines = text.expandtabs().splitlines()
    return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]


def parseUsers(text: str) -> dict[str, str]:
    """`user: status` or `user (Full Name): status`; an indented line goes on with the last one."""
    users: dict[str, str] = {}
    user = ""
    for number, line in enumerate(clean(text), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and user:
            users[user] += "\n" + line.strip()
            continue
        name, colon, status = line.partition(":")
        user = name.partition("(")[0].strip() if colon else ""
        if user:
            users[user] = status.strip()
        else:
            log.warn("users file, line {number}: not `user: status`", number=number)
    return users


def lookupFailed(failure: Failure) -> str:
    log.failure("a lookup failed", failure)  # we want to know why; the caller need not
    return "Internal error in server"


class FingerProtocol(LineReceiver, TimeoutMixin):
    delimiter = b"\n"  # the standard ends a line with CRLF, nc with LF: take both
    MAX_LENGTH = 512  # bytes; whoever sends a longer line is cut off

    def connectionMade(self) -> None:
        self.setTimeout(TIMEOUT)

    def connectionLost(self, reason: Failure) -> None:
        self.setTimeout(None)

    def timeoutConnection(self) -> None:
        self.transport.abortConnection()  # do not wait for a caller who reads nothing

    def lineReceived(self, line: bytes) -> None:
        user = line.decode("utf-8", "replace").strip()
        self.setRawMode()  # one question a connection: further lines start no lookups
        lookup = maybeDeferred(self.factory.getUser, user)
        lookup.addErrback(lookupFailed)
        lookup.addCallback(self.answer)

    def rawDataReceived(self, data: bytes) -> None:
        pass

    def answer(self, status: str) -> None:
        self.transport.write("\r\n".join(clean(status)).encode() + b"\r\n")
        self.transport.loseConnection()


class FingerService(service.Service):
    def __init__(self, path: Path) -> None:
        self.path = path
        self.users: dict[str, str] = {}
        self.reading = LoopingCall(self.read)

    def startService(self) -> None:
        super().startService()
        self.reading.start(REREAD)

    def stopService(self) -> None:
        self.reading.stop()
        super().stopService()

    def read(self) -> None:
        try:
            users = parseUsers(self.path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            log.error("no users read, the last ones stay: {error}", error=error)
            return
        if users != self.users:
            log.info("users read: {count}", count=len(users))
        self.users = users

    def getUser(self, user: str) -> Deferred[str]:
        return succeed(self.users.get(user, "No such user"))

    def getFingerFactory(self) -> Factory:
        factory = LimitTotalConnectionsFactory()
        factory.protocol = FingerProtocol
        factory.connectionLimit = 50  # at once; the next caller is hung up on
        factory.getUser = self.getUser
        return factory


nobody = pwd.getpwnam("nobody")
uid, gid = (nobody.pw_uid, nobody.pw_gid) if os.getuid() == 0 else (None, None)
application = service.Application("finger", uid=uid, gid=gid)  # the ports are opened before


def listen(port: int, factory: Factory) -> None:
    strports.service(f"tcp:{port}:interface=127.0.0.1", factory).setServiceParent(application)


finger = FingerService(USERS)
finger.setServiceParent(application)
listen(PORT, finger.getFingerFactory())
