"""C{python -m finger --set}: the client of the setter, tested with real sockets."""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from finger.__main__ import main
from finger.client.setstatus import MAX_ANSWER, Reply, setStatus
from finger.errors import BadQuery
from finger.protocol.setting import MAX_MESSAGE, TOO_LONG
from tests.support.tools import DEADLINE, receive

ANSWER = b"Status of moshez is set\r\n"


class SetterDouble:
    """
    A setter that reads one message and sends a fixed reply.

    @ivar taken: the message.
    """

    def __init__(self, listening: socket.socket, answer: bytes) -> None:
        self.taken = b""
        self._listening = listening
        self._answer = answer
        listening.settimeout(DEADLINE)
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            self.taken = receive(connection)
            connection.sendall(self._answer)

    def end(self) -> None:
        """Wait until it has served its client."""
        self._thread.join(DEADLINE)
        self._listening.close()


class SetClientTestCase(SynchronousTestCase):
    """A setter to connect to."""

    def tcp(self, answer: bytes = ANSWER) -> tuple[int, SetterDouble]:
        """Start one on a port."""
        listening = socket.create_server(("127.0.0.1", 0))
        return listening.getsockname()[1], self.start(listening, answer)

    def unix(self, answer: bytes = ANSWER) -> tuple[str, SetterDouble]:
        """Start one on a UNIX socket."""
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(f"{directory}/set")
        listening.listen()
        return f"{directory}/set", self.start(listening, answer)

    def start(self, listening: socket.socket, answer: bytes) -> SetterDouble:
        """Start one, and wait for its end at the end of the test."""
        double = SetterDouble(listening, answer)
        self.addCleanup(double.end)
        return double

    def nowhere(self) -> int:
        """Return a port without a listener."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port: int = listening.getsockname()[1]
        return port


class SetStatusTests(SetClientTestCase):
    """L{setStatus}."""

    def test_set(self) -> None:
        """Through a port or a UNIX socket, the message is the user and the status, sealed, then the end."""
        starts: tuple[Callable[[], tuple[Any, SetterDouble]], ...] = (self.tcp, self.unix)
        for start in starts:
            where, double = start()
            self.assertEqual(setStatus(where, "zoë", "a ☕\n\nb\n"), Reply("Status of moshez is set", True))
            double.end()
            self.assertEqual(double.taken, "zoë\t\r\na ☕\n\nb\r\n".encode())

    def test_oneself(self) -> None:
        """Without a user, the status is the current user's."""
        where, double = self.unix()
        setStatus(where, "", "here")
        double.end()
        self.assertEqual(double.taken, f"{getpass.getuser()}\t\r\nhere\r\n".encode())

    def test_noName(self) -> None:
        """A current user without a name must give one."""
        for error in (KeyError("uid not found"), OSError("no username")):
            with patch("getpass.getuser", side_effect=error):
                self.assertIn("no name", str(self.assertRaises(BadQuery, setStatus, "/nowhere", "", "here")))

    def test_badName(self) -> None:
        """A name of two lines, which would be read as a name and a status, is refused."""
        for user in ("a\nb", "a\r", "\x1b[2J", "a\0"):
            self.assertRaises(BadQuery, setStatus, "/nowhere", user, "here")

    def test_clean(self) -> None:
        """The reply cannot harm the terminal."""
        where, _ = self.tcp(b"a\x1b[2Jb\xff\r\n")
        reply = setStatus(where, "moshez", "x")
        self.assertTrue(reply.text.isprintable(), reply)
        self.assertFalse(reply.isSet)

    def test_marked(self) -> None:
        """The mark of a reply tells the outcome, whatever the words say."""
        for answer, reply in {
            "Fait accompli ☕\tset\r\n": Reply("Fait accompli ☕", True),
            "Status of moshez is set\trefused\r\n": Reply("Status of moshez is set", False),
            "a\x1b\tb\tset\r\n": Reply("a?\tb", True),
            "Permission denied\trefused\r\n": Reply("Permission denied", False),
        }.items():
            self.assertEqual(setStatus(self.tcp(answer.encode())[0], "moshez", "x"), reply)

    def test_unmarked(self) -> None:
        """Replies of older setters are known by their words."""
        for answer, isSet in (
            (b"Status of moshez is set\r\n", True),
            (b"Status of moshez is set by others\r\n", False),
            (b"set\r\n", False),
            (b"Happy\nStatus of moshez is set\r\n", False),
        ):
            reply = setStatus(self.tcp(answer)[0], "moshez", "x")
            self.assertEqual((reply.text.encode(), reply.isSet), (answer.strip().replace(b"\r", b""), isSet))

    def test_incomplete(self) -> None:
        """A reply without its line end does not tell the outcome, even if what came of it looks like success."""
        for answer, text in (
            (b"", "the setter's reply is incomplete (connection closed), so the status may be set or not"),
            (
                b"Status of moshez is set",
                "the setter's reply is incomplete (connection closed), so the status may be set or not: "
                "Status of moshez is set",
            ),
        ):
            self.assertEqual(setStatus(self.tcp(answer)[0], "moshez", "x"), Reply(text, False))

    def test_silent(self) -> None:
        """The whole reply has a time limit.  The outcome is unknown then, too."""
        with socket.create_server(("127.0.0.1", 0)) as listening, patch("finger.client.setstatus.TIMEOUT", 0.05):
            reply = setStatus(listening.getsockname()[1], "moshez", "x")
        self.assertFalse(reply.isSet)
        self.assertIn("incomplete (time limit of 0.05 s)", reply.text)

    def test_reset(self) -> None:
        """A setter that resets the connection in place of a reply."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = Thread(target=self.reset, args=(listening,))
            thread.start()
            reply = setStatus(listening.getsockname()[1], "moshez", "x")
            thread.join(DEADLINE)
        self.assertFalse(reply.isSet)
        self.assertIn("incomplete (connection lost)", reply.text)

    def reset(self, listening: socket.socket) -> None:
        """Accept a connection, and reset it."""
        connection, _ = listening.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        receive(connection)
        connection.close()

    def test_early(self) -> None:
        """A setter may reply, and close its end, before it has read the message."""
        here, there = socket.socketpair()
        there.sendall(b"Nothing was set: too many connections, try again later\r\n")
        there.close()
        with patch("finger.client.setstatus._connect", return_value=here):
            reply = setStatus(1, "moshez", "x")
        self.assertEqual(reply, Reply("Nothing was set: too many connections, try again later", False))

    def test_unsent(self) -> None:
        """A setter that closes its end before it has read the message, without a reply."""
        here, there = socket.socketpair()
        there.close()
        with patch("finger.client.setstatus._connect", return_value=here):
            self.assertIn("incomplete (connection lost)", setStatus(1, "moshez", "x").text)

    def test_endless(self) -> None:
        """The length of the reply is limited."""
        with patch("finger.client.setstatus.MAX_ANSWER", 10_000):
            where, _ = self.tcp(b"x" * 100_000)
            self.assertLess(len(setStatus(where, "moshez", "x").text), 20_000)
        self.assertLess(len(ANSWER), MAX_ANSWER)

    def test_unreachable(self) -> None:
        """A setter that does not listen is a system error."""
        self.assertRaises(OSError, setStatus, self.nowhere(), "moshez", "x")
        self.assertRaises(FileNotFoundError, setStatus, "/nowhere/set", "moshez", "x")


class MainTests(SetClientTestCase):
    """The client command with C{--set}."""

    def setUp(self) -> None:
        """Restore the handler of SIGINT afterwards."""
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))

    def run_(self, *arguments: str, status: Any = "here\n", encoding: str = "utf-8") -> tuple[Any, str, str]:
        """Run the command; return its exit status and outputs."""
        buffer, err = BytesIO(), StringIO()
        out = TextIOWrapper(buffer, encoding)
        stdin = StringIO(status) if isinstance(status, str) else status
        with patch.multiple(sys, stdin=stdin, stdout=out, stderr=err):
            code = self.assertRaises(SystemExit, main, arguments).code
        out.flush()
        return code, buffer.getvalue().decode(encoding), err.getvalue()

    def test_socket(self) -> None:
        """A UNIX socket, for the current user and another."""
        for more, user in (((), getpass.getuser()), (("moshez",), "moshez")):
            where, double = self.unix()
            self.assertEqual(self.run_(f"--set={where}", *more), (0, "Status of moshez is set\n", ""))
            double.end()
            self.assertEqual(double.taken, f"{user}\t\r\nhere\r\n".encode())

    def test_port(self) -> None:
        """A port of this machine."""
        port, double = self.tcp()
        self.assertEqual(self.run_("moshez", "-p", str(port), "--set"), (0, "Status of moshez is set\n", ""))
        double.end()
        self.assertEqual(double.taken, b"moshez\t\r\nhere\r\n")

    def test_refused(self) -> None:
        """A refusal is a failure, with the setter's text."""
        where, _ = self.unix(b"Permission denied\r\n")
        self.assertEqual(self.run_(f"--set={where}", "ada"), (1, "", "finger: Permission denied\n"))

    def test_unreachable(self) -> None:
        """A setter that does not listen is a failure."""
        code, out, err = self.run_("--set=/nowhere/set")
        self.assertEqual((code, out), (1, ""))
        self.assertTrue(err.startswith("finger: could not set a status at /nowhere/set: "), err)
        self.assertIn(f"at {(port := self.nowhere())}: ", self.run_("--set", "-p", str(port), "ada")[2])

    def test_bad(self) -> None:
        """An invalid name or status is a failure."""
        for arguments, stdin in (
            (("a\x1b[2J",), "x"),
            (("a",), TextIOWrapper(BytesIO(b"\xff"), "utf-8")),
            (("a",), TextIOWrapper(BytesIO(b"\xff"), "utf-8", errors="surrogateescape")),
        ):
            code, out, err = self.run_("--set=/nowhere/set", *arguments, status=stdin)
            self.assertEqual((code, out, err.count("\n")), (1, "", 1))
            self.assertTrue(err.rstrip("\n").isprintable())

    def test_usage(self) -> None:
        """C{--set} accepts one user, without a host."""
        for users in (("a", "b"), ("a@host",), ("@host",), ("finger://host/a",), ("--", "-a", "-b")):
            code, out, err = self.run_("--set=/nowhere/set", *users)
            self.assertEqual((code, out), (2, ""))
            self.assertIn("--set sets one user of this machine", err)
        code, out, err = self.run_("--set", "--", "moshez")
        self.assertEqual((code, out, err.count("\n")), (2, "", 1))
        self.assertIn("--set needs the setter", err)

    def test_noInput(self) -> None:
        """With standard input closed, the status is empty, and the setter replies to that."""
        where, double = self.unix(b"Nothing was set\r\n")
        self.assertEqual(self.run_(f"--set={where}", "ada", status=None)[0], 1)
        double.end()
        self.assertEqual(double.taken, b"ada\t\r\n\r\n")

    def test_long(self) -> None:
        """Of a text that is too long, only enough is read for the setter to refuse it."""
        where, double = self.unix(f"{TOO_LONG}\trefused\r\n".encode())
        stdin = StringIO("x" * (3 * MAX_MESSAGE))
        self.assertEqual(self.run_(f"--set={where}", "ada", status=stdin), (1, "", f"finger: {TOO_LONG}\n"))
        self.assertEqual(stdin.tell(), MAX_MESSAGE + 1)
        double.end()
        self.assertGreater(len(double.taken), MAX_MESSAGE)

    def test_ascii(self) -> None:
        """Characters that the terminal's encoding lacks are replaced."""
        where, _ = self.unix("Status of zoë is set\r\n".encode())
        self.assertEqual(self.run_(f"--set={where}", encoding="ascii")[:2], (0, "Status of zo? is set\n"))

    def test_interrupted(self) -> None:
        """Ctrl-C ends the command at once and silently."""
        self.run_("--set=/nowhere/set")
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_DFL)

    def test_help(self) -> None:
        """The help has the option."""
        self.assertIn("--set [SOCKET]", self.run_("--help")[1])


class PathTests(SynchronousTestCase):
    """Paths of UNIX sockets."""

    def test_longPath(self) -> None:
        """A path that is too long is a system error, like others."""
        self.assertRaises(OSError, setStatus, str(Path("/", "x" * 200)), "a", "x")
