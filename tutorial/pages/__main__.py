"""python -m tutorial.pages: see tutorial/pagebuilder/cli.py."""

import sys

from ..pagebuilder.cli import main

if __name__ == "__main__":
    sys.exit(main())
