"""Tests of setting a status by a UNIX socket, by HTTPS and by Perspective Broker, as different users."""

from __future__ import annotations

import os
import pwd
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.process.test_blackbox import BlackBoxTestCase, run, url
from tests.support.tools import DEADLINE, FAMILIES, Server, ask, need, needRoot, receive, twistdPath

PASSWORDS = "ada:lovelace\nboss:secret\n"

PB = """
import sys
from twisted.cred.credentials import UsernamePassword
from twisted.internet.endpoints import clientFromString
from twisted.internet.task import react
from twisted.spread.pb import PBClientFactory

async def main(reactor, port, user, password, status):
    factory = PBClientFactory()
    await clientFromString(reactor, f"tcp:127.0.0.1:{port}").connect(factory)
    try:
        perspective = await factory.login(UsernamePassword(user.encode(), password.encode()))
        await perspective.callRemote("setStatus", status)
        print("set")
    except Exception as error:
        print("refused:", error)

react(lambda reactor, *arguments: main(reactor, *arguments), sys.argv[1:])
"""


class SettingTestCase(BlackBoxTestCase):
    """A server with a memory back end and passwords."""

    def startServer(self, *options: str, passwords: str = PASSWORDS) -> Server:
        """Start the server, with C{--auth} and a file of passwords."""
        path = self.users(passwords)
        return self.start(
            *("--backend=memory", f"--auth=file:{path}", "--admin=boss", "--ssl"),
            *("--fingerport=0", "--webport=0", "--httpsport=0", "--pbport=0", *options),
        )

    def status(self, server: Server, user: str) -> str:
        """Query a user's status."""
        return ask("::1", server.port("fingerport"), f"{user}\r\n".encode()).decode().removesuffix("\r\n")


class HTTPSTests(SettingTestCase):
    """Uploads with C{curl -T}."""

    def put(self, server: Server, user: str, status: str, *more: str, adapter: str = "httpsport") -> str:
        """Upload a status, and return the HTTP status."""
        curl = need("curl", package="curl")
        scheme = "https" if adapter == "httpsport" else "http"
        done = run(
            *(curl, "--silent", "--insecure", "--globoff", "--output", "/dev/null", "--write-out", "%{http_code}"),
            *("--upload-file", "-", *more, url("127.0.0.1", server.port(adapter), user, scheme)),
            stdin=status,
        )
        return done.stdout

    def test_own(self) -> None:
        """A user can set their own status, and an administrator any."""
        server = self.startServer()
        self.assertEqual(self.put(server, "ada", "Weaving\n", "--user", "ada:lovelace"), "200")
        self.assertEqual(self.status(server, "ada"), "Weaving")
        self.assertEqual(self.put(server, "moshez", "Set by the boss", "--user", "boss:secret"), "200")
        self.assertEqual(self.status(server, "moshez"), "Set by the boss")

    def test_refused(self) -> None:
        """
        Without a password, with a wrong one, for another user, and over plain HTTP, nothing is set; each attempt is
        logged.
        """
        server = self.startServer()
        self.assertEqual(self.put(server, "ada", "x"), "401")
        self.assertEqual(self.put(server, "ada", "x", "--user", "ada:wrong"), "401")
        self.assertEqual(self.put(server, "moshez", "x", "--user", "ada:lovelace"), "403")
        self.assertEqual(self.put(server, "ada", "x", "--user", "ada:lovelace", adapter="webport"), "403")
        for user in ("ada", "moshez"):
            self.assertEqual(self.status(server, user), "No such user")
        for words in ("127.0.0.1 failed to log in", "'ada' may not set 'moshez'", "InsecureRefused"):
            self.assertIn(words, server.log)
        self.assertNotIn("lovelace", server.log)
        self.assertNotIn("Traceback", server.log)

    def test_guessing(self) -> None:
        """After too many wrong passwords, the right one is refused, too."""
        server = self.startServer()
        answers = [self.put(server, "ada", "x", "--user", "ada:guess") for _ in range(14)]
        self.assertEqual(answers[:10], ["401"] * 10)
        self.assertIn("429", answers)
        headers = server.directory / "headers"
        self.assertEqual(self.put(server, "ada", "x", "--user", "ada:lovelace", "-D", str(headers)), "429")
        self.assertRegex(headers.read_text().lower(), r"\nretry-after: [1-6]\n")
        self.assertIn("127.0.0.1 tries to log in too often", server.log)

    def test_manyNetworks(self) -> None:
        """
        Sixty networks that guess at one user's password have few attempts in all.  The user gets in meanwhile, at a
        network where the user was before.
        """
        server = self.startServer()
        user = ("--user", "ada:lovelace", "--interface", "127.0.9.1")
        self.assertEqual(self.put(server, "ada", "before", *user), "200")
        guess = [("--user", "ada:guess", "--interface", f"127.0.0.{number}") for number in range(2, 62)]
        with ThreadPoolExecutor(8) as threads:
            answers = Counter(threads.map(lambda options: self.put(server, "ada", "x", *options), guess))
        self.assertGreaterEqual(answers["401"], 10)
        self.assertGreaterEqual(answers["429"], 30)
        self.assertEqual(set(answers), {"401", "429"})
        self.assertEqual(self.put(server, "ada", "meanwhile", *user), "200")
        self.assertEqual(self.status(server, "ada"), "meanwhile")

    def test_hash(self) -> None:
        """A line that the client's command makes lets in its user, with a password that has a colon."""
        made = run(sys.executable, "-m", "finger", "--hash-password", "zoë", stdin="love:lace\n")
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        server = self.startServer(passwords=made.stdout)
        self.assertEqual(self.put(server, "zo%C3%AB", "Weaving", "--user", "zoë:love:lace"), "200")
        self.assertEqual(self.status(server, "zoë"), "Weaving")
        for wrong in ("zoë:love", "zoë:", made.stdout.strip(), "ada:love:lace"):
            self.assertEqual(self.put(server, "zo%C3%AB", "x", "--user", wrong), "401")
        self.assertNotIn("plain text", server.log)
        self.assertNotIn("Traceback", server.log)

    def test_badFile(self) -> None:
        """A line that lets anybody in, or that is ambiguous, is refused at the start, in one line with its number."""
        for line in ("empty:", "a:b:c", "nonsense", "a:$6$salt$hash"):
            path = self.users(f"# passwords\n{line}\n")
            done = run(twistdPath(), "-n", "--pidfile=", "finger", "--backend=memory", f"--auth=file:{path}")
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
            self.assertIn(f"--auth=file:{path}: is not a usable credentials checker ({path}:2: ", done.stderr)

    def test_warnings(self) -> None:
        """Passwords in plain text, and a file that others can read, are worth one warning each."""
        server = self.startServer()
        self.assertEqual(server.log.count("'twisted-finger --hash-password USER'"), 1)
        self.assertEqual(server.log.count("only the server's should"), 1)

    def test_notOffered(self) -> None:
        """Without --auth, PUT gets 405."""
        server = self.start("--backend=memory", "--ssl", "--httpsport=0", "--webport=0")
        self.assertEqual(self.put(server, "ada", "x", "--user", "ada:lovelace"), "405")


class PBTests(SettingTestCase):
    """C{setStatus} after a login."""

    def test_login(self) -> None:
        """A logged-in user sets their own status; a wrong password is refused without a traceback."""
        server = self.startServer()
        port = str(server.port("pbport"))
        self.assertEqual(run(sys.executable, "-c", PB, port, "ada", "lovelace", "By PB").stdout, "set\n")
        self.assertEqual(self.status(server, "ada"), "By PB")
        self.assertIn("refused:", run(sys.executable, "-c", PB, port, "ada", "wrong", "x").stdout)
        self.assertEqual(self.status(server, "ada"), "By PB")
        self.assertNotIn("Traceback", server.log)


class SocketTests(SettingTestCase):
    """A UNIX socket, where the kernel identifies the user."""

    def setUp(self) -> None:
        """Make a directory for the socket."""
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.directory.chmod(0o755)
        self.path = self.directory / "set"

    def test_oneself(self) -> None:
        """
        The package's client sets the status of the user that runs the tests; --admin replaces root as administrator.
        """
        server = self.startServer(f"--setport=unix:{self.path}")
        me = pwd.getpwuid(os.geteuid()).pw_name
        done = run(sys.executable, "-m", "finger", f"--set={self.path}", stdin="By socket\n")
        self.assertEqual((done.returncode, done.stdout), (0, f"Status of {me} is set\n"))
        self.assertEqual(self.status(server, me), "By socket")
        done = run(sys.executable, "-m", "finger", f"--set={self.path}", "ada", stdin="x")
        self.assertEqual((done.returncode, done.stderr), (1, "finger: Permission denied\n"))
        self.assertEqual(self.status(server, "ada"), "No such user")
        server.stop()
        self.path.unlink(missing_ok=True)

    def test_others(self) -> None:
        """A user cannot set another user's status; an administrator can set any."""
        needRoot("a client run by another user")
        server = self.start("--backend=memory", f"--setport=unix:{self.path}", "--admin=daemon", "--fingerport=0")
        for actor, user, reply in (
            ("nobody", "nobody", "Status of nobody is set"),
            ("nobody", "root", "Permission denied"),
            ("daemon", "root", "Status of root is set"),
        ):
            script = (
                "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
                "s.sendall(sys.argv[2].encode() + b'\\nhere\\n'); s.shutdown(1); print(s.recv(1000).decode().strip())"
            )
            account = pwd.getpwnam(actor)
            done = subprocess.run(
                ["/usr/bin/python3", "-c", script, str(self.path), user],
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
            )
            self.assertEqual(done.stdout.strip(), reply, done.stderr)
        self.assertEqual(self.status(server, "root"), "here")
        server.stop()
        self.path.unlink(missing_ok=True)

    def test_places(self) -> None:
        """A user who takes all the connections they can get leaves room for others, and so does root."""
        needRoot("a client run by another user")
        server = self.start("--backend=memory", f"--setport=unix:{self.path}", "--max-connections=12")
        refusal = b"Nothing was set: too many connections, try again later\r\n"
        for greedy, other in (("nobody", "root"), ("root", "daemon")):
            with ExitStack() as stack:
                connections = [stack.enter_context(self.connect(greedy)) for _ in range(20)]
                refused = [receive(connection) for connection in connections[6:]]
                self.assertIn(refusal, refused)
                self.assertEqual(set(refused) - {refusal, b""}, set())  # Only a few get the words.
                readable, _, _ = select.select(connections[:6], [], [], 0)
                self.assertEqual(readable, [])
                served = stack.enter_context(self.connect(other))
                served.sendall(f"{other}\nhere\n".encode())
                served.shutdown(socket.SHUT_WR)
                self.assertEqual(receive(served), f"Status of {other} is set\r\n".encode())
        self.assertIn(f"setport local 'uid {pwd.getpwnam('nobody').pw_uid}' TooManyConnections", server.log)
        server.stop()
        self.path.unlink(missing_ok=True)

    def connect(self, user: str) -> socket.socket:
        """Connect as a user; the kernel reports the effective one."""
        connection = socket.socket(socket.AF_UNIX)
        os.seteuid(pwd.getpwnam(user).pw_uid)
        try:
            connection.connect(str(self.path))
        finally:
            os.seteuid(0)
        connection.settimeout(DEADLINE)
        return connection

    def test_wide(self) -> None:
        """A TCP port that other machines can reach is refused at the start."""
        for port in ("tcp:0", r"tcp6:0", "tcp:0:interface=0.0.0.0"):
            error = self.assertRaises(AssertionError, self.start, "--backend=memory", f"--setport={port}")
            self.assertIn("other machines could reach it", str(error))


class LoopbackTests(SettingTestCase):
    """TCP on loopback, without --auth."""

    def test_loopback(self) -> None:
        """The package's client sets a status by port number."""
        server = self.start("--backend=memory", "--setport=0", "--fingerport=0")
        port = str(server.port("setport"))
        done = run(sys.executable, "-m", "finger", "--set", "-p", port, "moshez", stdin="By port\n")
        self.assertEqual((done.returncode, done.stdout), (0, "Status of moshez is set\n"))
        for host in FAMILIES.values():
            self.assertEqual(ask(host, server.port("fingerport"), b"moshez\r\n"), b"By port\r\n")
