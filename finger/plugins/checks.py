"""Checks of what an adapter of another package declares: a mistake is one line in the log, not a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from finger.config.options import Option
from finger.config.types import Kind, Port, Switch
from finger.plugins.interfaces import IFingerAdapter

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
"""The names of options that every source of settings can express."""


def whyBadAdapter(adapter: IFingerAdapter) -> str:
    """Return why what an adapter declares cannot be used, in one line; empty if it can."""
    if not isinstance(adapter.options, tuple | list):
        return "its options are not a tuple"
    if not isinstance(adapter.queries, tuple | list) or not all(isinstance(name, str) for name in adapter.queries):
        return "its queries are not a tuple of strings"
    for option in adapter.options:
        why = _whyBadOption(option)
        if why:
            return f"its option {getattr(option, 'name', option)!r}{why}"
    return _whyTwice(name for option in adapter.options for name in namesOf(option))


def namesOf(option: Option) -> list[str]:
    """Return every name that an option takes."""
    return [*(f"--{name}" for name in (option.name, option.off, option.short) if name), option.key]


def _whyTwice(names: Iterable[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return f"it declares {name} twice"
        seen.add(name)
    return ""


def _whyBadOption(option: object) -> str:
    if not isinstance(option, Option):
        return ": expected an Option"
    return _whyBadTexts(option) or _whyBadKind(option) or _whyBadInitial(option)


def _whyBadTexts(option: Option) -> str:
    if not all(
        isinstance(text, str) for text in (option.name, option.help, option.group, option.value, option.field)
    ):
        return ": its name, help, group, value and field must be strings"
    if not _NAME.fullmatch(option.name):
        return ": expected a name of lower case letters, digits and hyphens"
    if option.short and not re.fullmatch("[A-Za-z0-9]", option.short):
        return ": expected a short name of one letter"
    if not option.help.strip() or not option.group.strip():
        return ": expected a help text and a group"
    return ""


def _whyBadKind(option: Option) -> str:
    kind = option.kind
    if not isinstance(kind, Kind):
        return ": expected a kind from finger.config.types"
    if option.action:
        return ": only built-in options can be actions"
    if isinstance(kind, Port) and not option.repeated:
        return ": a port must be repeated"
    if not isinstance(kind, Switch) and not option.value:
        return ": expected a name for its value, such as NUMBER"
    if kind.completes not in ("", "files", "directories") or not all(isinstance(text, str) for text in kind.choices):
        return ": its kind completes neither files, directories nor strings"
    return ""


def _whyBadInitial(option: Option) -> str:
    if option.repeated and not isinstance(option.initial, tuple):
        return ": expected a tuple as initial value"
    if isinstance(option.kind, Port) and option.initial:
        return " opens a port though it is not set: its initial value must be ()"
    if isinstance(option.kind, Switch) and not isinstance(option.initial, bool):
        return ": expected a boolean as initial value"
    assert option.kind is not None
    for value in option.default if option.repeated else [option.default]:
        try:
            option.kind.read(value)
        except Exception as error:
            return f": its initial value {value!r} is not valid: {error}"
    return ""
