"""Exercise 15: plain text, please, done."""

import email.policy  # noqa: F401  for POST; root's Python may be out of reach later
import os
import pwd
from html import escape
from pathlib import Path

from twisted.application import service, strports
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import LimitTotalConnectionsFactory, TimeoutMixin
from twisted.python.failure import Failure
from twisted.web import http, resource, server

log = Logger("finger")
OFFSET = int(os.environ.get("FINGER_PORT_OFFSET", "0"))
PORT = 1079 + OFFSET
WEB_PORT = 8000 + OFFSET
TIMEOUT = float(os.environ.get("FINGER_TIMEOUT", "30"))  # seconds for a whole connection
NO_SUCH_USER = "No such user"
REREAD = float(os.environ.get("FINGER_REREAD", "30"))  # seconds from reading to reading
ETC = Path(__file__).resolve().parent.parent / "etc"
USERS = Path(os.environ.get("FINGER_USERS", ETC / "users")).resolve()


def clean(text: str) -> list[str]:
    """The lines of a text, with "?" for what a terminal would obey instead of show."""
    lines = text.expandtabs().splitlines()
    return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]


def toHTML(text: str) -> str:
    return escape("\n".join(clean(text)))  # other people's text is never markup


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


def sendPage(request: http.Request, lookup: Deferred[tuple[int, str]], kind: bytes = b"text/html") -> int:
    """Send the status code and the text that a lookup comes to, or that it failed."""
    gone: list[Failure] = []  # a browser that has left cannot be answered
    request.notifyFinish().addErrback(gone.append)

    def send(page: tuple[int, str]) -> None:
        if gone:
            return
        code, body = page
        request.setResponseCode(code)
        request.setHeader(b"content-type", kind + b"; charset=utf-8")
        request.write(body.encode())
        request.finish()

    lookup.addErrback(lambda failure: (http.INTERNAL_SERVER_ERROR, lookupFailed(failure)))
    lookup.addCallback(send)
    return server.NOT_DONE_YET


class UserStatus(resource.Resource):
    def __init__(self, user: str, service: service.Service) -> None:
        super().__init__()
        self.user = user
        self.service = service

    def render_GET(self, request: http.Request) -> int:
        lookup = maybeDeferred(self.service.getUser, self.user)
        if b"plain" in request.args:
            return sendPage(request, lookup.addCallback(self.plainText), b"text/plain")
        return sendPage(request, lookup.addCallback(self.page))

    def plainText(self, status: str) -> tuple[int, str]:
        code = http.NOT_FOUND if status == NO_SUCH_USER else http.OK
        return code, "".join(f"{line}\n" for line in clean(status))

    def page(self, status: str) -> tuple[int, str]:
        code = http.NOT_FOUND if status == NO_SUCH_USER else http.OK
        return code, f"<h1>{toHTML(self.user)}</h1><p>{toHTML(status)}</p>"


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
            self.users = parseUsers(self.path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            log.error("no users read, the last ones stay: {error}", error=error)

    def getUser(self, user: str) -> Deferred[str]:
        return succeed(self.users.get(user, NO_SUCH_USER))

    def getFingerFactory(self) -> Factory:
        factory = LimitTotalConnectionsFactory()
        factory.protocol = FingerProtocol
        factory.connectionLimit = 50  # at once; the next caller is hung up on
        factory.getUser = self.getUser
        return factory

    def getResource(self) -> resource.Resource:
        root = resource.Resource()
        root.getChild = lambda path, request: UserStatus(path.decode("utf-8", "replace"), self)
        return root


nobody = pwd.getpwnam("nobody")
uid, gid = (nobody.pw_uid, nobody.pw_gid) if os.getuid() == 0 else (None, None)
application = service.Application("finger", uid=uid, gid=gid)  # the ports are opened before


def listen(port: int, factory: Factory) -> None:
    strports.service(f"tcp:{port}:interface=127.0.0.1", factory).setServiceParent(application)


finger = FingerService(USERS)
finger.setServiceParent(application)
listen(PORT, finger.getFingerFactory())
listen(WEB_PORT, server.Site(finger.getResource()))
