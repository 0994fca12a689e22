"""The layout of the package: a newcomer finds a module by the names of folders."""

from __future__ import annotations

from pathlib import Path

import grimp
from twisted.trial.unittest import SynchronousTestCase

import finger

ENTRIES = 20
"""The most entries in C{finger/}."""

LISTS = {"finger.plugins.finger_adapters", "finger.plugins.finger_backends"}
"""The modules that list what plugins there are."""


class LayoutTests(SynchronousTestCase):
    """Where modules are."""

    def test_entries(self) -> None:
        """The top of the package can be taken in at a glance."""
        entries = [path.name for path in Path(finger.__file__).parent.iterdir() if path.name != "__pycache__"]
        self.assertLessEqual(len(entries), ENTRIES, entries)

    def test_importers(self) -> None:
        """A module that one other module imports is in that module's folder."""
        graph = grimp.build_graph("finger", exclude_type_checking_imports=True, cache_dir=None)
        for module in graph.modules:
            importers = graph.find_modules_that_directly_import(module) - {f"{module}.__main__"}
            if len(importers) == 1 and not importers & LISTS:
                (importer,) = importers
                isPackage = bool(graph.find_children(importer))
                folder = importer if isPackage else importer.rpartition(".")[0]
                self.assertTrue(module == folder or module.startswith(f"{folder}."), f"{module} <- {importer}")
