"""The directory of an installation's page templates, found by rendering a page."""

from __future__ import annotations

from pathlib import PurePath

TITLE = "A page of this installation"

PROGRAM = f"""
from finger.adapters.web.pages import errorPage
from finger.adapters.web.templating import PACKAGE_TEMPLATES, Templates
print(PACKAGE_TEMPLATES)
Templates().render(errorPage("{TITLE}", 404)).addCallback(lambda html: print(html.decode()))
"""
"""A program for an installation's Python that prints the directory of its templates, and a page."""


def templatesOf(printed: str) -> PurePath:
    """
    Return the directory of the templates from the output of C{PROGRAM}.

    @raise AssertionError: if no page was rendered from them.
    """
    directory, _, page = printed.partition("\n")
    if not page.startswith("<!DOCTYPE html>\n<html") or f"<h1>{TITLE}</h1>" not in page:
        raise AssertionError(f"no page was rendered:\n{printed}")
    return PurePath(directory)
