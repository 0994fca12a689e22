"""The web over HTTP and HTTPS, with its options."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from twisted.logger import Logger
from zope.interface import implementer

from finger.adapters.web.repeats import RepeatingSite
from finger.adapters.web.resource import FingerResource
from finger.adapters.web.templating import Templates
from finger.adapters.web.tls import ReloadingCertificate, developmentCertificate, readCertificate
from finger.config.options import PORTS, WEB, Option
from finger.config.types import Kind, Port, Switch, WholeOrNone
from finger.errors import ConfigError
from finger.net.proxyprotocol import parseTrusted
from finger.net.tls import HalfCloseableTLSFactory
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter

OPTIONS: Final = (
    Option(
        name="webport",
        field="webPorts",
        kind=Port(),
        value="PORT",
        repeated=True,
        initial=("8000",),
        group=PORTS,
        help="HTTP and XML-RPC ports.",
    ),
    Option(
        name="httpsport",
        field="httpsPorts",
        kind=Port(),
        value="PORT",
        repeated=True,
        initial=("443",),
        group=PORTS,
        help="HTTPS ports, used with --ssl.",
    ),
    Option(
        name="templates",
        short="t",
        kind=Kind("directories"),
        value="DIRECTORY",
        group=WEB,
        help="Directory of page templates; missing ones are replaced by the built-in templates.",
    ),
    Option(
        name="no-index",
        field="indexing",
        kind=Switch(inverted=True),
        initial=True,
        group=WEB,
        help="Ask search engines not to index the pages.",
    ),
    Option(name="ssl", short="s", kind=Switch(), initial=False, group=WEB, help="Serve HTTPS as well."),
    Option(
        name="certificate",
        kind=Kind("files"),
        value="PATH",
        group=WEB,
        help="TLS certificate (PEM) for HTTPS; generated if omitted.",
    ),
    Option(
        name="privatekey",
        field="privateKey",
        kind=Kind("files"),
        value="PATH",
        group=WEB,
        help="Private key (PEM), unless the certificate's file holds it.",
    ),
    Option(
        name="hsts",
        kind=WholeOrNone(0),
        value="SECONDS",
        initial=None,
        group=WEB,
        help="Time for which browsers use HTTPS alone for all ports of the host; 0 ends that. Needs --certificate.",
    ),
)


@implementer(IFingerAdapter)
class WebAdapter:
    """The adapter of the web, which also serves the resources that other adapters add."""

    log = Logger()

    name = "web"
    options = OPTIONS
    queries = ("web",)

    def build(self, context: IAdapterContext) -> None:
        """See L{IFingerAdapter.build}."""
        config = context.config
        root = self._makeRoot(context)
        site = RepeatingSite(
            root,
            context.reactor,
            config.querySeconds,
            config.answerSeconds,
            _hsts(context),
            parseTrusted(config.trustedProxies),
        )
        site.version = root.version
        context.listen("webport", site)
        if context.options["ssl"]:
            certificate = self._makeCertificate(context)
            context.add(certificate, "certificate")
            context.addGauge(
                "finger_certificate_expiry_timestamp_seconds",
                "When the certificate in use expires.",
                lambda: certificate.expires.timestamp(),
            )
            context.listen("httpsport", HalfCloseableTLSFactory(certificate, False, site, clock=context.reactor))

    def _makeRoot(self, context: IAdapterContext) -> FingerResource:
        root = FingerResource(context.service)
        context.mountWebChildren(root)
        root.clock = context.reactor
        root.queries = context.queries
        root.answerTimeout = context.config.answerSeconds
        root.authority = context.authority if context.config.checkers else None
        directory = context.options["templates"]
        root.templates = Templates(Path(directory) if directory else None, context.reactor)
        root.templates.isIndexed = context.options["no-index"]
        context.add(root.templates, "templates")
        return root

    def _makeCertificate(self, context: IAdapterContext) -> ReloadingCertificate:
        certificate, key = context.options["certificate"], context.options["privatekey"]
        if certificate:
            read = partial(readCertificate, certificate, key)
            return ReloadingCertificate(read, f"--certificate={certificate}", context.reactor)
        if key:
            raise ConfigError("--privatekey: needs --certificate, too")
        made = developmentCertificate()
        self.log.warn("--ssl without --certificate: generated a development certificate, which no browser will trust")
        return ReloadingCertificate(lambda: made, "development certificate", context.reactor)


def _hsts(context: IAdapterContext) -> int | None:
    """
    Return the value of C{--hsts}.

    @raise ConfigError: if there is no HTTPS, or only with a development certificate.  Browsers that have received the
        promise refuse certificates that they do not trust, at all ports of the host.
    """
    seconds: int | None = context.options["hsts"]
    if seconds is not None and not (context.options["ssl"] and context.options["certificate"]):
        raise ConfigError(f"--hsts={seconds}: needs --ssl and --certificate, with a certificate that browsers trust")
    return seconds
