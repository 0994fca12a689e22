"""Exercise proxy: only for friends."""

import encodings.idna  # noqa: F401  for host names; root's Python may be out of reach later
import os
import pwd

from twisted.application import service, strports
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import LimitTotalConnectionsFactory, TimeoutMixin
from twisted.python.failure import Failure

log = Logger("finger")
PORT = 7779 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
TIMEOUT = float(os.environ.get("FINGER_TIMEOUT", "30"))  # seconds for a whole connection
ASK_PORT = int(os.environ.get("FINGER_ASK_PORT", "79"))
ASK_TIMEOUT = float(os.environ.get("FINGER_ASK_TIMEOUT", "10"))  # seconds
HOSTS = {"127.0.0.1", "localhost"}  # whom we ask
DENIED = "Finger forwarding service denied"
MAX_ANSWER = 65536  # bytes of an answer that are passed on


def clean(text: str) -> list[str]:
    """The lines of a text, with "?" for what a terminal would obey instead of show."""
    lines = text.expandtabs().splitlines()
    return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]


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


class Question(Protocol):
    """Asks a finger server, and collects the answer until that server closes."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.received = b""
        self.answer: Deferred[str] = Deferred(lambda answer: self.transport.abortConnection())

    def connectionMade(self) -> None:
        peer = self.transport.getPeer()
        if (peer.host, peer.port) == ("127.0.0.1", PORT):  # ourselves: this would never end
            self.received = DENIED.encode()
            self.transport.abortConnection()
        else:
            self.transport.write(self.user.encode() + b"\r\n")

    def dataReceived(self, data: bytes) -> None:
        self.received += data[: MAX_ANSWER - len(self.received)]
        if len(self.received) == MAX_ANSWER:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        if not self.answer.called:  # else it was given up before
            self.answer.callback(self.received.decode("utf-8", "replace"))


class FingerFactory(LimitTotalConnectionsFactory):
    protocol = FingerProtocol
    connectionLimit = 50  # at once; the next caller is hung up on

    def getUser(self, query: str) -> Deferred[str]:
        user, _, host = query.rpartition("@") if "@" in query else (query, "", "")
        if "@" in user:
            return succeed(DENIED)  # one step, no further
        question = Question(user)
        remote = HostnameEndpoint(reactor, host.strip() or "127.0.0.1", ASK_PORT)
        answer = connectProtocol(remote, question)
        answer.addCallbacks(lambda _: question.answer, lambda _: "Could not connect to remote host")
        answer.addTimeout(ASK_TIMEOUT, reactor)
        return answer.addErrback(lambda failure: "Remote host did not answer in time")


nobody = pwd.getpwnam("nobody")
uid, gid = (nobody.pw_uid, nobody.pw_gid) if os.getuid() == 0 else (None, None)
application = service.Application("finger", uid=uid, gid=gid)  # the ports are opened before
fingerFactory = FingerFactory()
strports.service(f"tcp:{PORT}:interface=127.0.0.1", fingerFactory).setServiceParent(application)
