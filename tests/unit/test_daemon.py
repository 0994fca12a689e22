"""The command C{twisted-fingerd}."""

from __future__ import annotations

import faulthandler
import signal
import subprocess
import sys
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from finger.ops import daemon


class MainTests(SynchronousTestCase):
    """The arguments for twistd."""

    def test_arguments(self) -> None:
        """The server stays in the foreground, writes no PID file, and gets the command's arguments."""
        self.addCleanup(faulthandler.disable)
        with patch.object(daemon, "run") as run, patch.object(sys, "argv", ["twisted-fingerd", "--no-list"]):
            daemon.main()
            self.assertEqual(sys.argv, ["twisted-fingerd", "--nodaemon", "--pidfile=", "finger", "--no-list"])
        run.assert_called_once_with()

    def test_aborted(self) -> None:
        """On SIGABRT, as from a watchdog, it prints a traceback."""
        code = "import os, sys; from finger.ops import daemon; daemon.run = os.abort; daemon.main()"
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        self.assertEqual(ended.returncode, -signal.SIGABRT)
        self.assertRegex(ended.stderr, r'File ".*daemon.py", line \d+ in main')
