"""Tests of what users of a machine say about themselves in their home directories, over real sockets."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from pathlib import Path

from tests.process.test_blackbox import BlackBoxTestCase, url
from tests.support.tools import ROOT, Server, ask

HOMES = Path(ROOT, "tests", "thirdparty", "homes")

PUBLIC, PGP = (
    "ssh-ed25519 AAAAC3Nz ada",
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME=\n-----END PGP PUBLIC KEY BLOCK-----",
)

HEAD = "Login: ada            \t\t\tName: Ada Lovelace\r\n"


class HomesTestCase(BlackBoxTestCase):
    """A server for one user, with a home directory."""

    def setUp(self) -> None:
        """Make a home directory with a plan."""
        self.home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.home)
        self.home.chmod(0o755)
        self.write(".plan", "Weaving\n")

    def write(self, name: str, text: str) -> None:
        """Write a file in the home directory that all can read."""
        (self.home / name).write_text(text)
        (self.home / name).chmod(0o644)

    def serve(self, *options: str) -> Server:
        """Start a server for the user."""
        passwd = self.users(f"ada:x:{os.geteuid()}:0:Ada Lovelace,Room 12:{self.home}:/bin/sh\n")
        ports = ("--fingerport=0", "--webport=0")
        return self.start(f"--backend=homes:{passwd}", *ports, *options, PYTHONPATH=str(HOMES))

    def finger(self, server: Server, query: str = "ada") -> str:
        """Send a query, and return the answer."""
        return ask("127.0.0.1", server.port("fingerport"), f"{query}\r\n".encode()).decode()

    def page(self, server: Server, path: str = "ada") -> str:
        """Return a page."""
        with urllib.request.urlopen(url("127.0.0.1", server.port("webport"), path)) as answer:
            return str(answer.read().decode())


class HidingTests(HomesTestCase):
    """Fields that users hide."""

    def test_fields(self) -> None:
        """A user hides fields at any time, everywhere, and then altogether."""
        server = self.serve("--disclose=name,plan,office", "--match-names")
        self.assertEqual(self.finger(server, "lovelace"), f"{HEAD}Office: Room 12\r\nPlan:\r\nWeaving\r\n")
        self.write(".nofinger", "plan\noffice\n")
        self.assertEqual([self.finger(server), self.finger(server, "/W")], [HEAD, HEAD])
        self.assertEqual(self.finger(server, ""), "ada              Ada Lovelace\r\n")
        page = self.page(server)
        self.assertIn("Ada Lovelace", page)
        for text in ("Room 12", "Weaving", "No Plan"):
            self.assertNotIn(text, page)
        self.write(".nofinger", "plan\noffice\nname\n")
        answers = [self.finger(server, query) for query in ("ada", "", "lovelace")]
        self.assertEqual(answers, ["Login: ada            \t\t\tName:\r\n", "ada\r\n", "No such user\r\n"])
        self.assertNotIn("Lovelace", self.page(server) + self.page(server, ""))
        self.write(".nofinger", "plan\noffice\nnaem\n")
        self.assertEqual(self.finger(server), "No such user\r\n")


class KeyTests(HomesTestCase):
    """Users' keys."""

    def setUp(self) -> None:
        """Write the keys."""
        super().setUp()
        self.write(".pubkey", f"{PUBLIC}\n")
        self.write(".pgpkey", f"{PGP}\n")

    def test_disclosed(self) -> None:
        """Keys that are disclosed are in the answer, in the long form of the list, and on the page."""
        server = self.serve("--disclose=name,plan,pubkey,pgpkey")
        expected = "\r\n".join([f"{HEAD}PGP key:", *PGP.split("\n"), "Plan:", "Weaving", "Public key:", PUBLIC, ""])
        self.assertEqual(self.finger(server), expected)
        self.assertEqual(self.finger(server, "/W"), expected)
        page = self.page(server)
        for text in (PUBLIC, PGP):
            self.assertIn(f"<pre>{text}</pre>", page)
        (self.home / ".pubkey").chmod(0o600)
        self.assertEqual(self.finger(server), expected.replace(f"Public key:\r\n{PUBLIC}\r\n", ""))
        server.waitFor(f"{self.home}/.pubkey: is not readable by other users of the machine")

    def test_default(self) -> None:
        """By default, keys are not shown."""
        server = self.serve()
        self.assertEqual(self.finger(server), f"{HEAD}Plan:\r\nWeaving\r\n")
        self.assertNotIn("AAAA", self.page(server))
