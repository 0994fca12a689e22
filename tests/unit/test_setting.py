"""Tests for L{finger.protocol.setting}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from finger.errors import BadQuery
from finger.protocol.setting import (
    INCOMPLETE,
    IS_HTTP,
    NOT_UTF8,
    USAGE,
    formatMessage,
    formatReply,
    isSealed,
    markReply,
    parseMarkedReply,
    parseMessage,
    parseReply,
)


class MessageTests(SynchronousTestCase):
    """Messages, which the client sends."""

    def test_bytes(self) -> None:
        """The first line is the user, the rest the status; both are sealed."""
        self.assertEqual(formatMessage("zoë", "a\n\nb"), "zoë\t\r\na\n\nb\r\n".encode())
        self.assertEqual(formatMessage("ada", "a\r\nb\r\r\n\nc\r\n"), b"ada\t\r\na\nb\n\nc\r\n")

    def test_both(self) -> None:
        """Parsing a formatted message returns its parts."""
        for user, status in (
            ("ada", "here"),
            ("zoë", "a ☕\n\n  b"),
            ("a/b", "x"),
            ("ada", "a\rb"),
            ("ada", "\t\nx\t"),
        ):
            self.assertEqual(parseMessage(formatMessage(user, status)), (user, status))
        self.assertEqual(parseMessage(formatMessage("ada", "a\r\n\r\nb\n\n")), ("ada", "a\n\nb"))

    def test_old(self) -> None:
        """A server that does not know sealed messages reads the same user and status."""
        user, _, status = formatMessage("ada", "a\n\nb\n").replace(b"\r\n", b"\n").partition(b"\n")
        self.assertEqual((user.strip(), status.strip(b"\n")), (b"ada", b"a\n\nb"))

    def test_cut(self) -> None:
        """No beginning of a sealed message sets anything."""
        for status in ("one\n\ntwo\r\n\r\nthree\n", "x\r", "y\r\r\n\r", "☕\t\r\n☕", "a\r\n"):
            message = formatMessage("zoë", status)
            parseMessage(message)
            for length in range(len(message)):
                self.assertRaises(BadQuery, parseMessage, message[:length])
        self.assertEqual(str(self.assertRaises(BadQuery, parseMessage, message[:-1])), INCOMPLETE)

    def test_http(self) -> None:
        """A request of HTTP sets nothing, whatever its method, target, version and body."""
        for line in (
            *("POST /x HTTP/1.1", "GET / HTTP/1.0", "OPTIONS * HTTP/1.1", "PRI * HTTP/2.0", "post /x http/1.1"),
            *("PUT http://localhost:1080/x HTTP/1.1", "CONNECT localhost:1080 HTTP/1.1", "MKCOL-X /x HTTP/1.1"),
            *(
                "  POST /x HTTP/1.1",
                "\tPOST\t/x\tHTTP/1.1",
                "POST /moshez%0Astatus HTTP/1.1",
                "POST /x",
                "GET http://x/",
            ),
            *("POST /a b c HTTP/1.1", "POST x HTTP/1.1", "HTTP/1.1 200 OK", "X /x HTTP/3"),
        ):
            for end in ("\r\n", "\n", "\t\r\n"):
                for body in ("Host: localhost\r\n\r\n", "Content-Type: text/plain\r\n\r\nmoshez\nhere\r\n"):
                    message = f"{line}{end}{body}".encode()
                    self.assertEqual(str(self.assertRaises(BadQuery, parseMessage, message)), IS_HTTP, line)

    def test_notHTTP(self) -> None:
        """Names and statuses that only resemble it can be set."""
        for user, status in (
            *(("moshez", "POST /x HTTP/1.1"), ("moshez", "/away"), ("moshez", "* busy"), ("moshez", "http://x/")),
            *(("http", "x"), ("GET", "/"), ("a/b", "HTTP/1.1"), ("AdaKing", "GET / HTTP/1.1\nHost: x")),
        ):
            for message in (f"{user}\n{status}".encode(), formatMessage(user, status)):
                self.assertEqual(parseMessage(message), (user, status))

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

    def test_names(self) -> None:
        """A user is sent and applied by the canonical form of the name; a name that cannot be queried is refused."""
        self.assertEqual(formatMessage("zoe\u0308", "x"), formatMessage("zoë", "x"))
        self.assertEqual(parseMessage(formatMessage("zoe\u0308", "x")), ("zoë", "x"))
        self.assertEqual(parseMessage("\ufeffzoe\u0308\nx".encode()), ("zoë", "x"))
        for name in ("jane doe", "a@b", "\u3164", "/W"):
            self.assertRaises(BadQuery, formatMessage, name, "x")
            self.assertIn("a user name is", str(self.assertRaises(BadQuery, parseMessage, f"{name}\nx".encode())))


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

    def test_marked(self) -> None:
        """The mark of a reply to a sealed message is parsed from its end, and its words cannot imitate it."""
        for words in ("Permission denied", "a\tset", "Status of a is set", "", "zoë\r\n\tset\r\n"):
            for isSet in (True, False):
                expected = (" ".join(words.split()), isSet)
                self.assertEqual(parseMarkedReply(markReply(words, isSet) + "\r\n"), expected)
        for reply in (
            "a\tset",
            "a\tset\n",
            "a\tset\r",
            "a set\r\n",
            "a\tSet\r\n",
            "a\tset\r\nb",
            "b\r\na\tset\r\n",
            "",
        ):
            self.assertIsNone(parseMarkedReply(reply))

    def test_sealed(self) -> None:
        """A sealed message is known by its first line."""
        self.assertTrue(isSealed(formatMessage("ada", "x")))
        for message in (b"ada\nx\t\r\n", b"ada\r\nx", b"ada\t\nx", b"\t", b""):
            self.assertFalse(isSealed(message))
