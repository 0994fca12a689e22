"""
The templates of the web pages, which are found, checked and rendered here.

They are four XML documents for L{twisted.web.template}.  C{layout.html} is the layout of all pages, from C{<html>}
on, with the style.  Its slot C{content} is filled with C{users.html} (the user list), C{user.html} (a user) or
C{error.html} (an error).  A comment in each, which is not sent, lists the slots and parts it can use.
C{favicon.ico} is the site's icon.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from xml.sax import SAXParseException

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.template import Comment, Flattenable, Tag, XMLString, flattenString
from zope.interface import implementer

from finger.adapters.web.pages import Page
from finger.adapters.web.paths import ICON
from finger.adapters.web.views import LAYOUT, pageView, tryTemplates
from finger.config.files import readFile
from finger.config.threads import ThreadedReader
from finger.errors import ConfigError
from finger.interfaces import IReloadable


def findPackageTemplates(package: Path) -> Path:
    """
    Return the directory of the package's own templates.

    In the sources, C{templates/} is at the top level, beside the package, where designers look for it.  A wheel
    cannot install it there, because the directory above an installed package belongs to all packages.  So an
    installation from a wheel has it inside the package; a checkout and an editable install have it beside it.

    A directory counts only if it contains C{layout.html}: in an old checkout, C{finger/templates} may remain with an
    editor's backup files.

    @param package: the directory of the package C{finger}.
    @return: the directory; the one inside the package if neither contains templates.  L{Templates} reports that in
        one line, which an import could not do.
    """
    places = package / "templates", package.parent / "templates"
    return next((place for place in places if _hasTemplates(place)), places[0])


def _hasTemplates(directory: Path) -> bool:
    return os.path.isfile(directory / LAYOUT)  # Path.is_file raises an error in a directory that cannot be searched.


PACKAGE_TEMPLATES: Final = findPackageTemplates(Path(__file__).parents[2])
"""The directory of the package's own templates."""

NAMES: Final = (LAYOUT, "users.html", "user.html", "error.html")
"""The names of the template files."""

MAX_ICON: Final = 256 * 1024
"""Maximum size of the icon, in bytes."""


@implementer(IReloadable)
class Templates:
    """
    The templates of one directory.

    A directory may contain some of the four, and the package's own are used for the others: to change the style, copy
    C{layout.html} alone.  It must contain at least one, and no other C{.html} file, whose name may be misspelt.

    @param directory: the directory; the package's own by default.
    @param reactor: for the threads in which a reload reads; with L{None} a reload blocks.
    @ivar isIndexed: whether search engines may index the pages.
    @ivar icon: the site's icon, C{favicon.ico} of the directory or the package's own.
    @ivar version: an object that is replaced when the templates have been read again.
    @raise ConfigError: if the package's own templates are missing, or if a template cannot be read, is not
        well-formed, or cannot be filled with the values of a page.
    """

    log = Logger()

    isIndexed = True

    def __init__(self, directory: Path | None = None, reactor: Any | None = None) -> None:
        self._directory = PACKAGE_TEMPLATES if directory is None else Path(directory)
        self._templates, self.icon = self._read()
        self.version = object()
        self._readAgain = ThreadedReader(reactor, self._read)

    def reload(self) -> Deferred[bool]:
        """See L{IReloadable.reload}."""
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> bool:
        try:
            self._templates, self.icon = await self._readAgain()
            self.version = object()
        except ConfigError as error:
            self.log.error("the templates in use are kept: {error}", error=str(error))
            return False
        self.log.info("templates read from {directory}", directory=str(self._directory))
        return True

    def render(self, page: Page) -> Deferred[bytes]:
        """Render a page as HTML5, in UTF-8."""
        return flattenString(None, pageView(self._templates, page, self.isIndexed)).addCallback(
            lambda html: b"<!DOCTYPE html>\n" + html
        )

    def _read(self) -> tuple[dict[str, Flattenable], bytes]:
        _checkInstallation()
        try:
            present = _namesIn(self._directory)
            read = {name: _parse(name, self._directory if name in present else PACKAGE_TEMPLATES) for name in NAMES}
            icon = _readIcon(self._directory if ICON in present else PACKAGE_TEMPLATES)
            tryTemplates(read)
        except ConfigError as error:
            raise ConfigError(f"--templates={self._directory}: {error}") from error
        return read, icon


# Reading templates, with errors of one line.


def _checkInstallation() -> None:
    if not _hasTemplates(PACKAGE_TEMPLATES):
        raise ConfigError(
            f"{PACKAGE_TEMPLATES}: holds no {LAYOUT}; the package's own templates should be there, or in templates/ "
            "beside the package"
        )


def _namesIn(directory: Path) -> set[str]:
    try:
        names = {path.name for path in directory.iterdir() if not path.name.startswith(".")}
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}; it should be a directory with {_EXPECTED}") from error
    unknown = sorted(name for name in names - set(NAMES) if name.endswith((".html", ".htm")))
    if unknown:
        raise ConfigError(f"{unknown[0]}: is not the name of a template; expected {_EXPECTED}")
    if names.isdisjoint((*NAMES, ICON)):
        raise ConfigError(f"holds no template; expected {_EXPECTED}")
    return names


_EXPECTED: Final = f"one or more of {', '.join((*NAMES, ICON))}"


def _readIcon(directory: Path) -> bytes:
    try:
        icon = readFile(directory / ICON)
    except OSError as error:
        raise ConfigError(f"{ICON}: cannot be read: {error.strerror}") from error
    if not icon.startswith(b"\0\0\1\0") or len(icon) > MAX_ICON:
        raise ConfigError(f"{ICON}: should be an icon in Windows' format (ICO), of at most {MAX_ICON} bytes")
    return icon


def _parse(name: str, directory: Path) -> Flattenable:
    try:
        nodes = XMLString(readFile(directory / name).decode("utf-8-sig")).load()
        _checkRoot(name, nodes)
        return _withoutComments(nodes)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is not in UTF-8: {error.reason} at byte {error.start}") from error
    except SAXParseException as error:
        raise ConfigError(f"{name}: line {error.getLineNumber()}: {error.getMessage()}") from error
    except (AssertionError, AttributeError, KeyError) as error:  # Twisted's exceptions for this.
        raise ConfigError(f"{name}: t:attr must be directly in a tag, and t:attr and t:slot need a name") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: has too deeply nested tags") from error


def _checkRoot(name: str, nodes: list[Any]) -> None:
    root = next((str(node.tagName) for node in nodes if isinstance(node, Tag)), "t:slot")
    if name == LAYOUT and root != "html":
        raise ConfigError(f"{name}: begins with <{root}>, should begin with <html>")
    if name != LAYOUT and root in {"html", "body"}:
        raise ConfigError(f"{name}: begins with <{root}>, which is in {LAYOUT}; should be the content of <main>")


def _withoutComments(nodes: list[Any]) -> list[Any]:
    for node in nodes:
        if isinstance(node, Tag):
            node.children = _withoutComments(node.children)
    return [node for node in nodes if not isinstance(node, Comment)]
