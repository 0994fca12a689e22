"""The tests of stage 25, without a network: python -m twisted.trial tutorial/test_finger25.py"""

import os
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

FILE = os.environ.get("FINGER_STAGE", str(Path(__file__).with_name("finger25.tac")))
spec = spec_from_loader("stage", SourceFileLoader("stage", FILE))
stage = module_from_spec(spec)
spec.loader.exec_module(stage)  # a .tac is Python; loading it opens nothing


@implementer(stage.IFingerService)
class Users:
    """A back end that knows two users, and is out of order when asked for another."""

    def getUser(self, user: str) -> Deferred[str]:
        statuses = {"moshez": "Happy and well", "guest": "two\nlines\a"}
        return succeed(statuses[user]) if user in statuses else fail(KeyError(user))


class AnswerTests(SynchronousTestCase):
    def expect(self, query: bytes, answer: bytes) -> None:
        finger = stage.IFingerFactory(Users()).buildProtocol(None)
        transport = StringTransport()
        finger.makeConnection(transport)
        self.addCleanup(finger.connectionLost, connectionDone)
        for byte in query:  # a stream may come in pieces of any size
            finger.dataReceived(bytes([byte]))
        self.assertEqual(transport.value(), answer)
        self.assertTrue(transport.disconnecting)

    def test_answers(self) -> None:
        self.expect(b"moshez\r\n", b"Happy and well\r\n")

    def test_cleans(self) -> None:
        self.expect(b"guest\n", b"two\r\nlines?\r\n")

    def test_keeps_the_reason(self) -> None:
        self.expect(b"broken\n", b"Internal error in server\r\n")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
