"""The content of the web pages as plain values, without HTML (see the templates) or HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from finger.profile import Profile
from finger.protocol.wire import clean, cleanLine, formatLastLogin, formatMail

PAGE_SIZE: Final = 1000
"""Maximum number of users on one page: these render in some 30 ms, and can be scrolled on a phone."""

MAX_ASKED: Final = 80
"""Maximum length of an unknown name as repeated on its page, in characters."""


MAX_DESCRIPTION: Final = 160
"""Maximum length of a page's description, in characters.  Search engines show about as much."""


@dataclass(frozen=True, slots=True)
class Values:
    """
    The values that fill a template.

    @ivar slots: the text of each C{<t:slot name="..."/>}.
    @ivar parts: the effect of each C{t:render="..."} on its tag: whether it is kept, or the values with which it is
        repeated.
    """

    slots: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, bool | Sequence[Values]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """
    A page that has been looked up, but is not filled yet.

    @ivar key: the page's name among all pages of the same users; L{None} for a page that must not be kept.
    @ivar fill: makes the page.
    """

    key: Hashable | None
    fill: Callable[[], Page]


@dataclass(frozen=True, slots=True)
class Page:
    """
    One page.

    @ivar template: the name of the template's file.
    @ivar title: the title, which is also a slot.
    @ivar values: the values that fill the template.
    @ivar index: the relative URL of the user list.
    @ivar isIndex: whether this page is the user list.
    @ivar banner: the administrator's text above the page; empty for none.
    @ivar description: a description of one line, for search engines and previews of links; empty for none.
    """

    template: str
    title: str
    values: Values
    index: str = "./"
    isIndex: bool = False
    banner: str = ""
    description: str = ""


def withBanner(page: Page, banner: str) -> Page:
    """Return a page below the administrator's text."""
    return replace(page, banner=_lines(banner))


def nearestNumber(number: int, count: int, size: int = PAGE_SIZE) -> int:
    """
    Return the number of the page of the user list that is nearest to a number.

    @param count: the number of users.
    @param size: see L{listPage}.
    """
    return min(max(1, number), _lastNumber(count, size))


def _lastNumber(count: int, size: int) -> int:
    return max(1, -(-count // size))


def listPage(
    profiles: Sequence[Profile], number: int = 1, taken: Collection[str] = (), size: int = PAGE_SIZE, text: str = ""
) -> Page:
    """
    Return one page of the user list.

    @param profiles: all users, sorted.
    @param number: the page's number, from 1; for a number out of range, the nearest page is returned.
    @param taken: the paths that are not users'.
    @param size: maximum number of users on one page.
    @param text: the administrator's text instead of users; empty for none.
    """
    last = _lastNumber(len(profiles), size)
    number = nearestNumber(number, len(profiles), size)
    shown = profiles[(number - 1) * size : number * size]
    parts: dict[str, bool | Sequence[Values]] = {
        "users": [_userValues(profile, taken) for profile in shown],
        "empty": not shown and not text,
        "shown": bool(shown),
        "paged": last > 1,
        "earlier": number > 1,
        "later": number < last,
        "text": bool(text),
    }
    slots = {
        "title": "Users",
        "number": f"{number:,}",
        "last": f"{last:,}",
        "count": f"{len(profiles):,}",
        "earlier": f"./?page={number - 1}",
        "later": f"./?page={number + 1}",
        "text": _lines(text),
    }
    return Page("users.html", "Users", Values(slots, parts), isIndex=True)


def userPage(profile: Profile) -> Page:
    """Return the page of a user."""
    login = cleanLine(profile.login)
    name = cleanLine(profile.name or "")
    values = _userValues(profile, ())
    title = f"{name} ({login})" if name else login
    plan = values.slots["plan"] if (profile.plan or "").strip() else ""
    return Page("user.html", title, values, description=_descriptionOf(name, plan))


def _descriptionOf(name: str, plan: str) -> str:
    """Return a user's name with the first line of the plan; empty if neither is known."""
    line = plan.lstrip().partition("\n")[0][: 4 * MAX_DESCRIPTION]
    text = " ".join(": ".join(filter(None, [name, line])).split())
    return text if len(text) <= MAX_DESCRIPTION else f"{text[: MAX_DESCRIPTION - 1].rstrip()}…"


def errorPage(words: str, code: int, asked: str = "", index: str = "./", text: str = "") -> Page:
    """
    Return the page of an error.

    @param words: the error message.
    @param code: the HTTP status code.
    @param asked: the user the request was for; empty if it was not for a user.
    @param index: see L{Page}.
    @param text: the administrator's text about the error; empty for none.
    """
    asked = cleanLine(asked)
    if len(asked) > MAX_ASKED:
        asked = f"{asked[:MAX_ASKED]}…"
    slots = {"title": words, "code": str(code), "asked": asked, "index": index, "text": _lines(text)}
    return Page("error.html", words, Values(slots, {"asked": bool(asked), "text": bool(text)}), index)


def userURL(login: str, taken: Collection[str]) -> str:
    """
    Return the relative URL of a user's page.

    @param taken: the paths that are not users'.
    """
    quoted = quote(login, safe="", errors="replace")
    # Browsers treat . and .. as directories even if quoted, and proxies split paths at a quoted slash.
    isPath = login not in {".", "..", *taken} and "/" not in login
    return f"./{quoted}" if isPath else f"./?user={quoted}"


def _userValues(profile: Profile, taken: Collection[str]) -> Values:
    texts = {name: text for name, text in _texts(profile).items() if text is not None}
    login = cleanLine(profile.login)
    always = {"login": login, "title": texts.get("name", login), "url": userURL(profile.login, taken)}
    parts = dict.fromkeys(_FIELDS, False) | dict.fromkeys(texts, True)
    parts |= {"status": profile.isStatusOnly, "plan": "plan" in texts and not profile.isStatusOnly}
    parts |= {"words": not _WORDS.isdisjoint(texts), "details": not _DETAILS.isdisjoint(texts), "nothing": not texts}
    return Values(texts | always, parts)


_WORDS: Final = frozenset({"plan", "status", "project", "pubkey", "pgpkey"})
_DETAILS: Final = frozenset({"office", "home", "shell", "lastlogin", "mail"})
_FIELDS: Final = ("name", *_WORDS, *_DETAILS)


def _texts(profile: Profile) -> dict[str, str | None]:
    """Return the cleaned text of each field; L{None} for an unknown one."""
    plan = None if profile.plan is None else _lines(profile.status)
    login = profile.lastLogin and formatLastLogin(profile.lastLogin).removeprefix("Last login ")
    mail = profile.mail and formatMail(profile.mail).replace("\n     ", "\n")
    return {
        "name": _line(profile.name),
        "plan": plan,
        "status": plan,
        "project": _lines(profile.project or "") or None,
        "pubkey": _lines(profile.pubkey or "") or None,
        "pgpkey": _lines(profile.pgpkey or "") or None,
        "office": _line(profile.office),
        "home": _line(profile.home),
        "shell": _line(profile.shell),
        "lastlogin": login or None,
        "mail": mail or None,
    }


def _line(text: str | None) -> str | None:
    return cleanLine(text or "") or None


def _lines(text: str) -> str:
    """Return text for a C{pre} element, in which HTML ignores an initial newline."""
    text = clean(text).removesuffix("\n")
    return f"\n{text}" if text.startswith("\n") else text
