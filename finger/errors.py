"""
The errors, divided by their cause: the peer, a back end, or the configuration.

The `words` of each class are the message for the peer, which each adapter sends in its own protocol.  Any other
exception is a bug of ours: the peer sees `INTERNAL_ERROR`, without details.
"""

from enum import Enum
from math import ceil

INTERNAL_ERROR = "Internal error in server"


class FingerError(Exception):
    """Base class of the errors that this package raises on purpose."""

    words = INTERNAL_ERROR


class PeerError(FingerError):
    """
    The peer's request cannot be granted.  Nothing is broken, so this is not logged as a failure.

    @ivar text: the administrator's own text, which people receive instead of the words; empty for none.  It may have
        several lines.
    """

    text = ""


class BadQuery(PeerError):
    """The peer's query is not valid (RFC 1288, section 2.3), or a value it sent cannot be stored."""

    words = "Bad query"


class NoSuchUser(PeerError):
    """The user does not exist, or is hidden: the two must be indistinguishable."""

    words = "No such user"


class ListRefused(PeerError):
    """The administrator has disabled the user list (RFC 1288, section 3.2.2)."""

    words = "Finger online user list denied"


class ForwardingRefused(PeerError):
    """This server does not forward queries to that host (RFC 1288, section 3.2.1)."""

    words = "Finger forwarding service denied"


class NotAuthenticated(PeerError):
    """The peer has not logged in."""

    words = "Log in first"


class TooManyAttempts(PeerError):
    """
    The peer, or all peers together for one user name, have tried too often to log in.

    @ivar seconds: the time until another attempt is allowed, in seconds; at least 1.
    """

    words = "Too many attempts to log in, try again later"

    def __init__(self, wait: float) -> None:
        super().__init__(self.words)
        self.seconds = max(1, ceil(wait))


class NotAllowed(PeerError):
    """The peer has logged in, but lacks the permission."""

    words = "Permission denied"


class SetRefused(PeerError):
    """
    A status cannot be set, for a reason that the peer may know.

    @param reason: the reason, which is also sent to the peer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.words = reason


class Stage(Enum):
    """How far a query to another server came."""

    RESOLVING = "resolving"
    CONNECTING = "connecting"
    WAITING = "waiting"
    EMPTY = "empty"


class RemoteUnreachable(PeerError):
    """
    The server that the query is forwarded to does not answer.

    @param reason: the reason, for the log and the command line.
    @ivar stage: how far the query came.  At L{Stage.WAITING} it was sent, and no byte of an answer came.  At
        L{Stage.EMPTY} the server has closed the connection without an answer.
    """

    words = "Could not connect to remote host"

    def __init__(self, reason: str = "", stage: Stage = Stage.CONNECTING) -> None:
        super().__init__(reason)
        self.stage = stage


class Gone(PeerError):
    """The peer left before it was answered."""


class Aborted(PeerError):
    """The server closed the connection before the answer was there: at a time limit, or when it stopped."""


class BackendUnavailable(FingerError):
    """A back end cannot answer at present; the user may exist."""


class ConfigError(FingerError):
    """
    The configuration is invalid, or cannot be put into effect.

    The message is one line that names the option or file, says what is wrong, and what would be right.
    """
