"""Tests for L{finger.protocol.setting}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from finger.errors import BadQuery
from finger.protocol.setting import NOT_UTF8, USAGE, formatMessage, formatReply, parseMessage, parseReply


class MessageTests(SynchronousTestCase):
    """Messages, which the client sends."""

    def test_bytes(self) -> None:
        """The first line is the user, the rest the status."""
        self.assertEqual(formatMessage("zoë", "a\n\nb"), "zoë\na\n\nb".encode())

    def test_both(self) -> None:
        """Parsing a formatted message returns its parts."""
        for user, status in (("ada", "here"), ("zoë", "a ☕\n\n  b"), ("a b", "x")):
            self.assertEqual(parseMessage(formatMessage(user, status)), (user, status))

    def test_read(self) -> None:
        """Lines may end in CRLF; spaces around the user and line ends around the status are removed."""
        self.assertEqual(parseMessage(b" ada \r\n\r\nhere\r\nnow\r\n\r\n"), ("ada", "here\nnow"))

    def test_bad(self) -> None:
        """The error for an invalid message says what is expected."""
        for message, told in (
            (b"", USAGE),
            (b"ada", USAGE),
            (b"ada\n \n", USAGE),
            (b"\nhere", USAGE),
            (b"\xff\nx", NOT_UTF8),
        ):
            self.assertEqual(str(self.assertRaises(BadQuery, parseMessage, message)), told)
        self.assertRaises(BadQuery, formatMessage, "a\nb", "x")


class ReplyTests(SynchronousTestCase):
    """Replies, which the server sends."""

    def test_words(self) -> None:
        """The words of the reply are part of the wire format and never change."""
        self.assertEqual(formatReply("moshez"), "Status of moshez is set")
        self.assertEqual(formatReply("a\x1b[2J"), "Status of a?[2J is set")

    def test_both(self) -> None:
        """Parsing a formatted reply returns the user."""
        for user in ("moshez", "zoë", "is set", "a b"):
            for end in ("", "\n", "\r\n", "\r\nmore"):
                self.assertEqual(parseReply(formatReply(user) + end), user)

    def test_refusals(self) -> None:
        """Any other first line is a refusal."""
        for reply in (
            *("", USAGE, "status of moshez is set", "Status of moshez is set.", "Status of  moshez is  set"),
            *("No such user\nStatus of moshez is set", "Status of moshez\nis set", " Status of moshez is set"),
        ):
            self.assertIsNone(parseReply(reply), reply)
