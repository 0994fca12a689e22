"""Back ends and transports that only tests need."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from finger.errors import NoSuchUser
from finger.interfaces import IImmediateProfileService, IVersioned
from finger.profile import Profile
from finger.testing import ProfilesDouble


@implementer(IVersioned)
class CountingDouble(ProfilesDouble):
    """
    A back end with versions that counts what it is asked.

    @ivar asked: the number of calls of C{getProfile}.
    @ivar listed: the number of calls of C{getProfiles}.
    @ivar error: the error that every list fails with; L{None} for none.
    """

    error: Exception | None = None

    def __init__(self, *profiles: Profile) -> None:
        super().__init__(*profiles)
        self.asked = self.listed = 0
        self._version = 0

    def change(self, *profiles: Profile) -> None:
        """Replace the users."""
        self._profiles = {profile.login: profile for profile in profiles}
        self._version += 1

    def getProfile(self, user: str) -> Deferred[Profile]:
        """Count the call."""
        self.asked += 1
        return super().getProfile(user)

    def getProfiles(self) -> Deferred[list[Profile]]:
        """Count the call."""
        self.listed += 1
        return super().getProfiles() if self.error is None else fail(self.error)

    def version(self) -> int | None:
        """See L{IVersioned.version}."""
        return self._version


@implementer(IImmediateProfileService)
class ImmediateDouble(CountingDouble):
    """
    A L{CountingDouble} whose profiles are in memory.

    @ivar isSlow: whether they are not at present.
    @ivar askedNow: the number of calls of C{getProfileNow}.
    """

    isSlow = False
    askedNow = 0

    def getProfileNow(self, user: str) -> Profile | None:
        """See L{IImmediateProfileService.getProfileNow}."""
        self.askedNow += 1
        if self.isSlow:
            return None
        if user not in self._profiles:
            raise NoSuchUser(user)
        return self._profiles[user]


class FullTransport(StringTransport):
    """
    A transport whose peer reads only when the test says so.  As Twisted's own, it asks its producer for a pause when
    it holds more than C{MOST} bytes, and to go on when it holds none.

    @ivar received: all that the peer has read.
    @ivar isClosed: whether the connection is closed, after all is sent.
    @ivar isAborted: whether it is aborted.
    """

    MOST = 64 * 1024
    isClosed = isAborted = False

    def __init__(self, peerAddress: IAddress | None = None) -> None:
        super().__init__(peerAddress=peerAddress)
        self.received = b""
        self._isPaused = False

    def write(self, data: bytes) -> None:
        """Hold data."""
        super().write(data)
        if len(self.value()) > self.MOST and self.producer is not None:
            self._isPaused = True
            self.producer.pauseProducing()

    def read(self) -> bytes:
        """Let the peer read what the transport holds, and return it."""
        data: bytes = self.value()
        self.clear()
        self.received += data
        if self._isPaused and self.producer is not None:
            self._isPaused = False
            self.producer.resumeProducing()
        self.isClosed = self.disconnecting and not self.value()
        return data

    def readAll(self) -> bytes:
        """Let the peer read everything, and return all that it has read."""
        while self.read():
            pass
        return self.received

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""

    def abortConnection(self) -> None:
        """Drop the connection."""
        self.isAborted = True
        if self.producer is not None:
            self.producer.stopProducing()
