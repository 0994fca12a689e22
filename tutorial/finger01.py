"""Stage 01: the reactor, the loop that waits for something to happen."""

from twisted.internet import reactor

reactor.run()
