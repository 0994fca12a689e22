"""
Run a command until it ends, and wait for all that it leaves behind, so that their CPU time counts as this process's
children's.  Usage: C{reaper.py COMMAND ...}
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Run the command; SIGTERM ends it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    process = subprocess.Popen(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    while os.wait()[0] != process.pid:
        pass


if __name__ == "__main__":
    main()
