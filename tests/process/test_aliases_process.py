"""Tests of C{--aliases} over real sockets."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from xmlrpc.client import ServerProxy

from tests.process.test_blackbox import BlackBoxTestCase, run, url
from tests.support.tools import Server, ask, twistdPath

USERS = "ada (Ada Lovelace): Weaving\nbob: Baking\n"
ALIASES = "webmaster: ada\nbob: ada\n"
PORTS = ("--fingerport=0", "--webport=0", "--setport=0")


class AliasTests(BlackBoxTestCase):
    """A server with aliases."""

    def setUp(self) -> None:
        """Write the users and the aliases."""
        self.path = self.users(USERS)
        self.aliases = self.path.with_name("aliases")
        self.aliases.write_text(ALIASES)
        self.options = (f"--file={self.path}", f"--aliases={self.aliases}")

    def finger(self, server: Server, query: str) -> str:
        """Send a query, and return the answer."""
        return ask("127.0.0.1", server.port("fingerport"), f"{query}\r\n".encode()).decode()

    def page(self, server: Server, user: str) -> str:
        """Return the heading of a user's page, or its status if it is an error."""
        try:
            with urllib.request.urlopen(url("127.0.0.1", server.port("webport"), user)) as answer:
                return str(re.findall(r"<h1>(?:<bdi>)?([^<]*)", answer.read().decode())[0])
        except HTTPError as error:
            error.close()
            return str(error.code)

    def test_everywhere(self) -> None:
        """An alias is answered as its user on all adapters, and again after a change; lists do not have it."""
        server = self.start(*self.options, *PORTS, "--backend=file", "--backend=memory")
        calls = ServerProxy(url("127.0.0.1", server.port("webport"), "RPC2"))
        self.addCleanup(calls("close"))
        self.assertEqual(self.finger(server, "webmaster"), self.finger(server, "ada"))
        self.assertEqual(self.finger(server, "webmaster ada webmaster"), self.finger(server, "ada"))
        self.assertEqual([self.page(server, user) for user in ("webmaster", "bob")], ["Ada Lovelace", "bob"])
        self.assertEqual((calls.getUser("webmaster"), calls.getUsers()), ("Weaving", ["ada", "bob"]))
        self.assertEqual(self.finger(server, "bob"), "Baking\r\n")
        self.assertEqual(self.finger(server, ""), "ada              Ada Lovelace\r\nbob\r\n")
        for name, reply in {"webmaster": "webmaster is an alias; set the status of its user", "eve": ""}.items():
            answer = ask("127.0.0.1", server.port("setport"), f"{name}\nhere".encode(), half=True).decode()
            self.assertEqual(answer, f"{reply or f'Status of {name} is set'}\r\n")
        self.aliases.write_text("chef: bob\nwebmaster: webmaster\n")
        os.kill(server.process.pid, signal.SIGHUP)
        server.waitFor("finger has reloaded")
        self.assertEqual([self.page(server, user) for user in ("webmaster", "chef")], ["404", "bob"])
        self.assertEqual(self.finger(server, "webmaster chef"), "No such user\r\nBaking\r\n")
        self.assertIn(f"{self.aliases}:2: skipped: 'webmaster' is an alias itself; name its user", server.log)

    def check(self, path: Path, *options: str) -> str:
        """Return what the command prints about a configuration with a file of aliases."""
        done = run(twistdPath(), "-n", "finger", f"--file={self.path}", f"--aliases={path}", *options)
        return (done.stdout + done.stderr).strip()

    def test_check(self) -> None:
        """The configuration's check names the file that cannot be read, and invalid lines."""
        self.assertEqual(self.check(self.aliases, "--check-config"), "twistd finger: the configuration is valid")
        self.aliases.write_text("nonsense\n")
        self.assertIn(
            f"{self.aliases}:1: skipped: has no colon: expected 'alias: user'",
            self.check(self.aliases, "--check-config"),
        )
        self.assertEqual(
            self.check(self.path.with_name("missing"), "--check-config"),
            f"twistd finger: --aliases={self.path.with_name('missing')}: cannot be read: No such file or directory; "
            "give a file of 'alias: user' lines",
        )
        self.assertIn(f'aliases = "{self.aliases}"  # --aliases', self.check(self.aliases, "--print-config"))
