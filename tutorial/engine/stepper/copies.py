"""start: a working copy of a stage, with what it needs beside it. Nothing is ever overwritten."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..stages import TUTORIAL, Stage
from .finding import Learner
from .paper import Problem, command, relative
from .reading import sayNext

FOLDER = "my"
USERS = TUTORIAL.parent / "etc" / "users"


def start(learner: Learner, arguments: Namespace) -> int:
    """Make the copy; one that is there is left alone, and worked on from now on."""
    stage = learner.stage(arguments.stage)
    file = target(arguments.file, stage.file)
    source = origin(learner, stage) if arguments.before else stage.path
    if file.exists():
        if arguments.file and learner.copyOf(stage.number) != file:
            raise Problem(f"{relative(file)} is there already, and stays as it is. Name another file.")
        print(f"{relative(file)} is there already, and stays as it is. That is the one to change.")
    else:
        write(file, source.read_text("utf-8"))
        print(f"{relative(file)} is yours now: a copy of {relative(source)}, to change as you like.")
        copyHelpers(stage, file.parent)
    learner.progress.copies[stage.number] = str(file)
    learner.progress.note(stage.number, "start")
    if arguments.before:
        print(f"It does what came before. What is to be written: {command('show', stage.number)}")
    sayNext(learner)
    return 0


def origin(learner: Learner, stage: Stage) -> Path:
    """What the stage grows out of: the learner's own copy of it, if there is one."""
    if not stage.after:
        raise Problem(f"Nothing comes before stage {stage.number}: start it without --before.")
    return learner.copyOf(stage.after) or learner.stages[stage.after].path


def target(named: str | None, name: str) -> Path:
    """Where the copy goes: the file or folder that was named, else the folder for copies."""
    path = Path(named) if named else Path(FOLDER) / name
    if named and (path.is_dir() or named.endswith("/")):
        path /= name
    file = path.resolve()
    if file.is_relative_to(TUTORIAL):
        raise Problem(f"{relative(file)} is among the tutorial's own files: name a place of your own.")
    return file


def write(file: Path, text: str) -> None:
    """A new file; in the folder for copies it is kept out of the way of git and of the linter."""
    try:
        if file.parent.name == FOLDER and not file.parent.exists():
            file.parent.mkdir(parents=True)
            (file.parent / ".gitignore").write_text("*\n")
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "x", encoding="utf-8") as copy:
            copy.write(text)
    except OSError as error:
        raise Problem(f"{relative(file)} cannot be written: {error.strerror}.") from error


def copyHelpers(stage: Stage, folder: Path) -> None:
    """The modules and the users file that the stage reads, beside the copy of it."""
    needed = [TUTORIAL / name for name in (*stage.helpers, *stage.companions)]
    if readsUsers(stage.path) and USERS.is_file():
        needed.append(USERS)
    for source in needed:
        if not (folder / source.name).exists():
            write(folder / source.name, source.read_text("utf-8"))
            print(f"{relative(folder / source.name)} belongs to it.")


def readsUsers(file: Path) -> bool:
    return "FINGER_USERS" in file.read_text("utf-8", "replace")


@contextmanager
def lentUsers(file: Path) -> Iterator[dict[str, str]]:
    """As `usersFile`, with a copy of the users in a place where a stage that gave up root's rights can read them."""
    users = Path(usersFile(file).get("FINGER_USERS", USERS))
    if not readsUsers(file) or not users.is_file():
        yield {}
        return
    with TemporaryDirectory(prefix="finger-users-") as folder:
        Path(folder).chmod(0o755)
        copy = Path(folder) / "users"
        copy.write_bytes(users.read_bytes())
        copy.chmod(0o644)
        yield {"FINGER_USERS": str(copy)}


def usersFile(file: Path) -> dict[str, str]:
    """The environment that makes a copy read the users beside it, else those the tutorial reads."""
    if not readsUsers(file) or file.is_relative_to(TUTORIAL):
        return {}
    for users in file.parent / "users", USERS:
        if users.is_file():
            return {"FINGER_USERS": str(users)}
    return {}
