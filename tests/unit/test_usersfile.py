"""Tests for L{finger.backends.usersfile}."""

from __future__ import annotations

import tracemalloc
import weakref
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from finger.backends.usersfile import SLICE, parseUsers
from finger.profile import Profile
from tests.support.tools import ROOT


def many(count: int) -> bytes:
    """Return a users file with many users."""
    return "".join(f"user{number} (Ünal {number}): status {number}\n" for number in range(count)).encode()


class ParseUsersTests(SynchronousTestCase):
    """The lines of a users file."""

    def check(self, text: str, *profiles: Profile, problems: tuple[int, ...] = ()) -> None:
        """Check that a text has these users, and problems at these lines."""
        users = parseUsers(text.encode())
        self.assertEqual(list(users.profiles.values()), list(profiles))
        self.assertEqual(tuple(number for number, _ in users.problems), problems)

    def test_lines(self) -> None:
        """
        A line is split at its first colon and stripped; it may have a full name in parentheses.  Comments and blank
        lines are skipped.
        """
        self.check("moshez: Happy and well\n", Profile("moshez", plan="Happy and well"))
        self.check("  \n# a: b\n\nm:a:b", Profile("m", plan="a:b"))
        self.check("m (Moshe Zadka): x", Profile("m", "Moshe Zadka", "x"))
        self.check("m(Moshe) :x ", Profile("m", "Moshe", "x"))
        self.check("m ():", Profile("m", "", ""))
        self.check("a.b: two words\r\n", Profile("a.b", plan="two words"))
        self.check("\ufeffm: x", Profile("m", plan="x"))
        self.check("")

    def test_continuation(self) -> None:
        """
        A line that starts with white space continues the status, even after comments.  So does a blank line between
        such lines.
        """
        self.check("m: a\n  b\n# c\n  # d\nn:\n e", Profile("m", plan="a\nb\n# d"), Profile("n", plan="e"))
        self.check(
            "m: a\n\n  b\n \n\n# c\n  d\n\n\nn: e\n\n", Profile("m", plan="a\n\nb\n\n\nd"), Profile("n", plan="e")
        )
        self.check("m:\n\n\n  a\n\n", Profile("m", plan="a"))
        self.check("m: a\r\n\r\n  b\r\n", Profile("m", plan="a\n\nb"))
        self.check("nonsense\n\n more\n\nm: a", Profile("m", plan="a"), problems=(1,))

    def test_indentation(self) -> None:
        """The indentation that all continuation lines have in common is removed, and the rest of it stays."""
        picture = "   /\\\n  /  \\\n\n /____\\"
        indented = "\n".join(f"    {line}" if line else "" for line in picture.split("\n"))
        self.check(f"m:\n{indented}\n", Profile("m", plan=picture[1:].replace("\n ", "\n")))
        self.check(f"m: A tent:\n    .\n{indented}\n", Profile("m", plan=f"A tent:\n.\n{picture}"))
        self.check("m: a\n\tb\n\t\tc\n        d\n\t  e", Profile("m", plan="a\nb\n        c\nd\n  e"))
        self.check("m: a\n\u3000b\n  c", Profile("m", plan="a\nb\n c"))

    def test_problems(self) -> None:
        """An invalid line is skipped with its continuation lines, and does not affect the others."""
        self.check("  x\nm: a", Profile("m", plan="a"), problems=(1,))
        self.check("nonsense\n more\nm: a", Profile("m", plan="a"), problems=(1,))
        self.check("m: a\nm: b\n c\n: d\n(N): e\nn((): f\n", Profile("m", plan="a"), problems=(2, 4, 5, 6))
        self.check("a@b: x\nx\x1b: y\n", problems=(1, 2))

    def test_names(self) -> None:
        """A name that could not be queried is refused, with the reason; any other is in its canonical form."""
        users = parseUsers("m: a\njohn smith: x\n\u3164: y\n a\nzoe\u0308: z\nzoë: again".encode())
        self.assertEqual(list(users.profiles), ["m", "zoë"])
        self.assertEqual(
            users.problems,
            (
                (2, "a user name is 1 to 255 visible characters, without white space"),
                (3, "a user name is 1 to 255 visible characters"),
                (6, "defines 'zoë' again; the first definition is used"),
            ),
        )

    def test_notUTF8(self) -> None:
        """A line that is not UTF-8 is skipped."""
        users = parseUsers(b"m: a\n\xff: b\nn: c\n")
        self.assertEqual(list(users.profiles), ["m", "n"])
        self.assertEqual(users.problems, ((2, "is not UTF-8"),))

    def test_notUTF8User(self) -> None:
        """A user's line that is not UTF-8 is skipped with its continuation lines, also if it is the first."""
        self.check("m: a\n b\n", Profile("m", plan="a\nb"))
        users = parseUsers(b"\xff: a\n b\nm: c\nj\xf6rg: d\n  e\n\nn: f\n \xff\n g\n")
        self.assertEqual(list(users.profiles.values()), [Profile("m", plan="c"), Profile("n", plan="f\ng")])
        self.assertEqual([number for number, _ in users.problems], [1, 4, 8])

    def test_unknown(self) -> None:
        """The users are a mapping: it has no other logins."""
        users = parseUsers(b"m: a\n").profiles
        self.assertRaises(KeyError, lambda: users["n"])
        self.assertEqual([login in users for login in ("m", "n", "m: a")], [True, False, False])
        self.assertNotIn(None, users)
        self.assertEqual((users.get("n"), len(users), users.keys() | {"n"}), (None, 1, {"m", "n"}))

    def test_pause(self) -> None:
        """Parsing a long file pauses again and again, and cuts lines nowhere."""
        pauses: list[None] = []
        content = many(2000)
        users = parseUsers(content, lambda: pauses.append(None))
        self.assertEqual(len(users.profiles), 2000)
        self.assertGreaterEqual(len(pauses), len(content) // SLICE)

    def test_memory(self) -> None:
        """
        Users take no more memory than their text and 48 bytes each, also while they are parsed.  Profiles would take
        more than 400.
        """
        count, content = 20_000, many(20_000)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        users = parseUsers(content)
        held, most = tracemalloc.get_traced_memory()
        self.assertEqual(users.profiles["user19999"], Profile("user19999", "Ünal 19999", "status 19999"))
        self.assertLess(held, 48 * count)
        self.assertLess(most, 48 * count + 20 * SLICE)

    def test_freed(self) -> None:
        """The users are freed when the last reference to them is, without waiting for the garbage collector."""
        profiles = weakref.ref(parseUsers(b"m: a\n").profiles)
        self.assertIsNone(profiles())

    def test_sample(self) -> None:
        """The sample file has no problems, and contains the tutorial's first user."""
        users = parseUsers(Path(ROOT, "etc", "users").read_bytes())
        self.assertEqual(users.problems, ())
        self.assertEqual(users.profiles["moshez"], Profile("moshez", plan="Happy and well"))
