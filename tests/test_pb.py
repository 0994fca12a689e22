"""The Perspective Broker adapter, over twisted's in-memory pumps."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.spread.pb import PBClientFactory, PBServerFactory
from twisted.test.iosim import FakeTransport, connect
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from finger.backends.memory import MemoryFingerService
from finger.errors import BackendUnavailable, ListRefused
from finger.interfaces import IFingerService, IPerspectiveFinger
from finger.testing import BrokenDouble

USERS = MemoryFingerService({"moshez": "Happy and well\x1b", "zoë": "☕"})


class PBTests(SynchronousTestCase):
    """Calls."""

    def call(self, method: str, *arguments: Any, service: IFingerService = USERS) -> Deferred[Any]:
        """Call a method of the root object over a connection of its own."""
        root = IPerspectiveFinger(service)
        verifyObject(IPerspectiveFinger, root)
        server, client = PBServerFactory(root).buildProtocol(None), PBClientFactory()
        broker = client.buildProtocol(None)
        pump = connect(server, FakeTransport(server, isServer=True), broker, FakeTransport(broker, isServer=False))
        answer = client.getRootObject().addCallback(lambda root: root.callRemote(method, *arguments))
        pump.flush()
        return answer

    def error(self, *call: Any, service: IFingerService = USERS) -> tuple[str, str]:
        """What a call that fails fails with, at the caller: type and message."""
        failure = self.failureResultOf(self.call(*call, service=service))
        return str(failure.type), failure.getErrorMessage()

    def test_getUser(self) -> None:
        """A status, cleaned."""
        self.assertEqual(self.successResultOf(self.call("getUser", "moshez")), "Happy and well?")
        self.assertEqual(self.successResultOf(self.call("getUser", "zoë")), "☕")

    def test_getUsers(self) -> None:
        """The names."""
        self.assertEqual(self.successResultOf(self.call("getUsers")), ["moshez", "zoë"])

    def test_unknown(self) -> None:
        """An error that can be told apart."""
        kind, message = self.error("getUser", "nobody")
        self.assertIn("NoSuchUser", kind)
        self.assertEqual(message, "No such user")

    def test_refused(self) -> None:
        """What is refused says so; what is no name, too."""
        _, message = self.error("getUsers", service=BrokenDouble(ListRefused()))
        self.assertEqual(message, "Finger online user list denied")
        self.assertIn("one string", self.error("getUser", 1)[1])

    def test_broken(self) -> None:
        """Our failure, without our insides."""
        for call in (("getUser", "moshez"), ("getUsers",)):
            _, message = self.error(*call, service=BrokenDouble())
            self.assertEqual(message, "Internal error in server")
        self.assertEqual(len(self.flushLoggedErrors(BackendUnavailable)), 2)
