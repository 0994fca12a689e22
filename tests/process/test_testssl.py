"""
Tests of HTTPS with testssl.sh, with no findings above LOW except those of a self-signed certificate.

The checks take a minute.  Two are left out, as they find nothing by themselves: single ciphers (the categories are
checked), and the handshakes of well-known browsers.
"""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import run

from twisted.trial.unittest import SynchronousTestCase

from tests.support.tools import ROOT, Server, need

CHECKS = (
    "--protocols",
    "--standard",
    "--fs",
    "--server-preference",
    "--server-defaults",
    "--headers",
    "--vulnerable",
)
MOST_SECONDS = 600.0
HARMLESS = {"OK", "INFO", "LOW"}

HARMLESS_HERE = {"BREACH": "the compressed pages hold no secrets, and nothing that a request says is in them"}
"""Findings that do not concern this server, and why not."""

SELF_MADE = {
    "cert_chain_of_trust": "it is self-signed",
    "cert_revocation": "no authority could revoke it",
    "cert_expirationStatus": "it is valid for 30 days, as it is for development",
    "cert_notAfter": "the same",
}
"""Findings about a development certificate, and why they are not the server's fault."""

TOOLS_OWN = {
    "engine_problem": "testssl.sh asks for an OpenSSL with GOST, which is not needed for any check here",
    "sessionresumption_ticket": "testssl.sh's question about tickets fails; there are none, as another check says",
}
"""Findings of testssl.sh about itself."""


class TestsslTests(SynchronousTestCase):
    """A running server."""

    def test_findings(self) -> None:
        """Protocols, ciphers, headers and known vulnerabilities have no finding above LOW."""
        testssl = need("testssl", package="testssl.sh")
        report = Path(self.mktemp()).absolute()
        with Server(f"--file={ROOT / 'etc' / 'users'}", "--ssl", "--httpsport=0", "--webport=none") as server:
            address = f"127.0.0.1:{server.port('httpsport')}"
            options = ("--quiet", "--color=0", "--warnings=off", "--nodns=none", f"--jsonfile={report}")
            done = run(
                [testssl, *options, *CHECKS, address],
                capture_output=True,
                text=True,
                timeout=MOST_SECONDS,
                check=False,
            )
            self.assertNotIn("Traceback", server.log)
        findings = {finding["id"]: finding for finding in json.loads(report.read_text("utf-8"))}
        self.assertEqual(findings["HSTS"]["finding"], "not offered", done.stdout)  # It has received a response.
        self.assertIn("heartbleed", findings, done.stdout)
        for explained in (*SELF_MADE, *TOOLS_OWN, *HARMLESS_HERE):
            findings.pop(explained, None)
        self.assertEqual([f for f in findings.values() if f["severity"] not in HARMLESS], [])
