"""Tests of what sets a status and what does not, and of the file that keeps it, with real servers and clients."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from finger.protocol.setting import INCOMPLETE, IS_HTTP, formatMessage
from tests.process.test_blackbox import USERS, BlackBoxTestCase, run, url
from tests.support.tools import Server, ask, need, twistdPath


class StoreTestCase(BlackBoxTestCase):
    """A directory for the file, and clients of the setter."""

    def setUp(self) -> None:
        """Make the directory.  The server's user may write to it."""
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.directory.chmod(0o777)
        self.path = self.directory / "users.json"

    def serve(self, *options: str) -> Server:
        """Start a server with the file."""
        return self.start(f"--backend=memory:{self.path}", "--setport=0", "--fingerport=0", *options)

    def fail_(self, *options: str) -> str:
        """Start a server that does not start, and return the line that it prints."""
        done = run(twistdPath(), "-n", "--pidfile=", "finger", *options)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
        return done.stderr

    def set(self, server: Server, user: str, status: str = "here\n") -> str:
        """Set a status with our client, and return what it prints."""
        done = run(sys.executable, "-m", "finger", "--set", "-p", str(server.port("setport")), user, stdin=status)
        self.assertEqual(done.returncode, 0 if done.stdout else 1)
        return done.stdout + done.stderr

    def send(self, server: Server, message: bytes) -> str:
        """Send a message to the setter, close the sending side, and return the reply."""
        return ask("127.0.0.1", server.port("setport"), message, half=True).decode().removesuffix("\r\n")

    def query(self, server: Server, query: str = "") -> str:
        """Query a user, or the list."""
        return ask("::1", server.port("fingerport"), f"{query}\r\n".encode()).decode().removesuffix("\r\n")


class FileTests(StoreTestCase):
    """C{--backend=memory:PATH}."""

    def test_twoServers(self) -> None:
        """
        A second server on the file is refused in one line, whatever its path.  A configuration can be checked
        meanwhile.  Once the first server is gone, even killed, another takes over what was set.
        """
        first = self.serve()
        self.assertEqual(self.set(first, "ada"), "Status of ada is set\n")
        link = self.directory / "link"
        link.symlink_to(self.path)
        ports = ("--fingerport=0", "--webport=none", "--pbport=none")
        for path in (self.path, link):
            option = f"--backend=memory:{path}"
            self.assertIn(f"{option}: is in use by another server\n", self.fail_(option, *ports))
            done = run(twistdPath(), "-n", "--pidfile=", "finger", option, *ports, "--check-config")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.set(first, "bob"), "Status of bob is set\n")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        second = self.serve()
        self.assertEqual(self.set(second, "eve"), "Status of eve is set\n")
        second.stop()
        third = self.serve()
        self.assertEqual(self.query(third).split(), ["ada", "bob", "eve"])
        for server in (first, second, third):
            self.assertNotIn("Traceback", server.log)

    def test_links(self) -> None:
        """The file is replaced where a symbolic link leads; a link at the temporary file's name leads nowhere."""
        data, victim = self.directory / "data", self.directory / "victim"
        data.mkdir()
        data.chmod(0o777)
        victim.write_text("precious")
        victim.chmod(0o666)
        self.path.symlink_to(data / "target")
        server = self.serve()
        for directory, name in ((data, "target"), (self.directory, "users.json")):
            os.symlink(victim, directory / f".{name}.new")
        self.assertEqual(self.set(server, "ada"), "Status of ada is set\n")
        self.assertEqual(os.readlink(self.path), str(data / "target"))
        self.assertEqual(json.loads((data / "target").read_text()), {"ada": "here"})
        self.assertEqual(victim.read_text(), "precious")

    def test_maxUsers(self) -> None:
        """Beyond C{--max-users}, no user is added, and the client learns why."""
        self.path.write_text('{"ada": "x"}')
        self.path.chmod(0o666)
        server = self.serve("--max-users=2")
        self.assertEqual(self.set(server, "bob"), "Status of bob is set\n")
        self.assertEqual(self.set(server, "eve"), "finger: no user can be added: there are already 2\n")
        self.assertEqual(self.set(server, "ada", "there"), "Status of ada is set\n")
        self.assertEqual(json.loads(self.path.read_text()), {"ada": "there", "bob": "here"})


class MessageTests(StoreTestCase):
    """Messages that must not set a status."""

    def test_cut(self) -> None:
        """A client of ours that is killed midway sets nothing."""
        server = self.serve()
        self.send(server, b"ada\nold")
        message = formatMessage("ada", "one\n\ntwo\r\n\r\nthree\n")
        for length in range(1, len(message)):
            self.assertTrue(self.send(server, message[:length]).startswith("Nothing was set: "))
        self.assertEqual(self.send(server, message[:-1]), f"{INCOMPLETE}\trefused")
        self.assertEqual(self.query(server, "ada"), "old")
        self.assertEqual(self.send(server, message), "Status of ada is set\tset")
        self.assertEqual(self.query(server, "ada"), "one\r\n\r\ntwo\r\n\r\nthree")

    def test_raw(self) -> None:
        """Raw clients still work, with and without a line end at the end."""
        server = self.serve()
        for message in (b"ada\nhere", b"ada\r\nhere\r\n", b" ada \nhere\n\n"):
            self.assertEqual(self.send(server, message), "Status of ada is set")
            self.assertEqual(self.query(server, "ada"), "here")

    def test_http(self) -> None:
        """No HTTP client sets anything at the setter's port: its request is refused."""
        server = self.serve()
        curl = need("curl", package="curl")
        where = url("127.0.0.1", server.port("setport"), "x")
        for options in (
            ("--data-raw", "moshez\nhere"),
            ("--header", "Content-Type: text/plain", "--data-binary", "moshez\nhere\n"),
            *(("--request", method) for method in ("PUT", "DELETE", "PATCH", "moshez", "get")),
            ("--upload-file", str(USERS)),
            ("--http1.0",),
            ("--http2-prior-knowledge",),
        ):
            run(curl, "--silent", "--max-time", "1", *options, where)
        for line in ("POST /x HTTP/1.1", "GET /", "moshez /x HTTP/1.1", "PRI * HTTP/2.0"):
            for body in ("Host: x\r\n\r\n", "Content-Type: text/plain\r\n\r\nmoshez\nhere\n"):
                self.assertEqual(self.send(server, f"{line}\r\n{body}".encode()), IS_HTTP)
        self.assertEqual(self.query(server), "No one logged on")
        self.assertEqual(self.set(server, "ada"), "Status of ada is set\n")
        self.assertEqual(self.query(server).strip(), "ada")

    def test_hidden(self) -> None:
        """A status that an earlier back end would hide is not set, and the client learns why."""
        server = self.start(
            *("--backend=file", f"--file={USERS}", f"--backend=memory:{self.path}"),
            *("--setport=0", "--fingerport=0"),
        )
        why = "moshez's status comes from the file back end, which cannot be set"
        self.assertEqual(self.set(server, "moshez"), f"finger: {why}\n")
        self.assertEqual(self.query(server, "moshez"), "Happy and well")
        self.assertEqual(self.set(server, "ada"), "Status of ada is set\n")
        self.assertEqual(self.query(server, "ada"), "here")
        self.assertEqual(json.loads(self.path.read_text()), {"ada": "here"})

    def test_reset(self) -> None:
        """A client that resets the connection sets nothing."""
        server = self.serve()
        with socket.create_connection(("127.0.0.1", server.port("setport"))) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(b"ada\nhere")
        self.assertEqual(self.send(server, b"bob\nhere"), "Status of bob is set")
        self.assertEqual(self.query(server).strip(), "bob")
