"""Tests for L{finger.protocol.telnet}; the commands are those of RFC 854."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from finger.protocol.telnet import MAX_TELNET, TelnetFilter, withoutTelnet

REMOVED = {
    b"\xff\xfb\x1f": "IAC WILL NAWS",
    b"\xff\xfc\x18": "IAC WONT TERMINAL-TYPE",
    b"\xff\xfd\x0d": "IAC DO with an option whose number is that of CR",
    b"\xff\xfe\x0a": "IAC DONT with an option whose number is that of LF",
    b"\xff\xfa\x1f\x00\x50\x00\x0a\xff\xf0": "IAC SB NAWS, 80 columns and 10 lines, IAC SE",
    b"\xff\xfa\x1f\x00\xff\xff\x00\x18\xff\xf0": "IAC SB NAWS with 255 columns, which is doubled, IAC SE",
    b"\xff\xfa\x27\x00\x00USER\x01moshez\xff\xf0": "IAC SB NEW-ENVIRON USER moshez IAC SE",
    b"\xff\xf4\xff\xfd\x06": "IAC IP IAC DO TIMING-MARK, as for Ctrl-C",
    b"\xff\xf1": "IAC NOP",
    b"\xff\xf9": "IAC GA",
    b"\xff\xec": "IAC EOF (RFC 1184)",
    b"\0": "NUL",
    b"\0\0\0": "several NULs",
}
"""What is removed, and its names."""


def inPieces(data: bytes) -> bytes:
    """Filter data byte by byte."""
    stream = TelnetFilter()
    return b"".join(stream.feed(bytes([byte])) for byte in data)


class TelnetTests(SynchronousTestCase):
    """Queries with telnet's part."""

    def test_removed(self) -> None:
        """Commands, options and NULs are removed, before, in and after a name."""
        for part, name in REMOVED.items():
            for data in (part + b"moshez\r\n", b"mos" + part + b"hez\r\n", b"moshez" + part + b"\r\n"):
                self.assertEqual(withoutTelnet(data), b"moshez\r\n", name)
                self.assertEqual(TelnetFilter().feed(data), b"moshez\r\n", name)
                self.assertEqual(inPieces(data), b"moshez\r\n", name)

    def test_enter(self) -> None:
        """CR NUL ends a query; before the query, it is nothing."""
        for data, query in {
            b"moshez\r\0": b"moshez\n",
            b"moshez\r\0\r\n": b"moshez\n\r\n",
            b"\r\0 \r\0moshez\r\n": b" moshez\r\n",
            b"\xff\xfb\x1f\r\0moshez\r\0": b"moshez\n",
            b"\xff\xff\r\0": b"\xef\xbf\xbd\n",
        }.items():
            self.assertEqual(TelnetFilter().feed(data), query, data)
            self.assertEqual(inPieces(data), query, data)
        self.assertEqual(withoutTelnet(b"moshez\r\0"), b"moshez")

    def test_kept(self) -> None:
        """A byte 255 that begins no command stays, so a query of it is not an empty query."""
        for data in (b"\xff\r\n", b"\xffmoshez\r\n", b"moshez\xff \r\n"):
            self.assertEqual(TelnetFilter().feed(data), data)
            self.assertEqual(withoutTelnet(data), data)
        self.assertEqual(withoutTelnet(b"\xff\xff"), b"\xef\xbf\xbd")

    def test_incomplete(self) -> None:
        """The beginning of a command waits for its end; without a stream, it stays."""
        for data in (b"a\xff", b"a\xff\xfb", b"a\xff\xfa\x1f\0", b"a\xff\xfa\x1f\xff", b"a\r"):
            self.assertEqual(TelnetFilter().feed(data), b"a", data)
            self.assertEqual(withoutTelnet(data), data)

    def test_end(self) -> None:
        """At the end of the stream, only a CR is left of what waits: it may be the query's line end."""
        for data, rest in {b"a\r": b"\r", b"a\xff\xfb": b"", b"a\xff\xfa\r": b"", b"a": b""}.items():
            stream = TelnetFilter()
            stream.feed(data)
            self.assertEqual(stream.end(), rest, data)
            self.assertEqual(stream.end(), b"", data)

    def test_bounded(self) -> None:
        """No more than a fixed number of bytes is removed or kept."""
        for part in (b"\0", b"\xff\xf1", b"\xff\xfb\x01"):
            kept = TelnetFilter().feed(part * MAX_TELNET)
            self.assertEqual(len(kept), len(part * MAX_TELNET) - MAX_TELNET // len(part) * len(part))
        for sub in (b"\xff\xfa" + b"x" * MAX_TELNET, b"\xff\xfa" + b"x" * MAX_TELNET + b"\xff\xf0"):
            self.assertEqual(TelnetFilter().feed(sub), sub)
            self.assertEqual(inPieces(sub), sub)
