"""Exercise 01: say that you are there."""

from twisted.internet import reactor

reactor.run()
