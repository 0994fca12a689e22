"""The arguments of the client: names with hosts and ports, and URLs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from finger.client.fingerurl import FingerURL, isURL, parseURL
from finger.client.targets import Target, parseTarget

BAD_URLS = {
    "http://h/u": "not a finger URL; expected finger://HOST/USER",
    "finger:u@h": "not a finger URL; expected",
    "finger:/h/u": "not a finger URL; expected",
    "finger:": "not a finger URL; expected",
    "finger://": "the host is missing; expected",
    "finger:///u": "the host is missing; expected",
    "finger://u@": "the host is missing; expected",
    "finger://:79/u": "the host is missing; expected",
    "finger://[]/u": "the host is missing; expected",
    "finger://h:x/u": "'x' is not a port: expected a number from 1 to 65535",
    "finger://h:0": "'0' is not a port",
    "finger://h:65536": "'65536' is not a port",
    "finger://h:-1/u": "'-1' is not a port",
    "finger://h:79:79/u": "brackets are for IPv6 addresses",
    "finger://::1/u": "brackets are for IPv6 addresses, which need them: finger://[ADDRESS]:PORT/USER",
    "finger://[h]/u": "brackets are for IPv6 addresses",
    "finger://[127.0.0.1]/u": "brackets are for IPv6 addresses",
    "finger://[::1/u": "'[::1' is neither [ADDRESS] nor [ADDRESS]:PORT",
    "finger://[::1]79/u": "is neither [ADDRESS] nor [ADDRESS]:PORT",
    "finger://[::1]:x/u": "'x' is not a port",
    "finger://[:::]/u": "':::' is neither a host name nor an address",
    "finger://[fe80::1%25%2f]/u": "is neither a host name nor an address",
    "finger://u@h/u": "the user is given before the host and after it",
    "finger://a@b@h": "to have HOST query INNER: finger://HOST/USER@INNER",
    "finger://u:secret@h": "a finger URL has no password",
    "finger://h/u?q": "? in a name is written %3F",
    "finger://h?q": "? in a name is written %3F",
    "finger://h/u#f": "# in a name is written %23",
    "finger://h/a b": "a space is written %20",
    "finger://h/a\n": "no white space or control characters",
    " finger://h": "no white space or control characters",
    "finger://h/\x1b[2J": "no white space or control characters",
    "finger://h/%": "% must be followed by two hexadecimal digits",
    "finger://h/%4": "% must be followed by two hexadecimal digits",
    "finger://h/%zz": "% must be followed by two hexadecimal digits; a percent sign is written %25",
    "finger://%zz@h/": "% must be followed by two hexadecimal digits",
    "finger://h/%ff": "not UTF-8",
    "finger://h%00/u": "'h\\x00' is neither a host name nor an address",
    "finger://h%2Fu": "'h/u' is neither a host name nor an address",
    "finger://h\\u": "is neither a host name nor an address",
    "finger://127.1/u": "'127.1' is neither a host name nor an address",
}
"""URLs that are not valid, and what is said of them."""


class ParseURLTests(SynchronousTestCase):
    """L{parseURL}."""

    def test_good(self) -> None:
        """The user may be before the host or after it."""
        for text, expected in {
            "finger://h": FingerURL("", "h", None),
            "finger://h/": FingerURL("", "h", None),
            "finger://@h": FingerURL("", "h", None),
            "finger://h:1079": FingerURL("", "h", 1079),
            "finger://h/u": FingerURL("u", "h", None),
            "finger://h:1079/u": FingerURL("u", "h", 1079),
            "finger://h:/u": FingerURL("u", "h", None),
            "finger://u@h": FingerURL("u", "h", None),
            "finger://u@h/": FingerURL("u", "h", None),
            "finger://u@h:1079": FingerURL("u", "h", 1079),
            "FINGER://U@Host.Example./": FingerURL("U", "host.example", None),
            "Finger://h/a/b": FingerURL("a/b", "h", None),
            "finger://[::1]": FingerURL("", "::1", None),
            "finger://[::1]:1079/u": FingerURL("u", "::1", 1079),
            "finger://u@[2001:DB8::1]:79": FingerURL("u", "2001:db8::1", 79),
            "finger://[::ffff:127.0.0.1]/u": FingerURL("u", "127.0.0.1", None),
            "finger://h/u@inner": FingerURL("u@inner", "h", None),
            "finger://h/@inner": FingerURL("@inner", "h", None),
            "finger://h/u@inner:79": FingerURL("u@inner:79", "h", None),
        }.items():
            self.assertEqual(parseURL(text), expected, text)

    def test_encoded(self) -> None:
        """Bytes may be percent-encoded, in users and in hosts; other text is UTF-8 as it is."""
        for text, names, host in (
            ("finger://h/zo%C3%AB", "zoë", "h"),
            ("finger://zo%c3%ab@h", "zoë", "h"),
            ("finger://h/zoë", "zoë", "h"),
            ("finger://h/a%20b", "a b", "h"),
            ("finger://h/a%2Fb%3F%23%25", "a/b?#%", "h"),
            ("finger://u%40inner@h", "u@inner", "h"),
            ("finger://u%3Av@h", "u:v", "h"),
            ("finger://h/a+b", "a+b", "h"),
            ("finger://b%C3%BCcher.example/u", "u", "xn--bcher-kva.example"),
            ("finger://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/u", "u", "xn--bcher-kva.example"),
        ):
            self.assertEqual(parseURL(text), FingerURL(names, host, None))

    def test_zones(self) -> None:
        """The zone of an address follows an encoded percent sign (RFC 6874), or a plain one."""
        for zone, decoded in {
            "%25eth0": "%eth0",
            "%eth0": "%eth0",
            "%25en%31": "%en1",
            "%252": "%2",
            "%2": "%2",
            "%2525": "%25",
            "%25": "%25",
        }.items():
            self.assertEqual(parseURL(f"finger://[fe80::1{zone}]:79/u"), FingerURL("u", f"fe80::1{decoded}", 79))

    def test_bad(self) -> None:
        """The error of a URL that is not valid says what is wrong."""
        for text, why in BAD_URLS.items():
            self.assertTrue(isURL(text), text)
            self.assertIn(why, str(self.assertRaises(ValueError, parseURL, text)), text)

    def test_others(self) -> None:
        """Names and hosts are no URLs."""
        for text in ("", "moshez", "moshez@host", "@::1", "a:b", "finger", "finger@host", "x@finger://h", "//h/u"):
            self.assertFalse(isURL(text), text)


class ParseTargetTests(SynchronousTestCase):
    """L{parseTarget}."""

    def test_good(self) -> None:
        """An argument is split into the query and the host."""
        for text, (query, host) in {
            "": (b"\r\n", ""),
            "@": (b"\r\n", ""),
            "moshez": (b"moshez\r\n", ""),
            "moshez@": (b"moshez\r\n", ""),
            "@host": (b"\r\n", "host"),
            "moshez@host": (b"moshez\r\n", "host"),
            "moshez@h1@h2": (b"moshez@h1\r\n", "h2"),
            "moshez@::1": (b"moshez\r\n", "::1"),
            "moshez@[::1]": (b"moshez\r\n", "::1"),
            "moshez@fe80::1%eth0": (b"moshez\r\n", "fe80::1%eth0"),
            "Moshe Zadka@HOST.": (b"Moshe Zadka\r\n", "host"),
        }.items():
            self.assertEqual(parseTarget(text, verbose=False), Target(query, host))

    def test_ports(self) -> None:
        """The last host may have a port; an IPv6 address needs brackets then.  Other hosts are sent as they are."""
        for text, (query, host, port) in {
            "moshez@host:1079": (b"moshez\r\n", "host", 1079),
            "@127.0.0.1:1": (b"\r\n", "127.0.0.1", 1),
            "moshez@[::1]:1079": (b"moshez\r\n", "::1", 1079),
            "moshez@::1:1079": (b"moshez\r\n", "::1:1079", None),
            "moshez@a@b:1079": (b"moshez@a\r\n", "b", 1079),
            "moshez@a:1079@b": (b"moshez@a:1079\r\n", "b", None),
            "moshez@::1@b:1079": (b"moshez@::1\r\n", "b", 1079),
            "a:b": (b"a:b\r\n", "", None),
            "FINGER://host:1079/moshez": (b"moshez\r\n", "host", 1079),
            "finger://moshez@host": (b"moshez\r\n", "host", None),
            "finger://[fe80::1%25eth0]:1079/moshez@inner": (b"moshez@inner\r\n", "fe80::1%eth0", 1079),
        }.items():
            self.assertEqual(parseTarget(text, verbose=False), Target(query, host, port), text)

    def test_zones(self) -> None:
        """A zone may be written as in a URL, unless it is a number."""
        for zone, read in {
            "%eth0": "%eth0",
            "%25eth0": "%eth0",
            "%2525gbe0": "%25gbe0",
            "%2": "%2",
            "%25": "%25",
            "%251": "%251",
        }.items():
            for form in ("moshez@fe80::1{}", "moshez@[fe80::1{}]"):
                self.assertEqual(parseTarget(form.format(zone), False), Target(b"moshez\r\n", f"fe80::1{read}"))
            self.assertEqual(parseTarget(f"@[fe80::1{zone}]:79", False), Target(b"\r\n", f"fe80::1{read}", 79))

    def test_long(self) -> None:
        """C{/W} is put before the query, once."""
        self.assertEqual(parseTarget("@host", verbose=True).query, b"/W \r\n")
        for text in ("moshez@host", "finger://host/moshez", "/W moshez@host", "finger://host//W%20moshez"):
            self.assertEqual(parseTarget(text, verbose=True).query, b"/W moshez\r\n")
        for text, query in {
            "/W moshez@host": b"/W moshez\r\n",
            "finger://host/%2Fw%20moshez": b"/W moshez\r\n",
            "finger://host//W": b"/W \r\n",
            "/Work@host": b"/Work\r\n",
        }.items():
            self.assertEqual(parseTarget(text, verbose=False).query, query)

    def test_bad(self) -> None:
        """An invalid argument is an error of one line, without control characters."""
        for text in (
            *("a\r\nb", "a\x1b[1m@host", "x" * 2000, "a\udcff", "moshez@no host", "moshez@\x1b", "m@[::1]x"),
            *(
                "finger://h/a%0D%0Ab",
                "finger://h/a%0ab",
                "finger://a%00@h",
                "finger://h/%E2%80%AE",
                "finger://h/\udcff",
            ),
            *(f"finger://h/{'x' * 2000}", *BAD_URLS),
        ):
            self.assertTrue(str(self.assertRaises(ValueError, parseTarget, text, False)).isprintable())

    def test_words(self) -> None:
        """The error says what is wrong and what would be right."""
        for text, why in {
            "m@h:x": "'m@h:x': 'x' is not a port: expected a number from 1 to 65535",
            "m@h:": "'m@h:': '' is not a port: expected a number from 1 to 65535",
            "@:79": "'@:79': the host is missing before the port",
            "m@::1:99999": "'::1:99999' is neither a host name nor an address; "
            "an IPv6 address with a port is written [ADDRESS]:PORT",
            "m@[::1": "'[::1' is neither [ADDRESS] nor [ADDRESS]:PORT",
            "m@::1]": "'::1]' is neither a host name nor an address; "
            "an IPv6 address with a port is written [ADDRESS]:PORT",
            "m@no host": "'no host' is neither a host name nor an address",
            "finger://a@h/b": "'finger://a@h/b': the user is given before the host and after it; give it once",
            "finger://h/a%0d%0ab": "'finger://h/a%0d%0ab': a name must not contain control characters",
        }.items():
            self.assertEqual(str(self.assertRaises(ValueError, parseTarget, text, False)), why)
