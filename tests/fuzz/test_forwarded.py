"""Fuzzing tests for the fields in which reverse proxies name their clients (docs/fuzzing.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from finger.net.forwarded import BadForwarded, findClient
from finger.net.http import BoundedSite
from finger.protocol.hosts import hostOf, parseAddress, parseNetwork
from tests.fuzz.inputs import chunkings, mutated, tokens, tries
from tests.fuzz.peers import PEER, Behaviour, FuzzTestCase, readResponses

TRUSTED = [parseNetwork(PEER.host), parseNetwork("198.51.100.0/24")]
"""The peer of the connection, and other proxies."""
CLIENTS = ("203.0.113.9", "2001:db8::17", "10.0.0.1", "::ffff:203.0.113.7", "127.0.0.1")
"""Clients, none of them trusted proxies."""
PROXIES = ("198.51.100.1", "198.51.100.2")

_anything = st.one_of(
    st.binary(max_size=20),
    tokens(
        *(b"for=", b"For = ", b"by=", b"proto=https", b"host=h", b";", b",", b'"', b"\\", b"=", b" ", b"\t"),
        *(
            b"203.0.113.66",
            b'"[2001:db8::66]:80"',
            b"[::1]",
            b"_hidden",
            b"unknown",
            b":80",
            b"fe80::1%eth0",
            b"\xff",
        ),
        *(b"198.51.100.1", b"192.0.2.7", b'"a\\"b"', b"127.0.0.1", b"0x7f000001", b"1.2.3", b"::ffff:1.2.3.4"),
        most=8,
    ),
    mutated(st.just(b'for=203.0.113.66;proto=http;by="_x", for="[2001:db8::66]:4711"')),
)
fields = st.lists(_anything, max_size=3)
"""The values of several fields, which a client may have sent."""


def _forwarded(host: str, style: int) -> bytes:
    """Write one element of C{Forwarded} (RFC 7239, section 4)."""
    port = (":4711", ":_x.y-z", "")[style % 3]
    node = f'"[{host}]{port}"' if ":" in host else f'"{host}{port}"' if port or style % 2 else host
    before = ("", "proto=https;", 'by="_a,b;c"; ', 'Host="a\\"b, for=203.0.113.66";')[style % 4]
    return (
        f"{before}{('for', 'For', 'FOR')[style % 3]}={node}{('', ';z=198.51.100.9', ';x=y')[style // 4 % 3]}".encode()
    )


def _joined(before: Sequence[bytes], items: Sequence[bytes], isLine: bool) -> list[bytes]:
    """Return the values of fields to which proxies have added items: in a line of their own, or to the last line."""
    values = [*before]
    for item in items:
        if isLine or not values:
            values.append(item)
        else:
            values[-1] += b", " + item
    return values


class ForwardedTests(FuzzTestCase):
    """Tests for L{finger.net.forwarded}, and for the requests that have such fields."""

    @tries(100, "trusted", "untrusted", "known", "unknown", "refused")
    @given(fields, fields, fields, st.sampled_from((PEER.host, PROXIES[0], *CLIENTS)))
    @example([b'for="'], [], [], PEER.host)
    def test_anything(
        self, forwarded: list[bytes], addresses: list[bytes], protocols: list[bytes], peer: str
    ) -> None:
        """
        Any fields of a trusted proxy name an address, or are refused with one line; those of any other peer are
        ignored.
        """
        with self.quiet():
            isTrusted = peer not in CLIENTS
            self.saw("trusted" if isTrusted else "untrusted")
            try:
                client = findClient(peer, TRUSTED, forwarded, addresses, protocols)
            except BadForwarded as error:
                self.saw("refused")
                self.assertTrue(isTrusted)
                self.assertTrue(str(error).isprintable())
                return
            if not isTrusted:
                self.assertEqual((client.host, client.isSecure, client.isKnown), (peer, None, False))
                return
            self.saw("known" if client.isKnown else "unknown")
            self.assertEqual(client.host, str(parseAddress(client.host)))
            self.assertNotIn("%", client.host)

    @tries(100, "named", "refused")
    @given(
        _anything,
        st.lists(_anything, max_size=2),
        st.sampled_from(CLIENTS),
        st.lists(st.sampled_from(PROXIES), max_size=2),
        st.integers(0, 30),
        st.booleans(),
        st.booleans(),
    )
    @example(b'for="', [], CLIENTS[0], [], 0, False, False)
    @example(b'x="', [], CLIENTS[1], [], 0, False, False)
    def test_invented(
        self, last: bytes, more: list[bytes], client: str, proxies: list[str], style: int, isLine: bool, isX: bool
    ) -> None:
        """Whatever a client sends before a chain of trusted proxies adds its address, no other client is named."""
        with self.quiet():
            hosts = [client, *proxies]
            items = [host.encode() if isX else _forwarded(host, style) for host in hosts]
            values = _joined([*more, last], items, isLine)
            try:
                found = findClient(PEER.host, TRUSTED, *([[], values] if isX else [values]))
            except BadForwarded:
                self.saw("refused")
                self.assertFalse(isLine or isX)  # A quotation mark in the same line.
                return
            self.saw("named")
            self.assertTrue(found.isKnown)
            self.assertEqual(parseAddress(found.host), parseAddress(client))

    @tries(60, "named", "refused", "not believed")
    @given(fields, fields, st.sampled_from(CLIENTS), st.integers(0, 30), st.booleans(), st.booleans(), chunkings)
    def test_requests(
        self,
        forwarded: list[bytes],
        addresses: list[bytes],
        client: str,
        style: int,
        isTrusted: bool,
        isLine: bool,
        sizes: list[int],
    ) -> None:
        """
        Over HTTP, a request has one answer: to the client that the trusted proxy names, to the peer if that is no
        trusted proxy, or a refusal.
        """
        resource = _Recorder()
        clock = Clock()
        site = BoundedSite(resource, clock, trusted=TRUSTED if isTrusted else [])
        lines = [b"Forwarded: " + _printable(v) for v in _joined(forwarded, [_forwarded(client, style)], isLine)]
        lines += [b"X-Forwarded-For: " + _printable(value) for value in addresses]
        data = b"\r\n".join([b"GET / HTTP/1.1", b"Host: h", *lines, b"Connection: close", b"", b""])
        (response,) = readResponses(self.converse(site, clock, data, Behaviour(sizes)), [b"GET"] * len(resource.seen))
        if response.code != 200:
            self.saw("refused")
            self.assertEqual(response.code, 400)
            self.assertEqual(resource.seen, [])
            self.assertTrue(isTrusted)
        elif isTrusted:
            self.saw("named")
            self.assertEqual([parseAddress(host) for host in resource.seen], [parseAddress(client)])
        else:
            self.saw("not believed")
            self.assertEqual(resource.seen, [PEER.host])


def _printable(value: bytes) -> bytes:
    """Return a value as HTTP permits it: not too long, and without control characters."""
    return bytes(byte for byte in value[-2000:] if byte == 9 or 32 <= byte != 127)


class _Recorder(Resource):
    """A resource that records the clients of its requests."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def render_GET(self, request: Any) -> bytes:
        """Record the client's host."""
        self.seen.append(hostOf(request.getClientAddress()))
        return b"ok"
