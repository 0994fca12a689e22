"""Where other people's names are documented, for the links in the API reference.

pydoctor asks each project's site for such an inventory. That needs the network, and every build would get
another one; so it is made here, of what is installed: what the package's modules import, and what is in there.
"""

import ast
import builtins
import importlib.util
import inspect
import pkgutil
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from zope.interface.interface import InterfaceClass

import finger

TWISTED = "https://docs.twisted.org/en/stable/api/"
PYTHON = "https://docs.python.org/3/"
Entry = tuple[str, str, str]  # name, role, address


def write(folder: Path) -> list[str]:
    """Write both inventories; the arguments that tell pydoctor of them."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(mentioned())
    twisted = [entry for name in names if name.startswith("twisted.") for entry in twistedEntries(name)]
    python = [entry for name in names if "." not in name for entry in pythonEntries(name)]
    pack(folder / "twisted.inv", "Twisted", twisted)
    pack(folder / "python.inv", "Python", [*builtinEntries(), *python])
    files = (folder / "twisted.inv", TWISTED), (folder / "python.inv", PYTHON)
    return [f"--intersphinx-file={path}::{base}" for path, base in files]


def mentioned() -> set[str]:
    """The modules our modules import, and all that is named in them with "twisted" in front."""
    names: set[str] = set()
    for found in pkgutil.walk_packages(finger.__path__, "finger."):
        spec = importlib.util.find_spec(found.name)
        assert spec is not None and spec.origin is not None
        source = Path(spec.origin).read_text("utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
        for dotted in re.findall(r"\btwisted(?:\.\w+)+", source):
            parts = dotted.split(".")
            names.update(".".join(parts[:count]) for count in range(2, len(parts) + 1))
    return names


def module(name: str) -> ModuleType | None:
    """A module by that name, if there is one."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def twistedEntries(name: str) -> Iterator[Entry]:
    """A module of Twisted's: classes have a page each, everything else stands on the module's."""
    here = module(name)
    if here is None:
        return
    yield name, "module", f"{name}.html"
    public = getattr(here, "__all__", ())
    for own, thing in vars(here).items():
        full = f"{name}.{own}"
        if own not in public and getattr(thing, "__module__", "") != name:
            continue  # it is documented where it comes from
        if not isinstance(thing, type | InterfaceClass):
            yield full, "function", f"{name}.html#{own}"
            continue
        yield full, "class", f"{full}.html"
        for member in thing.names(all=True) if isinstance(thing, InterfaceClass) else dir(thing):
            if not member.startswith("__"):
                yield f"{full}.{member}", "method", memberAddress(full, thing, member)


def memberAddress(full: str, thing: "type | InterfaceClass", member: str) -> str:
    """On a class's page; one that is inherited is found from there."""
    its = member in (thing.names() if isinstance(thing, InterfaceClass) else vars(thing))
    return f"{full}.html#{member}" if its else f"{full}.html"


def pythonEntries(name: str) -> Iterator[Entry]:
    """A module of Python's library."""
    here = module(name)
    if here is None:
        return
    yield name, "module", f"library/{name}.html"
    for own in getattr(here, "__all__", dir(here)):
        if not own.startswith("_"):
            yield f"{name}.{own}", "function", f"library/{name}.html#{name}.{own}"


def builtinEntries() -> Iterator[Entry]:
    """What is there without an import."""
    for name in dir(builtins):
        thing = getattr(builtins, name)
        if inspect.isclass(thing) and issubclass(thing, BaseException):
            yield name, "exception", f"library/exceptions.html#{name}"
        elif not name.startswith("_"):
            page = "constants" if name in ("None", "True", "False") else "functions"
            yield name, "data", f"library/{page}.html#{name}"


def pack(path: Path, project: str, entries: list[Entry]) -> None:
    """Write them as Sphinx does, in the second version of its format."""
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    body = "".join(f"{name} py:{role} 1 {address} -\n" for name, role, address in entries)
    path.write_bytes(head.encode() + zlib.compress(body.encode()))
