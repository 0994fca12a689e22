"""Certificates for HTTPS, which can be given, renewed, or generated for development."""

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
from finger.net.tls import TLSConnection

DEVELOPMENT_DAYS = 30
"""The lifetime of a development certificate, in days."""

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def contextFromPEM(pem: bytes) -> SSL.Context:
    """
    Make the context of TLS connections, with TLS 1.2 or newer and Twisted's choice of ciphers.

    @param pem: the certificate, its chain and the private key, in PEM.
    @raise ConfigError: if one is missing or invalid, or the key does not match the certificate.
    """
    blocks = _CERTIFICATE.findall(pem)
    if not blocks:
        raise ConfigError("holds no PEM certificate ('-----BEGIN CERTIFICATE-----')")
    if b"PRIVATE KEY-----" not in pem:
        raise ConfigError("there is no PEM private key; give one with --privatekey, or a file that holds both")
    if b"ENCRYPTED" in pem:
        raise ConfigError("the private key has a pass phrase; give a key without one")
    try:
        certificate, *chain = [crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in blocks]
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, pem, passphrase=b"")
        options = CertificateOptions(
            privateKey=key, certificate=certificate, extraCertChain=chain, raiseMinimumTo=TLSVersion.TLSv1_2
        )
        context: SSL.Context = options.getContext()
        return context
    except (SSL.Error, crypto.Error) as error:
        # OpenSSL's error is a list of triples; the last item of each is the message.
        reasons = "; ".join(reason[-1] for reason in error.args[0])
        raise ConfigError(f"the certificate and private key cannot be used together: {reasons}") from error


def expiryOfPEM(pem: bytes) -> datetime:
    """
    Return the time when a certificate expires.

    @param pem: the PEM, as for L{contextFromPEM}; the first certificate counts.
    """
    first = _CERTIFICATE.findall(pem)[0]
    return crypto.load_certificate(crypto.FILETYPE_PEM, first).to_cryptography().not_valid_after_utc


def readCertificate(certificate: str, privateKey: str) -> bytes:
    """
    Read the files of C{--certificate} and C{--privatekey}.

    @param certificate: the path of the certificate.
    @param privateKey: the path of the key; empty if C{certificate} holds both.
    @return: the PEM of both.
    @raise ConfigError: if a file cannot be read.
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
    Generate a self-signed certificate for this machine, which no client trusts.

    @param now: the start of its validity, from which an hour is subtracted for clocks that differ.
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
    """Return this machine's name, or C{localhost} if that name is not valid in a certificate."""
    name = gethostname()
    return name if name.isascii() and name else "localhost"


@implementer(IOpenSSLServerConnectionCreator, IReloadable)
class ReloadingCertificate:
    """
    The certificate that new connections get.

    @param read: reads the PEM; called in a thread for a reload.
    @param label: the option and the file it is read from, for messages.
    @param reactor: for the threads.
    @ivar expires: the time when the certificate in use expires.
    @raise ConfigError: if the certificate cannot be used.
    """

    log = Logger()

    def __init__(self, read: Callable[[], bytes], label: str, reactor: Any) -> None:
        self._read = read
        self._label = label
        self._context, self.expires = self._load()
        self._loadAgain = ThreadedReader(reactor, self._load)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """See L{IOpenSSLServerConnectionCreator.serverConnectionForTLS}."""
        return TLSConnection(self._context, tlsProtocol)

    def reload(self) -> Deferred[bool]:
        """See L{IReloadable.reload}.  Existing connections keep the certificate they have."""
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> bool:
        try:
            self._context, self.expires = await self._loadAgain()
        except ConfigError as error:
            self.log.error("{problem}; the previous certificate stays in use", problem=error)
            return False
        self.log.info("{label}: certificate read again", label=self._label)
        return True

    def _load(self) -> tuple[SSL.Context, datetime]:
        pem = self._read()
        try:
            return contextFromPEM(pem), expiryOfPEM(pem)
        except ConfigError as error:
            raise ConfigError(f"{self._label}: {error}") from error
