"""C{twisted-fingerd}: C{twistd finger} as one command in the foreground, for init systems and containers."""

from __future__ import annotations

import faulthandler
import sys

from twisted.scripts.twistd import run

TWISTD = ("--nodaemon", "--pidfile=", "finger")
"""What it says to twistd, before what it was told itself."""


def main() -> None:
    """
    Run the command; its arguments are those of C{twistd finger}.

    A watchdog ends it by SIGABRT: it then says where it hung.  Of C{PYTHONFAULTHANDLER}, a Python that is told to
    ignore the environment would know nothing.
    """
    faulthandler.enable()
    sys.argv[1:1] = TWISTD
    run()
