"""python -m tutorial: step through the stages, one at a time."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  said before anything that an older Python cannot read
    sys.exit(f"The tutorial needs Python 3.11 or newer; this one is {sys.version.split()[0]}.")

from .engine.stepper.cli import main

if __name__ == "__main__":
    sys.exit(main())
