# A finger server for those who prefer `twistd -y` to `twistd finger`: sudo twistd -ny etc/finger.tac
#
# What `twistd finger` takes as options is a Config here; see finger/config/model.py for every field.

import sys

from twisted.application.service import Application
from twisted.internet import reactor

from finger import Config, openService
from finger.errors import ConfigError
from finger.ops.privileges import unprivileged

config = Config(
    backends=("file:/etc/users",),
    fingerPorts=("79",),
    webPorts=("8000",),
    pbPorts=("none",),
)

# Started as root, it opens its ports and then is root no more.
try:
    uid, gid = unprivileged() or (None, None)
    server = openService(config, reactor)
except ConfigError as error:
    sys.exit(f"finger.tac: {error}")
application = Application("finger", uid=uid, gid=gid)
server.setServiceParent(application)
