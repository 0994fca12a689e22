# A finger server for those who prefer `twistd -y` to `twistd finger`: sudo twistd -ny etc/finger.tac
#
# What `twistd finger` takes as options is a Config here; see finger/config.py for every field.

import time

from twisted.application.service import Application
from twisted.internet import reactor

from finger import Config, makeService
from finger.privileges import unprivileged

# Deadlines are about time that passes, not about what a clock on the wall is set to.
reactor.seconds = time.monotonic

config = Config(
    backends=("file:/etc/users",),
    fingerPorts=("79",),
    webPorts=("8000",),
    pbPorts=("none",),
)

# Started as root, it opens its ports and then is root no more.
uid, gid = unprivileged() or (None, None)
application = Application("finger", uid=uid, gid=gid)
makeService(config, reactor).setServiceParent(application)
