"""The tests of stage 25a, without waiting: python -m twisted.trial tutorial/test_finger25a.py"""

import os
import sys
from pathlib import Path

from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

os.environ.setdefault("FINGER_STAGE", str(Path(__file__).with_name("finger25a.tac")))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_finger25 import Users, stage


class TimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()  # its time passes when we say so

    def test_silence_has_an_end(self) -> None:
        factory, transport = stage.IFingerFactory(Users()), StringTransport()
        factory.clock = self.reactor
        factory.buildProtocol(None).makeConnection(transport)
        self.reactor.advance(stage.TIMEOUT - 1)
        self.assertFalse(transport.disconnecting)
        self.reactor.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_the_bot_tries_again(self) -> None:
        stage.ircService(self.reactor, Users()).startService()
        attempt, connector = self.reactor.tcpClients[0][2], self.reactor.connectors[0]
        attempt.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
        self.reactor.pump([1] * 5)
        self.assertEqual(len(self.reactor.tcpClients), 2)
