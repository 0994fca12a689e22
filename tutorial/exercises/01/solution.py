"""Exercise 01: say that you are there, done."""

from twisted.internet import reactor

reactor.callWhenRunning(print, "waiting")
reactor.run()
