"""Tests for L{finger.net.answercache}, and the versions of back ends."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.access.policy import PolicyFingerService
from finger.backends.chain import ChainFingerService
from finger.backends.memory import MemoryFingerService
from finger.interfaces import IVersioned
from finger.net.answercache import MAX_ANSWER_BYTES, MAX_ANSWERS, AnswerCache, versionOf
from finger.testing import ProfilesDouble
from tests.support.doubles import CountingDouble


class VersionTests(SynchronousTestCase):
    """Versions of back ends that wrap others."""

    def test_none(self) -> None:
        """A back end without versions has none, and neither has a policy or a chain with it."""
        double, memory = ProfilesDouble(), MemoryFingerService()
        chain = ChainFingerService([memory, double])
        for service in (double, PolicyFingerService(double, Clock()), chain):
            self.assertIsNone(versionOf(service))
        self.assertFalse(IVersioned.providedBy(chain))

    def test_noneNow(self) -> None:
        """A chain has no version while one of its back ends has none."""
        double = CountingDouble()
        chain = ChainFingerService([MemoryFingerService(), double])
        self.assertIsNotNone(versionOf(chain))
        double.version = lambda: None  # type: ignore[method-assign]
        self.assertIsNone(versionOf(chain))

    def test_changes(self) -> None:
        """The version of a chain changes with each of its back ends, and the policy's with that."""
        first, second = MemoryFingerService(), MemoryFingerService()
        policy = PolicyFingerService(ChainFingerService([first, second]), Clock())
        verifyObject(IVersioned, policy)
        versions = [versionOf(policy)]
        for service in (first, second, first):
            self.successResultOf(service.setUser("a", "x"))
            versions.append(versionOf(policy))
            self.assertEqual(versionOf(policy), versions[-1])
        self.assertEqual(len(set(versions)), 4)


class AnswerCacheTests(SynchronousTestCase):
    """L{AnswerCache}."""

    def test_kept(self) -> None:
        """An answer is found by its version and key."""
        cache: AnswerCache[bytes] = AnswerCache()
        self.assertIsNone(cache.get(1, "a"))
        cache.put(1, "a", b"answer", 6)
        self.assertEqual((cache.get(1, "a"), cache.get(1, "b")), (b"answer", None))

    def test_versions(self) -> None:
        """Another version drops all answers, whether it is the version of a search or of a new answer."""
        for isNewAnswer in (False, True):
            cache: AnswerCache[bytes] = AnswerCache()
            cache.put(1, "a", b"old", 3)
            if isNewAnswer:
                cache.put(2, "b", b"new", 3)
            self.assertIsNone(cache.get(2, "a"))
            self.assertEqual((len(cache), cache.size), (1, 3) if isNewAnswer else (0, 0))
            self.assertIsNone(cache.get(1, "a"))

    def test_noVersion(self) -> None:
        """Without a version, nothing is kept or found; what is kept stays."""
        cache: AnswerCache[bytes] = AnswerCache()
        cache.put(1, "a", b"answer", 6)
        cache.put(None, "b", b"other", 5)
        self.assertEqual((cache.get(None, "a"), cache.get(None, "b"), cache.get(1, "b")), (None, None, None))
        self.assertEqual(cache.get(1, "a"), b"answer")

    def test_again(self) -> None:
        """A new answer replaces the one with the same key, and its size."""
        cache: AnswerCache[bytes] = AnswerCache()
        cache.put(1, "a", b"first", 5)
        cache.put(1, "a", b"second", 6)
        self.assertEqual((cache.get(1, "a"), len(cache), cache.size), (b"second", 1, 6))

    def test_number(self) -> None:
        """Beyond the number of answers, the least recently used one goes."""
        cache: AnswerCache[int] = AnswerCache(most=3)
        for number in range(3):
            cache.put(1, number, number, 1)
        cache.get(1, 0)
        cache.put(1, 3, 3, 1)
        self.assertEqual([cache.get(1, number) for number in range(4)], [0, None, 2, 3])

    def test_size(self) -> None:
        """Beyond the size of all answers, as many go as necessary; an answer beyond that size itself is not kept."""
        cache: AnswerCache[str] = AnswerCache(mostBytes=10)
        for key in "abc":
            cache.put(1, key, key, 3)
        cache.put(1, "d", "d", 5)
        self.assertEqual([cache.get(1, key) for key in "abcd"], [None, None, "c", "d"])
        self.assertEqual(cache.size, 8)
        cache.put(1, "e", "e", 11)
        self.assertEqual([cache.get(1, key) for key in "cde"], ["c", "d", None])
        cache.put(1, "f", "f", 10)
        self.assertEqual((len(cache), cache.size), (1, 10))

    def test_flood(self) -> None:
        """Any number of answers of any size stays within the bounds."""
        cache: AnswerCache[int] = AnswerCache()
        for number in range(3 * MAX_ANSWERS):
            cache.put(1, number, number, number)
            self.assertLessEqual(cache.size, MAX_ANSWER_BYTES)
            self.assertLessEqual(len(cache), MAX_ANSWERS)
        self.assertEqual(sum(cache.get(1, number) is not None for number in range(3 * MAX_ANSWERS)), len(cache))
