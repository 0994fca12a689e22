"""C{twisted-fingerd}, the command."""

from __future__ import annotations

import sys
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from finger import daemon


class MainTests(SynchronousTestCase):
    """What it has twistd do."""

    def test_arguments(self) -> None:
        """It stays in the foreground, leaves no file behind, and passes its arguments on."""
        with patch.object(daemon, "run") as run, patch.object(sys, "argv", ["twisted-fingerd", "--no-list"]):
            daemon.main()
            self.assertEqual(sys.argv, ["twisted-fingerd", "--nodaemon", "--pidfile=", "finger", "--no-list"])
        run.assert_called_once_with()
