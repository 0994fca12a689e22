"""
Perspective Broker, and the errors that its callers see.

Callers know the errors by their full names, C{finger.adapters.pb.NoSuchUser} and C{finger.adapters.pb.Refused}.
"""

from twisted.spread import pb


class Refused(pb.Error):
    """What a caller asked for cannot be had; the message says why."""


class NoSuchUser(Refused):
    """There is nobody of that name."""
