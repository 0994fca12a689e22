"""
Tests of a server whose user cannot read Python's library, as with a Python in root's home directory.

Root reads everything, so the server starts; what it imports after it has dropped its privileges fails.
"""

from __future__ import annotations

import base64
import re
import shutil
import signal
import sys
import sysconfig
import tempfile
from pathlib import Path
from urllib.request import Request

from tests.support.everywhere import BROWSER, EverywhereTestCase, readPage
from tests.support.tools import ROOT, Server, ask, needRoot, twistdPath

IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)

QUERIES = (
    *("", "/W", "moshez nobody", "zoe\u0308", "MOSHEZ Example", "\xff\xfb\x1fmoshez", "x" * 2000),
    *("x@é", "x@straße.invalid", "x@host.invalid", "x@[::1]", "x@127.0.0.1", "@10.0.0.1", "x@\N{SNOWMAN}", "x@a@b"),
)


class LibraryTests(EverywhereTestCase):
    """A server that drops its privileges."""

    def library(self) -> tuple[Path, Path]:
        """Make a private directory with the libraries, and return it and a directory for other files."""
        needRoot("only root can read what the server's user cannot")
        private, public = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
        for path in (private, public):
            self.addCleanup(shutil.rmtree, path)
        private.chmod(0o700)
        public.chmod(0o777)
        (private / "home").mkdir()
        (private / "home" / "lib").symlink_to(Path(sys.base_prefix, "lib"))
        (private / "packages").symlink_to(sysconfig.get_path("purelib"))
        (private / "checkout").symlink_to(ROOT)
        return private, public

    async def startPrivate(self, *options: str) -> Server:
        """Start a server with the private libraries and every adapter."""
        base = getattr(
            sys, "_base_executable", sys.executable
        )  # That of a virtual environment finds its own library.
        private, public = self.library()
        (public / "users").write_text("moshez: Happy and well\nalice (Alice Example): x\nzoë: y\n")
        (public / "passwords").write_text("ada:lovelace\n")
        return await self.start(
            *(
                f"--backend=file:{public}/users",
                "--backend=memory",
                "--backend=local",
                f"--auth=file:{public}/passwords",
            ),
            *("--match-names", "--forward=any", "--setport=0", "--statusport=0", *options),
            before=(base, "-S"),
            program=twistdPath(),
            PYTHONHOME=str(private / "home"),
            PYTHONPATH=f"{private}/packages:{private}/checkout:{private}/checkout/tests/thirdparty/failing",
            PYTHONPROFILEIMPORTTIME="1",
        )

    async def test_nothingLate(self) -> None:
        """Everything that queries, updates, a reload and the stop need is imported before the server is ready."""
        server = await self.startPrivate()
        for query in QUERIES:
            answer = ask("::1", server.port("fingerport"), f"{query}\r\n".encode())
            self.assertNotIn(b"Internal error", answer, query)
        self.assertEqual(ask("::1", server.port("fingerport"), b"\xff\xfb\x1fmoshez\r\0"), b"Happy and well\r\n")
        await self.assertEverywhere(server, "zoë", "y")
        self.assertIn(b"is set", ask("127.0.0.1", server.port("setport"), b"ada\nx", half=True))
        self.assertEqual(self.put(server), "x")
        for path in ("healthz", "metrics"):
            with BROWSER.open(f"http://127.0.0.1:{server.port('statusport')}/{path}") as response:
                response.read()
        server.process.send_signal(signal.SIGHUP)
        server.waitFor("all but: templates")
        server.stop()
        late = server.log.partition("finger is ready")[2]
        self.assertIn("the templates in use are kept: ", late)
        self.assertNotIn("Traceback", late)
        self.assertNotIn("No module named", late)
        self.assertEqual(IMPORTED.findall(late), [])

    async def test_failure(self) -> None:
        """The log of a failure needs no import either."""
        server = await self.startPrivate("--backend=failing", "--no-list")
        self.assertEqual(ask("::1", server.port("fingerport"), b"other\r\n"), b"Internal error in server\r\n")
        server.stop()
        self.assertIn("LookupError: other", server.log)
        self.assertEqual(IMPORTED.findall(server.log.partition("finger is ready")[2]), [])

    def put(self, server: Server) -> str:
        """Set a status by HTTPS, and return it from the page."""
        address = f"https://localhost:{server.port('httpsport')}/ada"
        password = base64.b64encode(b"ada:lovelace").decode()
        BROWSER.open(Request(address, b"x", {"Authorization": f"Basic {password}"}, method="PUT")).close()
        with BROWSER.open(address) as response:
            return readPage(response.read())["pre"][0]
