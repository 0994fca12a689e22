"""
The places of users in a text: a hash table with a few bytes for each user.  No I/O.

A dictionary of 1,000,000 logins takes more than 100 MB, and to grow or to free it stops all threads for a tenth of a
second.  This table takes 20 MB, and is allocated and freed at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import Final

from finger.profile import Profile

_BITS: Final = 31
"""The bits of a slot that hold the place.  The others hold a part of the login's hash, so few logins are compared."""

_PLACE: Final = (1 << _BITS) - 1
_HASH: Final = (1 << (64 - _BITS)) - 1


class Offsets:
    """
    Offsets of entries in a text, by login and in the order in which they were added.

    @param most: the maximum number of users.
    @param profileAt: makes the profile of the entry at an offset, which is less than 2 GiB.
    """

    def __init__(self, most: int, profileAt: Callable[[int], Profile]) -> None:
        size = 1 << (2 * most).bit_length()  # More than half of the slots stay empty, so a search is short.
        self._mask = size - 1
        self._slots = array("Q", [0]) * size
        self._profileAt = profileAt
        self._ordered = array("I")

    def __len__(self) -> int:
        return len(self._ordered)

    def profiles(self) -> Iterator[Profile]:
        """Make the profiles of all users."""
        return map(self._profileAt, self._ordered)

    def find(self, login: str) -> Profile:
        """
        Make the profile of a user.

        @raise KeyError: if there is none with that login.
        """
        hashed = hash(login)
        slot, bits = hashed & self._mask, hashed >> _BITS & _HASH
        while used := self._slots[slot]:
            if used >> _BITS == bits:
                profile = self._profileAt((used & _PLACE) - 1)
                if profile.login == login:
                    return profile
            slot = slot + 1 & self._mask
        raise KeyError(login)

    def add(self, login: str, offset: int) -> bool:
        """
        Add an entry, unless the login has one.

        @return: whether it was added.
        """
        hashed = hash(login)
        slot, bits = hashed & self._mask, hashed >> _BITS & _HASH
        while used := self._slots[slot]:
            if used >> _BITS == bits and self._profileAt((used & _PLACE) - 1).login == login:
                return False
            slot = slot + 1 & self._mask
        self._slots[slot] = bits << _BITS | offset + 1  # An empty slot is 0.
        self._ordered.append(offset)
        return True
