"""A vending machine: asked for an item, it says how many are left (RFC 1288, section 2.5.5)."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, fail, succeed
from twisted.plugin import IPlugin
from zope.interface import implementer

from finger.errors import ConfigError, NoSuchUser
from finger.interfaces import IFingerBackend, IFingerService


@implementer(IFingerService)
class VendingMachine:
    def __init__(self, stock: Mapping[str, int]) -> None:
        self._stock = stock

    def getUser(self, user: str) -> Deferred[str]:
        if user not in self._stock:
            return fail(NoSuchUser(user))
        return succeed(f"{self._stock[user]} × {user}, chilled\n1,50 € each, no <change>")

    def getUsers(self) -> Deferred[list[str]]:
        return succeed(sorted(self._stock))


@implementer(IPlugin, IFingerBackend)
class VendingBackend:
    name = "vending"
    argument = ":ITEM=COUNT[,...]"
    summary = "a vending machine: what is in it, and how many"

    def makeBackend(self, argument: str, reactor: object) -> VendingMachine:
        try:
            items = [item.split("=") for item in argument.split(",")]
            return VendingMachine({name.strip(): int(count) for name, count in items})
        except ValueError:
            raise ConfigError(f"--backend=vending:{argument}: should be as in vending:cola=7,maté=3") from None


vending = VendingBackend()
