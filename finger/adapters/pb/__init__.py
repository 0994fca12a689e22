"""
Perspective Broker, and the errors that it sends to clients.

Clients identify the errors by their full names, C{finger.adapters.pb.NoSuchUser} and C{finger.adapters.pb.Refused}.
"""

from twisted.spread import pb


class Refused(pb.Error):
    """The request is refused; the message says why."""


class NoSuchUser(Refused):
    """The user does not exist."""
