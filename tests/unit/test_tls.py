"""Tests of certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.protocols.policies import WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.adapters.web.tls import ReloadingCertificate, contextFromPEM, developmentCertificate, readCertificate
from finger.errors import ConfigError
from finger.interfaces import IReloadable
from finger.testing import ThreadlessReactor
from tests.support.files import LateReactor, makeFIFO

PEM = developmentCertificate()
CERTIFICATE, KEY = PEM[: PEM.index(b"-----BEGIN PRIVATE")], PEM[PEM.index(b"-----BEGIN PRIVATE") :]
TLS = TLSMemoryBIOProtocol(WrappingFactory(Factory()), Protocol())


class ContextTests(SynchronousTestCase):
    """Valid and invalid PEM."""

    def test_good(self) -> None:
        """A certificate and its key are accepted, with or without a chain."""
        other = developmentCertificate().partition(b"-----BEGIN PRIVATE")[0]
        for pem in (PEM, KEY + CERTIFICATE, CERTIFICATE + other + KEY):
            self.assertIsInstance(contextFromPEM(pem), SSL.Context)

    def test_bad(self) -> None:
        """A missing or mismatched part is an error of one line."""
        other = developmentCertificate().partition(b"-----BEGIN PRIVATE")
        for pem, words in {
            b"": "holds no PEM certificate",
            KEY: "holds no PEM certificate",
            CERTIFICATE: "no PEM private key",
            CERTIFICATE + KEY.replace(b"BEGIN PRIVATE", b"BEGIN ENCRYPTED PRIVATE"): "has a pass phrase",
            CERTIFICATE + other[1] + other[2]: "cannot be used together: key values mismatch",
            CERTIFICATE.replace(b"MII", b"XXX", 1) + KEY: "cannot be used together: ",
            CERTIFICATE + KEY[:60] + b"\n-----END PRIVATE KEY-----\n": "cannot be used together: ",
        }.items():
            error = self.assertRaises(ConfigError, contextFromPEM, pem)
            self.assertIn(words, str(error))
            self.assertNotIn("\n", str(error))
            self.assertFalse(str(error).rstrip().endswith(":"), str(error))


class DevelopmentCertificateTests(SynchronousTestCase):
    """Development certificates."""

    def test_names(self) -> None:
        """The certificate is for this machine, valid for a limited time, and cannot sign others."""
        now = datetime(2026, 1, 2, tzinfo=UTC)
        with patch("finger.adapters.web.tls.gethostname", return_value="here.example"):
            certificate = x509.load_pem_x509_certificate(developmentCertificate(now))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["localhost", "here.example"])
        self.assertEqual([str(a) for a in names.get_values_for_type(x509.IPAddress)], ["127.0.0.1", "::1"])
        self.assertLess(certificate.not_valid_before_utc, now)
        self.assertEqual((certificate.not_valid_after_utc - now).days, 30)
        self.assertFalse(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)

    def test_strangeHost(self) -> None:
        """A machine whose name is not valid in a certificate gets one for localhost."""
        for name in ("höst", ""):
            with patch("finger.adapters.web.tls.gethostname", return_value=name):
                pem = developmentCertificate()
            contextFromPEM(pem)
            extensions = x509.load_pem_x509_certificate(pem).extensions
            names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            self.assertEqual(set(names.get_values_for_type(x509.DNSName)), {"localhost"})


class ReloadingCertificateTests(SynchronousTestCase):
    """Renewal."""

    def setUp(self) -> None:
        """Write a certificate and a key to files."""
        directory = Path(self.mktemp())
        directory.mkdir()
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        self.certificate.write_bytes(CERTIFICATE)
        self.key.write_bytes(KEY)

    def make(self, reactor: ThreadlessReactor | None = None) -> ReloadingCertificate:
        """Make the certificate from the files."""
        read = partial(readCertificate, str(self.certificate), str(self.key))
        return ReloadingCertificate(read, f"--certificate={self.certificate}", reactor or ThreadlessReactor())

    def test_interfaces(self) -> None:
        """The certificate creates connections, and can be reloaded."""
        certificate = self.make()
        verifyObject(IOpenSSLServerConnectionCreator, certificate)
        verifyObject(IReloadable, certificate)
        self.assertIsInstance(certificate.serverConnectionForTLS(TLS), SSL.Connection)

    def test_oneFile(self) -> None:
        """One file may hold both certificate and key."""
        self.assertEqual(readCertificate(str(self.certificate), ""), CERTIFICATE)

    def test_renewed(self) -> None:
        """A renewed certificate is used after the reload, with its expiry date."""
        certificate = self.make()
        expires = certificate.expires
        before = certificate.serverConnectionForTLS(TLS).get_context()
        new = developmentCertificate(datetime.now(UTC) + timedelta(days=1))
        self.certificate.write_bytes(new)
        self.key.write_bytes(new)
        self.assertIs(self.successResultOf(certificate.reload()), True)
        self.assertEqual((certificate.expires - expires).days, 1)
        self.assertIsNot(certificate.serverConnectionForTLS(TLS).get_context(), before)

    def test_bad(self) -> None:
        """A bad certificate is not used, and the reason is logged."""
        certificate = self.make()
        before = certificate.serverConnectionForTLS(TLS).get_context()
        for spoil in (lambda: self.key.write_bytes(b""), self.key.unlink):
            spoil()
            with capturedLogs() as logs:
                self.assertIs(self.successResultOf(certificate.reload()), False)
            self.assertEqual(logs[0]["log_level"], LogLevel.error)
            self.assertIs(certificate.serverConnectionForTLS(TLS).get_context(), before)

    def test_fifo(self) -> None:
        """A FIFO is checked in a thread, and refused."""
        reactor = LateReactor()
        certificate = self.make(reactor)
        before = certificate.serverConnectionForTLS(TLS).get_context()
        makeFIFO(self, self.certificate)
        reload = certificate.reload()
        self.assertNoResult(reload)
        with capturedLogs() as logs:
            reactor.runThreads()
        self.assertIs(self.successResultOf(reload), False)
        self.assertEqual(
            [formatEvent(event) for event in logs],
            [
                f"--certificate={self.certificate}: cannot be read: is not a regular file; "
                "the previous certificate stays in use"
            ],
        )
        self.assertIs(certificate.serverConnectionForTLS(TLS).get_context(), before)

    def test_start(self) -> None:
        """At the start, a bad certificate is an error that names the option and the file."""
        self.certificate.write_bytes(b"")
        self.assertIn(f"--certificate={self.certificate}: holds no", str(self.assertRaises(ConfigError, self.make)))
        self.key.unlink()
        self.assertIn(f"--privatekey={self.key}: cannot be read", str(self.assertRaises(ConfigError, self.make)))
