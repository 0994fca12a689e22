"""
Users' names: which names a user can have, in one place for back ends, the users file, the setter and queries.

A name is what a query can request.  White space separates the names in a query, C{@} begins a host, C{/} begins an
option (RFC 1288, section 2.3), and a hyphen would be an option of the program that some other server runs.  Names
that look alike are one name: they are in the composed form NFC (Unicode Standard Annex 15), and without invisible
characters.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from finger.errors import BadQuery
from finger.profile import Profile

MAX_NAME: Final = 255
"""The maximum length of a name, in characters.  As UTF-8 with C{/W} before it, it fits in one query."""

INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u061c\u2060-\u2065\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""
The characters that are invisible even where a font lacks them (C{Default_Ignorable_Code_Point}), without the controls
of the writing direction that can deceive.
"""

_PLAIN: Final = re.compile("[!-,.0-?A-~][!-?A-~]{0,254}")
"""A name that consists of visible ASCII characters, and so needs no other check."""

_BLANK: Final = re.compile(r"[\s\u2800]")
_MAX_CANONICAL: Final = 1024


def canonical(text: str) -> str:
    """
    Return the canonical form of the names in a text: composed (NFC), without invisible characters.  A text that is
    too long for a query is returned as it is, since composing many accents takes very long.
    """
    if text.isascii() or len(text) > _MAX_CANONICAL:
        return text
    return unicodedata.normalize("NFC", INVISIBLE.sub("", text))


def parseName(text: str) -> str:
    """
    Return a user's name in its canonical form.

    @raise BadQuery: if no user can have that name; the message says why.
    """
    if _PLAIN.fullmatch(text):  # Many times as fast, and usually true.
        return text
    name = canonical(text)
    why = _problem(name)
    if why is not None:
        raise BadQuery(f"a user name is 1 to {MAX_NAME} visible characters{why}")
    return name


def _problem(name: str) -> str | None:
    if not 1 <= len(name) <= MAX_NAME:
        return ""
    if _BLANK.search(name):
        return ", without white space"
    if "@" in name or not name.isprintable():
        return ", without @ and control characters"
    if name[0] in "/-" or unicodedata.category(name[0]).startswith("M"):
        return ", and begins with neither /, - nor an accent"
    return None


def fold(name: str) -> str:
    """Return a form of a name that is equal for names that differ only in case."""
    return canonical(canonical(name).casefold())


def foldedNames(profile: Profile) -> set[str]:
    """Return what a user can be found by besides the login: the folded full name, and its words (section 2.5.3)."""
    words = fold(profile.name or "").split()
    return {" ".join(words), *words} - {""}
