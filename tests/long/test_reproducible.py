"""Tests for reproducible builds of the Debian package."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.container import package, run


class ReproducibleTests(SynchronousTestCase):
    """Builds that depend only on the sources."""

    def test_debian(self) -> None:
        """A second build in another directory gives the same package, byte for byte."""
        first = package()
        with tempfile.TemporaryDirectory() as temporary:
            run("sh", "debian/build.sh", temporary)
            (again,) = Path(temporary).glob("*.deb")
            self.assertEqual(again.read_bytes(), first.read_bytes())
