"""The pages that are kept, each in its plain and its compressed form."""

from __future__ import annotations

import sys
from collections.abc import Hashable

from finger.adapters.web.representation import Representation, compressedPage, plainPage
from finger.net.answercache import AnswerCache


class PageCache:
    """
    Pages by key, in both forms.  The compressed form is made when it is first requested.

    @param answers: keeps them.
    """

    def __init__(self, answers: AnswerCache[Representation] | None = None) -> None:
        self._answers = AnswerCache() if answers is None else answers

    def find(self, version: Hashable | None, key: Hashable, compressed: bool) -> Representation | None:
        """
        Return a page, if it is kept.

        @param version: the present version of all that pages are made from; with L{None}, no page is kept.
        @param key: the page's key.
        @param compressed: whether the client prefers the compressed form.
        """
        found = self._answers.get(version, (key, compressed))
        if found is not None or not compressed:
            return found
        plain = self._answers.get(version, (key, False))
        return None if plain is None else self._put(version, key, True, compressedPage(plain))

    def keep(self, version: Hashable | None, key: Hashable, html: bytes, compressed: bool) -> Representation:
        """
        Keep a page, and return the form for the client that requested it.

        @param version: the version before the page was looked up; with L{None}, the page is not kept.
        @param html: the page.
        """
        plain = self._put(version, key, False, plainPage(html, varies=version is not None))
        return self.find(version, key, compressed) or plain

    def _put(self, version: Hashable | None, key: Hashable, compressed: bool, page: Representation) -> Representation:
        size = 0 if compressed and not page.coding else len(page.body)  # A short page has one form for both.
        self._answers.put(version, (key, compressed), page, size + sys.getsizeof(key))
        return page
