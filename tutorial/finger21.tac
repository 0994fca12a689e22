"""Stage 21: Perspective Broker: Twisted programs call methods of a service that is elsewhere."""

import email.policy  # noqa: F401  for POST; root's Python may be out of reach later
import encodings.idna  # noqa: F401  for host names; see the line before
import os
import pwd
import sys
from html import escape
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from twisted.application import internet, service, strports
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import LimitTotalConnectionsFactory, TimeoutMixin
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.web import http, resource, server, xmlrpc
from twisted.words.protocols import irc
from zope.interface import Interface, implementer

sys.path.insert(0, str(Path(__file__).resolve().parent))  # wherever twistd was started
from finger_interfaces import IFingerService, IFingerSetterService

log = Logger("finger")
OFFSET = int(os.environ.get("FINGER_PORT_OFFSET", "0"))
PORT = 1079 + OFFSET
WEB_PORT = 8000 + OFFSET
PB_PORT = 8889 + OFFSET
IRC_HOST, _, IRC_PORT = os.environ.get("FINGER_IRC", "127.0.0.1:6667").rpartition(":")
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


class LimitedLineReceiver(LineReceiver, TimeoutMixin):
    delimiter = b"\n"  # the standard ends a line with CRLF, nc with LF: take both
    MAX_LENGTH = 512  # bytes; whoever sends a longer line is cut off

    def connectionMade(self) -> None:
        self.setTimeout(TIMEOUT)

    def connectionLost(self, reason: Failure) -> None:
        self.setTimeout(None)

    def timeoutConnection(self) -> None:
        self.transport.abortConnection()  # do not wait for a caller who reads nothing


class FingerProtocol(LimitedLineReceiver):
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


PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>{body}</body>
</html>
"""


def sendPage(request: http.Request, lookup: Deferred[tuple[int, str]]) -> int:
    """Send the status code and the HTML that a lookup comes to, or that it failed."""
    gone: list[Failure] = []  # a browser that has left cannot be answered
    request.notifyFinish().addErrback(gone.append)

    def send(page: tuple[int, str]) -> None:
        if gone:
            return
        code, body = page
        request.setResponseCode(code)
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(b"content-security-policy", b"default-src 'none'")  # no script, ever
        request.setHeader(b"x-content-type-options", b"nosniff")
        request.write(body.encode())
        request.finish()

    lookup.addErrback(lambda failure: (http.INTERNAL_SERVER_ERROR, lookupFailed(failure)))
    lookup.addCallback(send)
    return server.NOT_DONE_YET


class IFingerFactory(Interface):
    """Makes finger protocols, which ask it for a user's status."""

    def getUser(user: str) -> Deferred[str]:
        """The status of a user."""


@implementer(IFingerFactory)
class FingerFactoryFromService(LimitTotalConnectionsFactory):
    protocol = FingerProtocol
    connectionLimit = 50  # at once; the next caller is hung up on

    def __init__(self, service: IFingerService) -> None:
        self.service = service

    def getUser(self, user: str) -> Deferred[str]:
        return self.service.getUser(user)


registerAdapter(FingerFactoryFromService, IFingerService, IFingerFactory)


class FingerSetterProtocol(LimitedLineReceiver):
    def connectionMade(self) -> None:
        super().connectionMade()
        self.lines: list[str] = []

    def lineReceived(self, line: bytes) -> None:
        if len(self.lines) < 2:
            self.lines.append(line.decode("utf-8", "replace").strip())

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if reason.check(ConnectionDone) and len(self.lines) == 2:  # a whole message, or none
            self.factory.setUser(*self.lines)


class IFingerSetterFactory(Interface):
    """Makes setter protocols, which hand it a user's new status."""

    def setUser(user: str, status: str) -> None:
        """Set the status of a user."""


@implementer(IFingerSetterFactory)
class FingerSetterFactoryFromService(Factory):
    protocol = FingerSetterProtocol

    def __init__(self, service: IFingerSetterService) -> None:
        self.service = service

    def setUser(self, user: str, status: str) -> None:
        self.service.setUser(user, status)


registerAdapter(FingerSetterFactoryFromService, IFingerSetterService, IFingerSetterFactory)


class IRCReplyBot(irc.IRCClient):
    nickname = "fingerbot"

    def privmsg(self, user: str, channel: str, message: str) -> None:
        if channel.lower() != self.nickname.lower():
            return  # said to a channel, not to us
        nick = user.partition("!")[0]
        wanted = message.strip()
        lookup = maybeDeferred(self.factory.getUser, wanted)
        lookup.addErrback(lookupFailed)
        lookup.addCallback(self.reply, nick, wanted)

    def reply(self, status: str, nick: str, wanted: str) -> None:
        text = f"Status of {wanted}: {status}"
        line = " ".join(clean(text))  # one line: what follows a CR or LF is a command
        self.msg(nick, line[:300])


class IIRCClientFactory(Interface):
    """Makes IRC bots, which ask it for a user's status."""

    def getUser(user: str) -> Deferred[str]:
        """The status of a user."""


@implementer(IIRCClientFactory)
class IRCClientFactoryFromService(Factory):
    protocol = IRCReplyBot

    def __init__(self, service: IFingerService) -> None:
        self.service = service

    def getUser(self, user: str) -> Deferred[str]:
        return self.service.getUser(user)


registerAdapter(IRCClientFactoryFromService, IFingerService, IIRCClientFactory)


class UserStatusXR(xmlrpc.XMLRPC):
    def __init__(self, service: IFingerService) -> None:
        super().__init__()
        self.service = service

    def xmlrpc_getUser(self, user: str) -> Deferred[str]:
        return self.service.getUser(user).addCallback(lambda status: "\n".join(clean(status)))

    def xmlrpc_getUsers(self) -> Deferred[list[str]]:
        return self.service.getUsers()


class UserStatus(resource.Resource):
    def __init__(self, user: str, service: IFingerService) -> None:
        super().__init__()
        self.user = user
        self.service = service

    def render_GET(self, request: http.Request) -> int:
        lookup = maybeDeferred(self.service.getUser, self.user)
        return sendPage(request, lookup.addCallback(self.page))

    def page(self, status: str) -> tuple[int, str]:
        code = http.NOT_FOUND if status == NO_SUCH_USER else http.OK
        body = f'<h1>{toHTML(self.user)}</h1><p>{toHTML(status)}</p><p><a href="./">Users</a></p>'
        return code, PAGE.format(title=toHTML(self.user), body=body)


class UserStatusTree(resource.Resource):
    def __init__(self, service: IFingerService) -> None:
        super().__init__()
        self.service = service
        self.putChild(b"RPC2", UserStatusXR(service))

    def getChild(self, path: bytes, request: http.Request) -> resource.Resource:
        if path == b"":
            return self
        return UserStatus(path.decode("utf-8", "replace"), self.service)

    def render_GET(self, request: http.Request) -> int:
        lookup = maybeDeferred(self.service.getUsers)
        return sendPage(request, lookup.addCallback(self.page))

    def page(self, users: list[str]) -> tuple[int, str]:
        links = [f'<li><a href="{quote(user, safe="")}">{toHTML(user)}</a></li>' for user in users]
        body = f"<h1>Users</h1><ul>{''.join(links)}</ul>"
        return http.OK, PAGE.format(title="Users", body=body)


registerAdapter(UserStatusTree, IFingerService, resource.IResource)


class IPerspectiveFinger(Interface):
    """What a peer may call from afar; a method not named remote_... cannot be reached."""

    def remote_getUser(user: str) -> Deferred[str]:
        """The status of a user."""

    def remote_getUsers() -> Deferred[list[str]]:
        """The names of the users."""


@implementer(IPerspectiveFinger)
class PerspectiveFingerFromService(pb.Root):
    def __init__(self, service: IFingerService) -> None:
        self.service = service

    def remote_getUser(self, user: str) -> Deferred[str]:
        lookup = maybeDeferred(self.service.getUser, user)
        lookup.addErrback(lookupFailed)
        return lookup.addCallback(lambda status: "\n".join(clean(status)))

    def remote_getUsers(self) -> Deferred[list[str]]:
        return maybeDeferred(self.service.getUsers).addErrback(self.refuse)

    def refuse(self, failure: Failure) -> NoReturn:
        raise pb.Error(lookupFailed(failure))  # its words go to the peer; any other failure's would


registerAdapter(PerspectiveFingerFromService, IFingerService, IPerspectiveFinger)


@implementer(IFingerService)
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

    def getUsers(self) -> Deferred[list[str]]:
        return succeed(sorted(self.users))


nobody = pwd.getpwnam("nobody")
uid, gid = (nobody.pw_uid, nobody.pw_gid) if os.getuid() == 0 else (None, None)
application = service.Application("finger", uid=uid, gid=gid)  # the ports are opened before


def listen(port: int, factory: Factory) -> None:
    strports.service(f"tcp:{port}:interface=127.0.0.1", factory).setServiceParent(application)


finger = FingerService(USERS)
finger.setServiceParent(application)
listen(PORT, IFingerFactory(finger))
listen(WEB_PORT, server.Site(resource.IResource(finger)))
listen(PB_PORT, pb.PBServerFactory(IPerspectiveFinger(finger)))
irc_server = HostnameEndpoint(reactor, IRC_HOST, int(IRC_PORT))
internet.ClientService(irc_server, IIRCClientFactory(finger)).setServiceParent(application)
