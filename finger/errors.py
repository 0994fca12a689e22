"""
What can go wrong, and whose fault it is.

Every class here says in `words` what a person who asked is told.  An adapter puts those words on its own
wire; whatever is not one of these classes is our own fault and is told as `INTERNAL_ERROR`, without details.
"""

INTERNAL_ERROR = "Internal error in server"


class FingerError(Exception):
    """Anything this package raises on purpose."""

    words = INTERNAL_ERROR


class PeerError(FingerError):
    """The peer asked for what it cannot have.  Nothing is broken, so nothing is logged as a failure."""


class BadQuery(PeerError):
    """The peer's query is no query (RFC 1288, section 2.3), or a value it sent cannot be stored."""

    words = "Bad query"


class NoSuchUser(PeerError):
    """Nobody of that name, or somebody who does not want to be seen: the two must look the same."""

    words = "No such user"


class ListRefused(PeerError):
    """The administrator has switched the user list off (RFC 1288, section 3.2.2)."""

    words = "Finger online user list denied"


class ForwardingRefused(PeerError):
    """This server does not ask that other server on the peer's behalf (RFC 1288, section 3.2.1)."""

    words = "Finger forwarding service denied"


class NotAuthenticated(PeerError):
    """Who asks has not shown who it is."""

    words = "Log in first"


class NotAllowed(PeerError):
    """Who asks is known, and may not."""

    words = "Permission denied"


class RemoteUnreachable(PeerError):
    """The other server the peer wants asked does not answer."""

    words = "Could not connect to remote host"


class BackendUnavailable(FingerError):
    """A back end cannot answer now; the user may well exist."""


class ConfigError(FingerError):
    """
    The administrator asked for something that cannot be.

    The message is one line that names the option or file, what is wrong, and what would be right.
    """
