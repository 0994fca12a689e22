"""Templates filled with values, and a check that all pages can be rendered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from twisted.python.failure import Failure
from twisted.web.error import FlattenerError, MissingRenderMethod, UnfilledSlot
from twisted.web.iweb import IRequest
from twisted.web.template import Element, Flattenable, Tag, flattenString, tags

from finger.adapters.web.errorline import lineOf
from finger.adapters.web.pages import Page, Values, errorPage, listPage, userPage, withBanner
from finger.errors import ConfigError
from finger.profile import LastLogin, Mail, Profile

LAYOUT: Final = "layout.html"
"""The template that is the layout of all pages."""


class View(Element):
    """A template filled with values.  The additional C{slots} may have any content, not only text."""

    def __init__(self, template: Flattenable, values: Values, **slots: Flattenable) -> None:
        super().__init__()
        self._template = template
        self._values = values
        self._slots = {**values.slots, **slots}

    def render(self, request: IRequest | None) -> Flattenable:
        """See L{Element.render}."""
        return tags.transparent(self._template).fillSlots(**self._slots)

    def lookupRenderMethod(self, name: str) -> Callable[[IRequest | None, Tag], Flattenable]:
        """See L{Element.lookupRenderMethod}."""
        if name not in self._values.parts:
            raise MissingRenderMethod(self, name)
        return lambda request, tag: self._part(name, tag)

    def _part(self, name: str, tag: Tag) -> Flattenable:
        part = self._values.parts[name]
        if isinstance(part, bool):
            return tag if part else ""
        return [View(tag, values) for values in part]

    @property
    def partNames(self) -> str:
        """The valid values of C{t:render}, for an error message."""
        return ", ".join(sorted(self._values.parts))


def pageView(templates: Mapping[str, Flattenable], page: Page, isIndexed: bool) -> View:
    """
    Return the view of a complete page.

    @param isIndexed: whether search engines may index the page.
    """
    return layoutView(templates, page, View(templates[page.template], page.values), isIndexed)


def layoutView(templates: Mapping[str, Flattenable], page: Page, content: Flattenable, isIndexed: bool) -> View:
    """Return the view of the layout with a page's content."""
    slots = {"title": page.title, "index": page.index, "banner": page.banner, "description": page.description}
    parts = {
        "here": page.isIndex,
        "elsewhere": not page.isIndex,
        "banner": bool(page.banner),
        "described": bool(page.description),
        "noindex": not isIndexed,
    }
    return View(templates[LAYOUT], Values(slots, parts), content=content)


# The check, with pages that have all values, and pages that have few.

_WHEN: Final = datetime(2001, 3, 31, 18, 32)

_PROFILES: Final = (
    Profile(
        *("moshez", "Moshe Zadka", "Happy", "Finger", "/home/m", "/bin/sh"),
        LastLogin(_WHEN),
        Mail(_WHEN),
        *("1", "a key", "a PGP key"),
    ),
    Profile("moshez", plan="Happy"),
    Profile("moshez"),
)

SAMPLES: Final = (
    listPage([]),
    withBanner(listPage([], text="Welcome"), "Welcome"),
    listPage(_PROFILES),
    listPage(_PROFILES, 2, size=1),
    *map(userPage, _PROFILES),
    errorPage("No such user", 404, "moshez"),
    errorPage("Internal error in server", 500),
    errorPage("No such user", 404, text="Nobody is here"),
)
"""Pages that have, and pages that lack, each slot and part a template may use."""


def tryTemplates(templates: Mapping[str, Flattenable]) -> None:
    """
    Check templates by rendering all kinds of pages.

    @raise ConfigError: if that fails; the message is one line that begins with the template's name.
    """
    for page in SAMPLES:
        _try(page.template, View(templates[page.template], page.values))
        views = [layoutView(templates, page, _CONTENT, isIndexed) for isIndexed in (True, False)]
        if any(_CONTENT not in _try(LAYOUT, view) for view in views):
            raise ConfigError(f'{LAYOUT}: does not use its content; should have <t:slot name="content"/>')


_CONTENT: Final = "(the content)"


def _try(name: str, view: View) -> str:
    results: list[bytes | Failure] = []
    flattenString(None, view).addBoth(results.append)
    if isinstance(results[0], Failure):
        raise ConfigError(f"{name}: {_explainFlattener(results[0].value)}") from results[0].value
    html = results[0].decode()
    for style in re.findall(r"(?s)<style[^>]*>(.*?)</style>", html):
        if re.search(r"&(lt|gt|amp);|<!\[CDATA\[", style):
            raise ConfigError(
                f"{name}: <style> must not contain <, >, & or CDATA, which XML and HTML parse differently"
            )
    return html


def _explainFlattener(error: BaseException | None) -> str:
    assert isinstance(error, FlattenerError)
    cause = error.args[0]
    line = f"line {lineOf(cause)}"
    if isinstance(cause, MissingRenderMethod):
        return f'{line}: no t:render="{cause.renderName}" here; available are {cause.element.partNames}'
    if isinstance(cause, UnfilledSlot):
        name = cause.args[0]
        return f'{line}: the slot "{name}" is not filled here, or not always; try t:render="{name}" around it'
    return f"{line}: {cause}"
