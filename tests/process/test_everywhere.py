"""Tests that a user's text is the same on all adapters, with each back end."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.errors import ConfigError
from finger.interfaces import IFingerBackend, IFingerService
from finger.testing import FingerServiceContract
from tests.support.everywhere import EverywhereTestCase
from tests.support.tools import ROOT, Server, ask

VENDING = Path(ROOT, "tests", "thirdparty", "vending")

STOCK = "cola=7,maté=3"

STATUS = 'Répond aussi en français ☕\nà <Zürich> & "Genève", 東京に行きます: 100 %'
"""Two lines (the bot takes 2 s for each further one) with accents and HTML's special characters."""

USERS_FILE = "alice (Alice Example): {0}\nzoë: {0}\n".format(STATUS.replace("\n", "\n    "))


class EverywhereTests(EverywhereTestCase):
    """Each back end, on all adapters."""

    def directory(self) -> Path:
        """Make a directory in which the server's user may read and write."""
        path = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, path)
        path.chmod(0o777)
        return path

    def usersFile(self) -> Path:
        """Write a users file."""
        path = self.directory() / "users"
        path.write_text(USERS_FILE, "utf-8")
        return path

    async def test_file(self) -> None:
        """The back end C{file}, with a status alone."""
        server = await self.start(f"--file={self.usersFile()}")
        await self.assertEverywhere(server, "zoë", STATUS)

    async def test_fileWithName(self) -> None:
        """The back end C{file}, with a full name, which makes finger answer in the long form."""
        server = await self.start(f"--file={self.usersFile()}")
        await self.assertEverywhere(server, "alice", STATUS)

    async def test_memory(self) -> None:
        """The back end C{memory}, set through the setter."""
        server = await self.start("--backend=memory", "--setport=0")
        setStatus(server, "zoë", STATUS)
        await self.assertEverywhere(server, "zoë", STATUS)

    async def test_memoryKept(self) -> None:
        """The back end C{memory:PATH}, with a status set on a previous server."""
        backend = f"--backend=memory:{self.directory()}/users.json"
        with Server(backend, "--setport=0") as before:
            setStatus(before, "zoë", STATUS)
        server = await self.start(backend)
        await self.assertEverywhere(server, "zoë", STATUS)

    async def test_local(self) -> None:
        """The back end C{local}, with root, whose plan the server cannot read."""
        server = await self.start("--backend=local")
        await self.assertEverywhere(server, "root", "No Plan.")

    async def proxy(self, host: str) -> None:
        """Check the back end C{proxy} with another server of this package."""
        other = Server(f"--file={self.usersFile()}", "--fingerport=0")
        self.addCleanup(other.__exit__)
        server = await self.start(f"--backend=proxy:{host}:{other.port('fingerport')}")
        await self.assertEverywhere(server, "zoë", STATUS)

    async def test_proxyIPv4(self) -> None:
        """The back end C{proxy}, over IPv4."""
        await self.proxy("127.0.0.1")

    async def test_proxyIPv6(self) -> None:
        """The back end C{proxy}, over IPv6."""
        await self.proxy("[::1]")

    async def test_chain(self) -> None:
        """A chain of three back ends, with a user of the last one."""
        chain = ("--backend=memory", "--backend=local", "--backend=file")
        server = await self.start(*chain, f"--file={self.usersFile()}")
        await self.assertEverywhere(server, "zoë", STATUS)

    async def test_thirdParty(self) -> None:
        """
        A third-party back end with C{getUser} and C{getUsers} only, from a directory on the path.
        (C{tests.packaging.test_packaging} installs it.)
        """
        server = await self.start(f"--backend=vending:{STOCK}", PYTHONPATH=str(VENDING))
        await self.assertEverywhere(server, "maté", "3 × maté, chilled\n1,50 € each, no <change>")


def setStatus(server: Server, user: str, status: str) -> None:
    """Set a status, and check the reply."""
    answer = ask("127.0.0.1", server.port("setport"), f"{user}\n{status}\n".encode(), half=True)
    assert answer == f"Status of {user} is set\r\n".encode(), answer


def vendingBackend() -> Any:
    """Return the third-party back end."""
    path = VENDING / "finger" / "plugins" / "vending.py"
    specification = importlib.util.spec_from_file_location("vending", path)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    assert specification.loader is not None
    specification.loader.exec_module(module)
    return module.vending


class VendingTests(FingerServiceContract, SynchronousTestCase):
    """The contract of back ends, for the third-party one."""

    known, unknown = "maté", "tea"

    def makeService(self) -> IFingerService:
        """See L{FingerServiceContract.makeService}."""
        service: IFingerService = vendingBackend().makeBackend(STOCK, None)
        return service

    def test_backend(self) -> None:
        """The plugin provides its interface, and reports invalid arguments."""
        backend = vendingBackend()
        verifyObject(IFingerBackend, backend)
        for argument in ("", "cola", "cola=x", "cola=1,", "cola=1=2"):
            error = self.assertRaises(ConfigError, backend.makeBackend, argument, None)
            self.assertIn(f"--backend=vending:{argument}: should be as in", str(error))
