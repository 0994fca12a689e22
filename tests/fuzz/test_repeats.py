"""Fuzzing tests for HTTP responses that are kept by the bytes of their requests (docs/fuzzing.md)."""

from __future__ import annotations

import re
from xmlrpc.client import dumps

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from finger.adapters.web.repeats import RepeatingSite
from finger.adapters.web.resource import FingerResource
from finger.adapters.xmlrpc import FingerXMLRPC
from finger.backends.memory import MemoryFingerService
from finger.net.http import BoundedSite
from tests.fuzz.heads import streams
from tests.fuzz.inputs import BODIES, HEADERS, tries
from tests.fuzz.peers import USERS, Behaviour, FuzzTestCase
from tests.support.httprules import PROBE, post

CALL = dumps(("moshez",), "getUser").encode()

_TARGETS = (b"/moshez", b"/nasty", b"/", b"/?page=2", b"/nobody", b"/robots.txt", b"http://h/moshez", b"*", b"/RPC2")
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0")
_LINES = (
    *(line for line in HEADERS if len(line) < 100),
    *(b"Accept-Encoding: gzip", b"Connection: keep-alive", b"Connection: close", b"Expect: 100-continue"),
    *(b"Content-Length: 5", b"Content-Length: %d" % len(CALL), b"If-None-Match: *"),
)


def _ordinary(method: bytes, target: bytes, version: bytes, lines: list[bytes], body: bytes) -> bytes:
    return b"\r\n".join([b"%b %b %b" % (method, target, version), b"Host: h", *lines, b"", body])


_some = st.one_of(
    st.just(PROBE),
    st.just(post(b"Content-Length: %d" % len(CALL), body=CALL).replace(b"/moshez", b"/RPC2")),
    st.builds(
        _ordinary,
        st.sampled_from((b"GET", b"GET", b"GET", b"HEAD", b"POST", b"PUT")),
        st.sampled_from(_TARGETS),
        st.sampled_from(_VERSIONS),
        st.lists(st.sampled_from(_LINES), max_size=2),
        st.sampled_from((b"", b"", b"", CALL, *(body for body in BODIES if len(body) < 100))),
    ),
    streams,
    st.sampled_from((b"\r\n", b"G", PROBE[:-2], PROBE[-2:], PROBE + PROBE, PROBE + b"\r\n", b"\r\n" + PROBE)),
)
pieces = st.lists(_some, min_size=1, max_size=3).flatmap(
    lambda some: st.lists(st.sampled_from([*some, PROBE]), min_size=2, max_size=6)
)
"""What arrives, piece by piece: requests, some of them repeated, several at once, or in parts."""


class RepeatTests(FuzzTestCase):
    """Tests for L{finger.adapters.web.repeats}."""

    def setUp(self) -> None:
        """Make the resources once, because reading templates takes longer than a request."""
        super().setUp()
        service = MemoryFingerService(USERS)
        self.root = FingerResource(service)
        self.root.putChild(b"RPC2", FingerXMLRPC(service))

    @tries(100, "kept", "not kept")
    @given(pieces, st.booleans(), st.booleans())
    @example([PROBE, PROBE, PROBE], False, True)
    @example([PROBE[:-2] + b"Connection: close\r\n\r\n", PROBE], False, False)
    @example([b"\r\n", PROBE, b"\r\n"], False, False)
    def test_repeats(self, data: list[bytes], isTLS: bool, ends: bool) -> None:
        """A site that keeps responses answers as one that does not, the first time and again."""
        behaviour = Behaviour([len(piece) for piece in data], pause=0.01, isTLS=isTLS, ends=ends)
        with self.oneInput():
            clock = Clock()
            site = RepeatingSite(self.root, clock)
            site.version = self.root.version
            right = self.send(BoundedSite(self.root, clock), clock, data, behaviour)
            for _ in range(3):
                self.assertEqual(self.send(site, clock, data, behaviour), right)
            self.saw("kept" if len(site.repeatsBy(isTLS)) else "not kept")

    def send(self, site: BoundedSite, clock: Clock, data: list[bytes], behaviour: Behaviour) -> bytes:
        """Return what a site sends, without the time."""
        received = self.converse(site, clock, b"".join(data), behaviour)
        return re.sub(rb"\r\nDate: [^\r]+", b"", received, flags=re.IGNORECASE)
