"""C{twisted-fingerd}: C{twistd finger} as one command in the foreground, for init systems and containers."""

from __future__ import annotations

import faulthandler
import sys

from twisted.scripts.twistd import run

TWISTD = ("--nodaemon", "--pidfile=", "finger")
"""The arguments for twistd, before those of the command line."""


def main() -> None:
    """
    Run the command; its arguments are those of C{twistd finger}.

    C{faulthandler} prints a traceback when a watchdog ends a hung server by SIGABRT.  C{PYTHONFAULTHANDLER} would
    not work with a Python that ignores the environment.
    """
    faulthandler.enable()
    sys.argv[1:1] = TWISTD
    run()
