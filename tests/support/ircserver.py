"""ngircd, a real IRC server, and a client that is independent of our code, for tests of IRC."""

from __future__ import annotations

import datetime
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import TestCase

from tests.support.tools import DEADLINE, FAMILIES, need

CONFIGURATION = """
[Global]
Name = irc.example.org
Info = a server for tests
Listen = 127.0.0.1,::1
Ports = {port}
MotdPhrase = Hello

[Limits]
MaxConnectionsIP = 0
MaxPenaltyTime = 0

[Options]
DNS = no
Ident = no
PAM = no
IncludeDir = {directory}/none

[SSL]
Ports = {tlsPort}
CertFile = {directory}/certificate.pem
KeyFile = {directory}/key.pem
"""


class IRCServer:
    """
    ngircd as a process, on free ports.

    @ivar port: its port.
    @ivar tlsPort: its port for TLS.
    @ivar directory: its files; C{ca} contains the certificate of its authority.
    """

    def __init__(self) -> None:
        self._program = need("ngircd", package="ngircd")
        self.port, self.tlsPort = freePort(), freePort()
        self.directory = Path(tempfile.mkdtemp())
        makeCertificate(self.directory)
        configuration = CONFIGURATION.format(port=self.port, tlsPort=self.tlsPort, directory=self.directory)
        (self.directory / "ngircd.conf").write_text(configuration)
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if self._account:
            for path in (self.directory, *self.directory.rglob("*")):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it accepts connections on all its ports."""
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self._program, "--nodaemon", "--passive", "--config", str(self.directory / "ngircd.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                user=self._account.pw_uid if self._account else None,
                group=self._account.pw_gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
        deadline = time.monotonic() + DEADLINE
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"ngircd does not listen:\n{(self.directory / 'log').read_text()}")
            time.sleep(0.01)

    def _listens(self) -> bool:
        try:
            for host in FAMILIES.values():
                for port in (self.port, self.tlsPort):
                    socket.create_connection((host, port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        """Kill the server, and remove its files."""
        self.kill()
        shutil.rmtree(self.directory)


class Client(LineReceiver):
    """
    An IRC client.

    @ivar lines: the received lines that were not yet expected.
    """

    def __init__(self, nickname: str) -> None:
        self.nickname = nickname
        self.lines: list[str] = []
        self._waiting: list[tuple[str, Deferred[str]]] = []

    def connectionMade(self) -> None:
        """Log in."""
        self.say(f"NICK {self.nickname}", f"USER {self.nickname} 0 * :{self.nickname}")

    def lineReceived(self, line: bytes) -> None:
        """Keep the line, or fire the Deferred that waits for it."""
        assert len(line) <= 510
        text = line.decode("utf-8")  # This fails unless the whole line is UTF-8.
        if text.startswith("PING"):
            self.say(text.replace("PING", "PONG", 1))
        self.lines.append(text)
        self._match()

    def say(self, *lines: str) -> None:
        """Send lines."""
        for line in lines:
            self.sendLine(line.encode())

    def ask(self, text: str, target: str = "fingerbot") -> None:
        """Send a text to a user or a channel."""
        self.say(f"PRIVMSG {target} :{text}")

    def expect(self, pattern: str) -> Deferred[str]:
        """Wait for a line, and discard it and those before it."""
        self._waiting.append((pattern, Deferred()))
        result = self._waiting[-1][1]
        self._match()
        return result

    def _match(self) -> None:
        while self._waiting:
            pattern, waiting = self._waiting[0]
            found = next((n for n, line in enumerate(self.lines) if re.search(pattern, line)), None)
            if found is None:
                return
            line = self.lines[found]
            del self._waiting[0], self.lines[: found + 1]
            waiting.callback(line)

    def leave(self) -> None:
        """Disconnect, if still connected."""
        if self.connected:
            assert self.transport is not None
            self.transport.loseConnection()


def freePort() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def makeCertificate(directory: Path) -> None:
    """Make a key and a self-signed certificate for localhost, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (directory / "ca").mkdir()
    for path in (directory / "certificate.pem", directory / "ca" / "ca.pem"):
        path.write_bytes(pem)
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


class IRCTestCase(TestCase):
    """
    A base for tests with an IRC server.

    @ivar server: the server.
    """

    def setUp(self) -> None:
        """Start a server."""
        self.server = IRCServer()
        self.addCleanup(self.server.remove)

    async def client(self, nickname: str, host: str = "127.0.0.1") -> Client:
        """Connect a client, and wait for the server's welcome."""
        endpoint = HostnameEndpoint(reactor, host, self.server.port)
        while True:
            try:
                client: Client = await connectProtocol(endpoint, Client(nickname))
                break
            except ConnectError:  # The server does not listen yet.
                await deferLater(reactor, 0.02)
        self.addCleanup(client.leave)
        await client.expect(" 001 ")
        return client

    async def until(self, client: Client, nickname: str) -> None:
        """Wait until a nickname is on the server."""
        while True:
            client.say(f"ISON {nickname}")
            if nickname in (await client.expect(" 303 ")).split(":")[-1].split():
                return
            await deferLater(reactor, 0.02)
