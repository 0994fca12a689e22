"""Tests of C{--texts} over real sockets."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from xmlrpc.client import Fault, ServerProxy

from tests.process.test_blackbox import BlackBoxTestCase, run, url
from tests.support.tools import FAMILIES, Server, ask, twistdPath


class TextsTests(BlackBoxTestCase):
    """A server with the administrator's own texts."""

    def setUp(self) -> None:
        """Write the users and the texts."""
        self.options = (f"--file={self.users('ada: Weaving')}", "--fingerport=0", "--webport=0")
        self.texts = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.texts)
        self.texts.chmod(0o755)
        self.write("list", "Ask for ada\n")
        self.write("unknown", "Unknown here\n\x1b[31mRed\n")
        self.write("banner", "Our host\n\n")

    def write(self, name: str, text: str) -> None:
        """Write a text."""
        (self.texts / f"{name}.txt").write_text(text)

    def finger(self, server: Server, query: str) -> str:
        """Send a query over each family, and return the answer."""
        answers = {ask(host, server.port("fingerport"), f"{query}\r\n".encode()) for host in FAMILIES.values()}
        self.assertEqual(len(answers), 1)
        return answers.pop().decode()

    def page(self, server: Server, path: str) -> tuple[int, str]:
        """Return the status and the HTML of a page."""
        try:
            answer = urllib.request.urlopen(url("127.0.0.1", server.port("webport"), path))
        except HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.read().decode()

    def reload(self, server: Server) -> None:
        """Reload the server."""
        os.kill(server.process.pid, signal.SIGHUP)
        server.waitFor("finger has reloaded")

    def test_texts(self) -> None:
        """The texts are answered on port 79 and on the web; programs receive the errors' words."""
        server = self.start(*self.options, f"--texts={self.texts}", "--no-list")
        for query, answer in {"": "Ask for ada", "/W": "Ask for ada", "ada": "Weaving"}.items():
            self.assertEqual(self.finger(server, query), f"Our host\r\n\r\n{answer}\r\n")
        self.assertEqual(self.finger(server, "eve"), "Our host\r\n\r\nUnknown here\r\n?[31mRed\r\n")
        for path, status, text in (
            ("", 200, "Ask for ada"),
            ("ada", 200, "Weaving"),
            ("eve", 404, "Unknown here\n?"),
        ):
            found, html = self.page(server, path)
            self.assertEqual(found, status)
            for part in (">Our host", f">{text}"):
                self.assertIn(part, html)
        calls = ServerProxy(url("127.0.0.1", server.port("webport"), "RPC2"))
        self.addCleanup(calls("close"))
        self.assertEqual(calls.getUser("eve"), "No such user")
        self.assertRaises(Fault, calls.getUsers)
        self.assertNotIn("Traceback", server.log)

    def test_reload(self) -> None:
        """A reload reads the texts again, and nothing that was kept outlives them; an error keeps all of them."""
        server = self.start(*self.options, f"--texts={self.texts}")
        for _ in range(2):
            self.assertEqual(self.finger(server, ""), "Our host\r\n\r\nAsk for ada\r\n")
            self.assertIn("Ask for ada", self.page(server, "")[1])
        self.write("banner", "New host")
        (self.texts / "list.txt").unlink()
        self.reload(server)
        self.assertEqual(self.finger(server, ""), "New host\r\nada\r\n")
        html = self.page(server, "")[1]
        self.assertIn(">New host", html)
        self.assertNotIn("Ask for ada", html)
        self.write("banner", "")
        self.write("unknown", "changed")
        os.kill(server.process.pid, signal.SIGHUP)
        server.waitFor("finger has reloaded all but: texts")
        self.assertIn("banner.txt: is empty; write a text, or remove the file; the texts in use are kept", server.log)
        self.assertIn("Unknown here", self.finger(server, "eve"))

    def test_default(self) -> None:
        """By default, there are no such texts."""
        server = self.start(*self.options)
        self.assertEqual([self.finger(server, query) for query in ("", "eve")], ["ada\r\n", "No such user\r\n"])
        self.assertNotIn('class="banner"', self.page(server, "eve")[1])

    def check(self, *options: str) -> str:
        """Return what the command prints about a configuration."""
        done = run(twistdPath(), "-n", "finger", *self.options, *options)
        return (done.stdout + done.stderr).strip()

    def test_check(self) -> None:
        """The configuration's check names the text that is wrong, in one line, and files that are not used."""
        option = f"--texts={self.texts}"
        self.assertEqual(self.check(option, "--check-config"), "twistd finger: the configuration is valid")
        self.assertIn(f'texts = "{self.texts}"  # --texts', self.check(option, "--print-config"))
        self.write("Banner", "x")
        self.assertIn("not used: 'Banner.txt'; the names of texts are list.txt", self.check(option, "--check-config"))
        (self.texts / "list.txt").write_bytes(b"\xff")
        self.assertEqual(
            self.check(option, "--check-config"),
            f"twistd finger: {option}: list.txt: is not in UTF-8: invalid start byte at byte 0",
        )
        self.assertEqual(
            self.check("--texts=/nowhere", "--check-config"),
            "twistd finger: --texts=/nowhere: cannot be read: No such file or directory; "
            "give a directory with any of list.txt, unknown.txt, banner.txt",
        )
