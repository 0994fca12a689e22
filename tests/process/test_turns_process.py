"""Long turns of a real reactor."""

from __future__ import annotations

import sys
from urllib.request import urlopen

from tests.process.test_blackbox import BlackBoxTestCase, run, url
from tests.support.tools import DEADLINE

SLOW = """
import sys, time
from twisted.internet import reactor
from twisted.logger import globalLogBeginner, textFileLogObserver
from finger.ops.turns import TurnWatch

def calculate():
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        pass

def block():
    time.sleep(0.6)

def finish():
    print("longest", watch.longest.value() > 0.5)
    watch.stopService()
    reactor.stop()

globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
watch = TurnWatch(reactor)
watch.startService()
for seconds, function in ((0.5, calculate), (1.5, block), (2.5, finish)):
    reactor.callLater(seconds, function)
reactor.run()
"""


class TurnTests(BlackBoxTestCase):
    """Turns that are measured by real threads and clocks."""

    def test_long(self) -> None:
        """Functions that calculate or block for too long are named, and the longest turn is known."""
        done = run(sys.executable, "-c", SLOW)
        self.assertEqual(done.stderr, "")
        self.assertRegex(done.stdout, r"a turn of the reactor took at least 0\.[5-9]. s in __main__\.calculate\n")
        self.assertRegex(done.stdout, r"a turn of the reactor took at least 0\.[5-9]. s in __main__\.block\n")
        self.assertIn("longest True\n", done.stdout)

    def test_metric(self) -> None:
        """A running server exports the longest turn."""
        server = self.start("--backend=memory", "--fingerport=0", "--statusport=0")
        with urlopen(url("127.0.0.1", server.port("statusport"), "metrics"), timeout=DEADLINE) as answer:
            self.assertRegex(answer.read().decode(), r"(?m)^finger_reactor_turn_seconds_max [0-9.e-]+$")
