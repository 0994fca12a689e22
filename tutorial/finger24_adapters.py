"""The adapters that are finished: IRC, XML-RPC, Perspective Broker; since stage 24 a module."""

from typing import NoReturn

from finger24_text import clean, lookupFailed
from finger_interfaces import IFingerService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.web import xmlrpc
from twisted.words.protocols import irc
from zope.interface import Interface, implementer


class IRCReplyBot(irc.IRCClient):
    nickname = "fingerbot"

    def privmsg(self, user: str, channel: str, message: str) -> None:
        if channel.lower() != self.nickname.lower():
            return  # said to a channel, not to us
        nick = user.partition("!")[0]
        wanted = message.strip()
        lookup = maybeDeferred(self.factory.getUser, wanted)
        lookup.addErrback(lookupFailed)
        lookup.addCallback(self.reply, nick, wanted)

    def reply(self, status: str, nick: str, wanted: str) -> None:
        text = f"Status of {wanted}: {status}"
        line = " ".join(clean(text))  # one line: what follows a CR or LF is a command
        self.msg(nick, line[:300])


class IIRCClientFactory(Interface):
    """Makes IRC bots, which ask it for a user's status."""

    def getUser(user: str) -> Deferred[str]:
        """The status of a user."""


@implementer(IIRCClientFactory)
class IRCClientFactoryFromService(Factory):
    protocol = IRCReplyBot

    def __init__(self, service: IFingerService) -> None:
        self.service = service

    def getUser(self, user: str) -> Deferred[str]:
        return self.service.getUser(user)


registerAdapter(IRCClientFactoryFromService, IFingerService, IIRCClientFactory)


class UserStatusXR(xmlrpc.XMLRPC):
    def __init__(self, service: IFingerService) -> None:
        super().__init__()
        self.service = service

    def xmlrpc_getUser(self, user: str) -> Deferred[str]:
        return self.service.getUser(user).addCallback(lambda status: "\n".join(clean(status)))

    def xmlrpc_getUsers(self) -> Deferred[list[str]]:
        return self.service.getUsers()


class IPerspectiveFinger(Interface):
    """What a peer may call from afar; a method not named remote_... cannot be reached."""

    def remote_getUser(user: str) -> Deferred[str]:
        """The status of a user."""

    def remote_getUsers() -> Deferred[list[str]]:
        """The names of the users."""


@implementer(IPerspectiveFinger)
class PerspectiveFingerFromService(pb.Root):
    def __init__(self, service: IFingerService) -> None:
        self.service = service

    def remote_getUser(self, user: str) -> Deferred[str]:
        lookup = maybeDeferred(self.service.getUser, user)
        lookup.addErrback(lookupFailed)
        return lookup.addCallback(lambda status: "\n".join(clean(status)))

    def remote_getUsers(self) -> Deferred[list[str]]:
        return maybeDeferred(self.service.getUsers).addErrback(self.refuse)

    def refuse(self, failure: Failure) -> NoReturn:
        raise pb.Error(lookupFailed(failure))  # its words go to the peer; any other failure's would


registerAdapter(PerspectiveFingerFromService, IFingerService, IPerspectiveFinger)
