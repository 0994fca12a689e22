"""Answers ready to send, kept until the data that they were made from changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from finger.interfaces import IVersioned

T = TypeVar("T")

MAX_ANSWERS = 4096
"""The most answers that a cache keeps."""

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""The size of all answers that a cache keeps, in bytes."""


def versionOf(service: object) -> Hashable | None:
    """
    Return the version of a back end's data.

    @param service: the back end.
    @return: the version; L{None} if the back end has none, or none at present.
    """
    return versionReader(service)()


def versionReader(service: object) -> Callable[[], Hashable | None]:
    """
    Return the function that returns the version of a back end's data, as L{versionOf} does, for callers that read it
    at each query.

    @param service: the back end.
    """
    versioned = IVersioned(service, None)
    return _noVersion if versioned is None else versioned.version


def _noVersion() -> None:
    return None


class AnswerCache(Generic[T]):
    """
    Answers by key, all made from one version of the data.  With the first L{get} or L{put} of another version, all
    are dropped.  Beyond a limit, the least recently used ones are dropped.

    The caller must read the version before it looks up the data: the answer then is of that version, or of a newer
    one, whose readers never find it.

    @param most: the most answers.
    @param mostBytes: the size of all answers, in bytes.
    @ivar size: the size of all answers, in bytes.
    """

    def __init__(self, most: int = MAX_ANSWERS, mostBytes: int = MAX_ANSWER_BYTES) -> None:
        self._most = most
        self._mostBytes = mostBytes
        self._version: Hashable | None = None
        self._answers: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, version: Hashable | None, key: Hashable) -> T | None:
        """
        Return the answer with a key, if there is one.

        @param version: the data's present version; with L{None}, there is none.
        @param key: whatever the answer depends on besides the data.
        """
        if version is None:
            return None
        if version != self._version:
            self._turnTo(version)
        found = self._answers.get(key)
        if found is None:
            return None
        self._answers.move_to_end(key)
        return found[0]

    def put(self, version: Hashable | None, key: Hashable, answer: T, size: int) -> None:
        """
        Keep an answer.

        @param version: the data's version before the answer was looked up; with L{None}, the answer is not kept.
        @param key: see L{get}.
        @param size: the size of the answer and its key, in bytes.  An answer larger than the whole cache is not kept.
        """
        if version is None or size > self._mostBytes:
            return
        if version != self._version:
            self._turnTo(version)
        if key in self._answers:
            self.size -= self._answers.pop(key)[1]
        self._answers[key] = answer, size
        self.size += size
        while self.size > self._mostBytes or len(self._answers) > self._most:
            self.size -= self._answers.popitem(last=False)[1][1]

    def _turnTo(self, version: Hashable) -> None:
        self._version = version
        self._answers.clear()
        self.size = 0
