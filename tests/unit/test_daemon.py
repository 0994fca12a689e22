"""C{twisted-fingerd}, the command."""

from __future__ import annotations

import faulthandler
import signal
import subprocess
import sys
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from finger.ops import daemon


class MainTests(SynchronousTestCase):
    """What it has twistd do."""

    def test_arguments(self) -> None:
        """It stays in the foreground, leaves no file behind, and passes its arguments on."""
        self.addCleanup(faulthandler.disable)
        with patch.object(daemon, "run") as run, patch.object(sys, "argv", ["twisted-fingerd", "--no-list"]):
            daemon.main()
            self.assertEqual(sys.argv, ["twisted-fingerd", "--nodaemon", "--pidfile=", "finger", "--no-list"])
        run.assert_called_once_with()

    def test_aborted(self) -> None:
        """Ended by SIGABRT, as by a watchdog, it says where it was."""
        code = "import os, sys; from finger.ops import daemon; daemon.run = os.abort; daemon.main()"
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        self.assertEqual(ended.returncode, -signal.SIGABRT)
        self.assertRegex(ended.stderr, r'File ".*daemon.py", line \d+ in main')
