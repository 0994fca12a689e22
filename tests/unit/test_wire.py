"""Tests for L{finger.protocol.wire}; the sections are those of RFC 1288."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from twisted.trial.unittest import SynchronousTestCase

from finger.errors import BadQuery
from finger.profile import LastLogin, Mail, Profile
from finger.protocol import wire
from finger.protocol.wire import (
    MAX_LINE,
    MAX_NAMES,
    Query,
    clean,
    cleanLine,
    decode,
    encode,
    formatAnswer,
    formatList,
    formatQuery,
    parseList,
    parseQuery,
    splitHost,
    toASCII,
)

WHEN = datetime(2021, 3, 31, 18, 32, tzinfo=timezone(timedelta(hours=-8), "PST"))
MOSHEZ = Profile("moshez", plan="Happy and well")


class ParseQueryTests(SynchronousTestCase):
    """Parsing queries (section 2.3)."""

    def test_grammar(self) -> None:
        """Every form of the grammar is parsed, and so are the other forms that clients send."""
        for line, query in {
            b"": Query(),
            b"\r\n": Query(),
            b"\r": Query(),
            b"/W": Query(True),
            b"/W \r\n": Query(True),
            b"/w": Query(True),
            b"u": Query(False, ("u",)),
            b"/W u": Query(True, ("u",)),
            b"/W   u": Query(True, ("u",)),
            b"/w\tu": Query(True, ("u",)),
            b"  u\t ": Query(False, ("u",)),
            b"u /W": Query(True, ("u",)),
            b"@h": Query(False, ("@h",)),
            b"u@h": Query(False, ("u@h",)),
            b"u@h1@h2": Query(False, ("u@h1@h2",)),
            b"/W @h": Query(True, ("@h",)),
            b"/W u@h": Query(True, ("u@h",)),
            b"@": Query(),
            b"/W @": Query(True),
            b"u@": Query(False, ("u",)),
            b"a b  c": Query(False, ("a", "b", "c")),
            b"/Wu": Query(False, ("/Wu",)),
            b"/W /W": Query(True, ("/W",)),
            b"mosh\xc3\xa9": Query(False, ("moshé",)),
            b"u v u": Query(False, ("u", "v")),
            b"/W u u": Query(True, ("u",)),
        }.items():
            self.assertEqual(parseQuery(line), query, line)

    def test_noise(self) -> None:
        """Telnet's part and invisible characters before and after a name are ignored; names are composed."""
        for noise in (b"\xff\xfb\x1f", b"\0", b"\r\0", b"\xef\xbb\xbf", "\u200b\u200e\u3164".encode()):
            for query in (noise + b"u", b"u" + noise, noise + b" u " + noise, b"/W" + noise + b" u"):
                self.assertEqual(parseQuery(query + b"\r\n").names, ("u",), query)
            self.assertEqual(parseQuery(noise + b"/W\r\n"), Query(True))
            self.assertEqual(parseQuery(noise + b"\r\n"), Query())
        self.assertEqual(parseQuery("zoe\u0308 zoë".encode()), Query(False, ("zoë",)))

    def test_anyBytes(self) -> None:
        """A name may contain any byte (section 3.1)."""
        for value in set(range(256)) - set(b" \t\r\n@"):
            self.assertEqual(len(parseQuery(b"a" + bytes([value]) + b"b").names), 1, value)

    def test_manyAts(self) -> None:
        """A thousand @ are a single name, which is refused once."""
        self.assertEqual(parseQuery(b"@" * 1000), Query(False, ("@" * 1000,)))

    def test_tooLong(self) -> None:
        """A line of the maximum length is accepted, a longer one is not."""
        self.assertEqual(parseQuery(b"x" * MAX_LINE + b"\r\n").names, ("x" * MAX_LINE,))
        self.assertRaises(BadQuery, parseQuery, b"x" * (MAX_LINE + 1))

    def test_tooMany(self) -> None:
        """The maximum number of names is accepted, one more is not."""
        names = [f"x{number}".encode() for number in range(MAX_NAMES)]
        self.assertEqual(len(parseQuery(b" ".join(names)).names), MAX_NAMES)
        self.assertRaises(BadQuery, parseQuery, b"x " * (MAX_NAMES + 1))


class FormatQueryTests(SynchronousTestCase):
    """Formatting and splitting queries."""

    def test_forms(self) -> None:
        """A query is formatted with or without C{/W}."""
        self.assertEqual(formatQuery("u@h", False), b"u@h\r\n")
        self.assertEqual(formatQuery("u", True), b"/W u\r\n")
        self.assertEqual(formatQuery("", True), b"/W \r\n")
        self.assertEqual(formatQuery("", False), b"\r\n")

    def test_smuggling(self) -> None:
        """A name cannot send a second line, or a terminal's escape sequences, to the other server."""
        for name in ("a\r\nb", "a\nb", "a\rb", "a\0", "\x1b[2J", "a\u2028b", "x" * (MAX_LINE + 1)):
            self.assertRaises(BadQuery, formatQuery, name, False)

    def test_splitHost(self) -> None:
        """A name is split at the rightmost host."""
        for name, parts in {
            "u": None,
            "u@h": ("u", "h"),
            "@h": ("", "h"),
            "u@h1@h2": ("u@h1", "h2"),
            "u@[::1]": ("u", "::1"),
            "u@::1": ("u", "::1"),
            "u@@": ("u@", ""),
        }.items():
            self.assertEqual(splitHost(name), parts)


class TextTests(SynchronousTestCase):
    """Text on the wire."""

    def test_lines(self) -> None:
        """Every kind of line end becomes CRLF, and the last line ends in CRLF as well (section 2.2)."""
        for text in ("a\nb", "a\r\nb", "a\rb", "a\nb\n"):
            self.assertEqual(encode(text), b"a\r\nb\r\n", text)
        self.assertEqual(encode(""), b"\r\n")
        self.assertEqual(encode("a\n\nb"), b"a\r\n\r\nb\r\n")
        self.assertEqual(encode("\r\r\n\n"), b"\r\n\r\n\r\n")

    def test_controls(self) -> None:
        """Characters that a terminal might interpret are replaced (section 3.3)."""
        bad = "\x1b\x07\x00\x7f\x9b\x0b\x0c\x85\u2028\u2029\u202a\u202e\u2066\u2069\u206f\ufff9\ufffe\uffff"
        bad += "\ud800\U0010ffff"
        self.assertEqual(clean(bad), "?" * len(bad))
        self.assertEqual(encode(f"x{bad}y"), b"x" + b"?" * len(bad) + b"y\r\n")
        for character in bad:
            self.assertEqual(clean(f"é{character}"), "é?", ascii(character))
            self.assertEqual(clean(character), "?", ascii(character))

    def test_kept(self) -> None:
        """Tabs, all scripts and emoji are kept, with the joiners and marks that they need."""
        text = "a\tb Zoë ☕\ufe0f \N{FAMILY}\u200d می\u200cخواهم שלום!\u200f \u061c\u0600\u200e \xa0\u3000\ue000"
        self.assertEqual(clean(text), text)
        self.assertEqual(encode(text), text.encode() + b"\r\n")

    def test_dropped(self) -> None:
        """Invisible characters that do no harm are dropped: a byte order mark, soft hyphens, the tags of a flag."""
        self.assertEqual(clean("\ufeffso\u00adft\u200b hy\u2060phen"), "soft hyphen")
        self.assertEqual(clean("\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in "gbeng\x7f")), "\U0001f3f4")
        self.assertEqual(encode("\ufeffa\u200f\u200d☕\ufe0fb", utf8=False), b"a?b\r\n")

    def test_fast(self) -> None:
        """
        The time for a text is proportional to its length, whatever is in it.  Composing this one as a whole takes ten
        seconds, a million times as long as one character.
        """
        accents = "\u0301" * 32_000 + "\u0323" * 32_000
        self.assertEqual(toASCII(f"a{accents}b"), "ab")
        self.assertEqual(clean(accents), accents)

    def test_manyCharacters(self) -> None:
        """The table of the ASCII forms does not grow without a limit."""
        text = "".join(map(chr, range(0x4E00, 0x4E00 + 5000)))
        self.assertEqual(toASCII(text), "?" * 5000)
        self.assertLessEqual(len(wire._ASCII), 4096)

    def test_ascii(self) -> None:
        """In ASCII, letters lose their accents, and other characters become question marks."""
        self.assertEqual(toASCII("Zoë Straße ☕"), "Zoe Stra?e ?")
        self.assertEqual(encode("Zoë \x1b", utf8=False), b"Zoe ?\r\n")

    def test_cleanLine(self) -> None:
        """The text becomes a single line."""
        self.assertEqual(cleanLine(" a\r\nb\tc\x1b "), "a b c?")

    def test_decode(self) -> None:
        """Decoded text is clean, whatever the bytes are."""
        self.assertEqual(decode(b"a\r\nb\r\n"), "a\nb")
        self.assertEqual(decode(b"\xff\x1b[1m"), "\N{REPLACEMENT CHARACTER}?[1m")
        self.assertEqual(decode(b""), "")


class FormatTests(SynchronousTestCase):
    """The long form and the short one."""

    def test_statusOnly(self) -> None:
        """The answer for a profile with only a status is that status, unless the query is verbose (section 2.5.4)."""
        self.assertEqual(formatAnswer(MOSHEZ), "Happy and well")
        more = "Login: moshez         \t\t\tName:\nPlan:\nHappy and well"
        self.assertEqual(formatAnswer(MOSHEZ, verbose=True), more)
        self.assertEqual(formatAnswer(Profile("moshez", plan="")), "No Plan.")

    def test_long(self) -> None:
        """The long form has every field."""
        profile = Profile(
            "moshez",
            "Moshe Zadka",
            "Happy\nand well\n",
            "finger\n",
            "/home/moshez",
            "/bin/sh",
            LastLogin(WHEN, "pts/1", "example.org"),
            Mail(WHEN, WHEN),
            "Room 42",
            "ssh-rsa AAAA\n",
            "mDME\n",
        )
        self.assertEqual(
            formatAnswer(profile),
            "Login: moshez         \t\t\tName: Moshe Zadka\n"
            "Directory: /home/moshez             \tShell: /bin/sh\n"
            "Office: Room 42\n"
            "Last login Wed Mar 31 18:32 (PST) on pts/1 from example.org\n"
            "New mail received Wed Mar 31 18:32 (PST)\n"
            "     Unread since Wed Mar 31 18:32 (PST)\n"
            "PGP key:\nmDME\n"
            "Project:\nfinger\n"
            "Plan:\nHappy\nand well\n"
            "Public key:\nssh-rsa AAAA",
        )

    def test_little(self) -> None:
        """An empty field is shown as empty; a field that is not known or not disclosed is left out."""
        profile = Profile("moshez", "", "", "", None, "/bin/sh", LastLogin(None), Mail(None), pubkey="", pgpkey="")
        self.assertEqual(
            formatAnswer(profile),
            "Login: moshez         \t\t\tName:\n"
            f"Directory: {'':25}\tShell: /bin/sh\n"
            "Never logged in.\n"
            "No mail.\n"
            "No Plan.",
        )
        self.assertEqual(formatAnswer(Profile("moshez", "M")), "Login: moshez         \t\t\tName: M")

    def test_moreTimes(self) -> None:
        """The long form has read mail, a local login, and a time without a zone."""
        profile = Profile("m", lastLogin=LastLogin(WHEN.replace(tzinfo=None)), mail=Mail(WHEN.astimezone(UTC)))
        self.assertIn("\nLast login Wed Mar 31 18:32\nMail last read Thu Apr  1 02:32 (UTC)", formatAnswer(profile))

    def test_smuggledLines(self) -> None:
        """A name cannot add a line that looks like another field."""
        answer = formatAnswer(Profile("moshez", "M\nPlan:\nbad", home="/x\r\nNo mail."))
        self.assertEqual(len(answer.split("\n")), 2)

    def test_list(self) -> None:
        """A line has the login, two or more spaces and the full name; parsing it returns the profile."""
        profiles = [Profile("a"), Profile("averyveryverylonglogin", "A Name"), Profile("moshez", "Moshe Zadka")]
        self.assertEqual(formatList(profiles), "a\naveryveryverylonglogin  A Name\nmoshez           Moshe Zadka")
        self.assertEqual(parseList(formatList(profiles)), profiles)

    def test_emptyList(self) -> None:
        """An empty list is a line that says so, and parses as no users."""
        self.assertEqual(formatList([]), "No one logged on")
        self.assertEqual(parseList(formatList([])), [])

    def test_foreignList(self) -> None:
        """The list of Debian's fingerd has a header, more columns, and a line for each terminal."""
        answer = (
            "Login     Name       Tty      Idle  Login Time   Office     Office Phone\n"
            "root      root       tty1       12  Nov 20 10:00\n"
            "moshez    Moshe Z    pts/0          Nov 20 10:00 (:0)\n"
            "moshez    Moshe Z    pts/1          Nov 20 10:00 (:0)\n"
            "\n"
            "This is no user.\n"
        )
        self.assertEqual(parseList(answer), [Profile("moshez", "Moshe Z"), Profile("root", "root")])
