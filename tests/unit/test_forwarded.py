"""The client of a request, as reverse proxies say: Forwarded, X-Forwarded-For and X-Forwarded-Proto."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from finger.net.forwarded import BadForwarded, Client, findClient
from finger.protocol.hosts import LOCAL, parseNetwork

TRUSTED = tuple(map(parseNetwork, ("127.0.0.1", "::1", "10.0.0.0/8", "2001:db8:ff::/48")))
PEER = "127.0.0.1"
UNKNOWN = Client(PEER)


def known(host: str, isSecure: bool | None = None) -> Client:
    """Return a client whose address is known."""
    return Client(host, isSecure, isKnown=True)


class TrustTests(SynchronousTestCase):
    """The peers that are believed."""

    def test_untrusted(self) -> None:
        """The fields of other peers are ignored, even invalid ones."""
        for peer in ("192.0.2.1", "127.0.0.2", "2001:db8::1", "::ffff:192.0.2.1"):
            for value in (b"for=198.51.100.1;proto=https", b'for="'):
                self.assertEqual(findClient(peer, TRUSTED, [value], [b"198.51.100.1"], [b"https"]), Client(peer))
        self.assertEqual(findClient(PEER, (), [b"for=198.51.100.1"]), Client(PEER))

    def test_trusted(self) -> None:
        """Trusted are the addresses in the networks, also as mapped addresses, and peers at UNIX sockets."""
        for peer in (PEER, "::1", "10.1.2.3", "::ffff:10.1.2.3", "2001:db8:ff::1", LOCAL):
            self.assertEqual(findClient(peer, TRUSTED, [b"for=198.51.100.1"]), known("198.51.100.1"))
            self.assertEqual(findClient(peer, TRUSTED, (), [b"198.51.100.1"]), known("198.51.100.1"))

    def test_none(self) -> None:
        """Without a field, or with empty ones, the client is the peer."""
        for values in ((), ([], [], []), ([b""], [b""], [b""]), ([b" , ;, "], [b" , "], [b","])):
            self.assertEqual(findClient(PEER, TRUSTED, *values), UNKNOWN)


class ForwardedTests(SynchronousTestCase):
    """C{Forwarded}, as RFC 7239 has it."""

    def test_node(self) -> None:
        """A node is an IPv4 address or an IPv6 address in brackets, with or without a port."""
        for value, host in (
            (b"for=192.0.2.43", "192.0.2.43"),
            (b"FOR=192.0.2.43", "192.0.2.43"),
            (b'for="192.0.2.43"', "192.0.2.43"),
            (b'for="192.0.2.43:47011"', "192.0.2.43"),
            (b'for="192.0.2.43:_hidden"', "192.0.2.43"),
            (b'For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
            (b'For="[2001:DB8:CAFE:0::17]"', "2001:db8:cafe::17"),
            (b'for="[::ffff:192.0.2.43]"', "192.0.2.43"),
            (b'for="\\192.0.2.43"', "192.0.2.43"),
        ):
            self.assertEqual(findClient(PEER, TRUSTED, [value]), known(host), value)

    def test_parameters(self) -> None:
        """Other parameters make no difference, in any order, with empty pairs and white space between them."""
        for value in (
            b"for=192.0.2.43;proto=https;by=203.0.113.43",
            b"by=_x;PROTO=HTTPS;for=192.0.2.43;host=finger.example.org",
            b'secret="a, b; for=c \\" d";for=192.0.2.43;;proto="https";',
            b" for=192.0.2.43 ;\tproto=https , ",
        ):
            self.assertEqual(findClient(PEER, TRUSTED, [value]), known("192.0.2.43", True), value)

    def test_proto(self) -> None:
        """Only https and wss are secure."""
        for protocol, isSecure in ((b"https", True), (b"wss", True), (b"http", False), (b"x", False)):
            value = b"for=192.0.2.43;proto=" + protocol
            self.assertEqual(findClient(PEER, TRUSTED, [value]), known("192.0.2.43", isSecure))
        self.assertEqual(findClient(PEER, TRUSTED, [b"proto=https"]), Client(PEER, True))

    def test_last(self) -> None:
        """The last address that is not a trusted proxy's counts, with the protocol that is said of it."""
        for values in (
            [b"for=6.6.6.6;proto=http, for=192.0.2.43;proto=https, for=10.0.0.1;proto=http"],
            [b"for=6.6.6.6;proto=http", b"for=192.0.2.43;proto=https", b'for="[2001:db8:ff::7]";proto=http'],
            [b"for=6.6.6.6;proto=http, for=192.0.2.43;proto=https", b"for=10.0.0.1"],
        ):
            self.assertEqual(findClient(PEER, TRUSTED, values), known("192.0.2.43", True))

    def test_allTrusted(self) -> None:
        """If all are trusted proxies, the first is the client."""
        self.assertEqual(findClient(PEER, TRUSTED, [b"for=10.0.0.1, for=10.0.0.2"]), known("10.0.0.1"))

    def test_undisclosed(self) -> None:
        """A client that is not disclosed counts as the proxy that knows it.  What it says itself is not believed."""
        for node in (b"for=unknown", b"for=UNKNOWN", b"for=_gazonk", b'for="_gazonk:_x"', b"by=192.0.2.43"):
            values = [b"for=6.6.6.6, " + node + b";proto=https"]
            self.assertEqual(findClient(PEER, TRUSTED, values), Client(PEER, True), node)
            self.assertEqual(findClient(PEER, TRUSTED, [*values, b"for=10.0.0.1"]), Client("10.0.0.1", True), node)

    def test_bad(self) -> None:
        """A field of the last proxy that is not valid is refused."""
        for value in (
            b"192.0.2.43",
            b"for",
            b"for=",
            b"for =192.0.2.43",
            b"for= 192.0.2.43",
            b"for=192.0.2.43 proto=https",
            b"for=192.0.2.43;for=192.0.2.43",
            b"for=192.0.2.43;proto=http;Proto=https",
            b'for="192.0.2.43',
            b'for="192.0.2.43"x',
            b'for=""',
            b"for=192.0.2.43:47011",
            b"for=[2001:db8::1]",
            b'for="2001:db8::1"',
            b'for="[2001:db8::1"',
            b'for="[2001:db8::1]x"',
            b'for="[192.0.2.43]"',
            b'for="[fe80::1%eth0]"',
            b'for="192.0.2.43:123456"',
            b"for=192.0.2.256",
            b"for=192.0.2",
            b"for=3232235777",
            b"for=example.org",
            b"for=_",
            b"for=\xc3\xa9",
            b"for=6.6.6.6, nonsense",
        ):
            error = self.assertRaises(BadForwarded, findClient, PEER, TRUSTED, [value])
            self.assertNotIn("\n", str(error))

    def test_badBefore(self) -> None:
        """What stands before the client is not read, so nonsense of the client's own is no harm."""
        for values in ([b"for=example.org, for=192.0.2.43"], [b'for="', b"for=192.0.2.43"]):
            self.assertEqual(findClient(PEER, TRUSTED, values), known("192.0.2.43"))

    def test_fast(self) -> None:
        """The longest fields are read in a moment, whatever they contain."""
        began = time.process_time()
        for part in (b" ", b"\t;", b",", b"for=1;", b'"', b'a="\\"', b"a", b"a=b", b"for=10.0.0.1,", b"for=::::"):
            value = part * (16384 // len(part))
            for values in ([value], [b"for=" + value], [b'for="' + value], [value + b"\x00"]):
                try:
                    findClient(PEER, TRUSTED, values, values)
                except BadForwarded:
                    continue
        self.assertLess(time.process_time() - began, 5)


class XForwardedTests(SynchronousTestCase):
    """C{X-Forwarded-For} and C{X-Forwarded-Proto}."""

    def find(self, addresses: list[bytes], protocols: list[bytes]) -> Client:
        """Find the client."""
        return findClient(PEER, TRUSTED, (), addresses, protocols)

    def test_address(self) -> None:
        """Addresses may have ports and brackets."""
        for value, host in (
            (b"192.0.2.43", "192.0.2.43"),
            (b" 192.0.2.43:47011\t", "192.0.2.43"),
            (b"2001:DB8::17", "2001:db8::17"),
            (b"[2001:db8::17]", "2001:db8::17"),
            (b"[2001:db8::17]:4711", "2001:db8::17"),
            (b"::ffff:192.0.2.43", "192.0.2.43"),
        ):
            self.assertEqual(self.find([value], []), known(host), value)

    def test_last(self) -> None:
        """The last address that is not a trusted proxy's counts."""
        for addresses in (
            [b"6.6.6.6, 192.0.2.43"],
            [b"6.6.6.6", b"192.0.2.43"],
            [b"nonsense, 192.0.2.43, 10.0.0.1,"],
            [b"127.0.0.1, ::1, 192.0.2.43, 10.0.0.1", b"10.0.0.2, 2001:db8:ff::1"],
        ):
            self.assertEqual(self.find(addresses, []), known("192.0.2.43"))
        self.assertEqual(self.find([b"10.0.0.1, 10.0.0.2"], []), known("10.0.0.1"))

    def test_undisclosed(self) -> None:
        """A client that is not disclosed counts as the proxy that knows it."""
        for node in (b"unknown", b"_hidden"):
            self.assertEqual(self.find([b"6.6.6.6, " + node], [b"https"]), Client(PEER, True))
            self.assertEqual(self.find([b"6.6.6.6, " + node + b", 10.0.0.1"], []), Client("10.0.0.1"))

    def test_bad(self) -> None:
        """An address of a trusted proxy that is not valid is refused."""
        for value in (
            b"example.org",
            b"192.0.2.256",
            b"fe80::1%eth0",
            b"[2001:db8::1",
            b'"192.0.2.43"',
            b"6.6.6.6, x",
        ):
            self.assertRaises(BadForwarded, self.find, [value], [])

    def test_proto(self) -> None:
        """The protocol is that at the same place from the end, or the first if there are fewer."""
        for addresses, protocols, isSecure in (
            ([b"192.0.2.43"], [b"https"], True),
            ([b"192.0.2.43"], [b"HTTPS"], True),
            ([b"192.0.2.43"], [b"http"], False),
            ([b"192.0.2.43"], [b"httpsx"], False),
            ([b"192.0.2.43"], [b"https, http"], False),
            ([b"192.0.2.43"], [b"https", b"http"], False),
            ([b"192.0.2.43"], [b"http", b"https"], True),
            ([b"192.0.2.43, 10.0.0.1"], [b"https, http"], True),
            ([b"192.0.2.43, 10.0.0.1"], [b"https"], True),
            ([b"192.0.2.43, 10.0.0.1"], [b"http"], False),
            ([b"192.0.2.43"], [], None),
        ):
            self.assertEqual(self.find(addresses, protocols), known("192.0.2.43", isSecure), (addresses, protocols))
        self.assertEqual(self.find([], [b"http, https"]), Client(PEER, True))


class BothTests(SynchronousTestCase):
    """Both kinds of fields at once."""

    def test_agree(self) -> None:
        """They complete each other."""
        both = known("192.0.2.43", True)
        for forwarded, addresses, protocols in (
            (b"for=192.0.2.43;proto=https", b"192.0.2.43", b"https"),
            (b"for=192.0.2.43", b"192.0.2.43", b"https"),
            (b"for=192.0.2.43;proto=https", b"192.0.2.43", b""),
            (b"for=192.0.2.43", b"", b"https"),
            (b"proto=https", b"192.0.2.43", b""),
            (b"for=unknown;proto=https", b"192.0.2.43", b"https"),
            (b"for=192.0.2.43;proto=https", b"unknown", b"https"),
        ):
            self.assertEqual(findClient(PEER, TRUSTED, [forwarded], [addresses], [protocols]), both)

    def test_disagree(self) -> None:
        """One that contradicts the other is refused: one of them is the client's invention."""
        for forwarded, addresses, protocols in (
            (b"for=6.6.6.6", b"192.0.2.43", b""),
            (b"for=192.0.2.43;proto=https", b"192.0.2.43", b"http"),
            (b"for=192.0.2.43;proto=http", b"192.0.2.43", b"https"),
            (b"for=127.0.0.1", b"192.0.2.43", b"https"),
            (b"proto=https", b"", b"http"),
            (b"nonsense", b"192.0.2.43", b"https"),
            (b"for=192.0.2.43", b"nonsense", b"https"),
        ):
            self.assertRaises(BadForwarded, findClient, PEER, TRUSTED, [forwarded], [addresses], [protocols])
