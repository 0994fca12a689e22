"""
The rules of HTTP, over real sockets, with and without TLS.

Another server of the same users passes the same tables: L{ConformanceTestCase.check} needs only its listener.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from finger.adapters.web.tls import developmentCertificate
from tests.process.test_blackbox import USERS, BlackBoxTestCase, run
from tests.support.httprules import PLAIN_RULES, RULES, SECURE_RULES, Reader, Rule, head
from tests.support.rawpeers import Listener, webRequest
from tests.support.tools import FAMILIES, twistdPath

AT_ONCE = 40
"""The connections at once.  Most of them wait for the server to close."""


class ConformanceTestCase(BlackBoxTestCase):
    """Checks of a server."""

    def check(self, listener: Listener, rules: Iterable[Rule]) -> None:
        """Check each rule on a connection of its own."""

        def problem(rule: Rule) -> str:
            try:
                with listener.connect() as peer:
                    rule.check(peer)
            except (AssertionError, OSError) as error:
                return f"{listener.name}: RFC {rule.section}: {rule.words}: {error!r:.300}"
            return ""

        with ThreadPoolExecutor(AT_ONCE) as pool:
            problems = [problem for problem in pool.map(problem, rules) if problem]
        self.assertEqual(problems, [], "\n".join(["", *problems]))

    def checkHead(self, listener: Listener) -> None:
        """Check that HEAD has the fields of GET, whatever the page (RFC 9110 section 9.3.2)."""
        for target in (b"/", b"/moshez", b"/nobody", b"/?page=9", b"/a/b", b"/RPC2"):
            with listener.connect() as peer:
                reader, names = Reader(peer), []
                for method in (b"GET", b"HEAD"):
                    peer.send(head(b"Accept-Encoding: gzip", method=method, target=target))
                    response = reader.read(method)
                    names.append({**response.fields, b"date": b"", b"code": b"%d" % response.code})
                self.assertEqual(names[0], names[1], target)


class ConformanceTests(ConformanceTestCase):
    """The web and HTTPS ports."""

    def setUp(self) -> None:
        """Start the server."""
        self.server = self.start(f"--file={USERS}", "--webport=0", "--ssl", "--httpsport=0")

    def listener(self, option: str, family: str, tls: ssl.TLSVersion | None = None) -> Listener:
        """Return the listener of an option."""
        return Listener(f"{option}, {family}", (FAMILIES[family], self.server.port(option)), webRequest, tls=tls)

    def test_hsts(self) -> None:
        """HTTPS is not promised, nor can it be with a generated certificate: one line says so."""
        for option in ("webport", "httpsport"):
            tls = ssl.TLSVersion.TLSv1_2 if option == "httpsport" else None
            with self.listener(option, "IPv4", tls).connect() as peer:
                peer.send(head())
                self.assertNotIn(b"strict-transport-security", Reader(peer).read().fields)
        for options in (("--hsts=9",), ("--ssl", "--hsts=9"), ("--ssl", "--hsts=0", "--check-config")):
            done = run(twistdPath(), "-n", "--pidfile=", "finger", f"--file={USERS}", "--webport=none", *options)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, r"^[^\n]*--hsts=[09]: needs --ssl and --certificate[^\n]*\n$")

    def test_asked(self) -> None:
        """HTTPS is promised if that is asked for, by HTTPS only, in answers and refusals."""
        certificate = self.users("").with_name("cert.pem")
        certificate.write_bytes(developmentCertificate())
        secure = ("--ssl", "--httpsport=0", f"--certificate={certificate}", "--hsts=31536000")
        self.server = self.start(f"--file={USERS}", "--webport=0", *secure)
        for option, promise in (("webport", None), ("httpsport", b"max-age=31536000")):
            tls = ssl.TLSVersion.TLSv1_3 if option == "httpsport" else None
            with self.listener(option, "IPv6", tls).connect() as peer:
                reader = Reader(peer)
                for request in (head(), head(target=b"*", method=b"OPTIONS"), b"x\r\n"):
                    peer.send(request)
                    self.assertEqual(reader.read().fields.get(b"strict-transport-security"), promise)

    def test_plain(self) -> None:
        """HTTP."""
        listener = self.listener("webport", "IPv4")
        self.check(listener, RULES + PLAIN_RULES)
        self.checkHead(listener)
        self.assertNotIn("Traceback", self.server.log)

    def test_secure(self) -> None:
        """HTTPS."""
        listener = self.listener("httpsport", "IPv6", ssl.TLSVersion.TLSv1_3)
        self.check(listener, RULES + SECURE_RULES)
        self.checkHead(listener)
        self.assertNotIn("Traceback", self.server.log)
