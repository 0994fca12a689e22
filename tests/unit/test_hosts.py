"""Tests for L{finger.protocol.hosts}."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from finger.protocol.hosts import (
    LOCAL,
    hostOf,
    isGlobal,
    isLocal,
    parseAddress,
    parseHost,
    parseHostPort,
    parsePort,
    splitPort,
)

NO_HOSTS = (
    *("", ".", "..", "a..b", ".a", "-a", "a-", "a b", "a\tb", "a\r\nb", "a\0b", "a\x1b[31m", "a/b", "a:b", "a@b"),
    *("a%b", "[::1]", "a" * 64, "a." * 200 + "a", "\N{SNOWMAN}\N{RIGHT-TO-LEFT OVERRIDE}", "xn--a\N{SNOWMAN}", "*"),
    *(
        "\N{SNOWMAN}.example",
        "é_b.example",
        "-é",
        "é..b",
        "é" * 64,
        "é." * 200 + "b",
        "\u0301é",
        "a\N{ZERO WIDTH JOINER}é",
    ),
    *("127.1", "2130706433", "10.0.0.256", "1.2.3.4.5", "127.0.0.1.", "\uff11\uff12\uff17.0.0.1"),
    *("fe80::1%a b", "fe80::1%\x1b", "fe80::1%", ":::", "12345::"),
)


class ParseHostTests(SynchronousTestCase):
    """L{parseHost}."""

    def test_spellings(self) -> None:
        """All spellings of a host have the same canonical form."""
        for text, host in {
            "localhost": "localhost",
            "Finger.Example.ORG.": "finger.example.org",
            "a_b.example": "a_b.example",
            "3com.example": "3com.example",
            "xn--bcher-kva.example": "xn--bcher-kva.example",
            "B\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example": "xn--bcher-kva.example",
            "stra\N{LATIN SMALL LETTER SHARP S}e.de": "xn--strae-oqa.de",
            "fu\N{LATIN SMALL LETTER SHARP S}ball.Example.": "xn--fuball-cta.example",
            "\N{GREEK SMALL LETTER FINAL SIGMA}.gr": "xn--3xa.gr",
            "zoe\N{COMBINING DIAERESIS}.example": "xn--zo-ija.example",
            "\N{FULLWIDTH LATIN CAPITAL LETTER A}\N{IDEOGRAPHIC FULL STOP}example": "a.example",
            "127.0.0.1": "127.0.0.1",
            "0:0:0::1": "::1",
            "2001:DB8::0001": "2001:db8::1",
            "::ffff:192.0.2.1": "192.0.2.1",
            "::ffff:c000:201": "192.0.2.1",
            "fe80::1%eth0": "fe80::1%eth0",
        }.items():
            self.assertEqual(parseHost(text), host, text)

    def test_bad(self) -> None:
        """The error for an invalid host has no control characters and a limited length."""
        for text in NO_HOSTS:
            error = self.assertRaises(ValueError, parseHost, text)
            self.assertIn("is neither a host name nor an address", str(error))
            self.assertTrue(str(error).isprintable(), text)
            self.assertLess(len(str(error)), 400)

    def test_address(self) -> None:
        """A name is not an address; an address may have any spelling."""
        self.assertIsNone(parseAddress("localhost"))
        self.assertEqual(parseAddress("::ffff:127.0.0.1"), ip_address("127.0.0.1"))
        self.assertEqual(parseAddress("::2"), ip_address("::2"))


class PeerTests(SynchronousTestCase):
    """L{hostOf} and L{isLocal}."""

    def test_peers(self) -> None:
        """Peers on a UNIX socket have no host and are local; loopback addresses are local, names are not."""
        for address, host, isOurs in (
            (IPv4Address("TCP", "127.0.0.2", 79), "127.0.0.2", True),
            (IPv6Address("TCP", "::1", 79), "::1", True),
            (IPv6Address("TCP", "::ffff:127.0.0.1", 79), "::ffff:127.0.0.1", True),
            (IPv4Address("TCP", "192.0.2.1", 79), "192.0.2.1", False),
            (UNIXAddress(b"/run/finger/set"), LOCAL, True),
            (None, LOCAL, True),
        ):
            self.assertEqual(hostOf(address), host)
            self.assertIs(isLocal(host), isOurs, host)
        self.assertFalse(isLocal("localhost"))


class ParseHostPortTests(SynchronousTestCase):
    """L{parseHostPort} and L{parsePort}."""

    def test_good(self) -> None:
        """The port is optional, and so are the brackets of an IPv6 address without one."""
        for text, expected in {
            "host": ("host", 79),
            "host:1079": ("host", 1079),
            "127.0.0.1:1": ("127.0.0.1", 1),
            "::1": ("::1", 79),
            "::1:1079": ("::1:1079", 79),
            "[::1]": ("::1", 79),
            "[::1]:65535": ("::1", 65535),
        }.items():
            self.assertEqual(parseHostPort(text, 79), expected, text)

    def test_bad(self) -> None:
        """Anything else is an error."""
        for text in (
            "",
            ":79",
            "host:",
            "host:0",
            "host:65536",
            "host:x",
            "host:-1",
            "host:\u0661",
            "1079",
            "[::1]79",
        ):
            self.assertRaises(ValueError, parseHostPort, text, 79)
        for text in (
            "[::1",
            "[",
            "[::1]:",
            "[]:79",
            "[::1]:x",
            "[::1]x:79",
            "host:1:2",
            "host: 79",
            f"host:{'1' * 5000}",
        ):
            self.assertRaises(ValueError, parseHostPort, text, 79)

    def test_split(self) -> None:
        """A port is told apart from an address, and neither is checked."""
        for text, expected in {
            "host": ("host", None),
            "host:": ("host", ""),
            ":79": ("", "79"),
            "::1:79": ("::1:79", None),
            "[::1%eth0]": ("::1%eth0", None),
            "[]:x": ("", "x"),
        }.items():
            self.assertEqual(splitPort(text), expected)

    def test_port(self) -> None:
        """The error says what is expected."""
        error = self.assertRaises(ValueError, parsePort, "http")
        self.assertEqual(str(error), "'http' is not a port: expected a number from 1 to 65535")


class IsGlobalTests(SynchronousTestCase):
    """L{isGlobal}."""

    def test_global(self) -> None:
        """Public addresses are global, and so are IPv6 addresses that contain a public IPv4 address."""
        for address in (
            *("8.8.8.8", "192.0.1.1", "2001:4860:4860::8888", "2606:4700::1"),
            *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"),
        ):
            self.assertTrue(isGlobal(address), address)

    def test_notGlobal(self) -> None:
        """All other addresses are not global."""
        for address in (
            *("127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
            *("169.254.169.254", "192.0.2.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "233.252.0.1"),
            *("240.0.0.1", "255.255.255.255", "192.0.0.1"),
            *(
                "::",
                "::1",
                "fe80::1",
                "fe80::1%eth0",
                "fec0::1",
                "fc00::1",
                "fd12::1",
                "ff02::1",
                "ff0e::1",
                "100::1",
            ),
            *("2001:db8::1", "2001:10::1", "4000::1", "::8.8.8.8"),
            *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe"),
            *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::224.0.0.1", "64:ff9b:1::8.8.8.8"),
            *("2002:7f00:1::1", "2002:a00:1::1", "2002:c0a8:101::1"),
            *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001::1"),
            *("localhost", "", "8.8.8.8.example", "8.8"),
        ):
            self.assertFalse(isGlobal(address), address)
