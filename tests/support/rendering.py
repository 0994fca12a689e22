"""Where an installation takes the pages' templates from, and proof that it makes a page of them."""

from __future__ import annotations

from pathlib import PurePath

TITLE = "A page of this installation"

PROGRAM = f"""
from finger.adapters.web.pages import errorPage
from finger.adapters.web.templating import PACKAGE_TEMPLATES, Templates
print(PACKAGE_TEMPLATES)
Templates().render(errorPage("{TITLE}", 404)).addCallback(lambda html: print(html.decode()))
"""
"""For an installation's Python: prints the directory of its own templates, and a page."""


def templatesOf(printed: str) -> PurePath:
    """
    Return the directory of the templates, from what C{PROGRAM} has printed.

    @raise AssertionError: if no page was rendered from them.
    """
    directory, _, page = printed.partition("\n")
    if not page.startswith("<!DOCTYPE html>\n<html") or f"<h1>{TITLE}</h1>" not in page:
        raise AssertionError(f"no page was rendered:\n{printed}")
    return PurePath(directory)
