"""What the learner has done so far, kept in a small JSON file.

FINGER_TUTORIAL_STATE names the file; else it is finger-tutorial/progress.json in XDG_STATE_HOME,
which is ~/.local/state unless set. Losing it loses no work: it only remembers where one was.
"""

import contextlib
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Progress:
    """Stages and exercises by number."""

    current: str = ""
    seen: dict[str, list[str]] = field(default_factory=dict)  # stage -> the commands used on it
    copies: dict[str, str] = field(default_factory=dict)  # stage, or "exercise NN" -> the learner's file
    passed: dict[str, str] = field(default_factory=dict)  # the same -> digest of what passed its check
    skipped: list[str] = field(default_factory=list)

    def note(self, number: str, step: str) -> None:
        """The learner is at this stage, and has used this command on it."""
        self.current = number
        steps = self.seen.setdefault(number, [])
        if step not in steps:
            steps.append(step)


def stateFile() -> Path:
    named = os.environ.get("FINGER_TUTORIAL_STATE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_STATE_HOME")
    base = Path(home) if home else Path(os.path.expanduser("~/.local/state"))
    return base / "finger-tutorial" / "progress.json"


def load() -> Progress:
    """What was saved; a file that makes no sense is set aside, and all begins afresh."""
    path = stateFile()
    try:
        return parse(path.read_text("utf-8"))
    except FileNotFoundError:
        return Progress()
    except OSError as error:
        tell(f"Your progress cannot be read ({error}); beginning afresh.")
    except ValueError:
        setAside(path)
    return Progress()


def parse(text: str) -> Progress:
    data = json.loads(text)
    blank = asdict(Progress())
    if not isinstance(data, dict) or not all(sameShape(blank[name], data[name]) for name in blank if name in data):
        raise ValueError("no progress file")
    return Progress(**{name: value for name, value in data.items() if name in blank})


def sameShape(blank: object, value: Any) -> bool:
    if isinstance(blank, dict):
        texts = isinstance(value, dict) and all(isinstance(part, str | list) for part in value.values())
        return texts and len({type(part) for part in value.values()}) < 2
    return isinstance(value, type(blank))


def setAside(path: Path) -> None:
    aside = path.with_name(path.name + ".broken")
    number = 2
    while aside.exists():
        aside = path.with_name(f"{path.name}.broken-{number}")
        number += 1
    with contextlib.suppress(OSError):
        path.rename(aside)
    tell(f"Your progress file made no sense; it is now {aside}, and the list begins afresh.")


def save(progress: Progress) -> None:
    """Write it all at once; where that cannot be done, say so and go on."""
    path = stateFile()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.write_text(json.dumps(asdict(progress), indent=1, sort_keys=True) + "\n", "utf-8")
        new.replace(path)
    except OSError as error:
        tell(f"Your progress cannot be kept ({error}).")


def tell(text: str) -> None:
    print(text, file=sys.stderr)
