"""Tests for L{finger.protocol.names}."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from finger.errors import BadQuery
from finger.profile import Profile
from finger.protocol.names import MAX_NAME, canonical, fold, foldedNames, parseName
from finger.protocol.wire import MAX_LINE, Query, formatQuery, parseQuery

INVISIBLE = (
    *("\u3164", "\u115f", "\u1160", "\uffa0", "\u034f", "\u17b4", "\u180b", "\u200b", "\u200d", "\u2060", "\u00ad"),
    *("\u200f", "\u061c", "\ufeff", "\ufe0f", "\U000e0100", "\U000e0041", "\U0001d173"),
)


class ParseNameTests(SynchronousTestCase):
    """The names that users can have."""

    def test_good(self) -> None:
        """Letters of any script, digits, punctuation and symbols."""
        for name in (
            "moshez",
            "zoë",
            "john.doe",
            "a/b",
            "a-b",
            "a:b",
            "..",
            "*",
            "שלומי",
            "żółw",
            "☃",
            "😀",
            "1",
            "Login",
        ):
            self.assertEqual(parseName(name), name)
            self.assertEqual(parseQuery(name.encode()), Query(False, (name,)))

    def test_plain(self) -> None:
        """Names of one and two ASCII characters are checked quickly, with the result of the careful check."""
        characters = [chr(code) for code in range(128)]
        for name in [*characters, *map("".join, product(characters, characters))]:
            isPlain = name.isprintable() and not {" ", "@"} & {*name} and name[0] not in "/-"
            if isPlain:
                self.assertEqual(parseName(name), name)
            else:
                self.assertRaises(BadQuery, parseName, name)

    def test_canonical(self) -> None:
        """Names that look alike are one name, however they are composed and whatever is invisible in them."""
        self.assertEqual(parseName("zoe\u0308"), "zoë")
        self.assertEqual(parseName("\u212b"), "Å")
        for character in INVISIBLE:
            for text in (f"mo{character}shez", f"{character}moshez", f"moshez{character}{character}"):
                self.assertEqual(parseName(text), "moshez", ascii(text))
                self.assertEqual(parseQuery(text.encode()).names, ("moshez",), ascii(text))

    def test_nothingVisible(self) -> None:
        """A name has a visible character, and begins with one."""
        for name in (
            "",
            *INVISIBLE,
            "".join(INVISIBLE),
            "\u0301",
            "\u20dd",
            "\u2800",
            "\u2800\u2800",
            "\u3164\u0301",
        ):
            self.assertRaises(BadQuery, parseName, name)

    def test_bad(self) -> None:
        """A name that could not be requested is refused, with the reason."""
        for why, names in {
            ", without white space": (
                "john smith",
                " a",
                "a ",
                "a\tb",
                "a\nb",
                "a\xa0b",
                "a\u3000b",
                "a\u2800b",
            ),
            ", without @ and control characters": (
                "a@b",
                "@",
                "a\0",
                "\x1b",
                "\u202emoshez",
                "a\ud800",
                "\ue000",
            ),
            ", and begins with neither /, - nor an accent": ("/W", "/w", "/", "-l", "--", "\u0301a"),
            "": ("x" * (MAX_NAME + 1), "\u0301" * 100_000, "", "\u3164"),
        }.items():
            for name in names:
                error = self.assertRaises(BadQuery, parseName, name)
                self.assertEqual(str(error), f"a user name is 1 to 255 visible characters{why}", ascii(name[:9]))

    def test_longest(self) -> None:
        """The longest name fits in a query."""
        name = "\U0001f600" * MAX_NAME
        self.assertLessEqual(len(formatQuery(parseName(name), verbose=True)), MAX_LINE + 2)

    def test_slow(self) -> None:
        """A text that is too long for a query is not composed, which would take many seconds."""
        text = "a" + "\u0301" * 100_000 + "\u0323" * 100_000
        self.assertIs(canonical(text), text)
        self.assertEqual(fold(text[:100_000]), text[:100_000])


class FoldTests(SynchronousTestCase):
    """Names that match in any case (section 2.5.3)."""

    def test_fold(self) -> None:
        """Names match in any case and any form."""
        for one, other in (
            ("MOSHEZ", "moshez"),
            ("JOHN.DOE", "john.doe"),
            ("ZOË", "zoe\u0308"),
            ("STRASSE", "straße"),
        ):
            self.assertEqual(fold(one), fold(other))

    def test_names(self) -> None:
        """First, last and full names match."""
        self.assertEqual(foldedNames(Profile("m", "Moshe  ZADKA\u200b")), {"moshe", "zadka", "moshe zadka"})
        for name in (None, "", " "):
            self.assertEqual(foldedNames(Profile("m", name)), set())
