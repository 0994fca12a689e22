"""The setter's wire format."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from finger.errors import BadQuery
from finger.protocol.setting import NOT_UTF8, USAGE, formatMessage, formatReply, parseMessage, parseReply


class MessageTests(SynchronousTestCase):
    """What a client sends."""

    def test_bytes(self) -> None:
        """The user on the first line, the status after it."""
        self.assertEqual(formatMessage("zoë", "a\n\nb"), "zoë\na\n\nb".encode())

    def test_both(self) -> None:
        """What is written is read."""
        for user, status in (("ada", "here"), ("zoë", "a ☕\n\n  b"), ("a b", "x")):
            self.assertEqual(parseMessage(formatMessage(user, status)), (user, status))

    def test_read(self) -> None:
        """CRLF ends lines, too; spaces around the user and line ends around the status are no part of them."""
        self.assertEqual(parseMessage(b" ada \r\n\r\nhere\r\nnow\r\n\r\n"), ("ada", "here\nnow"))

    def test_bad(self) -> None:
        """What is no message says what would be one."""
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
    """What a server sends."""

    def test_words(self) -> None:
        """The words are the wire format: they never change."""
        self.assertEqual(formatReply("moshez"), "Status of moshez is set")
        self.assertEqual(formatReply("a\x1b[2J"), "Status of a?[2J is set")

    def test_both(self) -> None:
        """What is written is read."""
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
