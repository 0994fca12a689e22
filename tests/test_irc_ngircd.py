"""The IRC bot on a real server, ngircd, with a real client that knows nothing of our code."""

from __future__ import annotations

import datetime
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.application.internet import ClientService
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, quoteStringArgument
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import TestCase

from finger.adapters import _ircclient, _irctiming
from finger.backends.memory import MemoryFingerService
from finger.interfaces import IIRCClientFactory
from finger.ircservice import ircService
from tests.tools import FAMILIES, need

USERS = {"moshez": "Happy and well", "zoë": "\n".join(f"☃ line {n}" for n in range(1, 10)), "long": "é" * 600}

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
    ngircd on ports of its own.

    @ivar port: its port.
    @ivar tlsPort: its port for TLS.
    @ivar directory: its files; in C{ca} there is the certificate that makes it trusted.
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
        """Begin."""
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

    def kill(self) -> None:
        """Crash."""
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        """End, and leave nothing behind."""
        self.kill()
        shutil.rmtree(self.directory)


class Client(LineReceiver):
    """
    Somebody on IRC.

    @ivar lines: what came and was not yet expected.
    """

    def __init__(self, nickname: str) -> None:
        self.nickname = nickname
        self.lines: list[str] = []
        self._waiting: list[tuple[str, Deferred[str]]] = []

    def connectionMade(self) -> None:
        """Log in."""
        self.say(f"NICK {self.nickname}", f"USER {self.nickname} 0 * :{self.nickname}")

    def lineReceived(self, line: bytes) -> None:
        """Keep the line, or give it to who waits for it."""
        assert len(line) <= 510
        text = line.decode("utf-8")  # So what comes is UTF-8 to the last byte.
        if text.startswith("PING"):
            self.say(text.replace("PING", "PONG", 1))
        self.lines.append(text)
        self._match()

    def say(self, *lines: str) -> None:
        """Send lines."""
        for line in lines:
            self.sendLine(line.encode())

    def ask(self, text: str, target: str = "fingerbot") -> None:
        """Say something to somebody, or in a channel."""
        self.say(f"PRIVMSG {target} :{text}")

    def expect(self, pattern: str) -> Deferred[str]:
        """Wait for a line; it and those before it have been dealt with, then."""
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
        """Go, as far as the server still cares."""
        if self.connected:
            assert self.transport is not None
            self.transport.loseConnection()


def freePort() -> int:
    """A number that is free."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def makeCertificate(directory: Path) -> None:
    """Make a key, and a certificate for localhost that is its own authority."""
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


class NgircdTests(TestCase):
    """A bot, a server, and somebody who asks."""

    timeout = 20

    def setUp(self) -> None:
        """A server; bots and clients come later."""
        self.server = IRCServer()
        self.addCleanup(self.server.remove)
        self.patch(_irctiming, "LINE_INTERVAL", 0.1)  # Our time, not the server's, is what is saved here.

    async def client(self, nickname: str, host: str = "127.0.0.1") -> Client:
        """Somebody who is welcome on the server."""
        endpoint = HostnameEndpoint(reactor, host, self.server.port)
        while True:
            try:
                client: Client = await connectProtocol(endpoint, Client(nickname))
                break
            except ConnectError:  # It is not yet there.
                await deferLater(reactor, 0.02)
        self.addCleanup(client.leave)
        await client.expect(" 001 ")
        return client

    def bot(self, server: str = "", *channels: str) -> ClientService:
        """Our bot, which is looking for the server."""
        factory = IIRCClientFactory(MemoryFingerService(USERS))
        factory.channels = channels
        server = server or f"tcp:127.0.0.1:{self.server.port}"
        service = ircService(reactor, factory, server, retryPolicy=lambda attempt: 0.05)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def until(self, client: Client, nickname: str) -> None:
        """Wait until somebody is there."""
        while True:
            client.say(f"ISON {nickname}")
            if nickname in (await client.expect(" 303 ")).split(":")[-1].split():
                return
            await deferLater(reactor, 0.02)

    async def private(self, host: str) -> None:
        """Ask in private."""
        self.bot(f"tcp:{quoteStringArgument(host)}:{self.server.port}")
        client = await self.client("joe", host)
        await self.until(client, "fingerbot")
        client.ask("\x0304moshez\x03")
        line = await client.expect("NOTICE")
        self.assertRegex(line, "^:fingerbot!~?finger@[^ ]+ NOTICE joe :Status of moshez: Happy and well$")
        client.ask("nobody")
        self.assertTrue((await client.expect("NOTICE")).endswith(" NOTICE joe :Status of nobody: No such user"))

    async def test_privateIPv4(self) -> None:
        """A private question is answered in private."""
        await self.private(FAMILIES["IPv4"])

    async def test_privateIPv6(self) -> None:
        """The same over the other family."""
        await self.private(FAMILIES["IPv6"])

    async def test_lines(self) -> None:
        """A long plan arrives, as far as it does, in order and whole."""
        self.bot()
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        client.ask("long")
        texts = [(await client.expect("NOTICE")).split(" :")[-1] for _ in range(4)]
        self.assertEqual("".join(texts), f"Status of long: {'é' * 600}")

    async def test_manyLines(self) -> None:
        """A plan of many lines is cut."""
        self.bot()
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        client.ask("zoë")
        texts = [(await client.expect("NOTICE")).split(" :")[-1] for _ in range(6)]
        self.assertEqual((texts[0], texts[-1]), ("Status of zoë: ☃ line 1", "... 4 more lines"))

    async def test_ctcp(self) -> None:
        """CTCP FINGER and VERSION."""
        self.bot()
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        for command in ("FINGER", "VERSION"):
            client.ask(f"\x01{command}\x01")
            self.assertRegex(await client.expect("NOTICE"), f"NOTICE joe :\x01{command} [^\x01]+\x01$")

    async def test_channel(self) -> None:
        """In a channel it speaks when spoken to, so that all can hear it."""
        client = await self.client("joe")
        client.say("JOIN #twisted")
        await client.expect(" 366 ")
        self.bot("", "#elsewhere", "#Twisted")
        await client.expect("(?i)^:fingerbot![^ ]+ JOIN :?#twisted")
        client.ask("moshez", "#twisted")
        client.ask("FingerBot, moshez", "#twisted")
        client.ask("fingerbot: nobody", "#twisted")
        lines = [await client.expect("^:fingerbot!") for _ in range(2)]
        self.assertTrue(lines[0].endswith(" NOTICE #twisted :Status of moshez: Happy and well"))
        self.assertTrue(lines[1].endswith(" NOTICE #twisted :Status of nobody: No such user"))

    async def test_kicked(self) -> None:
        """Thrown out of a channel, it comes back after a while."""
        self.patch(_ircclient, "REJOIN_AFTER", 0.2)
        client = await self.client("joe")
        client.say("JOIN #twisted")
        self.bot("", "#twisted")
        await client.expect("^:fingerbot![^ ]+ JOIN ")
        client.say("KICK #twisted fingerbot :enough")
        await client.expect("KICK #twisted fingerbot")
        await client.expect("^:fingerbot![^ ]+ JOIN ")

    async def test_collision(self) -> None:
        """Its name is taken: it takes another, of the server's nine characters, and its own once that is free."""
        joe = await self.client("joe")
        holder = await self.client("fingerbot")
        for client in (joe, holder):
            client.say("JOIN #twisted")
            await client.expect(" 366 ")
        self.bot("", "#twisted")
        await joe.expect("^:fingerbo1![^ ]+ JOIN ")
        joe.ask("fingerbo1: moshez", "#twisted")
        await joe.expect("^:fingerbo1!.*Status of moshez: Happy and well$")
        holder.say("QUIT :bye")
        await joe.expect("^:fingerbo1![^ ]+ NICK :?fingerbot$")
        joe.ask("fingerbot: moshez", "#twisted")
        await joe.expect("^:fingerbot!.*Status of moshez: Happy and well$")

    async def test_collisionUnseen(self) -> None:
        """It gets its name back, too, from somebody it does not share a channel with."""
        self.patch(_ircclient, "REGAIN_AFTER", 0.3)
        joe = await self.client("joe")
        holder = await self.client("fingerbot")
        self.bot()
        await self.until(joe, "fingerbo1")
        holder.say("NICK somebody")
        await self.until(joe, "somebody")
        await self.until(joe, "fingerbot")
        joe.ask("moshez")
        await joe.expect("^:fingerbot!.*Status of moshez: Happy and well$")

    async def test_restart(self) -> None:
        """The server crashes, is away for a while, and the bot is back, in its channels."""
        self.bot("", "#twisted")
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        for _ in range(2):
            self.server.kill()
            await deferLater(reactor, 0.3)
            self.server.start()
            client = await self.client("joe")
            client.say("JOIN #twisted")
            await self.until(client, "fingerbot")
            client.ask("moshez")
            await client.expect("Status of moshez: Happy and well$")
            client.ask("fingerbot: moshez", "#twisted")
            await client.expect("NOTICE #twisted :Status of moshez: Happy and well$")

    async def test_ownFlood(self) -> None:
        """A bot that is asked too much answers some of it, and is still there."""
        self.bot()
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        for _ in range(100):
            client.ask("moshez")
        for _ in range(_irctiming.ANSWERS_PER_SENDER + 1):
            await client.expect("Status of moshez")
        client.say("ISON fingerbot")
        await client.expect(" 303 joe :fingerbot")

    async def test_tls(self) -> None:
        """Over TLS, to a server whose certificate is good."""
        self.bot(f"ssl:localhost:{self.server.tlsPort}:caCertsDir={self.server.directory}/ca")
        client = await self.client("joe")
        await self.until(client, "fingerbot")
        client.ask("moshez")
        await client.expect("Status of moshez: Happy and well$")

    async def test_tlsNotTrusted(self) -> None:
        """A server that nobody vouches for never hears of us, and the log says why."""
        reasons: list[str] = []
        told: Deferred[None] = Deferred()

        def observe(event: Any) -> None:
            if "reason" in event and not told.called:
                reasons.append(event["reason"])
                if "certificate" in event["reason"]:
                    told.callback(None)

        self.observe(observe)
        self.bot(f"localhost:{self.server.tlsPort}")
        client = await self.client("joe")
        await told
        client.say("ISON fingerbot")
        await client.expect(" 303 joe :$")
        self.assertRegex(" ".join(reasons), "certificate verify failed")

    def observe(self, observer: Callable[[Any], None]) -> None:
        """Look at the log during this test."""
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
