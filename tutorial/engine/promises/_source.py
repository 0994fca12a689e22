"""Steps that change what can be read and not what can be seen: a look at the source."""

import ast

from ..harness import Running
from ..stages import TUTORIAL
from ._registry import expect, promise


@promise
def factory_owns_the_data(running: Running) -> None:
    """The factory has a getUser method, and the protocol asks `self.factory` for users."""
    factories = [c for c in classes(running) if "Factory" in " ".join(bases(c))]
    owner = any("getUser" in methods(c) for c in factories)
    expect(owner, "a factory class with a method getUser", ", ".join(c.name for c in factories))
    expect("self.factory.getUser" in running.sources()[0], "`self.factory.getUser`", "none")


@promise
def a_service_holds_the_users(running: Running) -> None:
    """A Service class has getUser; the factories ask it."""
    services = [c for c in classes(running) if any(b.endswith("Service") for b in bases(c))]
    expect(any("getUser" in methods(c) for c in services), "a Service with getUser", services)


@promise
def factories_are_classes(running: Running) -> None:
    """The factories for finger and for IRC are classes with a getUser of their own."""
    names = [
        c.name
        for c in classes(running)
        if any(base.endswith("Factory") for base in bases(c)) and "getUser" in methods(c)
    ]
    expect(len(names) >= 2, "two factory classes with getUser", names)


@promise
def site_is_a_class(running: Running) -> None:
    """The root of the site is a Resource class with getChild."""
    found = [c.name for c in classes(running) if "getChild" in methods(c)]
    expect(found, "a class with a method getChild", "none")


@promise
def back_end_declares_its_interface(running: Running) -> None:
    """The class with the users says `@implementer(IFingerService)`."""
    wanted = [
        c.name
        for c in classes(running)
        for decorator in c.decorator_list
        if ast.unparse(decorator).startswith("implementer(IFingerService")
    ]
    expect(wanted, "@implementer(IFingerService)", "no class that says so")


@promise
def adapter_for_finger(running: Running) -> None:
    """An adapter makes an IFingerFactory of any IFingerService."""
    expect_adapter(running, "IFingerService", "IFingerFactory")


@promise
def adapters_for_irc_and_web(running: Running) -> None:
    """Adapters make an IIRCClientFactory and an IResource of any IFingerService."""
    expect_adapter(running, "IFingerService", "IIRCClientFactory")
    expect_adapter(running, "IFingerService", "resource.IResource")


@promise
def adapter_for_the_setter(running: Running) -> None:
    """An adapter makes an IFingerSetterFactory of any IFingerSetterService."""
    expect_adapter(running, "IFingerSetterService", "IFingerSetterFactory")


@promise
def back_end_is_a_module(running: Running) -> None:
    """The back end is a class of a module that knows the interface and no adapter."""
    changes = [name for name in running.served.helpers if name.endswith("_changes.py")]
    expect(changes, "a module finger..._changes.py", running.served.helpers)
    source = (TUTORIAL / changes[0]).read_text("utf-8")
    expect("@implementer(IFingerService" in source, "@implementer(IFingerService...)", source)
    expect("registerAdapter" not in source, "no adapter in it", source)


def expect_adapter(running: Running, given: str, wanted: str) -> None:
    adapters = calls(running, "registerAdapter")
    found = [arguments for arguments in adapters if arguments[1:] == [given, wanted]]
    expect(found, f"registerAdapter(..., {given}, {wanted})", adapters)


def trees(running: Running) -> list[ast.Module]:
    return [ast.parse(source) for source in running.sources()]


def classes(running: Running) -> list[ast.ClassDef]:
    """The classes of the stage's file and of its helper modules."""
    nodes = [node for tree in trees(running) for node in ast.walk(tree)]
    return [node for node in nodes if isinstance(node, ast.ClassDef)]


def bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base) for base in node.bases]


def methods(node: ast.ClassDef) -> list[str]:
    return [part.name for part in node.body if isinstance(part, ast.FunctionDef)]


def calls(running: Running, function: str) -> list[list[str]]:
    """The arguments of each call of a function, as source."""
    nodes = [node for tree in trees(running) for node in ast.walk(tree)]
    found = [n for n in nodes if isinstance(n, ast.Call) and ast.unparse(n.func) == function]
    return [[ast.unparse(argument) for argument in node.args] for node in found]
