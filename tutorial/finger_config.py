"""One coarse layer over the package: a whole service from a dict of texts, as a file has them.

makeService({"usersFile": "etc/users", "fingerPorts": "1079", "ssl": "no"}, reactor)

The options are those of the package and its adapters. One that does not exist is an error.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from twisted.application.service import IService

sys.path.append(str(Path(__file__).resolve().parent.parent))  # the package of this checkout
import finger
from finger.plugins.discovery import findAdapters

OPTIONS = findAdapters().table.settings.values()
DEFAULTS = {option.key: option.initial for option in OPTIONS if option.key != "checkers"}
TRUTH = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False, "": False}


def makeService(options: Mapping[str, str], reactor: object) -> IService:
    values = {option: read(option, text) for option, text in options.items()}
    return finger.makeService(finger.Config(**values), reactor)


def read(option: str, text: str) -> object:
    """What a text means for an option; the option's default tells of what kind it is."""
    if option not in DEFAULTS:
        raise ValueError(f"{option}: there is no such option; there are {', '.join(DEFAULTS)}")
    kind = type(DEFAULTS[option])
    if kind is bool and text.lower() not in TRUTH:
        raise ValueError(f"{option}: {text!r} is neither yes nor no")
    if kind is bool:
        return TRUTH[text.lower()]  # bool("0") would be true
    return kind(text.split()) if kind in (tuple, frozenset) else kind(text)
