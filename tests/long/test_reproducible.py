"""The Debian package, built twice."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.container import package, run


class ReproducibleTests(SynchronousTestCase):
    """What depends on nothing but the sources."""

    def test_debian(self) -> None:
        """Built again, elsewhere, it is the same, byte for byte."""
        first = package()
        with tempfile.TemporaryDirectory() as temporary:
            run("sh", "debian/build.sh", temporary)
            (again,) = Path(temporary).glob("*.deb")
            self.assertEqual(again.read_bytes(), first.read_bytes())
