"""
The places of users in a text: a hash table with a few bytes for each user.  No I/O.

A dictionary of 1,000,000 logins takes more than 100 MB, and to grow or to free it stops all threads for a tenth of a
second.  This table takes 20 MB, and is allocated and freed at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import Final

_BITS: Final = 31
"""The bits of a slot that hold the place.  The others hold a part of the login's hash, so few logins are compared."""

_PLACE: Final = (1 << _BITS) - 1
_HASH: Final = (1 << (64 - _BITS)) - 1


class Offsets:
    """
    Offsets of entries in a text, by login and in the order in which they were added.

    @param most: the maximum number of users.
    @param loginAt: returns the login of the entry at an offset, which is less than 2 GiB.
    """

    def __init__(self, most: int, loginAt: Callable[[int], str]) -> None:
        size = 1 << (2 * most).bit_length()  # More than half of the slots stay empty, so a search is short.
        self._mask = size - 1
        self._slots = array("Q", [0]) * size
        self._loginAt = loginAt
        self._ordered = array("I")

    def __len__(self) -> int:
        return len(self._ordered)

    def __iter__(self) -> Iterator[int]:
        return iter(self._ordered)

    def find(self, login: str) -> int | None:
        """Return the offset of a login's entry; L{None} if it has none."""
        hashed = hash(login)
        slot, bits = hashed & self._mask, hashed >> _BITS & _HASH
        while used := self._slots[slot]:
            if used >> _BITS == bits and self._loginAt((used & _PLACE) - 1) == login:
                return (used & _PLACE) - 1
            slot = slot + 1 & self._mask
        return None

    def add(self, login: str, offset: int) -> bool:
        """
        Add an entry, unless the login has one.

        @return: whether it was added.
        """
        hashed = hash(login)
        slot, bits = hashed & self._mask, hashed >> _BITS & _HASH
        while used := self._slots[slot]:
            if used >> _BITS == bits and self._loginAt((used & _PLACE) - 1) == login:
                return False
            slot = slot + 1 & self._mask
        self._slots[slot] = bits << _BITS | offset + 1  # An empty slot is 0.
        self._ordered.append(offset)
        return True
