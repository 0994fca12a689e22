"""Stage 33: plugins: back ends that others write are found by name, and no line here knows them."""

import email.policy  # noqa: F401  for POST; root's Python may be out of reach later
import encodings.idna  # noqa: F401  for host names; see the line before
import errno
import hashlib
import os
import pwd
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from twisted.application import internet, service
from twisted.cred.checkers import FilePasswordDB
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import LoginFailed
from twisted.cred.portal import IRealm, Portal
from twisted.enterprise import adbapi
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger, globalLogPublisher, jsonFileLogObserver
from twisted.plugin import IPlugin, getPlugins
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import ProtocolWrapper, TimeoutMixin, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.web import http, resource, server
from twisted.web.template import Element, Tag, XMLString, renderElement, renderer
from zope.interface import Attribute, Interface, alsoProvides, implementer

sys.path.insert(0, str(Path(__file__).resolve().parent))  # wherever twistd was started
from finger24_adapters import IIRCClientFactory, IPerspectiveFinger, UserStatusXR
from finger24_text import clean, lookupFailed, parseUsers
from finger33_backend import IFingerBackend
from finger_interfaces import IFingerService, IFingerSetterService

log = Logger("finger")
OFFSET = int(os.environ.get("FINGER_PORT_OFFSET", "0"))
PORT = 1079 + OFFSET
SETTER_PORT = 1080 + OFFSET
WEB_PORT = 8000 + OFFSET
PB_PORT = 8889 + OFFSET
HTTPS_PORT = 1443 + OFFSET
HOSTS = os.environ.get("FINGER_HOSTS", "127.0.0.1,::1").split(",")  # 0.0.0.0,:: for everybody
EVENTS = os.environ.get("FINGER_EVENTS")  # a file for all events, one JSON object a line
TEMPLATE = os.environ.get("FINGER_TEMPLATE")  # a file with another page than ours
PEM = os.environ.get("FINGER_PEM")  # a file with a private key and its certificate
IRC_HOST, _, IRC_PORT = os.environ.get("FINGER_IRC", "127.0.0.1:6667").rpartition(":")
TIMEOUT = float(os.environ.get("FINGER_TIMEOUT", "30"))  # seconds for a whole connection
MAX_CONNECTIONS = 50  # at once, of each port; the next caller is hung up on
MAX_RECEIVED = 65536  # bytes of one connection
NO_SUCH_USER = "No such user"
BACKEND = os.environ.get("FINGER_BACKEND", "store")
STORE = Path(os.environ.get("FINGER_STORE", "finger-store/users.sqlite")).resolve()
PASSWORDS = Path(os.environ.get("FINGER_PASSWORDS", STORE.parent / "passwords")).resolve()
ETC = Path(__file__).resolve().parent.parent / "etc"
USERS = Path(os.environ.get("FINGER_USERS", ETC / "users")).resolve()


def query(adapter: str, peer: IAddress, query: str) -> Callable[[str], None]:
    """A query has come; call what this returns with the outcome, once there is one."""
    began = time.monotonic()

    def tell(outcome: str) -> None:
        log.info(
            "{adapter} {peer} {query!r} {outcome} {ms} ms",  # !r: no line ends of the peer's
            adapter=adapter,
            peer=getattr(peer, "host", "local"),
            query=query,
            outcome=outcome,
            ms=round((time.monotonic() - began) * 1000, 1),
        )

    return tell


@implementer(IHalfCloseableProtocol)
class LimitedLineReceiver(LineReceiver, TimeoutMixin):
    delimiter = b"\n"  # the standard ends a line with CRLF, nc with LF: take both
    MAX_LENGTH = 512  # bytes; whoever sends a longer line is cut off

    def connectionMade(self) -> None:
        self.callLater = self.factory.clock.callLater  # what setTimeout tells the time with
        self.setTimeout(TIMEOUT)

    def connectionLost(self, reason: Failure) -> None:
        self.setTimeout(None)

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()  # the caller has said everything

    def writeConnectionLost(self) -> None:
        pass  # nobody listens any more; what was said still counts

    def timeoutConnection(self) -> None:
        self.transport.abortConnection()  # do not wait for a caller who reads nothing


class FingerProtocol(LimitedLineReceiver):
    def lineReceived(self, line: bytes) -> None:
        user = line.decode("utf-8", "replace").strip()
        self.setRawMode()  # one question a connection: further lines start no lookups
        self.tell = query("finger", self.transport.getPeer(), user)
        Deferred.fromCoroutine(self.answer(user))

    def rawDataReceived(self, data: bytes) -> None:
        pass

    def readConnectionLost(self) -> None:
        if self.line_mode:  # else there was a question, and the caller is still listening
            super().readConnectionLost()

    async def answer(self, user: str) -> None:
        try:
            status = await (self.factory.getUser(user) if user else self.everybody())
            self.tell("NoSuchUser" if status == NO_SUCH_USER else "ok")
        except Exception as error:
            status = lookupFailed(Failure())
            self.tell(type(error).__name__)
        self.transport.write("\r\n".join(clean(status)).encode() + b"\r\n")
        self.transport.loseConnection()

    async def everybody(self) -> str:
        """A line for each user; one whose lookup fails does not spoil the others."""
        lines = []
        for user in await self.factory.getUsers():
            try:
                status = await self.factory.getUser(user)
            except Exception:
                status = lookupFailed(Failure())
            lines.append(f"{user:<15}  {' '.join(clean(status))}")
        return "\n".join(lines) or "No one is listed"


PAGE = """\
<html lang="en" xmlns:t="http://twistedmatrix.com/ns/twisted.web.template/0.1" t:render="page">
<head><meta charset="utf-8"/><title><t:slot name="title"/></title></head>
<body><h1><t:slot name="title"/></h1><t:transparent t:render="user"><p><t:slot
name="status"/></p><p><a href="./">Users</a></p></t:transparent><ul t:render="users"><li
t:render="each"><a><t:attr name="href"><t:slot name="link"/></t:attr><t:slot
name="name"/></a></li></ul></body>
</html>
"""


class Page(Element):
    """What the template becomes for a user, who has a status, or for the list of users."""

    loader = XMLString(Path(TEMPLATE).read_text("utf-8") if TEMPLATE else PAGE)

    def __init__(self, title: str, status: str | None = None, names: Sequence[str] = ()):
        super().__init__()
        self.title, self.status, self.names = title, status, names

    @renderer
    def page(self, request: http.Request, tag: Tag) -> Tag:
        return tag.fillSlots(title="\n".join(clean(self.title)))

    @renderer
    def user(self, request: http.Request, tag: Tag) -> Tag | str:
        return "" if self.status is None else tag.fillSlots(status="\n".join(clean(self.status)))

    @renderer
    def users(self, request: http.Request, tag: Tag) -> Tag | str:
        return tag if self.names else ""

    @renderer
    def each(self, request: http.Request, tag: Tag) -> Iterator[Tag]:
        for name in self.names:
            yield tag.clone().fillSlots(name="\n".join(clean(name)), link=quote(name, safe=""))


class LimitedConnection(ProtocolWrapper, TimeoutMixin):
    """Passes on what comes, as long as it is not too much and does not take too long."""

    received = 0

    def makeConnection(self, transport: ITransport) -> None:
        self.callLater = self.factory.clock.callLater
        self.setTimeout(TIMEOUT)
        super().makeConnection(transport)
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            alsoProvides(self, IHalfCloseableProtocol)

    def readConnectionLost(self) -> None:
        self.wrappedProtocol.readConnectionLost()

    def writeConnectionLost(self) -> None:
        self.wrappedProtocol.writeConnectionLost()

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > MAX_RECEIVED:
            self.abortConnection()
        else:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:
        self.setTimeout(None)
        super().connectionLost(reason)

    def timeoutConnection(self) -> None:
        self.abortConnection()


class LimitedFactory(WrappingFactory):
    """Another factory, which need not know of it, with limits to its connections."""

    protocol = LimitedConnection
    clock = reactor

    def buildProtocol(self, addr: IAddress) -> Protocol | None:
        full = len(self.protocols) >= MAX_CONNECTIONS
        return None if full else super().buildProtocol(addr)


def sendPage(request: http.Request, lookup: Deferred[tuple[int, Page]]) -> int:
    """Send the status code and the page that a lookup comes to, or that it failed."""
    path = request.path.decode("ascii", "backslashreplace")
    tell = query("web", request.getClientAddress(), path)
    gone: list[Failure] = []  # a browser that has left cannot be answered
    request.notifyFinish().addErrback(gone.append)

    def send(result: tuple[int, Page]) -> None:
        code, page = result
        tell("gone" if gone else str(int(code)))
        if gone:
            return
        request.setResponseCode(code)
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(b"content-security-policy", b"default-src 'none'")  # no script, ever
        request.setHeader(b"x-content-type-options", b"nosniff")
        renderElement(request, page)

    lookup.addErrback(lambda failure: (http.INTERNAL_SERVER_ERROR, Page(lookupFailed(failure))))
    lookup.addCallback(send)
    return server.NOT_DONE_YET


class IFingerFactory(Interface):
    """Makes finger protocols, which ask it for a user's status."""

    def getUser(user: str) -> Deferred[str]:
        """The status of a user."""

    def getUsers() -> Deferred[list[str]]:
        """The names of the users."""


@implementer(IFingerFactory)
class FingerFactoryFromService(Factory):
    protocol = FingerProtocol
    clock = reactor

    def __init__(self, service: IFingerService) -> None:
        self.service = service

    def getUser(self, user: str) -> Deferred[str]:
        return self.service.getUser(user)

    def getUsers(self) -> Deferred[list[str]]:
        return self.service.getUsers()


registerAdapter(FingerFactoryFromService, IFingerService, IFingerFactory)


class FingerSetterProtocol(LimitedLineReceiver):
    def connectionMade(self) -> None:
        super().connectionMade()
        self.lines: list[str] = []

    def lineReceived(self, line: bytes) -> None:
        if len(self.lines) < 3:
            self.lines.append(line.decode("utf-8", "replace").strip())

    def readConnectionLost(self) -> None:
        if len(self.lines) == 3:  # a whole message, or none
            Deferred.fromCoroutine(self.set(*self.lines))
        else:
            super().readConnectionLost()

    async def set(self, user: str, password: str, status: str) -> None:
        try:
            credentials = UsernamePassword(user.encode(), password.encode())
            _, owner, _ = await self.factory.portal.login(credentials, None, IStatusOwner)
            await owner.setStatus(status)
            answer = f"The status of {user} is set"
        except LoginFailed:
            log.warn("{user!r} failed to log in", user=user)
            answer = "Permission denied"
        except Exception:
            answer = lookupFailed(Failure())
        self.transport.write("\r\n".join(clean(answer)).encode() + b"\r\n")
        self.transport.loseConnection()


class IStatusOwner(Interface):
    """Somebody who has logged in, as far as we are concerned."""

    def setStatus(status: str) -> Deferred[None]:
        """Set the own status; whose that is, is no argument."""


@implementer(IStatusOwner)
class StatusOwner:
    def __init__(self, service: IFingerSetterService, user: str) -> None:
        self.service, self.user = service, user

    def setStatus(self, status: str) -> Deferred[None]:
        return self.service.setUser(self.user, status)


class IFingerSetterFactory(Interface):
    """Makes setter protocols, which log in at its portal."""

    portal = Attribute("The portal that gives an IStatusOwner for credentials.")


def hashed(user: bytes, password: bytes, kept: bytes) -> bytes:
    """What the passwords file keeps: salt$hash, so that who reads it knows no password."""
    salt = kept.partition(b"$")[0]
    return salt + b"$" + hashlib.scrypt(password, salt=salt, n=4096, r=8, p=1).hex().encode()


@implementer(IFingerSetterFactory, IRealm)
class FingerSetterFactoryFromService(Factory):
    protocol = FingerSetterProtocol
    clock = reactor

    def __init__(self, service: IFingerSetterService) -> None:
        self.service = service
        self.portal = Portal(self, [FilePasswordDB(str(PASSWORDS), hash=hashed)])

    def requestAvatar(self, avatarId: bytes, mind: object, *interfaces: Interface) -> tuple:
        return IStatusOwner, StatusOwner(self.service, avatarId.decode()), lambda: None


registerAdapter(FingerSetterFactoryFromService, IFingerSetterService, IFingerSetterFactory)


class UserStatus(resource.Resource):
    def __init__(self, user: str, service: IFingerService) -> None:
        super().__init__()
        self.user = user
        self.service = service

    def render_GET(self, request: http.Request) -> int:
        lookup = maybeDeferred(self.service.getUser, self.user)
        return sendPage(request, lookup.addCallback(self.page))

    def page(self, status: str) -> tuple[int, Page]:
        code = http.NOT_FOUND if status == NO_SUCH_USER else http.OK
        return code, Page(self.user, status=status)


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

    def page(self, users: list[str]) -> tuple[int, Page]:
        return http.OK, Page("Users", names=users)


registerAdapter(UserStatusTree, IFingerService, resource.IResource)


@implementer(IFingerService, IFingerSetterService)
class FingerService(service.Service):
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def startService(self) -> None:
        super().startService()
        self.pool = adbapi.ConnectionPool("sqlite3", self.path, check_same_thread=False, cp_max=3)

    def stopService(self) -> None:
        self.pool.close()
        super().stopService()

    def getUser(self, user: str) -> Deferred[str]:
        rows = self.pool.runQuery("SELECT status FROM users WHERE name = ?", [user])
        return rows.addCallback(lambda rows: rows[0][0] if rows else NO_SUCH_USER)

    def getUsers(self) -> Deferred[list[str]]:
        rows = self.pool.runQuery("SELECT name FROM users ORDER BY name")
        return rows.addCallback(lambda rows: [name for (name,) in rows])

    def setUser(self, user: str, status: str) -> Deferred[None]:
        return self.pool.runOperation("REPLACE INTO users VALUES (?, ?)", [user, status])


def makeStore(path: Path, owner: int) -> None:
    """The database, with the users of the file that it does not know yet."""
    users: dict[str, str] = {}
    try:
        users = parseUsers(USERS.read_text("utf-8"))
    except (OSError, ValueError) as error:
        log.error("no users read: {error}", error=error)
    if not path.parent.exists():  # sqlite keeps a journal beside the database
        path.parent.mkdir()
        os.chown(path.parent, owner, -1)
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("CREATE TABLE IF NOT EXISTS users (name PRIMARY KEY, status)")
        store.executemany("INSERT OR IGNORE INTO users VALUES (?, ?)", users.items())
    os.chown(path, owner, -1)


@implementer(IPlugin, IFingerBackend)
class StoreBackend:
    name = "store"

    def makeBackend(self) -> IFingerService:
        makeStore(STORE, -1 if uid is None else uid)
        return FingerService(STORE)


def makeBackend(name: str) -> IFingerService:
    """Ours, or that of a module twisted/plugins/... anywhere on Python's path."""
    found = {backend.name: backend for backend in [StoreBackend(), *getPlugins(IFingerBackend)]}
    if name not in found:
        raise SystemExit(f"FINGER_BACKEND={name}: there is none but {', '.join(sorted(found))}")
    return found[name].makeBackend()


class PortService(service.Service):
    """A port of one address family, open while the service runs."""

    listening = None

    def __init__(self, host: str, port: int, factory: Factory) -> None:
        self.address = host, port
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.factory = factory

    def privilegedStartService(self) -> None:
        try:  # create_server sets V6ONLY, which Twisted does not; without it :: takes IPv4, too
            opened = socket.create_server(self.address, family=self.family, backlog=50)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            log.warn("this machine has no {host}", host=self.address[0])
            return
        with opened:
            opened.setblocking(False)
            self.listening = reactor.adoptStreamPort(opened.fileno(), self.family, self.factory)

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        return self.listening.stopListening() if self.listening else None


def ircService(reactor: object, service: IFingerService) -> internet.ClientService:
    server = HostnameEndpoint(reactor, IRC_HOST, int(IRC_PORT))
    return internet.ClientService(server, IIRCClientFactory(service), clock=reactor)


def loadCertificate() -> ssl.PrivateCertificate:
    """The certificate we were given, or one for this run that no browser knows, to learn with."""
    if PEM:
        return ssl.PrivateCertificate.loadPEM(Path(PEM).read_bytes())
    return ssl.KeyPair.generate().selfSignedCert(1, CN="localhost")


nobody = pwd.getpwnam("nobody")
uid, gid = (nobody.pw_uid, nobody.pw_gid) if os.getuid() == 0 else (None, None)
application = service.Application("finger", uid=uid, gid=gid)  # the ports are opened before
if EVENTS:
    events = open(EVENTS, "a", buffering=1, encoding="utf-8")  # while we are allowed to
    globalLogPublisher.addObserver(jsonFileLogObserver(events, recordSeparator=""))


def listen(port: int, factory: Factory, hosts: list[str] = HOSTS) -> None:
    limited = LimitedFactory(factory)
    for host in hosts:
        PortService(host, port, limited).setServiceParent(application)


finger = makeBackend(BACKEND)
if service.IService.providedBy(finger):
    finger.setServiceParent(application)
listen(PORT, IFingerFactory(finger))
if IFingerSetterService.providedBy(finger):
    listen(SETTER_PORT, IFingerSetterFactory(finger), ["127.0.0.1"])
site = server.Site(resource.IResource(finger))
listen(WEB_PORT, site)
certificate = loadCertificate()
tls = ssl.CertificateOptions(
    privateKey=certificate.privateKey.original,
    certificate=certificate.original,
    raiseMinimumTo=ssl.TLSVersion.TLSv1_2,
)
listen(HTTPS_PORT, TLSMemoryBIOFactory(tls, False, site))
listen(PB_PORT, pb.PBServerFactory(IPerspectiveFinger(finger)))
ircService(reactor, finger).setServiceParent(application)
