"""Simple: one coarse layer: a dict of options in, a whole service out, nothing to put together."""

import os
import sys
from pathlib import Path

from twisted.application import service
from twisted.internet import reactor

sys.path.insert(0, str(Path(__file__).resolve().parent))  # wherever twistd was started
import finger_config

from finger.ops.privileges import unprivileged

OFFSET = int(os.environ.get("FINGER_PORT_OFFSET", "0"))
ETC = Path(__file__).resolve().parent.parent / "etc"
LOOPBACK = r"tcp:{0}:interface=127.0.0.1 tcp6:{0}:interface=\:\:1"

options = {
    "usersFile": str(Path(os.environ.get("FINGER_USERS", ETC / "users")).resolve()),
    "templates": os.environ.get("FINGER_TEMPLATES", ""),
    "fingerPorts": LOOPBACK.format(1079 + OFFSET),
    "webPorts": LOOPBACK.format(8000 + OFFSET),
    "pbPorts": LOOPBACK.format(8889 + OFFSET),
    "ssl": "no",
    "ircNick": "fingerbot",
    "ircServer": "tcp:" + os.environ.get("FINGER_IRC", "127.0.0.1:6667"),
}
uid, gid = unprivileged() or (None, None)
application = service.Application("finger", uid=uid, gid=gid)
finger_config.makeService(options, reactor).setServiceParent(application)
