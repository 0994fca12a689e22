"""Organized: code, configuration, presentation, content and deployment, each in a place of its own.

Whoever writes one of them need not touch the others: a statuses file needs no Python, a page no
network, another port no change of the code, and all the code is in the package `finger`.
"""

import os
import sys
from pathlib import Path

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.interfaces import IProtocolFactory
from twisted.web.resource import IResource

# Code: the package's, installed or in this checkout. Here its parts are only put together.
sys.path.append(str(Path(__file__).resolve().parent.parent))
from finger import FingerService, IFingerFactory, IIRCClientFactory, IPerspectiveFinger
from finger.access.policy import PolicyFingerService
from finger.adapters.irc.service import ircService
from finger.adapters.pb.broker import BoundedPBServerFactory
from finger.adapters.web.templating import Templates
from finger.interfaces import IXMLRPCResource
from finger.log.querylog import QueryLog
from finger.net.http import BoundedSite
from finger.net.limits import LimitedFactory
from finger.net.ports import portService
from finger.ops.privileges import unprivileged

# Configuration: what differs from machine to machine.
OFFSET = int(os.environ.get("FINGER_PORT_OFFSET", "0"))
PORTS = {"finger": 1079 + OFFSET, "web": 8000 + OFFSET, "pb": 8889 + OFFSET}
IRC_SERVER = os.environ.get("FINGER_IRC", "127.0.0.1:6667")
IRC_NICK = "fingerbot"

# Content: who the users are and what they say.
ETC = Path(__file__).resolve().parent.parent / "etc"
USERS = Path(os.environ.get("FINGER_USERS", ETC / "users")).resolve()

# Presentation: how the pages look; another directory of templates, if there is one.
TEMPLATES = os.environ.get("FINGER_TEMPLATES")

# Deployment: what runs, as whom, and on which ports.
uid, gid = unprivileged() or (None, None)
application = service.Application("finger", uid=uid, gid=gid)
back_end = FingerService(str(USERS), reactor)
back_end.setServiceParent(application)
finger = PolicyFingerService(back_end, reactor)


def listen(name: str, factory: IProtocolFactory) -> None:
    limited = LimitedFactory(factory, name)
    for where in "tcp:{}:interface=127.0.0.1", r"tcp6:{}:interface=\:\:1":
        address = where.format(PORTS[name])
        portService(name, address, reactor, limited).setServiceParent(application)


queries = QueryLog(reactor)
finger_factory = IFingerFactory(finger)
finger_factory.clock, finger_factory.queries = reactor, queries
listen("finger", finger_factory)

site = IResource(finger)
site.clock, site.queries = reactor, queries
site.templates = Templates(Path(TEMPLATES) if TEMPLATES else None)
site.putChild(b"RPC2", IXMLRPCResource(finger))
listen("web", BoundedSite(site, reactor))

listen("pb", BoundedPBServerFactory(IPerspectiveFinger(finger), reactor))

bots = IIRCClientFactory(finger)
bots.clock, bots.queries, bots.nickname = reactor, queries, IRC_NICK
ircService(reactor, bots, f"tcp:{IRC_SERVER}").setServiceParent(application)
