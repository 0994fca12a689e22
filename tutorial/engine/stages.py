"""The table of stages, read from stages.toml.

stages = load_stages()            # number -> Stage, in the order of the tutorial
stages["07"].path                 # the stage's file
promises_of(stages, "07")         # every promise it has to keep, its own last
added_lines(stages, "07")         # how large a step it is
"""

import difflib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TUTORIAL = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stage:
    """One step of the tutorial, as stages.toml has it."""

    number: str
    title: str
    file: str
    start: str  # "python" or "twistd"
    introduces: str
    after: str = ""  # the stage it is compared with; "" for one that begins afresh
    kind: str = "server"  # or "client", which asks stage `server` and ends
    server: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    promises: tuple[str, ...] = ()
    retires: dict[str, str] = field(default_factory=dict)
    helpers: tuple[str, ...] = ()  # modules of the tutorial that the file imports
    accounts: bool = False  # the harness has to lend it accounts with plans
    companions: tuple[str, ...] = ()  # programs that belong to the stage and run beside it

    @property
    def path(self) -> Path:
        return TUTORIAL / self.file


def load_stages(path: Path = TUTORIAL / "stages.toml") -> dict[str, Stage]:
    """All stages by number, in the order of the tutorial."""
    tables = tomllib.loads(path.read_text("utf-8"))["stage"]
    return {table["number"]: _stage(table) for table in tables}


def _stage(table: dict[str, Any]) -> Stage:
    lists = {name: tuple(value) for name, value in table.items() if isinstance(value, list)}
    return Stage(**table | lists)


def promises_of(stages: dict[str, Stage], number: str) -> list[str]:
    """The promises a stage has to keep: those of the stages before it, less what was retired."""
    stage = stages[number]
    inherited = promises_of(stages, stage.after) if stage.after else []
    kept = [name for name in inherited if name not in stage.retires]
    return kept + [name for name in stage.promises if name not in kept]


def followers(stages: dict[str, Stage], number: str) -> list[Stage]:
    """The stages that come directly after this one."""
    return [stage for stage in stages.values() if stage.after == number]


def added_lines(stages: dict[str, Stage], number: str) -> int:
    """How many lines that are not blank a stage has and the one before it has not.

    A helper module counts where it is first used, but for the lines that were only moved into it.
    """
    stage = stages[number]
    before = stages[stage.after] if stage.after else None
    old = _lines(before.path) if before else []
    diff = difflib.ndiff(old, _lines(stage.path))
    added = [line for line in diff if line.startswith("+ ")]
    new_helpers = [name for name in stage.helpers if not before or name not in before.helpers]
    in_helpers = [line for name in new_helpers for line in _lines(TUTORIAL / name)]
    return len(added) + sum(line not in old for line in in_helpers)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
