"""Every listener with every back end, in all the ways in which queries arrive and connections end."""

from __future__ import annotations

import shutil
import ssl
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.process.test_blackbox import USERS, BlackBoxTestCase
from tests.support.rawpeers import (
    PROXY,
    WAYS,
    Listener,
    SlowFingerServer,
    fingerQuery,
    outcome,
    pbCall,
    setterMessage,
    statusRequest,
    webRequest,
    xmlrpcRequest,
)
from tests.support.tools import Server, ask, needRoot

PLAN: Final = b"Happy and well"

EXPECTED: Final = {
    "finger": {
        "open": "answer",
        "half-closed": "answer",
        "half-closed, incomplete": "answer",
        "telnet options": "answer",
        "byte by byte": "answer",
        "reset": "end",
    },
    "web": {
        "open": "answer",
        "half-closed": "answer",
        "half-closed, incomplete": "end",
        "telnet options": "bad request",
        "byte by byte": "answer",
        "reset": "end",
    },
    "pb": {
        "open": "answer",
        "half-closed": "answer",
        "half-closed, incomplete": "end",
        "telnet options": "end",
        "byte by byte": "answer",
        "reset": "end",
    },
    "setter": {"half-closed": "answer", "half-closed, incomplete": "answer", "reset": "end"},
}
"""What arrives, by the kind of listener and the way to ask."""


class MatrixTests(BlackBoxTestCase):
    """A test for each back end."""

    def setUp(self) -> None:
        """Make a directory for the sockets."""
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.directory.chmod(0o777)

    def serve(self, *options: str) -> Server:
        """Start a server with all listeners."""
        ports = [
            f"--{name}={prefix}{where}"
            for name in ("fingerport", "webport", "pbport")
            for prefix, where in (
                ("", "0"),
                ("", f"unix:{self.directory}/{name}"),
                ("haproxy:", "tcp:0:interface=127.0.0.1"),
                ("haproxy:", f"unix:{self.directory}/{name}-proxied"),
            )
        ]
        return self.start(*options, *ports, "--ssl", "--httpsport=0", "--statusport=0")

    def listeners(self, server: Server) -> list[tuple[str, Listener]]:
        """Return the listeners of a server, each with its kind."""
        found = []
        for kind, name, option, query in (
            ("finger", "finger", "fingerport", fingerQuery),
            ("web", "web", "webport", webRequest),
            ("web", "XML-RPC", "webport", xmlrpcRequest),
            ("pb", "PB", "pbport", pbCall),
        ):
            plain, proxied = (("127.0.0.1", port) for port in server.ports[option])
            path = f"{self.directory}/{option}"
            found += [
                (kind, Listener(name, plain, query)),
                (kind, Listener(f"{name}, IPv6", ("::1", plain[1]), query)),
                (kind, Listener(f"{name}, UNIX", path, query)),
                (kind, Listener(f"{name}, HAProxy", proxied, query, PROXY)),
                (kind, Listener(f"{name}, HAProxy and UNIX", f"{path}-proxied", query, PROXY)),
            ]
        https = ("127.0.0.1", server.port("httpsport"))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            found.append(("web", Listener(f"web, {version.name}", https, webRequest, tls=version)))
            found.append(("web", Listener(f"XML-RPC, {version.name}", https, xmlrpcRequest, tls=version)))
        return found

    def check(self, server: Server, user: str = "moshez", plan: bytes = PLAN, *more: tuple[str, Listener]) -> None:
        """Ask all listeners in all ways at once, and check what arrives and that the server is well."""
        status = Listener("status", ("127.0.0.1", server.port("statusport")), statusRequest)
        cells = [(kind, listener, way, plan) for kind, listener in self.listeners(server) for way in WAYS]
        cells += [("web", status, way, b"ok\n") for way in WAYS]
        cells += [(kind, listener, way, b" is set") for kind, listener in more for way in EXPECTED[kind]]
        with ThreadPoolExecutor(16) as pool:
            came = pool.map(lambda cell: outcome(cell[1], cell[2], user, cell[3]), cells)
        wrong = {
            (listener.name, way): (word, EXPECTED[kind][way])
            for (kind, listener, way, _), word in zip(cells, came, strict=True)
            if word != EXPECTED[kind][way]
        }
        self.assertEqual(wrong, {}, wrong)
        self.assertIn(plan, ask("127.0.0.1", server.port("fingerport"), f"{user}\r\n".encode()))
        for text in ("Traceback", "Unhandled"):
            self.assertNotIn(text, server.log)

    def upstream(self, host: str, port: int = 0) -> int:
        """Start another finger server, and return its port."""
        server = SlowFingerServer(host, port)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return int(server.server_address[1])

    def test_file(self) -> None:
        """The back end C{file}."""
        self.check(self.serve(f"--file={USERS}"))

    def test_memory(self) -> None:
        """The back end C{memory}, with its setter."""
        server = self.serve("--backend=memory", "--setport=0", f"--setport=unix:{self.directory}/set", "--admin=root")
        port = server.port("setport")
        ask("127.0.0.1", port, setterMessage("moshez"), half=True)
        setters = (
            Listener("setter", ("127.0.0.1", port), setterMessage),
            Listener("setter, UNIX", f"{self.directory}/set", setterMessage),
        )
        self.check(server, "moshez", PLAN, *[("setter", setter) for setter in setters])

    def test_local(self) -> None:
        """The back end C{local}, which reads in threads."""
        self.check(self.serve("--backend=local"), "root", b"No Plan.")

    def test_proxy(self) -> None:
        """The back end C{proxy}."""
        self.check(self.serve(f"--backend=proxy:127.0.0.1:{self.upstream('127.0.0.1')}"))

    def test_chain(self) -> None:
        """A chain of back ends, with a user of the last one."""
        proxy = f"--backend=proxy:127.0.0.1:{self.upstream('127.0.0.1')}"
        users = self.users("")
        self.check(self.serve("--backend=memory", "--backend=local", "--backend=file", f"--file={users}", proxy))

    def test_forward(self) -> None:
        """Forwarded queries."""
        needRoot("forwarded queries go to port 79")
        self.upstream("127.0.79.1", 79)
        server = self.serve(f"--file={USERS}", "--forward=127.0.79.1")
        self.check(server, "moshez@127.0.79.1")
