"""Certificates for HTTPS: given, renewed, or made for development."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from socket import gethostname
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from finger.config.files import readFile
from finger.config.threads import ThreadedReader
from finger.errors import ConfigError
from finger.interfaces import IReloadable

DEVELOPMENT_DAYS = 30
"""How long a development certificate lasts."""

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def contextFromPEM(pem: bytes) -> SSL.Context:
    """
    Make what TLS connections are made from: TLS 1.2 at least, and ciphers as Twisted keeps them.

    @param pem: the certificate, those that vouch for it, and the private key, in PEM.
    @raise ConfigError: if one is missing or bad, or the key is not the certificate's.
    """
    blocks = _CERTIFICATE.findall(pem)
    if not blocks:
        raise ConfigError("holds no PEM certificate ('-----BEGIN CERTIFICATE-----')")
    if b"PRIVATE KEY-----" not in pem:
        raise ConfigError("there is no PEM private key; give one with --privatekey, or a file that holds both")
    if b"ENCRYPTED" in pem:
        raise ConfigError("the private key asks for a pass phrase, and nobody is there to give it; give one without")
    try:
        certificate, *chain = [crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in blocks]
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, pem, passphrase=b"")
        options = CertificateOptions(
            privateKey=key, certificate=certificate, extraCertChain=chain, raiseMinimumTo=TLSVersion.TLSv1_2
        )
        context: SSL.Context = options.getContext()
        return context
    except (SSL.Error, crypto.Error) as error:
        # OpenSSL's reasons are a list of triples; the last word of each is for people.
        reasons = "; ".join(reason[-1] for reason in error.args[0])
        raise ConfigError(f"the certificate and private key cannot be used together: {reasons}") from error


def expiryOfPEM(pem: bytes) -> datetime:
    """
    When a certificate ceases to be valid.

    @param pem: what L{contextFromPEM} takes; the certificate is the first.
    """
    first = _CERTIFICATE.findall(pem)[0]
    return crypto.load_certificate(crypto.FILETYPE_PEM, first).to_cryptography().not_valid_after_utc


def readCertificate(certificate: str, privateKey: str) -> bytes:
    """
    Read the files of C{--certificate} and C{--privatekey}.

    @param privateKey: its path; empty if C{certificate} holds both.
    @return: the PEM of both.
    @raise ConfigError: if one cannot be read.
    """
    pem = _read("certificate", certificate)
    return pem + b"\n" + _read("privatekey", privateKey) if privateKey else pem


def _read(option: str, path: str) -> bytes:
    try:
        return readFile(path)
    except OSError as error:
        raise ConfigError(f"--{option}={path}: cannot be read: {error.strerror}") from error


def developmentCertificate(now: datetime | None = None) -> bytes:
    """
    Make a certificate for this machine, signed by itself, that no client has a reason to trust.

    @param now: when it begins to be valid, less an hour for clocks that differ.
    @return: the certificate and its private key, in PEM.
    """
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName("localhost"), x509.DNSName(_hostName())]
    addresses = [x509.IPAddress(ip_address(address)) for address in ("127.0.0.1", "::1")]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "finger development certificate")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DEVELOPMENT_DAYS))
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM) + key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def _hostName() -> str:
    """This machine's name, as far as a certificate can hold it."""
    name = gethostname()
    return name if name.isascii() and name else "localhost"


@implementer(IOpenSSLServerConnectionCreator, IReloadable)
class ReloadingCertificate:
    """
    The certificate that new connections get.

    @param read: gives its PEM, each time anew; to reload it, in a thread.
    @param label: where it comes from, for messages.
    @param reactor: for its threads.
    @ivar expires: when the one in use ceases to be valid.
    @raise ConfigError: if it cannot be used.
    """

    log = Logger()

    def __init__(self, read: Callable[[], bytes], label: str, reactor: Any) -> None:
        self._read = read
        self._label = label
        self._context, self.expires = self._load()
        self._loadAgain = ThreadedReader(reactor, self._load)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """See L{IOpenSSLServerConnectionCreator.serverConnectionForTLS}."""
        return SSL.Connection(self._context, None)

    def reload(self) -> Deferred[bool]:
        """See L{IReloadable.reload}.  Connections that are there keep the certificate they have."""
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> bool:
        try:
            self._context, self.expires = await self._loadAgain()
        except ConfigError as error:
            self.log.error("{problem}; the certificate from before stays in use", problem=error)
            return False
        self.log.info("{label}: certificate read again", label=self._label)
        return True

    def _load(self) -> tuple[SSL.Context, datetime]:
        pem = self._read()
        try:
            return contextFromPEM(pem), expiryOfPEM(pem)
        except ConfigError as error:
            raise ConfigError(f"{self._label}: {error}") from error
