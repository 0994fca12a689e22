"""The kept answer of C{getUsers}."""

from __future__ import annotations

from xmlrpc.client import dumps, loads

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, fail
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from finger.adapters.xmlrpc.resource import FingerXMLRPC
from finger.adapters.xmlrpc.userlist import SLICE, UserLists
from finger.errors import ListRefused
from finger.net.http import BoundedSite
from finger.net.slices import SLICE as SENT_AT_ONCE
from finger.profile import Profile
from finger.testing import ProfilesDouble
from tests.support.doubles import CountingDouble, FullTransport
from tests.support.turns import TurningClock


class UserListsTests(SynchronousTestCase):
    """L{UserLists}."""

    def setUp(self) -> None:
        self.names = [f"user{number:06}" for number in range(2 * SLICE + 1)]
        self.service = CountingDouble(*map(Profile, self.names))
        self.clock = TurningClock()

    def test_turns(self) -> None:
        """Others have a turn while a long list is made, once for all that wait for it, and until the users change."""
        lists = UserLists(self.service)
        self.assertIsNone(lists.find())
        waiting = [lists.make(self.clock) for _ in range(3)]
        waiting[1].cancel()
        self.failureResultOf(waiting.pop(1), CancelledError)
        for _ in range(2):
            self.assertNoResult(waiting[0])
            self.clock.turn()
        made = self.successResultOf(waiting[0])
        self.assertIs(self.successResultOf(waiting[1]), made)
        self.assertIs(lists.find(), made)
        self.assertEqual(loads(made.response)[0], (self.names,))
        self.service.change(Profile("new"))
        self.assertIsNone(lists.find())
        self.assertEqual(loads(self.successResultOf(lists.make(self.clock)).response)[0], (["new"],))

    def test_clean(self) -> None:
        """Without a clock, a list is made at once; the bytes are those of Python's own library."""
        for names in ([], ["a"], ["<&>", "a\x1bb"], self.names):
            made = self.successResultOf(UserLists(ProfilesDouble(*map(Profile, names))).make(None))
            expected = dumps(([name.replace("\x1b", "?") for name in names],), methodresponse=True)
            self.assertEqual(made.response.decode(), expected)

    def test_unversioned(self) -> None:
        """The list of a back end without versions is made for each call; a failure is not kept."""
        lists = UserLists(ProfilesDouble(Profile("a")))
        made = self.successResultOf(lists.make(self.clock))
        self.assertIsNone(lists.find())
        self.assertIsNot(self.successResultOf(lists.make(self.clock)), made)
        lists = UserLists(self.service)
        self.patch(self.service, "getUsers", lambda: fail(ListRefused()))
        self.failureResultOf(lists.make(self.clock), ListRefused)
        self.assertIsNone(lists.find())

    def test_slices(self) -> None:
        """A client that reads nothing of a long answer holds little memory, and each call is logged."""
        resource = FingerXMLRPC(self.service)
        answers: list[bytes] = []
        body = dumps((), "getUsers").encode()
        request = b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        with capturedLogs() as events:
            for _ in range(2):
                transport = FullTransport(IPv4Address("TCP", "192.0.2.1", 5))
                channel = BoundedSite(resource, self.clock).buildProtocol(None)
                channel.makeConnection(transport)
                channel.dataReceived(request)
                while self.clock.getDelayedCalls() and not transport.value():
                    self.clock.turn()
                self.assertLess(len(transport.value()), FullTransport.MOST + 2 * SENT_AT_ONCE)
                answers.append(transport.readAll().partition(b"\r\n\r\n")[2])
                self.patch(self.service, "getUsers", lambda: fail(ListRefused()))  # It is not asked again.
        self.assertEqual([loads(answer)[0] for answer in answers], [(self.names,)] * 2)
        self.assertEqual([event["outcome"] for event in events if "outcome" in event], ["ok", "ok"])
